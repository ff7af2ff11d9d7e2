//! How long orders took: a histogram that merges.
//!
//! HDR histograms (`hdrhistogram`) rather than `DDSketch` or t-digest: their buckets are whole
//! numbers, so merging is exactly associative, nothing collapses, and any other implementation (a
//! Flink job, a test) comes to the same figure by counting. The price is a fixed range.

use hdrhistogram::Histogram;
use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Longest time that is told apart, 30 days in milliseconds; longer ones count as this.
pub const MAX_LATENCY_MS: u64 = 30 * 86_400_000;
/// Two significant digits: a percentile is at most 1 % above the time that it stands for.
const DIGITS: u8 = 2;
/// No histogram of this range has more buckets.
const MAX_BUCKETS: u64 = 3_200;

/// Times in whole milliseconds, from 1 ms to [`MAX_LATENCY_MS`], by buckets that are at most 1 %
/// wide. Shorter ones count as 1 ms, negative ones (clocks differ) as well.
#[derive(Debug, Clone, Default)]
pub struct Latency(Option<Box<Histogram<u64>>>);

impl Latency {
    /// Adds a time.
    pub fn add(&mut self, took: SignedDuration) {
        let millis = u64::try_from(took.as_millis()).unwrap_or(0);
        self.add_many(millis, 1);
    }

    fn add_many(&mut self, millis: u64, count: u64) {
        if self.0.is_none() {
            self.0 = Histogram::new_with_bounds(1, MAX_LATENCY_MS, DIGITS)
                .ok()
                .map(Box::new);
        }
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record_n(millis.clamp(1, MAX_LATENCY_MS), count);
        }
    }

    /// Adds all times of another one.
    pub fn merge(&mut self, other: &Self) {
        for (millis, count) in other.buckets() {
            self.add_many(millis, count);
        }
    }

    /// How many times were added.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, |histogram| histogram.len())
    }

    /// The time in milliseconds that `percent` of all orders (0 to 100) did not exceed, as the
    /// upper end of its bucket. `None` where there is none.
    #[must_use]
    pub fn percentile(&self, percent: u8) -> Option<u64> {
        let histogram = self.0.as_ref().filter(|histogram| !histogram.is_empty())?;
        Some(histogram.value_at_percentile(f64::from(percent.min(100))))
    }

    /// The upper end of each bucket in milliseconds, and how many times are in it.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().flat_map(|histogram| {
            histogram
                .iter_recorded()
                .map(|bucket| (bucket.value_iterated_to(), bucket.count_at_value()))
        })
    }

    pub(crate) fn weight(&self) -> usize {
        // A bucket is at most 5 bytes of value and, while it is small, 3 of count.
        let buckets = self.count().min(MAX_BUCKETS);
        3 + usize::try_from(buckets).unwrap_or(usize::MAX) * 8
    }
}

impl PartialEq for Latency {
    fn eq(&self, other: &Self) -> bool {
        self.buckets().eq(other.buckets())
    }
}

impl Serialize for Latency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.buckets().collect::<Vec<_>>())
    }
}

impl<'de> Deserialize<'de> for Latency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let buckets = Vec::<(u64, u64)>::deserialize(deserializer)?;
        let mut latency = Self::default();
        let mut before = 0;
        for (millis, count) in buckets {
            if millis <= before || count == 0 {
                return Err(de::Error::custom("is no histogram"));
            }
            before = millis;
            latency.add_many(millis, count);
        }
        Ok(latency)
    }
}
