//! What an event looks like outside: the four plain fields, and what recording adds.

use jiff::Timestamp;
use serde::de::Error as _;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// Longest text of an envelope's own fields (ids, type), in bytes.
pub const MAX_FIELD_BYTES: usize = 256;

/// One event with its envelope.
///
/// The plain form `{eventId, eventType, timestamp, data}` parses as it is; fields that this
/// version does not know are kept in `extra` and written again, so an older reader passes a newer
/// event on whole.
///
/// ```
/// use event_sourcing::envelope::Envelope;
///
/// let plain = r#"{"eventId": "12345", "eventType": "OrderPlaced",
///     "timestamp": "2025-01-01T12:00:00Z",
///     "data": {"orderId": "67890", "userId": "abc123", "totalAmount": 150.75}}"#;
/// let event: Envelope = serde_json::from_str(plain)?;
/// assert_eq!(event.data["totalAmount"].to_string(), "150.75");
/// assert!(event.position().is_none());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// Unique over all streams.
    pub event_id: String,
    /// What happened, in the past tense.
    pub event_type: String,
    /// When it happened, RFC 3339, as its producer wrote it.
    pub timestamp: String,
    /// The facts; a JSON object.
    pub data: Value,
    /// The stream it is recorded in; set by the store.
    pub stream_id: Option<String>,
    /// Its 1-based position in the stream; set by the store.
    pub version: Option<u64>,
    /// Shared by all events of one business case.
    pub correlation_id: Option<String>,
    /// The event or request that caused this one.
    pub causation_id: Option<String>,
    /// Version of the data's shape; 1 when absent.
    pub schema_version: Option<u32>,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// Who wanted it: the authenticated subject of the request that caused it, where one did.
    pub actor: Option<String>,
    /// Hash of the event before it in its stream; set by the store ([`crate::chain`]).
    pub previous_hash: Option<String>,
    /// Hash of this event; set by the store.
    pub hash: Option<String>,
    /// Everything else.
    pub extra: Map<String, Value>,
}

/// Why JSON is not an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// The event is not a JSON object.
    #[error("an event is a JSON object with eventId, eventType, timestamp and data")]
    NotAnObject,
    /// A field is absent or not what it must be.
    #[error("{field} {reason}")]
    Field {
        /// The field's name.
        field: &'static str,
        /// What it must be.
        reason: String,
    },
}

fn field_error(field: &'static str, reason: impl Into<String>) -> EnvelopeError {
    EnvelopeError::Field {
        field,
        reason: reason.into(),
    }
}

impl Envelope {
    /// A new event, not recorded yet. `at` is written with whole milliseconds.
    #[must_use]
    pub fn new(event_id: &str, event_type: &str, at: Timestamp, data: Value) -> Self {
        Self {
            event_id: event_id.to_owned(),
            event_type: event_type.to_owned(),
            timestamp: format!("{at:.3}"),
            data,
            stream_id: None,
            version: None,
            correlation_id: None,
            causation_id: None,
            schema_version: None,
            traceparent: None,
            actor: None,
            previous_hash: None,
            hash: None,
            extra: Map::new(),
        }
    }

    /// The same event, in this trace unless it has one.
    #[must_use]
    pub fn traced(mut self, traceparent: Option<String>) -> Self {
        self.traceparent = self.traceparent.or(traceparent);
        self
    }

    /// Takes an event out of a JSON value.
    ///
    /// # Errors
    /// [`EnvelopeError`], which names the field.
    pub fn from_value(value: Value) -> Result<Self, EnvelopeError> {
        let Value::Object(mut fields) = value else {
            return Err(EnvelopeError::NotAnObject);
        };
        let timestamp = required_text(&mut fields, "timestamp")?;
        timestamp
            .parse::<Timestamp>()
            .map_err(|_| field_error("timestamp", "must be RFC 3339, like 2025-01-01T12:00:00Z"))?;
        let data = match fields.remove("data") {
            Some(data @ Value::Object(_)) => data,
            Some(_) => return Err(field_error("data", "must be an object")),
            None => return Err(field_error("data", "is missing")),
        };
        Ok(Self {
            event_id: required_text(&mut fields, "eventId")?,
            event_type: required_text(&mut fields, "eventType")?,
            timestamp,
            data,
            stream_id: optional_text(&mut fields, "streamId")?,
            version: optional_number(&mut fields, "version")?,
            correlation_id: optional_text(&mut fields, "correlationId")?,
            causation_id: optional_text(&mut fields, "causationId")?,
            schema_version: optional_number(&mut fields, "schemaVersion")?
                .map(|version| {
                    u32::try_from(version).map_err(|_| field_error("schemaVersion", "is too large"))
                })
                .transpose()?,
            traceparent: optional_text(&mut fields, "traceparent")?,
            actor: optional_text(&mut fields, "actor")?,
            previous_hash: optional_text(&mut fields, "previousHash")?,
            hash: optional_text(&mut fields, "hash")?,
            extra: fields,
        })
    }

