//! The published schemas are those of the code, and change only as far as nobody is broken.
//!
//! `UPDATE_SCHEMAS=1` writes what may be written; a breaking change is refused even then.

use crate::golden::{current_versions, golden, read};
use crate::{events, files, type_and_version};
use domain::schema::compatibility::{Change, change};
use domain::schema::{EventSchema, asyncapi, envelope_schema, event_schemas};
use event_sourcing::envelope::Envelope;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const UPDATE: &str = "`UPDATE_SCHEMAS=1 cargo test -p domain --all-features published_schemas`, and look at the diff";

/// Writes the file if asked to, and fails otherwise.
fn publish(file: &str, now: &Value) {
    assert!(
        std::env::var_os("UPDATE_SCHEMAS").is_some(),
        "events/{file} is not what the code says: run {UPDATE}"
    );
    let text = serde_json::to_string_pretty(now).unwrap();
    std::fs::write(events().join(file), text + "\n").unwrap();
}

/// Holds a schema file against the code; `instead` says what a breaking change takes.
fn hold(file: &str, whole: &str, now: &Value, instead: &str) {
    let published = std::fs::read_to_string(events().join(file)).ok();
    let Some(published) = published.map(|text| serde_json::from_str(&text).unwrap()) else {
        return publish(file, now);
    };
    match change(whole, &published, now) {
        Change::None => {}
        Change::Additive => publish(file, now),
        Change::Breaking(breaks) => panic!(
            "events/{file} would break who reads or wrote it: {}.\n{instead}",
            breaks.join("; ")
        ),
    }
}

/// The schemas of all versions: the current ones of the code, the older ones as published.
fn all_versions() -> Vec<EventSchema> {
    let current = event_schemas();
    let mut files = files("schemas");
    let mut all = Vec::new();
    for now in current {
        for version in 1..now.version {
            let mut older = now.clone();
            older.version = version;
            older.schema = files
                .remove(&older.name())
                .unwrap_or_else(|| panic!("events/schemas/{}.json is gone", older.name()));
            all.push(older);
        }
        all.push(now);
    }
    all
}

#[test]
fn the_published_schemas_are_those_of_the_code() {
    for now in event_schemas() {
        let EventSchema {
            event_type,
            version,
            ..
        } = &now;
        let instead = format!(
            "Leave version {version} as it is: add an upcaster of {event_type} from {version} to \
             the upcasters of its aggregate, which makes this change version {}, put an event of \
             that version into events/golden/, then run {UPDATE}",
            version + 1
        );
        hold(
            &format!("schemas/{}.json", now.name()),
            "data",
            &now.schema,
            &instead,
        );
    }
    let instead = "Every event ever stored has this envelope: add an optional field instead.";
    hold(
        "schemas/envelope.json",
        "the envelope",
        &envelope_schema(),
        instead,
    );
    let document = asyncapi::document(&all_versions());
    let published = std::fs::read_to_string(events().join("asyncapi.json")).unwrap_or_default();
    if serde_json::from_str::<Value>(&published).ok().as_ref() != Some(&document) {
        publish("asyncapi.json", &document);
    }
}

#[test]
fn every_event_has_a_schema_and_every_schema_an_event() {
    let of_code: BTreeMap<_, _> = current_versions().collect();
    let schemas = event_schemas();
    let described: BTreeMap<_, _> = schemas
        .iter()
        .map(|schema| (schema.event_type.as_str(), schema.version))
        .collect();
    assert_eq!(described, of_code);
    for name in files("schemas").keys().filter(|name| *name != "envelope") {
        let (event_type, version) = type_and_version(name);
        assert!(
            of_code
                .get(event_type)
                .is_some_and(|current| version <= *current),
            "events/schemas/{name}.json is of no event that the code reads, and such are stored"
        );
    }
}

fn validator(schema: &Value) -> jsonschema::Validator {
    jsonschema::draft7::new(schema).unwrap()
}

