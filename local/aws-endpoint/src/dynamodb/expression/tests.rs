//! The expression language against the cases of AWS's developer guide.

use serde_json::{Value, json};

use super::super::attributes::Item;
use super::{Condition, Placeholders, Projection, Update};

fn item(value: Value) -> Item {
    serde_json::from_value(value).expect("an item")
}

fn sample() -> Item {
    item(json!({
        "id": {"S": "o-1"}, "version": {"N": "10"}, "tags": {"SS": ["a", "b"]},
        "entries": {"L": [{"M": {"sku": {"S": "x"}}}, {"M": {"sku": {"S": "y"}}}, {"N": "3"}]},
        "nested": {"M": {"first_part": {"N": "1"}, "second_part": {"S": "text"}}}
    }))
}

fn holds(expression: &str, values: &Value) -> Result<bool, String> {
    let mut request = json!({"ConditionExpression": expression});
    if values != &json!({}) {
        request["ExpressionAttributeValues"] = values.clone();
    }
    if expression.contains('#') {
        request["ExpressionAttributeNames"] = json!({"#n": "nested"});
    }
    let aliases = Placeholders::take(&mut request).map_err(|e| e.message)?;
    let condition = Condition::of(&request, "ConditionExpression", &aliases)
        .map_err(|e| e.message)?
        .expect("a condition");
    aliases.check_all_used().map_err(|e| e.message)?;
    Ok(condition.holds(&sample()))
}

#[test]
fn conditions_hold_as_the_guide_says() {
    let values = json!({":v": {"N": "9"}});
    for (expression, expected) in [
        ("version > :v", true),
        ("version <= :v", false),
        ("NOT version < :v AND attribute_exists(#n.first_part)", true),
        ("absent <> :v", true),
        ("absent = :v", false),
        ("attribute_not_exists(absent) OR version = :v", true),
        ("version = :v OR version = :v AND id = id", false),
        ("(version = :v OR id = id) AND id = id", true),
        ("version BETWEEN :v AND version", true),
        ("version IN (:v, version)", true),
        ("size(entries) < :v", true),
        ("entries[2] < :v", true),
        ("id < :v", false),
    ] {
        let values = if expression.contains(":v") {
            values.clone()
        } else {
            json!({})
        };
        assert_eq!(holds(expression, &values), Ok(expected), "{expression}");
    }
    let text = json!({":t": {"S": "a"}});
    assert_eq!(holds("contains(tags, :t)", &text), Ok(true));
    assert_eq!(
        holds(
            "begins_with(entries[1].sku, :t)",
            &json!({":t": {"S": "y"}})
        ),
        Ok(true)
    );
    assert_eq!(
        holds("attribute_type(#n, :t)", &json!({":t": {"S": "M"}})),
        Ok(true)
    );
}

#[test]
fn expressions_that_aws_refuses_are_refused_by_name() {
    for (expression, values, part) in [
        ("version >", json!({}), "Syntax error; token: \"<EOF>\""),
        (
            "version = :v extra",
            json!({":v": {"N": "1"}}),
            "token: \"extra\"",
        ),
        (
            "version = :v",
            json!({}),
            "not defined; attribute value: :v",
        ),
        (
            "id = id",
            json!({":v": {"N": "1"}}),
            "unused in expressions: keys: {:v}",
        ),
        ("status = id", json!({}), "reserved keyword: status"),
        (
            "exists(id)",
            json!({}),
            "Invalid function name; function: exists",
        ),
        ("version = 5", json!({}), "Syntax error; token: \"5\""),
        ("id = 'x'", json!({}), "Syntax error; token: \"'\""),
        ("", json!({}), "can not be empty"),
        (
            "version = :v",
            json!({":v": {"N": "x"}}),
            "cannot be converted",
        ),
    ] {
        let error = holds(expression, &values).expect_err(expression);
        assert!(error.contains(part), "{expression}: {error}");
    }
}

fn updated(expression: &str, values: &Value) -> Result<Value, String> {
    let mut request = json!({"UpdateExpression": expression});
    if values != &json!({}) {
        request["ExpressionAttributeValues"] = values.clone();
    }
    let aliases = Placeholders::take(&mut request).map_err(|e| e.message)?;
    let update = Update::of(&request, &aliases)
        .map_err(|e| e.message)?
        .expect("an update");
    aliases.check_all_used().map_err(|e| e.message)?;
    update
        .apply(&sample())
        .map(Value::Object)
        .map_err(|e| e.message)
}

#[test]
fn updates_set_remove_add_and_delete() {
    let after = updated(
        "SET version = version + :one, entries[9] = :one, nested.first_part = nested.second_part, \
         history = list_append(if_not_exists(history, :none), :list) \
         REMOVE entries[0], entries[1] ADD tally :one, tags :set DELETE gone :set",
        &json!({":one": {"N": "1"}, ":none": {"L": []}, ":list": {"L": [{"S": "x"}]},
                ":set": {"SS": ["c"]}}),
    )
    .expect("an item");
    assert_eq!(after["version"], json!({"N": "11"}));
    assert_eq!(after["entries"], json!({"L": [{"N": "3"}, {"N": "1"}]}));
    assert_eq!(after["nested"]["M"]["first_part"], json!({"S": "text"}));
    assert_eq!(after["history"], json!({"L": [{"S": "x"}]}));
    assert_eq!(after["tally"], json!({"N": "1"}));
    assert_eq!(after["tags"], json!({"SS": ["a", "b", "c"]}));
}

#[test]
fn every_operand_of_an_update_sees_the_item_as_it_was() {
    let after = updated("SET id = version, version = id", &json!({})).expect("an item");
    assert_eq!(after["id"], json!({"N": "10"}));
    assert_eq!(after["version"], json!({"S": "o-1"}));
}

#[test]
fn a_set_that_loses_its_last_element_is_removed() {
    let after = updated("DELETE tags :all", &json!({":all": {"SS": ["a", "b"]}})).expect("item");
    assert_eq!(after.get("tags"), None);
}

#[test]
fn updates_that_aws_refuses_are_refused() {
    let one = json!({":v": {"N": "1"}});
    for (expression, values, part) in [
        ("SET absent.sku = :v", &one, "document path provided"),
        ("SET id = absent + :v", &one, "does not exist in the item"),
        ("SET id = id + :v", &one, "incorrect data type"),
        (
            "SET nested = :v, nested.first_part = :v",
            &one,
            "Two document paths overlap",
        ),
        (
            "SET id = :v SET version = :v",
            &one,
            "can only be used once",
        ),
        ("DELETE tags :v", &one, "Incorrect operand type"),
        ("ADD id :v", &one, "incorrect data type"),
        ("SET version = version * :v", &one, "Syntax error"),
        ("version = :v", &one, "Syntax error"),
    ] {
        let error = updated(expression, values).expect_err(expression);
        assert!(error.contains(part), "{expression}: {error}");
    }
}

#[test]
fn a_projection_keeps_the_named_parts_only() {
    let mut request = json!({
        "ProjectionExpression": "id, nested.#l, entries[1].sku, entries[2], absent.x",
        "ExpressionAttributeNames": {"#l": "first_part"}
    });
    let aliases = Placeholders::take(&mut request).expect("aliases");
    let projection = Projection::of(&request, &aliases)
        .expect("valid")
        .expect("a projection");
    assert_eq!(
        Value::Object(projection.apply(&sample())),
        json!({
            "id": {"S": "o-1"}, "nested": {"M": {"first_part": {"N": "1"}}},
            "entries": {"L": [{"M": {"sku": {"S": "y"}}}, {"N": "3"}]}
        })
    );
}
