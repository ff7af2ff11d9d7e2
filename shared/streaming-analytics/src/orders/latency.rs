//! How long orders took: a histogram that merges.
//!
//! HDR histograms (`hdrhistogram`) rather than `DDSketch` or t-digest: their buckets are whole
//! numbers, so merging is exactly associative, nothing collapses, and any other implementation (a
//! Flink job, a test) comes to the same figure by counting. The price is a fixed range.

use hdrhistogram::Histogram;
use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, Serialize, de};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Longest time that is told apart, 30 days in milliseconds; longer ones count as this.
pub const MAX_LATENCY_MS: u64 = 30 * 86_400_000;
/// Two significant digits: a percentile is at most 1 % above the time that it stands for.
const DIGITS: u8 = 2;

/// The empty histogram, which knows the buckets. (It is there: its bounds are fixed and right.)
static EMPTY: LazyLock<Option<Histogram<u64>>> =
    LazyLock::new(|| Histogram::new_with_bounds(1, MAX_LATENCY_MS, DIGITS).ok());

/// The upper end of the bucket that a time belongs to.
fn bucket(millis: u64) -> u64 {
    let histogram = EMPTY.as_ref();
    histogram.map_or(millis, |histogram| histogram.highest_equivalent(millis))
}

/// Times in whole milliseconds, from 1 ms to [`MAX_LATENCY_MS`], by buckets that are at most 1 %
/// wide. Shorter ones count as 1 ms, negative ones (clocks differ) as well.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Latency(BTreeMap<u64, u64>);

impl Latency {
    /// Adds a time.
    pub fn add(&mut self, took: SignedDuration) {
        let millis = u64::try_from(took.as_millis()).unwrap_or(0);
        self.add_many(bucket(millis.clamp(1, MAX_LATENCY_MS)), 1);
    }

    fn add_many(&mut self, bucket: u64, count: u64) {
        let known = self.0.entry(bucket).or_default();
        *known = known.saturating_add(count);
    }

    /// Adds all times of another one.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, count) in &other.0 {
            self.add_many(*bucket, *count);
        }
    }

    /// How many times were added.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0
            .values()
            .fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The time in milliseconds that `percent` of all orders (0 to 100) did not exceed, as the
    /// upper end of its bucket. `None` where there is none.
    #[must_use]
    pub fn percentile(&self, percent: u8) -> Option<u64> {
        let mut histogram = EMPTY.clone().filter(|_| !self.0.is_empty())?;
        for (bucket, count) in &self.0 {
            histogram.saturating_record_n(*bucket, *count);
        }
        Some(histogram.value_at_percentile(f64::from(percent.min(100))))
    }

    /// The upper end of each bucket in milliseconds, and how many times are in it.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().map(|(bucket, count)| (*bucket, *count))
    }

    pub(crate) fn weight(&self) -> usize {
        // A bucket's end takes 5 bytes at most, its count 5 until there are 34 billion.
        2 + self.0.len() * 10
    }
}

impl<'de> Deserialize<'de> for Latency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let buckets = BTreeMap::<u64, u64>::deserialize(deserializer)?;
        let sound = |(end, count): (&u64, &u64)| {
            (1..=bucket(MAX_LATENCY_MS)).contains(end) && bucket(*end) == *end && *count > 0
        };
        if buckets.iter().all(sound) {
            Ok(Self(buckets))
        } else {
            Err(de::Error::custom("is no histogram"))
        }
    }
}