#[track_caller]
fn assert_valid(what: &str, schema: &Value, value: &Value) {
    assert!(jsonschema::draft7::meta::is_valid(schema), "{what}");
    let errors: Vec<_> = validator(schema)
        .iter_errors(value)
        .map(|error| format!("{} {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{what}: {errors:?}");
}

#[test]
fn every_golden_file_is_valid_in_its_version_and_when_lifted_to_the_current_one() {
    let schemas = files("schemas");
    let current: BTreeMap<_, _> = current_versions().collect();
    for (name, envelope) in golden() {
        let (event_type, version) = type_and_version(&name);
        assert_valid(
            &name,
            &schemas["envelope"],
            &serde_json::to_value(&envelope).unwrap(),
        );
        assert_valid(
            &name,
            &schemas[&format!("{event_type}.v{version}")],
            &envelope.data,
        );
        let lifted = read(&envelope).unwrap().data;
        let version = current[event_type];
        assert_valid(
            &name,
            &schemas[&format!("{event_type}.v{version}")],
            &lifted,
        );
    }
}

#[test]
fn the_plain_order_is_valid_and_one_without_an_amount_is_not() {
    let schema = validator(&files("schemas")["OrderPlaced.v1"]);
    let plain = json!({"orderId": "67890", "userId": "abc123", "totalAmount": 150.75});
    assert!(schema.is_valid(&plain));
    for (field, wrong) in [
        ("orderId", json!(67890)),
        ("orderId", json!("x".repeat(129))),
        ("totalAmount", json!("150.75")),
        ("totalAmount", json!(-1)),
        ("currency", json!("dollars")),
        ("items", json!([{"sku": "tea-100"}])),
    ] {
        let mut order = plain.clone();
        order[field] = wrong;
        assert!(!schema.is_valid(&order), "{order}");
    }
    assert!(!schema.is_valid(&json!({"orderId": "67890", "userId": "abc123"})));
}

/// A price that is not whole is read as none, and published by nobody.
fn read_as_a_price(envelope: &Envelope) -> bool {
    envelope.data.get("unitPrice").is_some()
}

/// A schema that refused what the code reads would make other producers' events look wrong; one
/// that let a field be absent that the code needs would make them unreadable.
#[test]
fn the_schemas_accept_what_the_code_reads() {
    let schemas = files("schemas");
    let odd = [
        json!(null),
        json!(1),
        json!(-1.5),
        json!(""),
        json!("x"),
        json!([]),
        json!({}),
        json!(true),
    ];
    for (name, envelope) in golden() {
        let (event_type, version) = type_and_version(&name);
        let schema = validator(&schemas[&format!("{event_type}.v{version}")]);
        for field in envelope.data.as_object().unwrap().keys() {
            let mut without: Envelope = envelope.clone();
            without.data.as_object_mut().unwrap().remove(field);
            assert_eq!(
                read(&without).is_ok(),
                schema.is_valid(&without.data),
                "{name} without {field}"
            );
            if ["unitPrice", "currency"].contains(&field.as_str()) && read_as_a_price(&envelope) {
                continue;
            }
            for value in &odd {
                let mut changed = envelope.clone();
                changed.data[field] = value.clone();
                assert!(
                    read(&changed).is_err() || schema.is_valid(&changed.data),
                    "{name} with {field} {value}"
                );
            }
        }
    }
}

#[test]
fn the_envelope_schema_names_every_field_that_an_envelope_writes() {
    let envelope = golden().remove("OrderPlaced.v1.full").unwrap();
    let mut full = envelope;
    full.causation_id = Some("c".into());
    full.previous_hash = Some("p".into());
    full.schema_version = Some(1);
    let written = serde_json::to_value(&full).unwrap();
    let names = |object: &Value| -> BTreeSet<String> {
        object.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(names(&envelope_schema()["properties"]), names(&written));
}

/// Every `$ref` in the document.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get("$ref") {
                found.push(reference.clone());
            }
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn the_asyncapi_document_has_what_version_3_requires() {
    let mut schemas = event_schemas();
    let mut newer = schemas[0].clone();
    newer.version += 1;
    schemas.push(newer);
    let document = asyncapi::document(&schemas);
    assert_eq!(document["asyncapi"], "3.0.0");
    assert!(document["info"]["title"].is_string() && document["info"]["version"].is_string());
    let mut found = Vec::new();
    references(&document, &mut found);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    let messages = document["components"]["messages"].as_object().unwrap();
    assert_eq!(messages.len(), schemas.len());
    for (name, message) in messages {
        assert!(message["payload"]["allOf"].is_array() && message["name"].is_string());
        let of_channel = &document["channels"]["orders"]["messages"][name];
        assert_eq!(of_channel["$ref"], format!("#/components/messages/{name}"));
    }
    let actions: Vec<_> = document["operations"]
        .as_object()
        .unwrap()
        .values()
        .map(|operation| {
            assert_eq!(operation["channel"]["$ref"], "#/channels/orders");
            assert_eq!(
                operation["messages"].as_array().unwrap().len(),
                schemas.len()
            );
            operation["action"].as_str().unwrap()
        })
        .collect();
    assert_eq!(actions, ["send", "receive"]);
}

#[test]
fn the_asyncapi_payloads_accept_their_own_golden_files_only() {
    let document = asyncapi::document(&all_versions());
    let golden = golden();
    for (name, message) in document["components"]["messages"].as_object().unwrap() {
        let mut schema = message["payload"].clone();
        schema["components"] = document["components"].clone();
        let schema = validator(&schema);
        for (file, envelope) in &golden {
            let envelope = serde_json::to_value(envelope).unwrap();
            let own = type_and_version(file) == type_and_version(name);
            assert_eq!(schema.is_valid(&envelope), own, "{name} and {file}");
        }
    }
}
