//! What a record has to be: one plain event, as producers write it, and no claim to be more.

use aws_adapters::kafka_record::{KafkaRecord, ValueError};
use domain::order::fact_of;
use event_sourcing::envelope::{Envelope, EnvelopeError};
use event_sourcing::execute::Unreadable;

/// Why a record will never be an event. It tells no content.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// There is nothing to read.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// Not text, or not JSON.
    #[error("the record's value is not JSON: {reason} at line {line}, column {column}")]
    NotJson {
        /// Of which kind.
        reason: &'static str,
        /// Where.
        line: usize,
        /// Where in it.
        column: usize,
    },
    /// No event.
    #[error("the record is not an event: {0}")]
    NotAnEvent(#[from] EnvelopeError),
    /// Only an event store says where an event is recorded; who says so of its own event would be
    /// believed by everybody behind the bus.
    #[error(
        "the event says that it is recorded ({0}); only plain events come through this topic: another system's recorded events are sent without it"
    )]
    SaysRecorded(&'static str),
    /// An event of an order that does not say what it must.
    #[error("{}", without_quotes(&.0.to_string()))]
    Unreadable(#[from] Unreadable),
}

/// An error's text without what it quotes of the data: causes are in logs, data is not.
fn without_quotes(text: &str) -> String {
    let parts: Vec<_> = text.split('"').step_by(2).collect();
    parts.join("\"…\"")
}

/// The event in a record; `None` for a tombstone, which is no event.
///
/// # Errors
/// [`Malformed`].
pub fn read(record: &KafkaRecord) -> Result<Option<Envelope>, Malformed> {
    let Some(bytes) = record.value()? else {
        return Ok(None);
    };
    let value = serde_json::from_slice(&bytes).map_err(|error| Malformed::NotJson {
        reason: match error.classify() {
            serde_json::error::Category::Eof => "it ends too early",
            _ => "it is broken",
        },
        line: error.line(),
        column: error.column(),
    })?;
    let event = Envelope::from_value(value)?;
    let claims = [
        ("version", event.version.is_some()),
        ("streamId", event.stream_id.is_some()),
        ("hash", event.hash.is_some()),
        ("previousHash", event.previous_hash.is_some()),
    ];
    if let Some((claim, _)) = claims.iter().find(|(_, is_there)| *is_there) {
        return Err(Malformed::SaysRecorded(claim));
    }
    fact_of(&event)?;
    Ok(Some(event.traced(traceparent(record))))
}

/// The trace of a record's producer, where it is one.
fn traceparent(record: &KafkaRecord) -> Option<String> {
    let text = record.header("traceparent")?;
    let is_hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let lengths: Vec<_> = text.split('-').map(str::len).collect();
    (lengths == [2, 32, 16, 2] && text.split('-').all(is_hex)).then_some(text)
}