    /// The optional fields that are texts, under their names outside, as far as they are there.
    pub fn optional_texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("streamId", &self.stream_id),
            ("correlationId", &self.correlation_id),
            ("causationId", &self.causation_id),
            ("traceparent", &self.traceparent),
            ("actor", &self.actor),
            ("previousHash", &self.previous_hash),
            ("hash", &self.hash),
        ]
        .into_iter()
        .filter_map(|(field, text)| Some((field, text.as_deref()?)))
    }

    /// Stream and version of a recorded event; `None` for one that is not recorded.
    #[must_use]
    pub fn position(&self) -> Option<(&str, u64)> {
        Some((self.stream_id.as_deref()?, self.version?))
    }

    /// When it happened. (The text was checked when the event was read; should it be wrong
    /// nevertheless, that is the beginning of time.)
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.timestamp.parse().unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// The same event with a position.
    #[must_use]
    pub fn recorded(self, stream: &str, version: u64) -> Self {
        Self {
            stream_id: Some(stream.to_owned()),
            version: Some(version),
            ..self
        }
    }
}

fn required_text(
    fields: &mut Map<String, Value>,
    field: &'static str,
) -> Result<String, EnvelopeError> {
    optional_text(fields, field)?.ok_or_else(|| field_error(field, "is missing"))
}

fn optional_text(
    fields: &mut Map<String, Value>,
    field: &'static str,
) -> Result<Option<String>, EnvelopeError> {
    match fields.remove(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text))
            if !text.is_empty()
                && text.len() <= MAX_FIELD_BYTES
                && !text.chars().any(char::is_control) =>
        {
            Ok(Some(text))
        }
        Some(_) => Err(field_error(
            field,
            format!("must be a text of 1 to {MAX_FIELD_BYTES} printable bytes"),
        )),
    }
}

fn optional_number(
    fields: &mut Map<String, Value>,
    field: &'static str,
) -> Result<Option<u64>, EnvelopeError> {
    match fields.remove(field) {
        None | Some(Value::Null) => Ok(None),
        Some(number) => match number.as_u64() {
            Some(number) if number > 0 => Ok(Some(number)),
            _ => Err(field_error(field, "must be a whole number from 1")),
        },
    }
}

impl<'de> Deserialize<'de> for Envelope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_value(Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl Serialize for Envelope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("eventId", &self.event_id)?;
        map.serialize_entry("eventType", &self.event_type)?;
        map.serialize_entry("timestamp", &self.timestamp)?;
        for (field, text) in self.optional_texts() {
            map.serialize_entry(field, text)?;
        }
        if let Some(version) = self.version {
            map.serialize_entry("version", &version)?;
        }
        if let Some(version) = self.schema_version {
            map.serialize_entry("schemaVersion", &version)?;
        }
        map.serialize_entry("data", &self.data)?;
        for (field, value) in &self.extra {
            map.serialize_entry(field, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plain() -> Value {
        json!({"eventId": "12345", "eventType": "OrderPlaced", "timestamp": "2025-01-01T12:00:00Z",
               "data": {"orderId": "67890"}})
    }

    #[test]
    fn unknown_fields_and_long_numbers_pass_through_whole() {
        let text = r#"{"eventId":"1","eventType":"T","timestamp":"2025-01-01T12:00:00Z","streamId":"s","version":3,"data":{"n":12345678901234567890123456789.000000001,"deep":{"x":[1,null]}},"later":{"y":1.50}}"#;
        let event: Envelope = serde_json::from_str(text).unwrap();
        let again: Value = serde_json::from_str(&serde_json::to_string(&event).unwrap()).unwrap();
        assert_eq!(again, serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(event.position(), Some(("s", 3)));
    }

    #[test]
    fn the_refused_field_is_named() {
        for (field, wrong) in [
            ("eventId", json!(12345)),
            ("eventId", Value::Null),
            ("eventType", json!("")),
            ("timestamp", json!("yesterday")),
            ("data", json!([])),
            ("version", json!(0)),
            ("version", json!("1")),
            ("streamId", json!("x".repeat(257))),
        ] {
            let mut event = plain();
            event[field] = wrong;
            let Err(EnvelopeError::Field { field: named, .. }) = Envelope::from_value(event) else {
                panic!("{field} is refused");
            };
            assert_eq!(named, field);
        }
        assert_eq!(
            Envelope::from_value(json!([])),
            Err(EnvelopeError::NotAnObject)
        );
    }
}
