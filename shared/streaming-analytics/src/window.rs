//! Event-time windows: minutes, hours and days in UTC, and when a record is too late for its own.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// Last moment that belongs to a window, 2200-01-01T00:00:00Z, in seconds; the first is 1970.
const END_OF_TIME: i64 = 7_258_118_400;

/// Why a moment belongs to no window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a time from 1970 to 2199")]
pub struct OutOfTime;

/// Seconds since 1970 of a moment that windows are made for.
fn seconds(at: Timestamp) -> Result<i64, OutOfTime> {
    let seconds = at.as_second();
    if (0..END_OF_TIME).contains(&seconds) && at >= Timestamp::UNIX_EPOCH {
        Ok(seconds)
    } else {
        Err(OutOfTime)
    }
}

macro_rules! window {
    ($(#[$doc:meta])* $name:ident, $seconds:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u32);

        impl $name {
            /// How long it is, in seconds.
            pub const SECONDS: i64 = $seconds;
            /// The one that starts in 1970.
            pub const FIRST: Self = Self(0);

            /// The window that `at` belongs to: its start belongs to it, its end does not.
            ///
            /// # Errors
            /// [`OutOfTime`].
            pub fn of(at: Timestamp) -> Result<Self, OutOfTime> {
                let number = seconds(at)? / Self::SECONDS;
                u32::try_from(number).map(Self).map_err(|_| OutOfTime)
            }

            /// Its first moment.
            #[must_use]
            pub fn start(self) -> Timestamp {
                let seconds = i64::from(self.0) * Self::SECONDS;
                Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH)
            }

            /// The first moment after it.
            #[must_use]
            pub fn end(self) -> Timestamp {
                let seconds = (i64::from(self.0) + 1) * Self::SECONDS;
                Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
            }

            /// The window after it; the last one has itself.
            #[must_use]
            pub fn next(self) -> Self {
                Self::of(self.end()).unwrap_or(self)
            }

            /// The window before it; the first one has itself.
            #[must_use]
            pub fn previous(self) -> Self {
                Self(self.0.saturating_sub(1))
            }

            /// How many windows lie from this one to `later`; 0 where that is not later.
            #[must_use]
            pub fn until(self, later: Self) -> u32 {
                later.0.saturating_sub(self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.start().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.start())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    self.0.serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let start = if deserializer.is_human_readable() {
                    let text = String::deserialize(deserializer)?;
                    text.parse::<Timestamp>().map_err(de::Error::custom)?
                } else {
                    let number = u32::deserialize(deserializer)?;
                    let seconds = i64::from(number) * Self::SECONDS;
                    Timestamp::from_second(seconds).map_err(de::Error::custom)?
                };
                let window = Self::of(start).map_err(de::Error::custom)?;
                if window.start() == start {
                    Ok(window)
                } else {
                    Err(de::Error::custom("is not the start of a window"))
                }
            }
        }
    };
}

window!(
    /// A minute of event time: `[start, start + 60 s)`.
    Minute,
    60
);
window!(
    /// An hour of event time.
    Hour,
    3_600
);
window!(
    /// A day of event time, in UTC.
    Day,
    86_400
);

impl Minute {
    /// The hour that it belongs to.
    #[must_use]
    pub fn hour(self) -> Hour {
        Hour(self.0 / 60)
    }

    /// Milliseconds from its start to `at`; `None` for a moment outside it.
    #[must_use]
    pub fn offset(self, at: Timestamp) -> Option<u16> {
        let offset = at.as_millisecond() - self.start().as_millisecond();
        u16::try_from(offset)
            .ok()
            .filter(|offset| i64::from(*offset) < Self::SECONDS * 1_000)
    }

    /// The moment at an offset in milliseconds.
    #[must_use]
    pub fn at(self, offset: u16) -> Timestamp {
        let start = self.start();
        start
            .checked_add(SignedDuration::from_millis(i64::from(offset)))
            .unwrap_or(start)
    }
}

impl Hour {
    /// The day that it belongs to.
    #[must_use]
    pub fn day(self) -> Day {
        Day(self.0 / 24)
    }

