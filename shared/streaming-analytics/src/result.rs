//! What a window comes to: a minute's merged parts, and hours and days of minutes.

mod rollup;
mod totals;

pub use rollup::RollUp;
pub use totals::{MAX_SKU_BYTES, MAX_SKUS, Totals};

use crate::codec::{self, Damaged};
use crate::part::{LambdaWindow, Part, SequenceNumber, Sums};
use crate::stable_hash::stable_hash;
use crate::window::Minute;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of [`MinuteResult::encode`].
const VERSION: u8 = 1;

/// A minute's result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MinuteResult {
    /// Which minute.
    pub minute: Minute,
    /// 1 when it is made, one more with every correction.
    pub revision: u32,
    /// What its parts come to.
    pub totals: Totals,
    /// Ids that are in more than one part: events that were delivered in two shards while both
    /// had not written yet, and that are counted twice. Only a resharding can bring that about.
    pub overlapping: u64,
    /// Of which parts it is made.
    pub made_of: Fingerprint,
}

/// A hash over the keys and extents of the parts that a result is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint(pub u64);

impl MinuteResult {
    /// The first result of a minute; without parts, that is an empty one.
    #[must_use]
    pub fn of(minute: Minute, parts: &[Part]) -> Self {
        Self::merged(minute, 1, &valid(minute, parts))
    }

    /// The result with what came since; `None` where it is made of these parts already.
    #[must_use]
    pub fn corrected(&self, parts: &[Part]) -> Option<Self> {
        let valid = valid(self.minute, parts);
        (fingerprint(&valid) != self.made_of)
            .then(|| Self::merged(self.minute, self.revision.saturating_add(1), &valid))
    }

    fn merged(minute: Minute, revision: u32, parts: &[&Part]) -> Self {
        let mut sums = Sums::default();
        let mut ids = 0_usize;
        for part in parts {
            ids += part.sums.ids.len();
            sums.merge(&part.sums);
        }
        let overlapping = ids - sums.ids.len();
        Self {
            minute,
            revision,
            overlapping: overlapping as u64,
            made_of: fingerprint(parts),
            totals: Totals::of_minute(minute, sums),
        }
    }

    /// The result as bytes: a version, then `postcard`. With many devices it is larger than an
    /// item of `DynamoDB`; write its `totals.devices` on their own then.
    ///
    /// # Errors
    /// [`Damaged`], if it cannot be written; that would be a bug.
    pub fn encode(&self) -> Result<Vec<u8>, Damaged> {
        codec::encode(VERSION, self)
    }

    /// Reads what [`MinuteResult::encode`] wrote.
    ///
    /// # Errors
    /// [`Damaged`], for anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        codec::decode(VERSION, bytes)
    }
}

/// The parts that count, by key. A part that covers records which an earlier part of its Lambda
/// window covers as well is left over from an attempt that was repeated under other settings: what
/// is in it is in parts of the attempt that succeeded.
fn valid(minute: Minute, parts: &[Part]) -> Vec<&Part> {
    let mut by_key: Vec<_> = parts
        .iter()
        .filter(|part| part.key.minute == minute)
        .collect();
    by_key.sort_by(|one, other| one.key.cmp(&other.key));
    let mut covered: BTreeMap<&LambdaWindow, &SequenceNumber> = BTreeMap::new();
    by_key.retain(|part| {
        let through = covered.get(&part.key.window).copied();
        let follows = through.is_none() || part.after.as_ref() >= through;
        if follows {
            covered.insert(&part.key.window, &part.through);
        }
        follows
    });
    by_key
}

fn fingerprint(parts: &[&Part]) -> Fingerprint {
    let texts: Vec<_> = parts
        .iter()
        .map(|part| format!("{}#{}", part.key, part.through.as_str()))
        .collect();
    let texts: Vec<_> = texts.iter().map(String::as_bytes).collect();
    Fingerprint(stable_hash("parts", &texts))
}
