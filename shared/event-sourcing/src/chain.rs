//! The hash chain of a stream: every recorded event carries the hash of the one before and its
//! own, so that history which was altered, removed or inserted behind the store's back is found.
//!
//! A hash is SHA-256 over the event's *canonical bytes*, in base64url without padding (43
//! characters). Canonical bytes are the envelope as JSON in UTF-8 without white space, without
//! its own `hash`, the keys of every object in the order of their bytes, and every number as
//! `<digits>e<exponent>` without zeros at either end of its digits (`150.75` is `15075e-2`, `100` is
//! `1e2`, zero is `0`): a store may write a number differently, but it may not change it.
//!
//! What a chain cannot show by itself: that the *last* events of a stream were removed. Compare
//! its end with something that knows it, such as a read model's version.

use crate::envelope::Envelope;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// Where a stream ends: what the next event is appended after.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Head {
    /// Version of the last event; 0 for an empty stream.
    pub version: u64,
    /// Hash of the last event; `None` for an empty stream.
    pub hash: Option<String>,
}

impl Head {
    /// The end of an empty stream.
    pub const START: Self = Self {
        version: 0,
        hash: None,
    };

    /// The end of a stream whose last event this is; [`Head::START`] where there is none.
    #[must_use]
    pub fn after(last: Option<&Envelope>) -> Self {
        last.map_or(Self::START, |last| Self {
            version: last.version.unwrap_or(0),
            hash: last.hash.clone(),
        })
    }
}

/// Gives events their positions in `stream` after `head`, and links them to each other.
#[must_use]
pub fn record(stream: &str, head: &Head, events: Vec<Envelope>) -> Vec<Envelope> {
    let mut previous = head.hash.clone();
    events
        .into_iter()
        .zip(head.version + 1..)
        .map(|(event, version)| {
            let mut event = event.recorded(stream, version);
            event.previous_hash = previous.take();
            event.hash = None;
            let hash = hash_of(&event);
            event.hash = Some(hash.clone());
            previous = Some(hash);
            event
        })
        .collect()
}

/// The hash of an event over its canonical bytes, whatever hash it carries.
#[must_use]
pub fn hash_of(event: &Envelope) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(canonical_bytes(event)))
}

/// What an event's hash is taken over; see the module's documentation.
#[must_use]
pub fn canonical_bytes(event: &Envelope) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1024);
    write_fields(
        &mut bytes,
        fields_of(event).into_iter(),
        |bytes, field| match field {
            Field::Text(text) => write_text(bytes, text),
            Field::Number(number) => write_number(bytes, &number.to_string()),
            Field::Json(value) => write(bytes, value),
        },
    );
    bytes
}

/// What a field of an envelope holds.
#[derive(Clone, Copy)]
enum Field<'e> {
    Text(&'e str),
    Number(u64),
    Json(&'e Value),
}

/// The fields that are hashed, in the order of their names.
fn fields_of(event: &Envelope) -> Vec<(&str, Field<'_>)> {
    let own = [
        ("actor", event.actor.as_deref().map(Field::Text)),
        (
            "causationId",
            event.causation_id.as_deref().map(Field::Text),
        ),
        (
            "correlationId",
            event.correlation_id.as_deref().map(Field::Text),
        ),
        ("data", Some(Field::Json(&event.data))),
        ("eventId", Some(Field::Text(&event.event_id))),
        ("eventType", Some(Field::Text(&event.event_type))),
        (
            "previousHash",
            event.previous_hash.as_deref().map(Field::Text),
        ),
        (
            "schemaVersion",
            event
                .schema_version
                .map(|version| Field::Number(version.into())),
        ),
        ("streamId", event.stream_id.as_deref().map(Field::Text)),
        ("timestamp", Some(Field::Text(&event.timestamp))),
        ("traceparent", event.traceparent.as_deref().map(Field::Text)),
        ("version", event.version.map(Field::Number)),
    ];
    let own = own
        .into_iter()
        .filter(|(name, _)| !event.extra.contains_key(*name));
    let mut fields: Vec<_> = own
        .filter_map(|(name, field)| Some((name, field?)))
        .collect();
    if !event.extra.is_empty() {
        let extra = event.extra.iter().filter(|(name, _)| *name != "hash");
        fields.extend(extra.map(|(name, value)| (name.as_str(), Field::Json(value))));
        fields.sort_unstable_by_key(|(name, _)| *name);
    }
    fields
}

fn write(bytes: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => bytes.extend_from_slice(b"null"),
        Value::Bool(true) => bytes.extend_from_slice(b"true"),
        Value::Bool(false) => bytes.extend_from_slice(b"false"),
        Value::Number(number) => write_number(bytes, number.as_str()),
        Value::String(text) => write_text(bytes, text),
        Value::Array(values) => {
            bytes.push(b'[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    bytes.push(b',');
                }
                write(bytes, value);
            }
            bytes.push(b']');
        }
        Value::Object(fields) => write_object(bytes, fields),
    }
}

