//! What the function is called with, and what it answers.

use event_sourcing::failure::Failure;
use event_sourcing::feed::Position;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The one projection that there is.
const PROJECTION: &str = "orders";
/// So long a call works, unless it says otherwise.
const SECONDS: u32 = 60;
/// Longest that a call may ask for: what its time leaves, with time to end.
const MAX_SECONDS: u32 = 780;
/// So many streams that cannot be folded are named.
const MAX_NAMED: usize = 20;

/// A call.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Where an earlier call got to; `None` begins a rebuild.
    pub place: Option<Place>,
    /// How long to work.
    pub work_for: SignedDuration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    projection: String,
    position: Option<String>,
    seconds: Option<u32>,
}

impl Request {
    /// Reads `{"projection": "orders", "position"?: "...", "seconds"?: 60}`.
    ///
    /// # Errors
    /// [`Failure::Permanent`] names what is wrong with it.
    pub fn parse(payload: &Value) -> Result<Self, Failure> {
        let wrong = |what: String| Failure::Permanent(what);
        let payload = Payload::deserialize(payload)
            .map_err(|error| wrong(format!("not a call of this function: {error}")))?;
        if payload.projection != PROJECTION {
            return Err(wrong(format!(
                "there is no projection {}; there is {PROJECTION}",
                payload.projection
            )));
        }
        let seconds = payload.seconds.unwrap_or(SECONDS);
        if seconds > MAX_SECONDS {
            return Err(wrong(format!("seconds must be at most {MAX_SECONDS}")));
        }
        let place = payload
            .position
            .map(|position| serde_json::from_str(&position))
            .transpose()
            .map_err(|_| wrong("position is not one that a call answered with".into()))?;
        Ok(Self {
            place,
            work_for: SignedDuration::from_secs(seconds.into()),
        })
    }
}

/// How far a rebuild is; its text is the position that calls pass on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// Which rebuild.
    pub generation: u64,
    /// Events folded so far.
    pub events: u64,
    /// Rows written so far.
    pub rows: u64,
    /// Number of streams that cannot be folded.
    pub skipped: u64,
    /// Some of them, and why.
    pub named: Vec<String>,
    /// What is done next.
    pub work: Work,
}

/// What is done next, until the switch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Work {
    /// Leftovers are taken away.
    Emptying,
    /// Events are folded.
    #[serde(rename_all = "camelCase")]
    Folding {
        /// Since when `project-orders` is told to write both tables, in milliseconds of the epoch.
        told_at: i64,
        /// Where the feed is.
        feed: Position,
        /// Whether history is through.
        live: bool,
    },
}

impl Place {
    /// Where a rebuild begins.
    #[must_use]
    pub fn start(generation: u64) -> Self {
        Self {
            generation,
            events: 0,
            rows: 0,
            skipped: 0,
            named: Vec::new(),
            work: Work::Emptying,
        }
    }

    /// Adds what came of a batch.
    pub fn add(&mut self, folded: crate::folding::Folded) {
        self.events += folded.events;
        self.rows += folded.rows;
        self.skipped += folded.skipped.len() as u64;
        self.named.extend(folded.skipped);
        self.named.truncate(MAX_NAMED);
    }
}

/// Where a rebuild stands, as operators see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// Leftovers of the table to be filled are taken away.
    Emptying,
    /// What was stored before is folded.
    History,
    /// What is stored meanwhile is folded.
    Live,
    /// The new rows are complete, and will be live at the announced time.
    Switching,
    /// The new rows are live; the old ones wait for their last readers, then are taken away.
    Switched,
    /// The old rows are gone: the end.
    Dropped,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// Where the rebuild stands.
    pub phase: Phase,
    /// Events read so far; one that the feed delivers twice counts twice.
    pub events: u64,
    /// Rows written so far: one for each order and batch.
    pub rows: u64,
    /// Number of streams that cannot be folded.
    pub skipped: u64,
    /// Some of them, and why.
    pub unreadable: Vec<String>,
    /// What to call with next; null where an earlier rebuild had to be ended first.
    pub position: Option<String>,
    /// Whether the new rows are complete.
    pub caught_up: bool,
    /// Which rows are live.
    pub live: &'static str,
    /// Whether it has come to its end.
    pub done: bool,
}
