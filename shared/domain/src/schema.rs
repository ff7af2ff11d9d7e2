//! What is published about the stored format: a JSON Schema of every event's data and of the
//! envelope, and an [`asyncapi`] document, all from the types that read and write it.
//!
//! The schemas are of draft 07, which is what `AsyncAPI` 3 speaks, and say what a reader accepts.
//! [`compatibility`] tells what may change in one without a new version of the event.

pub mod asyncapi;
pub mod compatibility;
mod values;

use crate::alarm::AlarmEvent;
use crate::inventory::{Restocked, StockReason};
use crate::notification::NotificationEvent;
use crate::order::OrderEvent;
use event_sourcing::decider::Event;
use event_sourcing::envelope::MAX_FIELD_BYTES;
use event_sourcing::upcaster::current_version;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

/// The schema of one version of an event's data.
#[derive(Debug, Clone, PartialEq)]
pub struct EventSchema {
    /// Whose data.
    pub event_type: String,
    /// Which version of it.
    pub version: u32,
    /// The JSON Schema.
    pub schema: Value,
}

impl EventSchema {
    /// The schema of `event_type`, one of `E`'s, whose data in the current version is a `T`.
    #[must_use]
    pub fn of<E: Event, T: JsonSchema>(event_type: &str) -> Self {
        Self {
            event_type: event_type.to_owned(),
            version: current_version(E::upcasters(), event_type),
            schema: schema_of::<T>(),
        }
    }

    /// `OrderPlaced.v1`: what its file and its message are called.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}.v{}", self.event_type, self.version)
    }
}

/// The schemas of all events' data in their current versions.
#[must_use]
pub fn event_schemas() -> Vec<EventSchema> {
    let mut schemas = OrderEvent::schemas();
    schemas.extend(NotificationEvent::schemas());
    schemas.extend(AlarmEvent::schemas());
    for of_order in &mut schemas {
        // One type in two shapes: stock also moves on its own stream.
        if of_order.event_type == Restocked::EVENT_TYPE {
            of_order.schema = either(of_order.schema.take(), schema_of::<Restocked>());
        }
    }
    schemas
}

/// Data of `InventoryUpdated`: on an order's stream, or on a SKU's; the reason tells which.
fn either(mut of_order: Value, mut of_sku: Value) -> Value {
    let dialect = of_order["$schema"].take();
    for (shape, is_sku) in [(&mut of_order, false), (&mut of_sku, true)] {
        if let Value::Object(keywords) = shape {
            keywords.remove("$schema");
        }
        if let Some(reasons) = shape["properties"]["reason"]["oneOf"].as_array_mut() {
            let restocked = json!(StockReason::Restocked);
            reasons.retain(|reason| (reason["const"] == restocked) == is_sku);
        }
    }
    json!({
        "$schema": dialect,
        "title": Restocked::EVENT_TYPE,
        "description": "Data of `InventoryUpdated`: on an order's stream, or on a SKU's own.",
        "anyOf": [of_order, of_sku],
    })
}

fn schema_of<T: JsonSchema>() -> Value {
    SchemaSettings::draft07()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}

/// The schema of the envelope.
#[must_use]
pub fn envelope_schema() -> Value {
    let text = |description: &str| {
        json!({"description": description, "type": "string", "minLength": 1,
            "maxLength": MAX_FIELD_BYTES})
    };
    let optional = |description: &str| {
        let mut schema = text(description);
        schema["type"] = json!(["string", "null"]);
        schema
    };
    let number = |description: &str| json!({"description": description, "type": ["integer", "null"], "minimum": 1});
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Envelope",
        "description": "One event as it is stored and published. Other fields are kept and passed on.",
        "type": "object",
        "required": ["eventId", "eventType", "timestamp", "data"],
        "properties": {
            "eventId": text("Unique over all streams."),
            "eventType": text("What happened, in the past tense."),
            "timestamp": {"description": "When it happened, RFC 3339.", "type": "string",
                "format": "date-time"},
            "data": {"description": "The facts; their schema is the event type's.",
                "type": "object"},
            "streamId": optional("The stream it is recorded in."),
            "version": number("Its position in the stream."),
            "correlationId": optional("Shared by all events of one business case."),
            "causationId": optional("The event or request that caused this one."),
            "schemaVersion": number("Version of the data's shape; 1 where it is absent."),
            "traceparent": optional("W3C trace context."),
            "actor": optional("The authenticated subject of the request that caused it."),
            "previousHash": optional("Hash of the event before it in its stream."),
            "hash": optional("Hash of this event."),
        },
    })
}