fn write_object(bytes: &mut Vec<u8>, fields: &Map<String, Value>) {
    let named = fields.iter().map(|(name, value)| (name.as_str(), value));
    // They are, unless a feature of serde_json keeps them as they came.
    if fields.keys().is_sorted() {
        return write_fields(bytes, named, write);
    }
    let mut sorted: Vec<_> = named.collect();
    sorted.sort_unstable_by_key(|(name, _)| *name);
    write_fields(bytes, sorted.into_iter(), write);
}

fn write_fields<'f, F>(
    bytes: &mut Vec<u8>,
    fields: impl Iterator<Item = (&'f str, F)>,
    write: impl Fn(&mut Vec<u8>, F),
) {
    bytes.push(b'{');
    for (index, (name, field)) in fields.enumerate() {
        if index > 0 {
            bytes.push(b',');
        }
        write_text(bytes, name);
        bytes.push(b':');
        write(bytes, field);
    }
    bytes.push(b'}');
}

fn write_text(bytes: &mut Vec<u8>, text: &str) {
    if text
        .bytes()
        .all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\')
    {
        bytes.push(b'"');
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(b'"');
    } else {
        // Writing to memory does not fail.
        let _ = serde_json::to_writer(bytes, text);
    }
}

/// Writes the same text for the same number, however it was written.
fn write_number(bytes: &mut Vec<u8>, text: &str) {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()),
        None => (text, Some(0)),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let (sign, whole) = whole
        .strip_prefix('-')
        .map_or(("", whole), |whole| ("-", whole));
    // The digits are those of both, without zeros at either end.
    let behind = fraction.trim_end_matches('0');
    let before = if behind.is_empty() {
        whole.trim_end_matches('0')
    } else {
        whole
    };
    let dropped = whole.len() - before.len() + fraction.len() - behind.len();
    let before = before.trim_start_matches('0');
    let behind = if before.is_empty() {
        behind.trim_start_matches('0')
    } else {
        behind
    };
    if before.is_empty() && behind.is_empty() {
        return bytes.push(b'0');
    }
    let exponent = exponent
        .zip(i64::try_from(dropped).ok())
        .zip(i64::try_from(fraction.len()).ok())
        .and_then(|((exponent, dropped), behind)| {
            exponent.checked_add(dropped)?.checked_sub(behind)
        });
    let Some(exponent) = exponent else {
        // An exponent beyond 64 bits: no store keeps such a number. Its text is as good.
        return bytes.extend_from_slice(text.as_bytes());
    };
    for part in [sign, before, behind] {
        bytes.extend_from_slice(part.as_bytes());
    }
    if exponent != 0 {
        bytes.push(b'e');
        bytes.extend_from_slice(exponent.to_string().as_bytes());
    }
}

