//! Hours of minutes, and days of hours.

use super::{MinuteResult, Totals};
use crate::codec::{self, Damaged};
use crate::window::{Day, Hour};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Version of [`RollUp::encode`].
const VERSION: u8 = 1;

/// An hour's or a day's totals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RollUp<W> {
    /// Which hour or day.
    pub window: W,
    /// How many minutes are in it; 60 in an hour that is over, 1,440 in such a day.
    pub minutes: u32,
    /// The sum of their revisions: grows with each minute and each correction, so of two roll-ups
    /// of a window the one with the larger revision is the newer.
    pub revision: u64,
    /// What they come to.
    pub totals: Totals,
}

impl RollUp<Hour> {
    /// An hour of its minutes' results, in whatever order; those of other hours are left out, and
    /// of two results of one minute the higher revision counts.
    #[must_use]
    pub fn of_minutes(hour: Hour, minutes: &[MinuteResult]) -> Self {
        let mut inside: Vec<_> = minutes
            .iter()
            .filter(|result| result.minute.hour() == hour)
            .collect();
        inside.sort_by_key(|result| (result.minute, std::cmp::Reverse(result.revision)));
        inside.dedup_by_key(|result| result.minute);
        let parts = inside
            .iter()
            .map(|result| (1, u64::from(result.revision), &result.totals));
        Self::joined(hour, parts)
    }
}

impl RollUp<Day> {
    /// A day of its hours, in whatever order; those of other days are left out, and of two
    /// roll-ups of one hour the higher revision counts.
    #[must_use]
    pub fn of_hours(day: Day, hours: &[RollUp<Hour>]) -> Self {
        let mut inside: Vec<_> = hours
            .iter()
            .filter(|hour| hour.window.day() == day)
            .collect();
        inside.sort_by_key(|hour| (hour.window, std::cmp::Reverse(hour.revision)));
        inside.dedup_by_key(|hour| hour.window);
        let parts = inside
            .iter()
            .map(|hour| (hour.minutes, hour.revision, &hour.totals));
        Self::joined(day, parts)
    }
}

impl<W> RollUp<W> {
    /// In the order of time.
    fn joined<'a>(window: W, parts: impl Iterator<Item = (u32, u64, &'a Totals)>) -> Self {
        let mut whole = Self {
            window,
            minutes: 0,
            revision: 0,
            totals: Totals::default(),
        };
        for (minutes, revision, totals) in parts {
            whole.minutes = whole.minutes.saturating_add(minutes);
            whole.revision = whole.revision.saturating_add(revision);
            whole.totals.append(totals);
        }
        whole.totals = whole.totals.bounded();
        whole
    }
}

impl<W: Serialize + DeserializeOwned> RollUp<W> {
    /// The roll-up as bytes: a version, then `postcard`.
    ///
    /// # Errors
    /// [`Damaged`], if it cannot be written; that would be a bug.
    pub fn encode(&self) -> Result<Vec<u8>, Damaged> {
        codec::encode(VERSION, self)
    }

    /// Reads what [`RollUp::encode`] wrote.
    ///
    /// # Errors
    /// [`Damaged`], for anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        codec::decode(VERSION, bytes)
    }
}
