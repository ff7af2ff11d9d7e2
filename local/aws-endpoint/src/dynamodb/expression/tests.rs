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
        ("version = :v OR version = :v AND id <> nested", false),
        ("(version = :v OR id <> nested) AND id <> nested", true),
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
            "attribute_exists(id)",
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

#[test]
fn an_expression_has_4096_bytes_and_an_in_100_operands_at_most() {
    let one = json!({":v": {"N": "1"}});
    let padded = |bytes: usize| format!("version = :v{}", " ".repeat(bytes - 12));
    assert!(holds(&padded(4096), &one).is_ok());
    let error = holds(&padded(4097), &one).expect_err("too long");
    assert!(
        error.contains("exceeded the maximum allowed size"),
        "{error}"
    );
    let among = |count: usize| format!("version IN ({})", vec![":v"; count].join(", "));
    assert!(holds(&among(100), &one).is_ok());
    let error = holds(&among(101), &one).expect_err("too many");
    assert!(error.contains("number of operands: 101"), "{error}");
}

#[test]
fn an_expression_that_nests_without_end_is_refused_and_overflows_no_stack() {
    let one = json!({":v": {"N": "1"}});
    for (expression, part) in [
        ("(".repeat(100_000), "maximum allowed size"),
        ("NOT ".repeat(100_000), "maximum allowed size"),
        ("(".repeat(4_000), "nested deeper"),
        ("NOT ".repeat(1_000), "nested deeper"),
    ] {
        let error = holds(&expression, &one).expect_err("refused");
        assert!(error.contains(part), "{error}");
    }
    let error = updated(&format!("SET id = {}", "(".repeat(4_000)), &one).expect_err("refused");
    assert!(error.contains("nested deeper"), "{error}");
    let twice = format!("{}version = :v", "NOT ".repeat(200));
    assert_eq!(holds(&twice, &json!({":v": {"N": "10"}})), Ok(true));
}

#[test]
fn a_document_path_has_32_steps_at_most() {
    let path = |steps: usize| format!("attribute_exists(nested{})", ".a".repeat(steps));
    assert_eq!(holds(&path(32), &json!({})), Ok(false));
    let error = holds(&path(33), &json!({})).expect_err("too deep");
    assert!(error.contains("nesting levels: 33"), "{error}");
}

#[test]
fn operands_that_cannot_be_right_are_refused_before_an_item_is_read() {
    let values = json!({
        ":n1": {"N": "1"}, ":n9": {"N": "9"}, ":s": {"S": "x"}, ":b": {"BOOL": true},
    });
    let of = |expression: &str| {
        let used = values.as_object().expect("an object").iter();
        let used = used.filter(|(alias, _)| expression.contains(alias.as_str()));
        Value::Object(used.map(|(k, v)| (k.clone(), v.clone())).collect())
    };
    for (expression, part) in [
        (
            "version BETWEEN :n9 AND :n1",
            "greater than or equal to lower bound",
        ),
        ("version BETWEEN :n1 AND :s", "same data type"),
        (
            "version BETWEEN :b AND :b",
            "function: BETWEEN, operand type: BOOL",
        ),
        ("version < :b", "function: <, operand type: BOOL"),
        (
            "begins_with(id, :n1)",
            "function: begins_with, operand type: N",
        ),
        ("contains(:n1, id)", "function: contains, operand type: N"),
        ("id = id", "operator: =, first operand: [id]"),
        (
            "contains(entries[0].sku, entries[0].sku)",
            "first operand: [entries, [0], sku]",
        ),
        ("attribute_exists(_id)", "Syntax error; token: \"_id\""),
        (
            "attribute_exists(nested._id)",
            "Syntax error; token: \"_id\"",
        ),
    ] {
        let error = holds(expression, &of(expression)).expect_err(expression);
        assert!(error.contains(part), "{expression}: {error}");
    }
    for expression in [
        "version BETWEEN :n9 AND :n9",
        "version = :b",
        "contains(id, :b)",
    ] {
        assert!(holds(expression, &of(expression)).is_ok(), "{expression}");
    }
}

/// What an update leaves of `{"l": [..]}`.
fn list_after(list: Value, expression: &str) -> Value {
    let mut request = json!({
        "UpdateExpression": expression,
        "ExpressionAttributeValues": {":x": {"S": "x"}, ":y": {"S": "y"}, ":one": {"N": "1"}},
    });
    let aliases = Placeholders::take(&mut request).expect("aliases");
    let update = Update::of(&request, &aliases).expect("valid");
    let after = update
        .expect("an update")
        .apply(&item(json!({"l": {"L": list}})));
    after.expect("an item")["l"]["L"].clone()
}

#[test]
fn list_indexes_mean_the_list_as_it_was_before_the_update() {
    let (a, b, x, y) = (
        json!({"S": "a"}),
        json!({"S": "b"}),
        json!({"S": "x"}),
        json!({"S": "y"}),
    );
    let line = |qty: &str| json!({"M": {"qty": {"N": qty}, "sku": {"S": "tea"}}});
    let no_qty = json!({"M": {"sku": {"S": "tea"}}});
    for (list, expression, expected) in [
        (
            json!([line("1"), line("2")]),
            "REMOVE l[0], l[1].qty",
            json!([no_qty]),
        ),
        (
            json!([a, b]),
            "SET l[3] = :x, l[2] = :y",
            json!([a, b, y, x]),
        ),
        (
            json!([a, {"N": "1"}, {"N": "5"}]),
            "REMOVE l[0], l[1] ADD l[2] :one",
            json!([{"N": "6"}]),
        ),
        (json!([a, b]), "REMOVE l[0] SET l[1] = :x", json!([x])),
        (json!([a, b]), "REMOVE l[2] SET l[9] = :x", json!([a, b, x])),
        (json!([a, b]), "REMOVE l[1], l[0]", json!([])),
    ] {
        assert_eq!(list_after(list, expression), expected, "{expression}");
    }
}
