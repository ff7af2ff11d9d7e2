//! A sensor's readings of one minute: a value that merges in any order.

use super::Values;
use crate::record::{Reading, RecordId};
use serde::{Deserialize, Deserializer, Serialize, de};

/// Milliseconds of a minute.
const MINUTE: u16 = 60_000;

/// A sensor's readings of one minute.
///
/// Of the times, the first and the last of each second are kept (at most 120), which merges in any
/// order. So every gap that spans the boundary of a second is exact to the millisecond, also for
/// readings that came out of order; a gap within one second counts as none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceMinute {
    values: Values,
    #[serde(deserialize_with = "times")]
    times: Vec<u16>,
}

/// Times as [`DeviceMinute`] keeps them: of one minute, in order, at most two in a second.
fn times<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u16>, D::Error> {
    let times = Vec::<u16>::deserialize(deserializer)?;
    let in_order = times.is_sorted_by(|one, next| one < next);
    let few = times
        .windows(3)
        .all(|three| three[0] / 1_000 != three[2] / 1_000);
    if in_order && few && times.last().is_some_and(|last| *last < MINUTE) {
        Ok(times)
    } else {
        Err(de::Error::custom("are no times of a minute"))
    }
}

impl DeviceMinute {
    /// The first reading, at `offset` milliseconds of the minute.
    #[must_use]
    pub fn of(reading: &Reading, id: RecordId, offset: u16) -> Self {
        Self {
            values: Values::of(reading, id),
            times: vec![offset.min(MINUTE - 1)],
        }
    }

    /// What the readings come to.
    #[must_use]
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// When the first and the last were taken, in milliseconds of the minute.
    #[must_use]
    pub fn first_and_last(&self) -> (u16, u16) {
        let first = self.times.first().copied().unwrap_or(0);
        (first, self.times.last().copied().unwrap_or(first))
    }

    /// The longest time between two neighbouring readings of different seconds, in milliseconds; 0
    /// where all are of one second, `None` for one reading.
    #[must_use]
    pub fn longest_gap(&self) -> Option<u16> {
        let neighbours = self.times.windows(2);
        let apart = neighbours.filter(|pair| pair[0] / 1_000 != pair[1] / 1_000);
        let gap = apart.map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
        (self.values.count > 1).then_some(gap)
    }

    /// Adds others of the same minute and sensor. Associative and commutative.
    pub fn merge(&mut self, other: &Self) {
        let (mine, theirs) = (self.first_and_last().1, other.first_and_last().1);
        let later = (theirs, other.values.last_id) > (mine, self.values.last_id);
        self.values.merge(&other.values, later);
        for time in &other.times {
            self.note(*time);
        }
    }

    /// Keeps a time if it is the first or the last of its second.
    fn note(&mut self, time: u16) {
        let Err(place) = self.times.binary_search(&time) else {
            return;
        };
        let same_second = |place: Option<usize>| {
            let other = place.and_then(|place| self.times.get(place));
            other.is_some_and(|other| other / 1_000 == time / 1_000)
        };
        let before = same_second(place.checked_sub(1));
        let after = same_second(Some(place));
        let second_before = same_second(place.checked_sub(2));
        let second_after = same_second(Some(place + 1));
        if before && after {
            return;
        }
        self.times.insert(place, time);
        if second_before {
            self.times.remove(place - 1);
        } else if second_after {
            self.times.remove(place + 1);
        }
    }

    /// At most how many bytes it takes in a state, without its key.
    pub(crate) fn weight(&self) -> usize {
        5 + self.values.weight() + 2 + 3 * self.times.len()
    }
}
