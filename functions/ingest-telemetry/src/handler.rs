//! Taking readings of devices.

use crate::reading_stream::ReadingStream;
use aws_adapters::http_api::{HttpRequest, HttpResponse, Problem};
use aws_adapters::kinesis_records::{PutRecordError, StreamEntry};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use streaming_analytics::record::{Record, What};

/// Most readings of a request: what one request to the stream takes.
pub const MAX_READINGS: usize = 500;

/// The body of `POST /telemetry`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TelemetryRequest {
    /// Readings `{deviceId, sensor, value, unit, at}`, each with an `eventId` if the device has one.
    readings: Vec<Map<String, Value>>,
}

/// Puts readings on the stream.
#[derive(Debug)]
pub struct Handler<S> {
    /// Where they go.
    pub stream: S,
}

impl<S: ReadingStream> Handler<S> {
    /// Answers one request: all of its readings are on the stream, or the sender is to send all of
    /// them again. A reading that is there twice counts once.
    ///
    /// # Errors
    /// The problem to answer with.
    pub async fn handle(&self, request: &HttpRequest) -> Result<HttpResponse, Problem> {
        request.caller()?.writes_telemetry()?;
        let entries = accept(request.body()?)?;
        let answers = self.stream.put(&entries).await;
        let failed: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
        if let Some(error) = failed.first() {
            tracing::error!(readings = entries.len(), not_taken = failed.len(), reason = %error,
                "telemetry not taken");
            return Err(not_taken(&failed, entries.len()));
        }
        tracing::debug!(readings = entries.len(), "telemetry taken");
        Ok(HttpResponse::json(202, json!({"accepted": entries.len()})))
    }
}

fn accept(request: TelemetryRequest) -> Result<Vec<StreamEntry>, Problem> {
    let count = request.readings.len();
    if !(1..=MAX_READINGS).contains(&count) {
        let reason = format!("must have 1 to {MAX_READINGS} readings, has {count}");
        return Err(Problem::invalid("readings", reason));
    }
    let readings = request.readings.into_iter().enumerate();
    readings
        .map(|(index, reading)| entry(index, &reading))
        .collect()
}

/// The record of a reading, which a reader of the stream reads as the reading that was checked.
fn entry(index: usize, reading: &Map<String, Value>) -> Result<StreamEntry, Problem> {
    let of = |field: &str| format!("readings[{index}].{field}");
    if let Some(unknown) = reading
        .keys()
        .find(|field| !FIELDS.contains(&field.as_str()))
    {
        let reason = format!("is not known here, expected {}", FIELDS.join(", "));
        return Err(Problem::invalid(of(unknown), reason));
    }
    let data = serde_json::to_vec(reading).map_err(|error| Problem::invalid(of("value"), error))?;
    let record = Record::parse(&data)
        .map_err(|malformed| Problem::invalid(of(&malformed.field), malformed.reason))?;
    match record.what {
        What::Reading(reading) => Ok(StreamEntry {
            partition_key: format!("device-{}", reading.device),
            data,
        }),
        What::Order(_) | What::Other => Err(Problem::invalid(of("deviceId"), "is missing")),
    }
}

const FIELDS: [&str; 6] = ["deviceId", "sensor", "value", "unit", "at", "eventId"];

fn not_taken(failed: &[PutRecordError], sent: usize) -> Problem {
    let refused = failed
        .iter()
        .any(|error| matches!(error, PutRecordError::Refused(_)));
    if refused {
        return event_sourcing::failure::Failure::Permanent("the stream refuses readings".into())
            .into();
    }
    Problem::new(
        503,
        "unavailable",
        "The service cannot answer now",
        format!(
            "{} of {sent} readings were not taken. Send the same request again in a moment; readings that were taken count once.",
            failed.len()
        ),
    )
}

#[cfg(test)]
mod tests;
