//! The same event as a [CloudEvent 1.0](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md)
//! in structured JSON, and back, without a loss either way.
//!
//! | envelope | `CloudEvent` |
//! |---|---|
//! | `eventId`, `eventType`, `timestamp`, `streamId` | `id`, `type`, `time`, `subject` |
//! | `version`, `schemaVersion` | extensions `streamversion`, `schemaversion` |
//! | `correlationId`, `causationId`, `actor`, `previousHash`, `hash` | extensions of the same name in small letters |
//! | `traceparent` | `traceparent`, the official extension for distributed tracing |
//! | `data` | `data`, with `datacontenttype` `application/json` |
//! | other fields that a `CloudEvent` can say | extensions of the same name |
//! | all other fields | extension `envelopeextra`: one JSON object, as text |
//! | none: it stands beside the envelope | `source` |
//!
//! A `CloudEvent` whose data is no JSON object (text, XML, binary) becomes an envelope whose `data`
//! is an object with one field: `cloudEventData` has the JSON value or the text, or
//! `cloudEventDataBase64` the bytes; `cloudEventNoData` stands for none. On the way back it is what
//! it was. An event without `time` is refused, for an envelope says when it happened.

mod data;
#[cfg(test)]
mod tests;

use crate::envelope::{Envelope, EnvelopeError};
use data::{Content, DATA, DATA_BASE64, DATA_CONTENT_TYPE};
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// Fields that both know, under both names. Texts but for the two versions.
const FIELDS: [(&str, &str); 12] = [
    ("eventId", "id"),
    ("eventType", "type"),
    ("timestamp", "time"),
    ("streamId", "subject"),
    ("version", "streamversion"),
    ("schemaVersion", "schemaversion"),
    ("correlationId", "correlationid"),
    ("causationId", "causationid"),
    ("traceparent", TRACEPARENT),
    ("actor", "actor"),
    ("previousHash", "previoushash"),
    ("hash", "hash"),
];
const TRACEPARENT: &str = "traceparent";
const SPEC_VERSION: &str = "specversion";
const SOURCE: &str = "source";
const ENVELOPE_EXTRA: &str = "envelopeextra";

/// Why JSON is not a `CloudEvent` that an envelope can hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloudEventError {
    /// It is not a JSON object.
    #[error("a CloudEvent in structured JSON is an object")]
    NotAnObject,
    /// An attribute is absent or not what it must be.
    #[error("attribute {name} {reason}")]
    Attribute {
        /// The attribute's name.
        name: String,
        /// What it must be.
        reason: String,
    },
    /// The envelope made of it would not be valid.
    #[error("as an envelope: {0}")]
    Envelope(#[from] EnvelopeError),
}

fn attribute_error(name: &str, reason: impl Into<String>) -> CloudEventError {
    CloudEventError::Attribute {
        name: name.to_owned(),
        reason: reason.into(),
    }
}

/// An event, and where it comes from: in a `CloudEvent` one thing, on a bus the entry's `source`
/// beside the envelope.
#[derive(Debug, Clone, PartialEq)]
pub struct Sourced {
    /// Where it comes from, a URI reference such as `orderflow` or `/mycontext`.
    pub source: String,
    /// The event.
    pub envelope: Envelope,
}

/// The event as a `CloudEvent` in structured JSON (media type `application/cloudevents+json`).
#[must_use]
pub fn to_cloud_event(envelope: &Envelope, source: &str) -> Value {
    let mut event = Map::new();
    event.insert(SPEC_VERSION.into(), "1.0".into());
    event.insert(SOURCE.into(), source.into());
    for (name, text) in [
        ("eventId", envelope.event_id.as_str()),
        ("eventType", &envelope.event_type),
        ("timestamp", &envelope.timestamp),
    ]
    .into_iter()
    .chain(envelope.optional_texts())
    {
        event.insert(attribute_of(name).into(), text.into());
    }
    for (name, version) in [
        ("version", envelope.version),
        ("schemaVersion", envelope.schema_version.map(u64::from)),
    ] {
        if let Some(version) = version {
            event.insert(attribute_of(name).into(), integer(version));
        }
    }
    let content = Content::of(&envelope.data);
    let mut hidden = Map::new();
    for (name, value) in &envelope.extra {
        let seen = if name == DATA_CONTENT_TYPE {
            content.can_be(value)
        } else {
            !is_ours(name) && check_attribute(name, value).is_ok()
        };
        let fields = if seen { &mut event } else { &mut hidden };
        fields.insert(name.clone(), value.clone());
    }
    if !hidden.is_empty() {
        event.insert(ENVELOPE_EXTRA.into(), ascii(&Value::Object(hidden)).into());
    }
    content.write(&mut event);
    Value::Object(event)
}