    /// Which hour of the day, 0 to 23, in UTC.
    #[must_use]
    pub fn of_day(self) -> u8 {
        u8::try_from(self.0 % 24).unwrap_or(0)
    }

    /// Its 60 minutes.
    pub fn minutes(self) -> impl Iterator<Item = Minute> {
        (0..60).map(move |minute| Minute(self.0 * 60 + minute))
    }
}

impl Day {
    /// Its 24 hours.
    pub fn hours(self) -> impl Iterator<Item = Hour> {
        (0..24).map(move |hour| Hour(self.0 * 24 + hour))
    }
}

/// How a record stands to the minute that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timing {
    /// It arrived before the minute's lateness was over.
    OnTime,
    /// It arrived afterwards: it is folded, and corrects the result.
    Late,
    /// It arrived when the minute's parts are not kept any more: it is counted and not folded.
    TooLate,
    /// It comes from further in the future than clocks may differ: it is counted and not folded,
    /// for a wrong clock says nothing of when it happened.
    TooEarly,
}

/// Why a lateness policy cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LatenessError {
    /// A bound is below zero.
    #[error("lateness, retention and clock skew must not be negative")]
    Negative,
    /// Records would be too late before they are late.
    #[error("the retention of parts must be at least the lateness")]
    RetentionBelowLateness,
}

/// How long a minute waits for its records.
///
/// A record is held against the moment at which the stream took it (Kinesis's
/// `approximateArrivalTimestamp`), never against a clock at processing: so a retry, a replay of the
/// same records and a consumer that lags judge as the first attempt did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lateness {
    allowed: SignedDuration,
    retention: SignedDuration,
    skew: SignedDuration,
}

impl Lateness {
    /// Records that arrive less than `allowed` after their minute's end are on time, those that
    /// arrive less than `retention` after it are late, and all others too late. A record from the
    /// future is on time for its own minute as long as it is at most `skew` ahead.
    ///
    /// # Errors
    /// [`LatenessError`], when the bounds contradict each other.
    pub fn new(
        allowed: SignedDuration,
        retention: SignedDuration,
        skew: SignedDuration,
    ) -> Result<Self, LatenessError> {
        if allowed.is_negative() || retention.is_negative() || skew.is_negative() {
            return Err(LatenessError::Negative);
        }
        if retention < allowed {
            return Err(LatenessError::RetentionBelowLateness);
        }
        Ok(Self {
            allowed,
            retention,
            skew,
        })
    }

    /// The default, with another time to wait.
    ///
    /// # Errors
    /// [`LatenessError`], when it is below zero or above the retention.
    pub fn waiting(allowed: SignedDuration) -> Result<Self, LatenessError> {
        let Self {
            retention, skew, ..
        } = Self::default();
        Self::new(allowed, retention, skew)
    }

    /// How a record that happened `at` and `arrived` in the stream stands to its minute.
    #[must_use]
    pub fn judge(&self, at: Timestamp, arrived: Timestamp) -> Timing {
        let Ok(minute) = Minute::of(at) else {
            return if at > arrived {
                Timing::TooEarly
            } else {
                Timing::TooLate
            };
        };
        if at.duration_since(arrived) > self.skew {
            return Timing::TooEarly;
        }
        let after_end = arrived.duration_since(minute.end());
        if after_end < self.allowed {
            Timing::OnTime
        } else if after_end < self.retention {
            Timing::Late
        } else {
            Timing::TooLate
        }
    }

    /// From when on nothing that arrives is on time for `minute`. What arrived before is in the
    /// parts once the Lambda windows that were open then are closed: wait for their length, too.
    #[must_use]
    pub fn closes(&self, minute: Minute) -> Timestamp {
        let end = minute.end();
        end.checked_add(self.allowed).unwrap_or(end)
    }
}

