//! How long to wait between attempts.

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use std::time::Duration;

/// Waits between attempts: random between nothing and a cap that doubles ("full jitter",
/// <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>).
#[derive(Debug, Clone, Copy)]
pub struct FullJitter {
    first: Duration,
    longest: Duration,
    retries: usize,
}

impl FullJitter {
    /// For calls to a store or a bus inside an invocation: caps of 100 ms to 1 s, 8 retries, at
    /// most 5.5 s in all.
    ///
    /// The first cap is that long for the sake of those who want the same SKU at once: with 32 of
    /// them and transactions of some milliseconds, caps from 25 ms on took 3.6 attempts for each
    /// decision, these take 2.5, and all of them together are done as soon.
    pub const CALL: Self = Self {
        first: Duration::from_millis(100),
        longest: Duration::from_secs(1),
        retries: 8,
    };

    /// Caps from `first`, doubled up to `longest`, for `retries` retries.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration, retries: usize) -> Self {
        Self {
            first,
            longest,
            retries,
        }
    }
}

impl BackoffBuilder for FullJitter {
    type Backoff = FullJitterWaits;

    fn build(self) -> FullJitterWaits {
        FullJitterWaits(
            ExponentialBuilder::new()
                .with_min_delay(self.first)
                .with_max_delay(self.longest)
                .with_factor(2.0)
                .with_max_times(self.retries)
                .build(),
        )
    }
}

/// The waits of one [`FullJitter`].
#[derive(Debug)]
pub struct FullJitterWaits(ExponentialBackoff);

impl Iterator for FullJitterWaits {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.0.next().map(|cap| cap.mul_f64(fastrand::f64()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_stay_under_caps_that_double_and_end() {
        let caps = [100, 200, 400, 800, 1000, 1000, 1000, 1000];
        for _ in 0..100 {
            let waits: Vec<_> = FullJitter::CALL.build().collect();
            assert_eq!(waits.len(), caps.len());
            for (wait, cap) in waits.iter().zip(caps) {
                assert!(*wait <= Duration::from_millis(cap));
            }
        }
    }
}
