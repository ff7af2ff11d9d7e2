//! What a Kinesis record holds: an event of the bus, or a reading of a device.

mod event;
mod reading;

pub use event::OrderFact;
pub use reading::{MAX_READING, MAX_UNIT_CHARS, Reading};

use crate::window::OutOfTime;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Largest record that is read, in bytes: no entry of `EventBridge` is larger.
pub const MAX_RECORD_BYTES: usize = 1 << 20;

/// A record's identity: a [`crate::stable_hash`] of its event's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecordId(pub u64);

/// What a record says.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Which event or reading it is, however often it comes.
    pub id: RecordId,
    /// When it happened: `timestamp` of an envelope, `at` of a reading; to the millisecond.
    pub at: Timestamp,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// Something that order figures are made of.
    Order(OrderFact),
    /// Any other event: it is counted, and moves no figure.
    Other,
    /// A device measured something.
    Reading(Reading),
}

/// A record that nothing can be read out of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {reason}")]
pub struct Malformed {
    /// The field at fault, as a path: `detail.timestamp`, `value`; `record` for the whole.
    pub field: String,
    /// What it must be.
    pub reason: String,
}

impl Malformed {
    fn new(field: impl Into<String>, reason: impl ToString) -> Self {
        Self {
            field: field.into(),
            reason: reason.to_string(),
        }
    }
}

impl Record {
    /// Reads the data of a Kinesis record: what `EventBridge` delivers (an object with `detail`,
    /// which is an envelope) or what `POST /telemetry` wrote
    /// (`{deviceId, sensor, value, unit, at}`, `eventId` optional).
    ///
    /// # Errors
    /// [`Malformed`], which names the field at fault.
    pub fn parse(data: &[u8]) -> Result<Self, Malformed> {
        if data.len() > MAX_RECORD_BYTES {
            let reason = format!("must have at most {MAX_RECORD_BYTES} bytes");
            return Err(Malformed::new("record", reason));
        }
        let value: Value = serde_json::from_slice(data)
            .map_err(|error| Malformed::new("record", format!("must be JSON: {error}")))?;
        let Value::Object(mut fields) = value else {
            return Err(Malformed::new("record", "must be a JSON object"));
        };
        match fields.remove("detail") {
            Some(detail) => event::parse(detail, fields.get("detail-type")),
            None if fields.contains_key("deviceId") => Reading::record(&fields),
            None => Err(Malformed::new("detail", "or deviceId must be there")),
        }
    }
}

/// Cuts a time to the millisecond, which is what windows and gaps are counted in.
fn to_millisecond(at: Timestamp) -> Result<Timestamp, OutOfTime> {
    crate::window::Minute::of(at)?;
    Timestamp::from_millisecond(at.as_millisecond()).map_err(|_| OutOfTime)
}

#[cfg(test)]
mod tests;
