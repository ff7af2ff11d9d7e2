use super::*;
use serde_json::json;

fn published() -> Value {
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "description": "An order.",
        "required": ["orderId", "amount"],
        "properties": {
            "orderId": {"type": "string", "maxLength": 128},
            "amount": {"type": "number", "minimum": 0},
            "currency": {"type": "string", "default": "USD"},
            "reason": {"oneOf": [
                {"type": "string", "const": "requested", "description": "Asked for."},
                {"type": "string", "const": "expired"}
            ]},
            "items": {"type": "array", "items": {
                "type": "object",
                "required": ["sku"],
                "properties": {"sku": {"type": "string"}, "quantity": {"type": "integer", "format": "uint32"}}
            }}
        }
    })
}

/// What a change of the published schema comes to.
fn after(edit: impl FnOnce(&mut Value)) -> Change {
    let mut now = published();
    edit(&mut now);
    change("data", &published(), &now)
}

#[track_caller]
fn breaks(expected: &str, edit: impl FnOnce(&mut Value)) {
    assert_eq!(after(edit), Change::Breaking(vec![expected.to_owned()]));
}

fn remove(parent: &mut Value, name: &str) {
    parent.as_object_mut().unwrap().remove(name);
}

#[test]
fn nothing_changed() {
    assert_eq!(after(|_| {}), Change::None);
}

#[test]
fn what_is_added_and_may_be_absent_breaks_nothing() {
    for edit in [
        |now: &mut Value| now["properties"]["gift"] = json!({"type": "boolean"}),
        |now: &mut Value| {
            now["properties"]["items"]["items"]["properties"]["gift"] = json!({"type": "boolean"});
        },
        |now: &mut Value| now["description"] = json!("A customer's order."),
        |now: &mut Value| now["properties"]["orderId"]["maxLength"] = json!(256),
        |now: &mut Value| remove(&mut now["properties"]["amount"], "minimum"),
        |now: &mut Value| {
            let reasons = now["properties"]["reason"]["oneOf"].as_array_mut().unwrap();
            reasons.push(json!({"type": "string", "const": "fraud"}));
        },
    ] {
        assert_eq!(after(edit), Change::Additive);
    }
}

#[test]
fn a_field_that_is_removed_or_renamed_breaks() {
    breaks("data.currency was removed or renamed", |now| {
        remove(&mut now["properties"], "currency");
    });
    breaks("data.items[].quantity was removed or renamed", |now| {
        let fields = &mut now["properties"]["items"]["items"]["properties"];
        fields["pieces"] = fields["quantity"].take();
        remove(fields, "quantity");
    });
}

#[test]
fn a_field_of_another_type_breaks() {
    breaks("data.orderId has another type", |now| {
        now["properties"]["orderId"]["type"] = json!("integer");
    });
    breaks("data.orderId has another type", |now| {
        now["properties"]["orderId"]["type"] = json!(["string", "null"]);
    });
    breaks("data.items[].quantity has another format", |now| {
        now["properties"]["items"]["items"]["properties"]["quantity"]["format"] = json!("uint8");
    });
    breaks("data.currency changed", |now| {
        now["properties"]["currency"] = json!(false);
    });
}

#[test]
fn a_field_that_becomes_required_or_optional_breaks() {
    breaks("data.currency is required and was not", |now| {
        now["required"] = json!(["orderId", "amount", "currency"]);
    });
    breaks("data.gift is required and was not", |now| {
        now["properties"]["gift"] = json!({"type": "boolean"});
        now["required"] = json!(["orderId", "amount", "gift"]);
    });
    breaks("data.amount is not required any more", |now| {
        now["required"] = json!(["orderId"]);
    });
}

#[test]
fn narrower_values_and_bounds_break() {
    breaks("data.reason does not accept \"expired\" any more", |now| {
        now["properties"]["reason"] = json!({"oneOf": [{"type": "string", "const": "requested"}]});
    });
    breaks("data.currency accepts certain values only", |now| {
        now["properties"]["currency"]["enum"] = json!(["USD"]);
    });
    breaks("data.orderId has a narrower maxLength", |now| {
        now["properties"]["orderId"]["maxLength"] = json!(64);
    });
    breaks("data.amount has a narrower minimum", |now| {
        now["properties"]["amount"]["minimum"] = json!(1);
    });
    breaks("data.amount has a narrower maximum", |now| {
        now["properties"]["amount"]["maximum"] = json!(1);
    });
    breaks("data.orderId has another pattern", |now| {
        now["properties"]["orderId"]["pattern"] = json!("^[a-z]+$");
    });
    breaks("data has another additionalProperties", |now| {
        now["additionalProperties"] = json!(false);
    });
}

#[test]
fn another_meaning_of_an_absent_field_breaks() {
    breaks(
        "data.currency means something else where it is absent",
        |now| {
            now["properties"]["currency"]["default"] = json!("EUR");
        },
    );
}

#[test]
fn every_shape_of_an_event_is_held_by_itself() {
    let shape = |field: &str| json!({"type": "object", "required": [field], "properties": {field: {"type": "string"}}});
    let old = json!({"anyOf": [shape("orderId"), shape("sku")]});
    let swapped = json!({"anyOf": [shape("sku"), shape("orderId"), shape("supplier")]});
    assert_eq!(change("data", &old, &swapped), Change::Additive);
    let mut changed = old.clone();
    changed["anyOf"][1]["properties"]["sku"]["type"] = json!("integer");
    let breaking = |what: &str| Change::Breaking(vec![what.to_owned()]);
    assert_eq!(
        change("data", &old, &changed),
        breaking("data.sku has another type")
    );
    let gone = json!({"type": "object"});
    assert!(matches!(change("data", &old, &gone), Change::Breaking(_)));
}
