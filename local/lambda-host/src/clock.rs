//! Time: the retry delays, scaled from AWS's minutes to local milliseconds, and timestamps.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use tokio::time::Instant;

/// AWS waits this long before it first retries a failed asynchronous invocation.
const AWS_FIRST_DELAY: Duration = Duration::from_mins(1);
/// AWS waits this long before it first retries a throttled event.
const AWS_FIRST_SYSTEM_DELAY: Duration = Duration::from_secs(1);
/// AWS never waits longer than this before it retries a throttled event.
const AWS_LONGEST_SYSTEM_DELAY: Duration = Duration::from_mins(5);

/// Delays between retries: AWS's own, scaled so that its first minute takes `first_delay`.
///
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryClock {
    /// What AWS's first delay of one minute takes here.
    pub first_delay: Duration,
}

impl RetryClock {
    /// AWS's delays unscaled: 1 and 2 minutes, 1 second to 5 minutes.
    #[must_use]
    pub fn aws() -> Self {
        Self {
            first_delay: AWS_FIRST_DELAY,
        }
    }

    /// 200 ms and 400 ms, 3.3 ms to 1 s.
    #[must_use]
    pub fn local() -> Self {
        Self {
            first_delay: Duration::from_millis(200),
        }
    }

    /// Delay after the `failures`-th failure of a function (1-based): 1 minute, then doubled.
    #[must_use]
    pub fn function_error_delay(&self, failures: u32) -> Duration {
        self.first_delay
            .saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)))
    }

    /// How long a window stays open behind its end while nothing comes: 2 minutes.
    /// <https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-windows.html>
    #[must_use]
    pub fn window_patience(&self) -> Duration {
        self.first_delay.saturating_mul(2)
    }

    /// Delay after the `failures`-th throttle or system error (1-based), and between the retries
    /// of a stream's batch: 1 second, doubled up to 5 minutes.
    #[must_use]
    pub fn system_error_delay(&self, failures: u32) -> Duration {
        let unscaled = AWS_FIRST_SYSTEM_DELAY
            .saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)))
            .min(AWS_LONGEST_SYSTEM_DELAY);
        unscaled.mul_f64(self.first_delay.as_secs_f64() / AWS_FIRST_DELAY.as_secs_f64())
    }
}

impl Default for RetryClock {
    fn default() -> Self {
        Self::local()
    }
}

/// The time of day, moving with tokio's clock: monotonic, and still when a test pauses tokio.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WallClock {
    started: SystemTime,
    anchor: Instant,
}

impl WallClock {
    pub(crate) fn new() -> Self {
        Self {
            started: SystemTime::now(),
            anchor: Instant::now(),
        }
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.started + self.anchor.elapsed()
    }

    pub(crate) fn now_ms(&self) -> u64 {
        unix_ms(self.now())
    }
}

/// Milliseconds since 1970.
pub(crate) fn unix_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// `2019-11-14T18:16:05.568Z`
pub(crate) fn iso_millis(time: SystemTime) -> String {
    format!("{:.3}", timestamp(unix_ms(time)))
}

/// `2019-11-14T18:16:05Z`
pub(crate) fn iso_seconds(time: SystemTime) -> String {
    format!("{:.0}", timestamp(unix_ms(time) / 1000 * 1000))
}

fn timestamp(unix_ms: u64) -> Timestamp {
    i64::try_from(unix_ms)
        .ok()
        .and_then(|unix_ms| Timestamp::from_millisecond(unix_ms).ok())
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn function_errors_are_retried_after_one_minute_and_then_two() {
        let clock = RetryClock::aws();
        assert_eq!(clock.function_error_delay(1), Duration::from_mins(1));
        assert_eq!(clock.function_error_delay(2), Duration::from_mins(2));
    }

    #[test]
    fn throttles_are_retried_after_one_second_doubled_up_to_five_minutes() {
        let clock = RetryClock::aws();
        assert_eq!(clock.system_error_delay(1), Duration::from_secs(1));
        assert_eq!(clock.system_error_delay(4), Duration::from_secs(8));
        assert_eq!(clock.system_error_delay(40), Duration::from_mins(5));
    }

    #[test]
    fn a_local_clock_keeps_the_proportions() {
        let clock = RetryClock::local();
        assert_eq!(clock.function_error_delay(2), Duration::from_millis(400));
        assert_eq!(clock.system_error_delay(40), Duration::from_secs(1));
    }

    #[test]
    fn timestamps_are_iso_8601_across_leap_days_and_centuries() {
        let at = |ms| UNIX_EPOCH + Duration::from_millis(ms);
        assert_eq!(iso_millis(at(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(
            iso_millis(at(1_573_755_365_568)),
            "2019-11-14T18:16:05.568Z"
        );
        assert_eq!(iso_seconds(at(951_782_400_000)), "2000-02-29T00:00:00Z");
        assert_eq!(iso_seconds(at(4_107_542_399_000)), "2100-02-28T23:59:59Z");
        assert_eq!(iso_seconds(at(4_107_542_400_000)), "2100-03-01T00:00:00Z");
    }
}
