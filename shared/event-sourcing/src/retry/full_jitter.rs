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
    /// For calls to a store or a bus inside an invocation: caps of 100 ms to 2 s, 9 retries, at
    /// most 11 s and mostly half of that in all.
    ///
    /// The caps are that long for the sake of those who want the same SKU at once: with 32 of them
    /// and transactions of some milliseconds, caps of 25 ms to 1 s took half as many attempts
    /// again, and all of them together were done no sooner.
    pub const CALL: Self = Self {
        first: Duration::from_millis(100),
        longest: Duration::from_secs(2),
        retries: 9,
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
        let caps = [100, 200, 400, 800, 1600, 2000, 2000, 2000, 2000];
        for _ in 0..100 {
            let waits: Vec<_> = FullJitter::CALL.build().collect();
            assert_eq!(waits.len(), caps.len());
            for (wait, cap) in waits.iter().zip(caps) {
                assert!(*wait <= Duration::from_millis(cap));
            }
        }
    }
}
