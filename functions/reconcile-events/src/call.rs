//! What the function is called with, and what it answers.

use aws_adapters::metrics::Metric;
use event_sourcing::failure::Failure;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The period of a call that names none: a day, and an hour that the day before had, too.
pub(crate) const PERIOD: SignedDuration = SignedDuration::from_hours(25);
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

impl Limits {
    /// Up to when everything can be reconciled.
    #[must_use]
    pub fn settled(self, now: Timestamp) -> Timestamp {
        before(now, self.settled_after)
    }

    /// From when on what was published is known.
    #[must_use]
    pub fn kept_from(self, now: Timestamp) -> Timestamp {
        before(now, self.kept)
    }
}

/// So much earlier.
pub(crate) fn before(time: Timestamp, span: SignedDuration) -> Timestamp {
    time.saturating_sub(span).unwrap_or(Timestamp::MIN)
}

/// A call.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// What to reconcile.
    pub what: What,
    /// How long to work.
    pub work_for: SignedDuration,
}

/// What a call is about.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// One period.
    Period {
        /// Which one, and how far that is.
        place: Box<Place>,
        /// Tell, and change nothing.
        dry_run: bool,
    },
    /// Whatever comes next: period after period, each from where the last call stopped.
    GoOn,
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
    #[serde(default)]
    go_on: bool,
}

impl Request {
    /// Reads `{"from"?: time, "to"?: time, "dryRun"?: true, "position"?: "...", "seconds"?: 60}`
    /// or `{"goOn": true, "seconds"?: 60}`.
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
        Ok(Self {
            what: payload.what(limits, now).map_err(wrong)?,
            work_for: SignedDuration::from_secs(seconds.into()),
        })
    }
}

impl Payload {
    fn what(self, limits: Limits, now: Timestamp) -> Result<What, String> {
        if self.go_on {
            let no_period = self.from.is_none() && self.to.is_none() && self.position.is_none();
            return if no_period && !self.dry_run {
                Ok(What::GoOn)
            } else {
                Err("goOn goes with seconds only: it knows itself where it stopped".into())
            };
        }
        let place = match self.position {
            Some(position) => serde_json::from_str(&position)
                .map_err(|_| "position is not one that a call answered with")?,
            None => Place::start(self.from, self.to, limits, now)?,
        };
        Ok(What::Period {
            place: Box::new(place),
            dry_run: self.dry_run,
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
    /// Some of those that were not published, or are not stored, as stream@version.
    pub named: Vec<String>,
    /// Whether all pages were looked at.
    #[serde(default)]
    pub scanned: bool,
    /// After that: the last stream that was looked up, of those that were published and not come
    /// across.
    #[serde(default)]
    pub looked_up: Option<String>,
    /// Published events that are not stored, so far.
    #[serde(default)]
    pub unstored: u64,
}

impl Place {
    /// The beginning of a period.
    ///
    /// # Errors
    /// Why it cannot be reconciled.
    pub fn start(
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        limits: Limits,
        now: Timestamp,
    ) -> Result<Self, String> {
        let settled = limits.settled(now);
        let kept_from = limits.kept_from(now);
        let to = to.unwrap_or(settled).min(settled);
        let a_period_ago = before(to, PERIOD);
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
            scanned: false,
            looked_up: None,
            unstored: 0,
        })
    }

    /// Counts an event that was not published.
    pub fn miss(&mut self, stream: &str, version: u64) {
        self.missing += 1;
        self.name(format!("{stream}@{version}"));
    }

    /// Counts an event that is published and not stored.
    pub fn miss_in_store(&mut self, stream: &str, version: u64) {
        self.unstored += 1;
        self.name(format!("{stream}@{version} is not stored"));
    }

    fn name(&mut self, event: String) {
        if self.named.len() < MAX_NAMED {
            self.named.push(event);
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
    /// Published events that are not stored, so far: there must be none.
    pub unstored: u64,
    /// Some of the missing and unstored ones, as stream@version.
    pub named: Vec<String>,
    /// Whether the whole period was looked at.
    pub done: bool,
    /// What to call with next; null at the end.
    pub position: Option<String>,
}

impl Answer {
    /// The figures that alarms go by, of a call that began with `before` repaired.
    #[must_use]
    pub fn metrics(&self, before: &Place) -> [Metric; 3] {
        let missing = self.missing.saturating_sub(before.missing);
        let repaired = self.repaired.saturating_sub(before.repaired);
        [
            Metric::count("EventsRepublished", repaired),
            Metric::count("EventsNotRepublished", missing.saturating_sub(repaired)),
            Metric::count(
                "EventsUnstored",
                self.unstored.saturating_sub(before.unstored),
            ),
        ]
    }
}
