//! Tumbling windows: what a function keeps from call to call, until the window's time is over.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-windows.html>
//!
//! A record is in the window of its arrival. Each call gets the state that the last one answered
//! with, and every answer must have one. When the window is over, the function is called once
//! more, without records, until it succeeds. When the state is larger than 1 MB, the window ends
//! early: the function is called without records, and goes on in the same window with a fresh
//! state. A lane's checkpoint moves when a window is closed: after a restart, all records of an
//! open one come again, to a fresh state.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde_json::{Value, json};

use super::batch::Batch;
use crate::batch_answer::BatchAnswer;
use crate::clock::iso_seconds;
use crate::limits::WINDOW_STATE_BYTES;

/// What a fresh state is.
const FRESH: &str = "{}";

/// Why a function is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Calling {
    /// For the records of a batch.
    Records,
    /// The window is over.
    Final,
    /// The state is too large; the window goes on with another one.
    Early,
}

/// An open window of a lane.
#[derive(Debug, Clone)]
pub(super) struct Window {
    start: SystemTime,
    length: Duration,
    /// A JSON object.
    state: String,
    /// The state of an answer that is not settled yet.
    answered: Option<String>,
}

/// Start of the window that a record which came then is in. Windows begin at whole multiples of
/// their length since 1970.
pub(super) fn start_of(arrived: SystemTime, length: Duration) -> SystemTime {
    let since = arrived.duration_since(UNIX_EPOCH).unwrap_or_default();
    let into = since.as_nanos() % length.as_nanos().max(1);
    let into = Duration::from_nanos(u64::try_from(into).unwrap_or(0));
    UNIX_EPOCH + since.saturating_sub(into)
}

impl Window {
    pub(super) fn of(arrived: SystemTime, length: Duration) -> Self {
        Self {
            start: start_of(arrived, length),
            length,
            state: FRESH.to_owned(),
            answered: None,
        }
    }

    pub(super) fn end(&self) -> SystemTime {
        self.start + self.length
    }

    /// Whether a record that came then comes after this window.
    pub(super) fn is_before(&self, arrived: SystemTime) -> bool {
        arrived >= self.end()
    }

    /// What the window adds to an event, besides the records.
    pub(super) fn bytes(&self) -> usize {
        const NAMES_AND_TIMES: usize = 1024;
        self.state.len() + NAMES_AND_TIMES
    }

    pub(super) fn payload(
        &self,
        batch: &Batch,
        calling: Calling,
        (shard_id, stream_arn): (&str, &str),
    ) -> Bytes {
        let window = json!({"start": iso_seconds(self.start), "end": iso_seconds(self.end())});
        let (shard_id, stream_arn) = (json!(shard_id), json!(stream_arn));
        let (last, early) = (calling == Calling::Final, calling == Calling::Early);
        Bytes::from(format!(
            "{{\"Records\":[{}],\"window\":{window},\"state\":{},\"shardId\":{shard_id},\
             \"eventSourceARN\":{stream_arn},\"isFinalInvokeForWindow\":{last},\
             \"isWindowTerminatedEarly\":{early}}}",
            batch.records_json(),
            self.state
        ))
    }

    /// Reads an answer, and notes its state until it is known what becomes of the answer.
    pub(super) fn read_answer(&mut self, payload: &[u8], reports: bool) -> BatchAnswer {
        self.answered = None;
        let document: Value = match serde_json::from_slice(payload) {
            Ok(document) => document,
            Err(error) => {
                return BatchAnswer::Malformed(format!("the answer is not JSON: {error}"));
            }
        };
        let Some(state) = document.get("state").filter(|state| state.is_object()) else {
            let problem = "the answer has no state, which each call of a window must answer with";
            return BatchAnswer::Malformed(problem.to_owned());
        };
        self.answered = Some(state.to_string());
        if reports {
            BatchAnswer::parse(payload)
        } else {
            BatchAnswer::AllDone
        }
    }

    /// The last answer counts: its state is what the next call gets. Whether it is small enough
    /// to go on with.
    pub(super) fn keep_answer(&mut self) -> bool {
        if let Some(state) = self.answered.take() {
            self.state = state;
        }
        self.state.len() <= WINDOW_STATE_BYTES
    }

    pub(super) fn begin_afresh(&mut self) {
        FRESH.clone_into(&mut self.state);
        self.answered = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn at(seconds: f64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs_f64(seconds)
    }

    #[test]
    fn a_record_is_in_the_window_of_its_arrival_whose_end_is_the_start_of_the_next() {
        for (arrived, start) in [
            (1_607_497_475.0, 1_607_497_440.0),
            (1_607_497_440.0, 1_607_497_440.0),
            (1_607_497_499.999, 1_607_497_440.0),
            (1_607_497_500.0, 1_607_497_500.0),
        ] {
            assert_eq!(start_of(at(arrived), MINUTE), at(start), "{arrived}");
        }
        let window = Window::of(at(1_607_497_475.0), 2 * MINUTE);
        assert!(!window.is_before(at(1_607_497_559.9)));
        assert!(window.is_before(at(1_607_497_560.0)));
    }

    #[test]
    fn an_event_has_what_aws_documents() {
        let mut window = Window::of(at(1_607_497_475.0), 2 * MINUTE);
        let answer = window.read_answer(br#"{"state":{"1":282,"2":715.50}}"#, true);
        assert_eq!(answer, BatchAnswer::AllDone);
        let place = ("shardId-000000000006", "arn:stream");
        let before = window.payload(&Batch::default(), Calling::Records, place);
        let before: Value = serde_json::from_slice(&before).unwrap();
        assert_eq!(before["state"], json!({}), "not settled");
        assert!(window.keep_answer());
        let event = window.payload(&Batch::default(), Calling::Final, place);
        let expected = r#"{"Records":[],"window":{"start":"2020-12-09T07:04:00Z","end":"2020-12-09T07:06:00Z"},"state":{"1":282,"2":715.50},"shardId":"shardId-000000000006","eventSourceARN":"arn:stream","isFinalInvokeForWindow":true,"isWindowTerminatedEarly":false}"#;
        let expected: Value = serde_json::from_str(expected).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&event).unwrap(), expected);
    }

    #[test]
    fn an_answer_without_a_state_is_a_failure_and_leaves_the_state_as_it_was() {
        let mut window = Window::of(at(0.0), MINUTE);
        window.read_answer(br#"{"state":{"n":1}}"#, false);
        window.keep_answer();
        for answer in [
            "",
            "null",
            "{}",
            r#"{"state":null}"#,
            r#"{"state":"x"}"#,
            "oops",
        ] {
            let read = window.read_answer(answer.as_bytes(), true);
            assert!(matches!(read, BatchAnswer::Malformed(_)), "{answer}");
            window.keep_answer();
            assert_eq!(window.state, r#"{"n":1}"#, "{answer}");
        }
    }

    #[test]
    fn a_state_of_one_megabyte_is_the_largest() {
        let mut window = Window::of(at(0.0), MINUTE);
        for (more, fits) in [(0, true), (1, false)] {
            let text = "x".repeat(WINDOW_STATE_BYTES - r#"{"s":""}"#.len() + more);
            let answer = json!({"state": {"s": text}}).to_string();
            window.read_answer(answer.as_bytes(), false);
            assert_eq!(window.keep_answer(), fits);
        }
    }
}
