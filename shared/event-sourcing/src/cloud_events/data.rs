//! The data of a `CloudEvent`: JSON of any kind, text in some format, bytes, or none; and its
//! place in an envelope, whose data is always a JSON object.

use super::{CloudEventError, attribute_error};
use serde_json::{Map, Value, json};

pub(super) const DATA: &str = "data";
pub(super) const DATA_BASE64: &str = "data_base64";
pub(super) const DATA_CONTENT_TYPE: &str = "datacontenttype";
const JSON: &str = "application/json";

/// Field of an envelope's data that has what is no JSON object.
const WRAPPED: &str = "cloudEventData";
/// Field of an envelope's data that has bytes in base64.
const WRAPPED_BASE64: &str = "cloudEventDataBase64";
/// Field of an envelope's data that says that there is none.
const WRAPPED_NOTHING: &str = "cloudEventNoData";

/// What a `CloudEvent` carries.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    /// The facts, as events have them here.
    Object(Value),
    /// Other JSON, or text of another format.
    Other(Value),
    /// Bytes in base64.
    Bytes(String),
    /// No data.
    Nothing,
}

impl Content {
    /// What an envelope's data stands for.
    pub(super) fn of(data: &Value) -> Self {
        let only = |name: &str| {
            let fields = data.as_object()?;
            fields.get(name).filter(|_| fields.len() == 1)
        };
        if let Some(other) = only(WRAPPED).filter(|other| !other.is_object()) {
            return Self::Other(other.clone());
        }
        if let Some(Value::String(bytes)) = only(WRAPPED_BASE64) {
            return Self::Bytes(bytes.clone());
        }
        if only(WRAPPED_NOTHING) == Some(&Value::Bool(true)) {
            return Self::Nothing;
        }
        Self::Object(data.clone())
    }

    /// Takes the data out of a `CloudEvent`, and its media type as far as that goes without
    /// saying.
    pub(super) fn take(event: &mut Map<String, Value>) -> Result<Self, CloudEventError> {
        let content = match (event.remove(DATA), event.remove(DATA_BASE64)) {
            (Some(data @ Value::Object(_)), None) => Self::Object(data),
            (Some(data), None) => Self::Other(data),
            (None, Some(Value::String(bytes))) => Self::Bytes(bytes),
            (None, None | Some(Value::Null)) => Self::Nothing,
            (None, Some(_)) => return Err(attribute_error(DATA_BASE64, "must be a text")),
            (Some(_), Some(_)) => {
                return Err(attribute_error(
                    DATA_BASE64,
                    "excludes data; send one of them",
                ));
            }
        };
        match event.get(DATA_CONTENT_TYPE) {
            None | Some(Value::Null) => {}
            Some(Value::String(media_type)) if content.usual_type() == Some(media_type) => {
                event.remove(DATA_CONTENT_TYPE);
            }
            Some(media_type) if content.can_be(media_type) => {}
            Some(media_type) => {
                let reason = format!("is {media_type}, which the data is not");
                return Err(attribute_error(DATA_CONTENT_TYPE, reason));
            }
        }
        Ok(content)
    }

    /// Whether the data may have this media type, other than its usual one.
    pub(super) fn can_be(&self, media_type: &Value) -> bool {
        let Some(media_type) = media_type.as_str().filter(|text| is_media_type(text)) else {
            return false;
        };
        self.usual_type() != Some(media_type)
            && match self {
                Self::Object(_) => is_json(media_type),
                Self::Other(data) => data.is_string() || is_json(media_type),
                Self::Bytes(_) | Self::Nothing => true,
            }
    }

    /// The media type that need not be said.
    fn usual_type(&self) -> Option<&'static str> {
        match self {
            Self::Object(_) | Self::Other(_) => Some(JSON),
            Self::Bytes(_) | Self::Nothing => None,
        }
    }

    /// The data of an envelope.
    pub(super) fn into_data(self) -> Value {
        match self {
            Self::Object(data) => data,
            Self::Other(data) => json!({ WRAPPED: data }),
            Self::Bytes(bytes) => json!({ WRAPPED_BASE64: bytes }),
            Self::Nothing => json!({ WRAPPED_NOTHING: true }),
        }
    }

    /// Puts the data into a `CloudEvent`, with its media type unless that is there.
    pub(super) fn write(self, event: &mut Map<String, Value>) {
        if let Some(usual) = self.usual_type() {
            event
                .entry(DATA_CONTENT_TYPE)
                .or_insert_with(|| usual.into());
        }
        match self {
            Self::Object(data) | Self::Other(data) => event.insert(DATA.into(), data),
            Self::Bytes(bytes) => event.insert(DATA_BASE64.into(), bytes.into()),
            Self::Nothing => None,
        };
    }
}

fn is_media_type(text: &str) -> bool {
    text.contains('/') && !text.chars().any(char::is_control)
}

/// `*/json` or `*/*+json`, whatever parameters follow.
fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence
        .split_once('/')
        .map(|(_, subtype)| subtype.to_ascii_lowercase())
        .is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
}