/// Takes a `CloudEvent` in structured JSON for an event.
///
/// # Errors
/// [`CloudEventError`], which names the attribute.
pub fn from_cloud_event(event: Value) -> Result<Sourced, CloudEventError> {
    let Value::Object(mut event) = event else {
        return Err(CloudEventError::NotAnObject);
    };
    let content = Content::take(&mut event)?;
    // Null is as good as absent, but for data.
    event.retain(|_, value| !value.is_null());
    if event.remove(SPEC_VERSION) != Some(Value::from("1.0")) {
        return Err(attribute_error(SPEC_VERSION, "must be \"1.0\""));
    }
    let source = match event.remove(SOURCE) {
        Some(Value::String(source)) if !source.is_empty() => source,
        _ => return Err(attribute_error(SOURCE, "must be a text that is not empty")),
    };
    let mut fields = known_fields(&mut event)?;
    fields.insert("data".into(), content.into_data());
    let hidden = hidden_fields(event.remove(ENVELOPE_EXTRA))?;
    for (name, value) in &event {
        check_attribute(name, value).map_err(|reason| attribute_error(name, reason))?;
    }
    for (name, value) in event.into_iter().chain(hidden) {
        if fields.insert(name.clone(), value).is_some() {
            return Err(attribute_error(&name, "is there twice"));
        }
    }
    let envelope = Envelope::from_value(Value::Object(fields))?;
    Ok(Sourced { source, envelope })
}

/// JSON in printable ASCII: attributes may have neither control characters nor noncharacters.
fn ascii(value: &Value) -> String {
    let mut text = String::new();
    for char in value.to_string().chars() {
        if matches!(char, ' '..='~') {
            text.push(char);
            continue;
        }
        for unit in char.encode_utf16(&mut [0; 2]) {
            // Writing to a String cannot fail.
            let _ = write!(text, "\\u{unit:04x}");
        }
    }
    text
}

/// Takes the attributes that have a field of their own.
fn known_fields(event: &mut Map<String, Value>) -> Result<Map<String, Value>, CloudEventError> {
    let mut fields = Map::new();
    for (field, attribute) in FIELDS {
        let value = match event.remove(attribute) {
            Some(Value::String(text)) if is_version(field) => number(&text),
            Some(value) => value,
            None if attribute == "time" => {
                let reason = "is missing; an envelope says when it happened";
                return Err(attribute_error("time", reason));
            }
            None => continue,
        };
        fields.insert(field.into(), value);
    }
    Ok(fields)
}

/// What [`to_cloud_event`] put into the one text.
fn hidden_fields(text: Option<Value>) -> Result<Map<String, Value>, CloudEventError> {
    match text {
        None => Ok(Map::new()),
        Some(Value::String(text)) => serde_json::from_str(&text)
            .map_err(|_| attribute_error(ENVELOPE_EXTRA, "must be a JSON object as text")),
        Some(_) => Err(attribute_error(ENVELOPE_EXTRA, "must be a text")),
    }
}

fn attribute_of(field: &'static str) -> &'static str {
    FIELDS
        .iter()
        .find_map(|(known, attribute)| (*known == field).then_some(*attribute))
        .unwrap_or(field)
}

fn is_version(field: &str) -> bool {
    matches!(field, "version" | "schemaVersion")
}

/// Attributes whose names have a meaning here; an envelope's other field of such a name is hidden.
fn is_ours(name: &str) -> bool {
    [
        SPEC_VERSION,
        SOURCE,
        ENVELOPE_EXTRA,
        DATA,
        DATA_BASE64,
        DATA_CONTENT_TYPE,
    ]
    .contains(&name)
        || FIELDS.iter().any(|(_, attribute)| *attribute == name)
}

/// Integers of `CloudEvents` have 32 bits with sign; a larger one is told as text.
fn integer(number: u64) -> Value {
    if i32::try_from(number).is_ok() {
        number.into()
    } else {
        number.to_string().into()
    }
}

fn number(text: &str) -> Value {
    text.parse::<u64>()
        .map_or_else(|_| text.into(), Value::from)
}

/// Whether an extension attribute may have this name and value.
fn check_attribute(name: &str, value: &Value) -> Result<(), &'static str> {
    let plain = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit();
    if name.is_empty() || !name.chars().all(plain) {
        return Err("must have a name of small letters and digits");
    }
    match value {
        Value::Bool(_) | Value::Number(_) if name == "dataschema" => Err("must be a URI"),
        Value::Bool(_) => Ok(()),
        Value::Number(number) if is_integer(number) => Ok(()),
        Value::Number(_) => Err("must be a whole number of 32 bits"),
        Value::String(text) if text.chars().any(char::is_control) => {
            Err("must have no control characters")
        }
        Value::String(_) => Ok(()),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            Err("must be true, false, a whole number or a text")
        }
    }
}

/// A whole number of 32 bits, written as one: `5`, not `5.0`.
fn is_integer(number: &serde_json::Number) -> bool {
    number
        .as_i64()
        .and_then(|number| i32::try_from(number).ok())
        .is_some_and(|integer| integer.to_string() == number.to_string())
}
