//! What the function is called with, and what it answers.

use aws_adapters::metrics::Metric;
use event_sourcing::failure::Failure;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The period of a call that names none: a day, and an hour that the day before had, too.
const PERIOD: SignedDuration = SignedDuration::from_hours(25);
/// So long a call works, unless it says otherwise: what its time leaves, with time to end.
const MAX_SECONDS: u32 = 780;
/// So many events are named.
const MAX_NAMED: usize = 20;

/// Which periods can be reconciled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// What was stored less than this ago may still be on its way.
    pub settled_after: SignedDuration,
    /// How long markers are kept.
    pub kept: SignedDuration,
}

/// A call.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// What to reconcile, and how far that is.
    pub place: Place,
    /// Tell, and change nothing.
    pub dry_run: bool,
    /// How long to work.
    pub work_for: SignedDuration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Payload {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    #[serde(default)]
    dry_run: bool,
    position: Option<String>,
    seconds: Option<u32>,
}

impl Request {
    /// Reads `{"from"?: time, "to"?: time, "dryRun"?: true, "position"?: "...", "seconds"?: 60}`.
    ///
    /// # Errors
    /// [`Failure::Permanent`] names what is wrong with it.
    pub fn parse(payload: &Value, limits: Limits, now: Timestamp) -> Result<Self, Failure> {
        let wrong = |what: String| Failure::Permanent(what);
        let payload = Payload::deserialize(payload)
            .map_err(|error| wrong(format!("not a call of this function: {error}")))?;
        let seconds = payload.seconds.unwrap_or(MAX_SECONDS);
        if seconds > MAX_SECONDS {
            return Err(wrong(format!("seconds must be at most {MAX_SECONDS}")));
        }
        let place = match payload.position {
            Some(position) => serde_json::from_str(&position)
                .map_err(|_| wrong("position is not one that a call answered with".into()))?,
            None => Place::start(payload.from, payload.to, limits, now).map_err(wrong)?,
        };
        Ok(Self {
            place,
            dry_run: payload.dry_run,
            work_for: SignedDuration::from_secs(seconds.into()),
        })
    }
}

/// How far it is; its text is the position that calls pass on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// Beginning of the period.
    pub from: Timestamp,
    /// Its end, which is not in it.
    pub to: Timestamp,
    /// The page of stored events that comes next.
    pub page: Option<String>,
    /// Events of the period in the store, so far.
    pub stored: u64,
    /// Those of them that were not published.
    pub missing: u64,
    /// Those of these that were published now.
    pub repaired: u64,
    /// Some of those that were not published, as stream@version.
    pub named: Vec<String>,
}

impl Place {
    fn start(
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        limits: Limits,
        now: Timestamp,
    ) -> Result<Self, String> {
        let before_now = |span| now.saturating_sub(span).unwrap_or(Timestamp::MIN);
        let settled = before_now(limits.settled_after);
        let kept_from = before_now(limits.kept);
        let to = to.unwrap_or(settled).min(settled);
        let a_period_ago = to.saturating_sub(PERIOD).unwrap_or(Timestamp::MIN);
        let from = from.unwrap_or(a_period_ago.max(kept_from));
        if from < kept_from {
            return Err(format!(
                "from is {from}, and what was published is known from {kept_from} on only"
            ));
        }
        if from >= to {
            return Err(format!(
                "from is {from}, and the period ends at {to}: it must end later than it begins, \
                 and {} s ago at least",
                limits.settled_after.as_secs()
            ));
        }
        Ok(Self {
            from,
            to,
            page: None,
            stored: 0,
            missing: 0,
            repaired: 0,
            named: Vec::new(),
        })
    }

    /// Counts an event that was not published.
    pub fn miss(&mut self, stream: &str, version: u64) {
        self.missing += 1;
        if self.named.len() < MAX_NAMED {
            self.named.push(format!("{stream}@{version}"));
        }
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// Beginning of the period.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// Events of the period in the store, so far.
    pub stored: u64,
    /// Events that were published in the period; one that was published twice counts once.
    pub published: u64,
    /// Stored events that were not published.
    pub missing: u64,
    /// Those of them that were published now.
    pub repaired: u64,
    /// Published events that are not stored: there must be none. Known at the end.
    pub unstored: u64,
    /// Some of the missing and unstored ones, as stream@version.
    pub named: Vec<String>,
    /// Whether the whole period was looked at.
    pub done: bool,
    /// What to call with next; null at the end.
    pub position: Option<String>,
}

impl Answer {
    /// Names events that are published and not stored.
    pub fn unstored(&mut self, stream: &str, version: u64) {
        self.unstored += 1;
        if self.named.len() < MAX_NAMED {
            self.named.push(format!("{stream}@{version} is not stored"));
        }
    }

    /// The figures that alarms go by, of a call that began with `before` repaired.
    #[must_use]
    pub fn metrics(&self, before: &Place) -> [Metric; 3] {
        let missing = self.missing.saturating_sub(before.missing);
        let repaired = self.repaired.saturating_sub(before.repaired);
        [
            Metric::count("EventsRepublished", repaired),
            Metric::count("EventsNotRepublished", missing.saturating_sub(repaired)),
            Metric::count("EventsUnstored", self.unstored),
        ]
    }
}
