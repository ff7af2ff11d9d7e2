//! The [AsyncAPI 3.0](https://www.asyncapi.com/docs/reference/specification/v3.0.0) document of the
//! bus: which events travel on it, in which shape.

use super::{EventSchema, envelope_schema};
use serde_json::{Map, Value, json};

/// The document, with every version of every event in `schemas`.
#[must_use]
pub fn document(schemas: &[EventSchema]) -> Value {
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Orderflow",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Every event of the event store, published on the EventBridge bus \
                `orders`: `source` is `orderflow`, `detail-type` the event's type, `detail` the \
                envelope. Delivered at least once; `eventId` tells repeats, `streamId` and \
                `version` the order.",
            "license": {"name": "MIT OR Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            "orders": {
                "address": "orders",
                "title": "The bus",
                "messages": named(schemas, |schema| reference("components/messages", schema)),
            },
        },
        "operations": {
            "publishEvents": operation(schemas, "send", "Every recorded event, with stream and \
                version."),
            "recordEvents": operation(schemas, "receive", "Events of other producers, without a \
                version: recorded once per `eventId`, then published like all others."),
        },
        "components": {
            "messages": named(schemas, message),
            "schemas": components(schemas),
        },
    })
}

fn operation(schemas: &[EventSchema], action: &str, summary: &str) -> Value {
    let messages: Vec<_> = schemas
        .iter()
        .map(|schema| reference("channels/orders/messages", schema))
        .collect();
    json!({
        "action": action,
        "channel": {"$ref": "#/channels/orders"},
        "summary": summary,
        "messages": messages,
    })
}

fn reference(parent: &str, schema: &EventSchema) -> Value {
    json!({"$ref": format!("#/{parent}/{}", schema.name())})
}

fn named(schemas: &[EventSchema], value: impl Fn(&EventSchema) -> Value) -> Map<String, Value> {
    schemas
        .iter()
        .map(|schema| (schema.name(), value(schema)))
        .collect()
}

fn components(schemas: &[EventSchema]) -> Map<String, Value> {
    let mut components = named(schemas, |schema| without_dialect(schema.schema.clone()));
    components.insert("Envelope".into(), without_dialect(envelope_schema()));
    components
}

/// Within the document its own dialect holds.
fn without_dialect(mut schema: Value) -> Value {
    if let Value::Object(keywords) = &mut schema {
        keywords.remove("$schema");
    }
    schema
}

fn message(schema: &EventSchema) -> Value {
    let EventSchema {
        event_type,
        version,
        ..
    } = schema;
    let mut own = json!({
        "type": "object",
        "properties": {
            "eventType": {"const": event_type},
            "data": reference("components/schemas", schema),
        },
    });
    // The first version need not be said.
    if *version > 1 {
        own["required"] = json!(["schemaVersion"]);
        own["properties"]["schemaVersion"] = json!({"const": version});
    } else {
        own["properties"]["schemaVersion"] = json!({"enum": [version, null]});
    }
    json!({
        "name": event_type,
        "title": format!("{event_type}, version {version}"),
        "contentType": "application/json",
        "correlationId": {"location": "$message.payload#/correlationId"},
        "payload": {"allOf": [{"$ref": "#/components/schemas/Envelope"}, own]},
    })
}
