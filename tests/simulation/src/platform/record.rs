//! A stored event as a record of the table's stream.

use event_sourcing::envelope::Envelope;
use serde_json::{Map, Value, json};

/// The record of a new item.
pub(super) fn record(event: &Envelope, sequence: usize) -> Value {
    let item = serde_json::to_value(event).unwrap_or_default();
    let image = item.as_object().map(attributes).unwrap_or_default();
    json!({
        "eventID": sequence.to_string(),
        "eventName": "INSERT",
        "eventSource": "aws:dynamodb",
        "eventVersion": "1.1",
        "dynamodb": {
            "Keys": {"streamId": image["streamId"], "version": image["version"]},
            "NewImage": image,
            "SequenceNumber": sequence.to_string(),
            "StreamViewType": "NEW_IMAGE",
        },
    })
}

fn attributes(fields: &Map<String, Value>) -> Value {
    let fields = fields.iter();
    Value::Object(
        fields
            .map(|(name, value)| (name.clone(), attribute(value)))
            .collect(),
    )
}

fn attribute(value: &Value) -> Value {
    match value {
        Value::Null => json!({"NULL": true}),
        Value::Bool(value) => json!({"BOOL": value}),
        Value::Number(number) => json!({"N": number.to_string()}),
        Value::String(text) => json!({"S": text}),
        Value::Array(values) => json!({"L": values.iter().map(attribute).collect::<Vec<_>>()}),
        Value::Object(fields) => json!({"M": attributes(fields)}),
    }
}