/// How a stream was tampered with, at the first place where that shows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Tampered {
    /// The event is not what was stored under this version.
    #[error("event {version} of stream {stream} was altered{}", named(event_id))]
    Altered {
        /// Which stream.
        stream: String,
        /// Its position.
        version: u64,
        /// Its id as it stands there.
        event_id: String,
    },
    /// No event has this version, and later ones are there.
    #[error("event {version} of stream {stream} was removed")]
    Removed {
        /// Which stream.
        stream: String,
        /// The position that is empty.
        version: u64,
    },
    /// The event was not appended by the store: it carries no hash.
    #[error("event {version} of stream {stream} was inserted{}", named(event_id))]
    Inserted {
        /// Which stream.
        stream: String,
        /// Its position.
        version: u64,
        /// Its id.
        event_id: String,
    },
}

fn named(event_id: &str) -> String {
    format!(" (eventId {event_id})")
}

/// Walks a stream from its start: `events` are all its events, in the order of their versions.
/// Gives the end of the stream.
///
/// # Errors
/// [`Tampered`] names the first event that was altered, removed or inserted.
pub fn verify<'a>(
    stream: &str,
    events: impl IntoIterator<Item = &'a Envelope>,
) -> Result<Head, Tampered> {
    let mut walk = Walk::new(stream);
    for event in events {
        walk.step(event)?;
    }
    Ok(walk.head)
}

/// [`verify`], one event at a time: for streams that are read in pages.
#[derive(Debug, Clone)]
pub struct Walk {
    stream: String,
    head: Head,
    last_id: String,
}

impl Walk {
    /// Stands before the first event of a stream.
    #[must_use]
    pub fn new(stream: &str) -> Self {
        Self {
            stream: stream.to_owned(),
            head: Head::START,
            last_id: String::new(),
        }
    }