impl Default for Lateness {
    /// Two minutes late, parts for two days, clocks half a minute apart.
    fn default() -> Self {
        Self {
            allowed: SignedDuration::from_mins(2),
            retention: SignedDuration::from_hours(48),
            skew: SignedDuration::from_secs(30),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn minute(text: &str) -> Minute {
        Minute::of(at(text)).unwrap()
    }

    #[test]
    fn a_minute_has_its_start_and_not_its_end() {
        let noon = minute("2026-01-01T12:00:00Z");
        assert_eq!(minute("2026-01-01T12:00:59.999999999Z"), noon);
        assert_eq!(minute("2026-01-01T12:01:00Z"), noon.next());
        assert_eq!(minute("2026-01-01T11:59:59.999999999Z"), noon.previous());
        assert_eq!(noon.end(), noon.next().start());
        assert_eq!(noon.previous().until(noon.next()), 2);
        assert_eq!(noon.next().until(noon), 0);
    }

    #[test]
    fn minutes_roll_up_to_hours_and_days() {
        let last = minute("2026-02-28T23:59:00Z");
        assert_eq!(last.hour().start(), at("2026-02-28T23:00:00Z"));
        assert_eq!(last.hour().of_day(), 23);
        assert_eq!(last.hour().day().end(), at("2026-03-01T00:00:00Z"));
        assert_eq!(last.hour().minutes().last(), Some(last));
        assert_eq!(last.hour().day().hours().last(), Some(last.hour()));
    }

    #[test]
    fn times_outside_all_windows_are_refused() {
        for text in [
            "1969-12-31T23:59:59.5Z",
            "2200-01-01T00:00:00Z",
            "-000009-01-01T00:00:00Z",
        ] {
            assert_eq!(Minute::of(at(text)), Err(OutOfTime), "{text}");
        }
        assert!(Day::of(at("2199-12-31T23:59:59Z")).is_ok());
    }

    #[test]
    fn a_window_is_a_time_in_json_and_a_number_in_a_state() {
        let noon = minute("2026-01-01T12:00:00Z");
        let json = serde_json::to_string(&noon).unwrap();
        assert_eq!(json, "\"2026-01-01T12:00:00Z\"");
        assert_eq!(serde_json::from_str::<Minute>(&json).unwrap(), noon);
        assert!(serde_json::from_str::<Minute>("\"2026-01-01T12:00:01Z\"").is_err());
        let bytes = postcard::to_stdvec(&noon).unwrap();
        assert_eq!(postcard::from_bytes::<Minute>(&bytes).unwrap(), noon);
    }

    #[test]
    fn lateness_counts_from_the_minutes_end_to_the_moment_of_arrival() {
        let policy = Lateness::default();
        let happened = at("2026-01-01T12:00:30Z");
        for (arrived, timing) in [
            ("2026-01-01T12:00:00Z", Timing::OnTime),
            ("2026-01-01T11:59:59.999Z", Timing::TooEarly),
            ("2026-01-01T12:02:59.999Z", Timing::OnTime),
            ("2026-01-01T12:03:00Z", Timing::Late),
            ("2026-01-03T12:00:59.999Z", Timing::Late),
            ("2026-01-03T12:01:00Z", Timing::TooLate),
        ] {
            assert_eq!(policy.judge(happened, at(arrived)), timing, "{arrived}");
        }
        assert_eq!(
            policy.closes(minute("2026-01-01T12:00:00Z")),
            at("2026-01-01T12:03:00Z")
        );
    }

    #[test]
    fn a_record_of_no_window_is_too_late_or_too_early() {
        let now = at("2026-01-01T12:00:00Z");
        let policy = Lateness::default();
        assert_eq!(
            policy.judge(at("1960-01-01T00:00:00Z"), now),
            Timing::TooLate
        );
        assert_eq!(
            policy.judge(at("2300-01-01T00:00:00Z"), now),
            Timing::TooEarly
        );
    }

    #[test]
    fn bounds_that_contradict_each_other_are_refused() {
        let (second, day) = (SignedDuration::from_secs(1), SignedDuration::from_hours(24));
        assert_eq!(
            Lateness::new(-second, day, second),
            Err(LatenessError::Negative)
        );
        assert_eq!(
            Lateness::new(day, second, second),
            Err(LatenessError::RetentionBelowLateness)
        );
        assert!(Lateness::new(second, second, second).is_ok());
    }
}
