//! What the function is called with, and what it answers.

use event_sourcing::failure::Failure;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What an operator can ask for; a schedule asks for nothing in particular.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Call {
    /// These letters only; none passes an earlier one of its stream that waits.
    pub letters: Option<BTreeSet<String>>,
    /// The letters of this consumer only.
    pub consumer: Option<String>,
    /// Waiting letters at once, whether they are due or not.
    pub now: bool,
    /// Only says how many letters would be redriven: takes nothing in, calls nobody.
    pub dry_run: bool,
    /// Calls so many consumers a second at most.
    pub rate: Option<f64>,
}

impl Call {
    /// Reads a payload.
    ///
    /// # Errors
    /// [`Failure::Permanent`], when it asks for something that there is not.
    pub fn from_payload(payload: Value) -> Result<Self, Failure> {
        if payload.is_null() || payload.get("detail-type").is_some() {
            return Ok(Self::default());
        }
        let wrong = |reason: &str| {
            Failure::Permanent(format!(
                "not a call of redrive-dlq ({reason}); it takes letters, consumer, now, dryRun, rate"
            ))
        };
        if !payload.is_object() {
            return Err(wrong("it is no object"));
        }
        let call: Self =
            serde_json::from_value(payload).map_err(|error| wrong(&error.to_string()))?;
        match call.rate {
            Some(rate) if !(rate.is_finite() && rate > 0.0) => Err(Failure::Permanent(
                "rate must be a number above 0: calls a second".to_owned(),
            )),
            _ => Ok(call),
        }
    }

    /// Whether it is about this letter.
    #[must_use]
    pub fn names(&self, letter: &str) -> bool {
        let named = self.letters.as_ref();
        named.is_none_or(|named| named.contains(letter))
    }

    /// Whether it is about the letters of this consumer.
    #[must_use]
    pub fn is_about(&self, consumer: &str) -> bool {
        let named = self.consumer.as_ref();
        named.is_none_or(|named| named == consumer)
    }

    /// How long to wait after a call of a consumer.
    #[must_use]
    pub fn pause(&self) -> Duration {
        // A rate next to nothing is a wait next to for ever.
        let wait = self.rate.map_or(0.0, f64::recip);
        Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX)
    }
}

/// What became of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Turn {
    /// Its consumer took it.
    Redriven,
    /// Its round failed; it waits for the next.
    Failed,
    /// It was parked.
    Parked,
    /// What its consumer needs is down; it waits, without a round.
    Waiting,
    /// It comes after one of its stream that waits.
    Behind,
    /// It was not tried: another redriver is at it, or the time was over.
    Skipped,
    /// It is not due.
    NotDue,
}

/// What a call came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Letters that messages of the queues became or joined.
    pub taken_in: usize,
    /// Messages that could not be taken in; they stay in their queues.
    pub left: usize,
    /// Letters that are due, in all.
    pub due: usize,
    /// Those of them that were tried.
    #[serde(default)]
    pub called: usize,
    /// Letters whose consumer took them.
    pub redriven: usize,
    /// Letters whose round failed; they wait for the next.
    pub failed: usize,
    /// Letters that were parked.
    pub parked: usize,
    /// Letters that wait for what their consumer needs, without a round.
    pub waiting: usize,
    /// Letters that are due and were not tried: they come after one that failed, another redriver
    /// is at them, or the time was over.
    pub skipped: usize,
    /// Letters that are parked, in all.
    pub parked_in_all: usize,
    /// What became of each letter that was named; one that does not wait is not among them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub letters: BTreeMap<String, Turn>,
}

impl Counts {
    /// Counts what became of a letter, and tells it if it was named.
    pub fn count(&mut self, call: &Call, letter: &str, turn: Turn) {
        match turn {
            Turn::Redriven => self.redriven += 1,
            Turn::Failed => self.failed += 1,
            Turn::Parked => self.parked += 1,
            Turn::Waiting => self.waiting += 1,
            Turn::Behind | Turn::Skipped => self.skipped += 1,
            Turn::NotDue => {}
        }
        self.tell(call, letter, turn);
    }

    /// Tells what becomes of a letter, if it was named.
    pub fn tell(&mut self, call: &Call, letter: &str, turn: Turn) {
        if call.letters.is_some() {
            self.letters.insert(letter.to_owned(), turn);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_schedule_asks_for_nothing_and_an_operator_for_what_there_is() {
        let scheduled = json!({"version": "0", "detail-type": "Scheduled Event", "detail": {}});
        for nothing in [Value::Null, json!({}), scheduled] {
            assert_eq!(Call::from_payload(nothing), Ok(Call::default()));
        }
        let call = Call::from_payload(json!({"letters": ["a/1"], "now": true, "rate": 0.5}));
        let call = call.unwrap();
        assert!(call.now && call.is_about("anybody"));
        assert_eq!(call.pause(), Duration::from_secs(2));
        for wrong in [
            json!({"letter": "a"}),
            json!({"rate": 0}),
            json!({"rate": -1}),
            json!([]),
        ] {
            assert!(
                matches!(
                    Call::from_payload(wrong.clone()),
                    Err(Failure::Permanent(_))
                ),
                "{wrong}"
            );
        }
    }
}