    /// Where the walk has come to.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Looks at the next event.
    ///
    /// # Errors
    /// [`Tampered`].
    pub fn step(&mut self, event: &Envelope) -> Result<(), Tampered> {
        let version = self.head.version + 1;
        let stream = || self.stream.clone();
        let id = || event.event_id.clone();
        if event.version.is_some_and(|found| found > version) {
            return Err(Tampered::Removed {
                stream: stream(),
                version,
            });
        }
        let Some(hash) = &event.hash else {
            return Err(Tampered::Inserted {
                stream: stream(),
                version,
                event_id: id(),
            });
        };
        if event.position() != Some((&self.stream, version)) || hash_of(event) != *hash {
            return Err(Tampered::Altered {
                stream: stream(),
                version,
                event_id: id(),
            });
        }
        if event.previous_hash != self.head.hash {
            // This event is whole, and it remembers another one before it.
            return Err(Tampered::Altered {
                stream: stream(),
                version: version - 1,
                event_id: self.last_id.clone(),
            });
        }
        self.head = Head {
            version,
            hash: Some(hash.clone()),
        };
        self.last_id = id();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use serde_json::{Number, json};

    fn a_stream() -> Vec<Envelope> {
        let events = (1..=4)
            .map(|n| {
                Envelope::new(
                    &format!("e{n}"),
                    "T",
                    Timestamp::UNIX_EPOCH,
                    json!({"n": n}),
                )
            })
            .collect();
        record("s", &Head::START, events)
    }

    #[test]
    fn events_are_linked_however_they_are_appended() {
        let all = a_stream();
        assert_eq!(verify("s", &all), Ok(Head::after(all.last())));
        let plain = |n: usize| {
            let mut event = all[n].clone();
            (event.stream_id, event.version) = (None, None);
            (event.hash, event.previous_hash) = (None, None);
            event
        };
        let mut one_by_one: Vec<Envelope> = Vec::new();
        for n in 0..4 {
            let head = Head::after(one_by_one.last());
            one_by_one.extend(record("s", &head, vec![plain(n)]));
        }
        assert_eq!(one_by_one, all);
    }

    #[test]
    fn the_first_event_that_was_altered_removed_or_inserted_is_named() {
        let altered = |version: u64| Tampered::Altered {
            stream: "s".into(),
            version,
            event_id: format!("e{version}"),
        };
        for (at, version) in [(0, 1), (1, 2), (3, 4)] {
            let mut events = a_stream();
            events[at].data = json!({"n": 9});
            assert_eq!(verify("s", &events), Err(altered(version)));
            // The same with its own hash made anew: the next event remembers the old one.
            events[at].hash = Some(hash_of(&events[at]));
            let found = verify("s", &events);
            if at < 3 {
                assert_eq!(found, Err(altered(version)));
            }
        }
        let mut events = a_stream();
        events.remove(1);
        let removed = Tampered::Removed {
            stream: "s".into(),
            version: 2,
        };
        assert_eq!(verify("s", &events), Err(removed));
        let mut events = a_stream();
        events
            .push(Envelope::new("by-hand", "T", Timestamp::UNIX_EPOCH, json!({})).recorded("s", 5));
        let inserted = Tampered::Inserted {
            stream: "s".into(),
            version: 5,
            event_id: "by-hand".into(),
        };
        assert_eq!(verify("s", &events), Err(inserted));
        assert!(verify("another", &a_stream()).is_err(), "copied over");
    }

    #[test]
    fn a_number_is_the_same_however_it_is_written() {
        let canonical = |text: &str| {
            let number: Number = serde_json::from_str(text).expect("it is a number");
            let mut bytes = Vec::new();
            write_number(&mut bytes, number.as_str());
            String::from_utf8(bytes).expect("UTF-8")
        };
        for same in [
            ["150.75", "150.750", "1.5075e2"],
            ["100", "1e2", "100.00"],
            ["0", "-0", "0.000"],
            ["-0.001", "-1e-3", "-0.0010"],
        ] {
            assert_eq!(canonical(same[0]), canonical(same[1]));
            assert_eq!(canonical(same[0]), canonical(same[2]));
        }
        assert_eq!(canonical("150.75"), "15075e-2");
        assert_ne!(canonical("1"), canonical("10"));
        assert_ne!(canonical("1"), canonical("-1"));
    }

    #[test]
    fn every_field_of_an_event_is_hashed_but_its_hash() {
        let text = r#"{"eventId": "1", "eventType": "T", "timestamp": "2025-01-01T12:00:00Z",
            "streamId": "s", "version": 3, "correlationId": "c", "causationId": "a",
            "schemaVersion": 2, "traceparent": "t", "actor": "u", "previousHash": "p", "hash": "h",
            "later": {"z": "\u0001\n", "y": []}, "Earlier": true, "data": {"a": 12, "": null}}"#;
        let event: Envelope = serde_json::from_str(text).expect("it is an event");
        let expected = r#"{"Earlier":true,"actor":"u","causationId":"a","correlationId":"c","data":{"":null,"a":12},"eventId":"1","eventType":"T","later":{"y":[],"z":"\u0001\n"},"previousHash":"p","schemaVersion":2,"streamId":"s","timestamp":"2025-01-01T12:00:00Z","traceparent":"t","version":3}"#;
        assert_eq!(
            String::from_utf8(canonical_bytes(&event)).expect("UTF-8"),
            expected
        );
    }

    #[test]
    fn the_canonical_bytes_are_as_documented() {
        let text = r#"{"eventId": "1", "eventType": "T", "timestamp": "2025-01-01T12:00:00Z",
            "version": 1, "streamId": "s", "data": {"b": [1.50, null], "a": "\"é"}, "hash": "x"}"#;
        let event: Envelope = serde_json::from_str(text).expect("it is an event");
        let expected = r#"{"data":{"a":"\"é","b":[15e-1,null]},"eventId":"1","eventType":"T","streamId":"s","timestamp":"2025-01-01T12:00:00Z","version":1}"#;
        assert_eq!(
            String::from_utf8(canonical_bytes(&event)).expect("UTF-8"),
            expected
        );
    }
}
