//! A reading of a device.

use super::{Malformed, Record, RecordId, What, to_millisecond};
use crate::exact::Exact;
use crate::stable_hash::stable_hash;
use domain::ids::{DeviceId, SensorName};
use event_sourcing::envelope::MAX_FIELD_BYTES;
use jiff::Timestamp;
use serde_json::{Map, Value};

/// Readings lie between minus and plus this number.
pub const MAX_READING: u64 = 1_000_000_000_000;
/// Longest unit, in characters.
pub const MAX_UNIT_CHARS: usize = 16;

/// What a device's sensor measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Which device.
    pub device: DeviceId,
    /// Which of its sensors.
    pub sensor: SensorName,
    /// The value; a door is 0 or 1.
    pub value: Exact,
    /// In which unit, for example `°C`; a text of 1 to 16 characters.
    pub unit: String,
}

impl Reading {
    /// Reads `{deviceId, sensor, value, unit, at}` with an optional `eventId`: what
    /// `POST /telemetry` takes and writes to the stream.
    ///
    /// A reading without an `eventId` is identified by device, sensor and time, so a sensor has
    /// one value at a time. Ids of readings are never those of events, and a device cannot take
    /// another one's.
    ///
    /// # Errors
    /// [`Malformed`], which names the field at fault.
    pub fn record(fields: &Map<String, Value>) -> Result<Record, Malformed> {
        let device = DeviceId::parse(text(fields, "deviceId")?)
            .map_err(|error| Malformed::new("deviceId", error))?;
        let sensor = SensorName::parse(text(fields, "sensor")?)
            .map_err(|error| Malformed::new("sensor", error))?;
        let unit = text(fields, "unit")?;
        let characters = unit.chars().count();
        if !(1..=MAX_UNIT_CHARS).contains(&characters) || unit.chars().any(char::is_control) {
            let reason = format!("must be a text of 1 to {MAX_UNIT_CHARS} printable characters");
            return Err(Malformed::new("unit", reason));
        }
        let value = value(fields)?;
        let exact_at = time(fields)?;
        let at = to_millisecond(exact_at).map_err(|error| Malformed::new("at", error))?;
        let device_bytes = device.as_str().as_bytes();
        let id = match fields.get("eventId") {
            None | Some(Value::Null) => stable_hash(
                "reading",
                &[
                    device_bytes,
                    sensor.as_str().as_bytes(),
                    &exact_at.as_nanosecond().to_be_bytes(),
                ],
            ),
            Some(_) => {
                let event = text(fields, "eventId")?;
                if event.is_empty() || event.len() > MAX_FIELD_BYTES {
                    let reason = format!("must be a text of 1 to {MAX_FIELD_BYTES} bytes");
                    return Err(Malformed::new("eventId", reason));
                }
                stable_hash("reading's event", &[device_bytes, event.as_bytes()])
            }
        };
        Ok(Record {
            id: RecordId(id),
            at,
            what: What::Reading(Self {
                device,
                sensor,
                value,
                unit: unit.to_owned(),
            }),
        })
    }
}

fn text<'a>(fields: &'a Map<String, Value>, field: &'static str) -> Result<&'a str, Malformed> {
    match fields.get(field) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(Malformed::new(field, "must be a text")),
        None => Err(Malformed::new(field, "is missing")),
    }
}

fn time(fields: &Map<String, Value>) -> Result<Timestamp, Malformed> {
    let text = text(fields, "at")?;
    // What else reads times is laxer in some languages, and in none without the letter.
    let parsed = text.parse().ok().filter(|_| !text.contains(' '));
    parsed.ok_or_else(|| Malformed::new("at", "must be RFC 3339, like 2025-01-01T12:00:00Z"))
}

fn value(fields: &Map<String, Value>) -> Result<Exact, Malformed> {
    let number = match fields.get("value") {
        Some(Value::Number(number)) => number,
        Some(_) => return Err(Malformed::new("value", "must be a number")),
        None => return Err(Malformed::new("value", "is missing")),
    };
    let value = Exact::nearest(number.as_str()).map_err(|error| Malformed::new("value", error))?;
    if !value.is_within(MAX_READING) {
        let reason = format!("must lie between -{MAX_READING} and {MAX_READING}");
        return Err(Malformed::new("value", reason));
    }
    Ok(value)
}
