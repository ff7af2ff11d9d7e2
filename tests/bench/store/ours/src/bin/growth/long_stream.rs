//! A stream that goes on and on, with snapshots: its state is how many events it has, and the last.

use event_sourcing::decider::{Decider, Event};
use event_sourcing::snapshot::Snapshotable;
use flow::Facts;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Error, Value};
use std::convert::Infallible;

/// The state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct LongStream {
    pub(crate) events: u64,
    last: Facts,
}

/// An event: an order's facts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Noted(pub(crate) Facts);

impl Event for Noted {
    fn event_type(&self) -> &'static str {
        "OrderNoted"
    }

    fn to_data(&self) -> Result<Value, Error> {
        serde_json::to_value(&self.0)
    }

    fn from_data(event_type: &str, data: &Value) -> Result<Option<Self>, Error> {
        if event_type != "OrderNoted" {
            return Ok(None);
        }
        Facts::deserialize(data).map(|facts| Some(Self(facts)))
    }
}

impl Decider for LongStream {
    type State = Self;
    type Command = Facts;
    type Event = Noted;
    type Rejection = Infallible;

    fn initial() -> Self {
        Self::default()
    }

    fn decide(facts: &Facts, _: &Self) -> Result<Vec<Noted>, Infallible> {
        Ok(vec![Noted(facts.clone())])
    }

    fn evolve(state: Self, event: &Noted, _: Timestamp) -> Self {
        Self {
            events: state.events + 1,
            last: event.0.clone(),
        }
    }
}

impl Snapshotable for LongStream {
    const FOLD: u32 = 1;

    fn to_snapshot(state: &Self) -> Result<Value, Error> {
        serde_json::to_value(state)
    }

    fn from_snapshot(kept: Value) -> Result<Self, Error> {
        serde_json::from_value(kept)
    }
}
