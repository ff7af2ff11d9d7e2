//! What Lambda calls a function with that has a tumbling window, and what it wants back
//! (<https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-windows.html>).
//!
//! `aws_lambda_events` knows the payload, but its answer has no `batchItemFailures`, and one record
//! that cannot be read fails the whole batch.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use event_sourcing::failure::Failure;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use streaming_analytics::part::{LambdaWindow, SequenceNumber};
use streaming_analytics::record::{Malformed, Record};
use streaming_analytics::state::{Arrival, State};

/// The member of Lambda's state that ours is in.
const STATE: &str = "folded";

/// A call.
#[derive(Debug)]
pub struct WindowCall {
    /// Which window of which shard.
    pub window: LambdaWindow,
    /// What the calls before it came to.
    pub state: State,
    /// What is to be folded.
    pub arrivals: Vec<Arrival>,
    /// Whether it is the window's last call, or its state passed Lambda's limit: everything is to
    /// be written.
    pub is_last: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    #[serde(rename = "Records", default)]
    records: Vec<KinesisRecord>,
    window: Window,
    #[serde(default)]
    state: Map<String, Value>,
    shard_id: String,
    #[serde(default)]
    is_final_invoke_for_window: bool,
    #[serde(default)]
    is_window_terminated_early: bool,
}

#[derive(Deserialize)]
struct Window {
    start: Timestamp,
}

#[derive(Deserialize)]
struct KinesisRecord {
    kinesis: Kinesis,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kinesis {
    sequence_number: String,
    approximate_arrival_timestamp: f64,
    data: String,
}

impl WindowCall {
    /// Reads a payload.
    ///
    /// # Errors
    /// [`Failure::Permanent`], when it is no call of a tumbling window, or its state was not made
    /// here: nothing of the window may be thrown away for that.
    pub fn parse(payload: Value) -> Result<Self, Failure> {
        let payload: Payload = serde_json::from_value(payload).map_err(|error| {
            Failure::Permanent(format!("not a call of a tumbling window: {error}"))
        })?;
        let window = LambdaWindow::new(&payload.shard_id, payload.window.start);
        let state = match payload.state.get(STATE) {
            None => State::new(window.clone()),
            Some(state) => {
                let text = state.as_str().unwrap_or_default();
                State::decode(window.clone(), text).map_err(|error| {
                    Failure::Permanent(format!(
                        "the window's state {error}; run the version that wrote it until the window is over"
                    ))
                })?
            }
        };
        let arrivals = payload.records.into_iter().map(arrival);
        Ok(Self {
            window,
            state,
            arrivals: arrivals.collect::<Result<_, _>>()?,
            is_last: payload.is_final_invoke_for_window || payload.is_window_terminated_early,
        })
    }
}

fn arrival(record: KinesisRecord) -> Result<Arrival, Failure> {
    let Kinesis {
        sequence_number,
        approximate_arrival_timestamp,
        data,
    } = record.kinesis;
    let unreadable = |what: String| Failure::Permanent(format!("a record's {what}"));
    let sequence = SequenceNumber::parse(&sequence_number)
        .map_err(|error| unreadable(format!("sequence number {error}")))?;
    // Seconds with a fraction; of milliseconds, as precise as they are told, a double loses none.
    #[allow(clippy::cast_possible_truncation)]
    let milliseconds = (approximate_arrival_timestamp * 1000.0).round() as i64;
    let arrived = Timestamp::from_millisecond(milliseconds)
        .map_err(|error| unreadable(format!("arrival time is none: {error}")))?;
    let record = STANDARD.decode(data).map_or_else(
        |error| {
            Err(Malformed {
                field: "record".to_owned(),
                reason: format!("must be base64: {error}"),
            })
        },
        |data| Record::parse(&data),
    );
    Ok(Arrival {
        sequence,
        arrived,
        record,
    })
}

/// The answer to a call: the state to go on from, and the first record that was not folded, from
/// which on the stream delivers again.
///
/// # Errors
/// [`Failure::Permanent`], should the state not be writable.
pub fn answer(state: &State, not_folded: Option<&SequenceNumber>) -> Result<Value, Failure> {
    let state = state
        .encode()
        .map_err(|error| Failure::Permanent(format!("the window's state {error}")))?;
    let failures: Vec<_> = not_folded
        .iter()
        .map(|sequence| json!({"itemIdentifier": sequence.as_str()}))
        .collect();
    Ok(json!({"state": {STATE: state}, "batchItemFailures": failures}))
}
