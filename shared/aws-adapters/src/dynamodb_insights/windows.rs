//! Where results of each length are.

use super::Retention;
use jiff::{SignedDuration, Timestamp};
use streaming_analytics::codec::Damaged;
use streaming_analytics::result::{MinuteResult, RollUp, Totals};
use streaming_analytics::window::{Day, Hour};

/// A window's result, as a row of the table.
pub(super) trait Row: Clone {
    /// The length of its window.
    const LENGTH: &'static str;

    fn start(&self) -> Timestamp;
    fn end(&self) -> Timestamp;
    fn revision(&self) -> u64;
    fn totals(&mut self) -> &mut Totals;
    fn kept(retention: &Retention) -> Option<SignedDuration>;
    fn write(&self) -> Result<Vec<u8>, Damaged>;
    fn read(bytes: &[u8]) -> Result<Self, Damaged>;
}

/// Start of a window as it is written.
pub(super) fn written(start: Timestamp) -> String {
    format!("{start:.0}")
}

/// The partition of a window that starts at `start`: a day of minutes, a month of hours, a year of
/// days, so that a span is read in few queries and no partition grows for ever.
pub(super) fn partition(length: &str, start: Timestamp) -> String {
    let start = written(start);
    let characters = match length {
        "minute" => 10,
        "hour" => 7,
        _ => 4,
    };
    format!("{length}#{}", start.get(..characters).unwrap_or(&start))
}

/// The partition of its devices.
pub(super) fn devices(length: &str, start: Timestamp) -> String {
    format!("devices#{length}#{}", written(start))
}

/// The partitions of the windows from `from` on, and before `until`.
pub(super) fn partitions(length: &str, from: Timestamp, until: Timestamp) -> Vec<String> {
    let day = SignedDuration::from_hours(24);
    let mut partitions = Vec::new();
    let mut at = from;
    while at < until {
        let partition = partition(length, at);
        if partitions.last() != Some(&partition) {
            partitions.push(partition);
        }
        // A step that passes no partition by: each is at least a day long.
        let Ok(next) = at.checked_add(day) else { break };
        at = next;
    }
    let last = until.checked_sub(SignedDuration::from_secs(1));
    if let (true, Ok(last)) = (from < until, last) {
        let partition = partition(length, last);
        if partitions.last() != Some(&partition) {
            partitions.push(partition);
        }
    }
    partitions
}

impl Row for MinuteResult {
    const LENGTH: &'static str = "minute";

    fn start(&self) -> Timestamp {
        self.minute.start()
    }

    fn end(&self) -> Timestamp {
        self.minute.end()
    }

    fn revision(&self) -> u64 {
        self.revision.into()
    }

    fn totals(&mut self) -> &mut Totals {
        &mut self.totals
    }

    fn kept(retention: &Retention) -> Option<SignedDuration> {
        Some(retention.minutes)
    }

    fn write(&self) -> Result<Vec<u8>, Damaged> {
        self.encode()
    }

    fn read(bytes: &[u8]) -> Result<Self, Damaged> {
        Self::decode(bytes)
    }
}

macro_rules! roll_up {
    ($window:ty, $length:literal, |$retention:ident| $kept:expr) => {
        impl Row for RollUp<$window> {
            const LENGTH: &'static str = $length;

            fn start(&self) -> Timestamp {
                self.window.start()
            }

            fn end(&self) -> Timestamp {
                self.window.end()
            }

            fn revision(&self) -> u64 {
                self.revision
            }

            fn totals(&mut self) -> &mut Totals {
                &mut self.totals
            }

            fn kept($retention: &Retention) -> Option<SignedDuration> {
                $kept
            }

            fn write(&self) -> Result<Vec<u8>, Damaged> {
                self.encode()
            }

            fn read(bytes: &[u8]) -> Result<Self, Damaged> {
                Self::decode(bytes)
            }
        }
    };
}

roll_up!(Hour, "hour", |retention| Some(retention.hours));
roll_up!(Day, "day", |_retention| None);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_span_is_read_from_each_partition_that_it_touches_and_from_no_other() {
        let span = |length, from, until| partitions(length, at(from), at(until));
        let new_year = ("2025-12-31T23:59:00Z", "2026-01-01T00:01:00Z");
        let both = |one: &str, other: &str| vec![one.to_owned(), other.to_owned()];
        assert_eq!(
            span("minute", new_year.0, new_year.1),
            both("minute#2025-12-31", "minute#2026-01-01")
        );
        assert_eq!(
            span("hour", new_year.0, new_year.1),
            both("hour#2025-12", "hour#2026-01")
        );
        assert_eq!(
            span("day", new_year.0, new_year.1),
            both("day#2025", "day#2026")
        );
        let midnight = "2026-01-01T00:00:00Z";
        assert_eq!(
            span("minute", new_year.0, midnight),
            ["minute#2025-12-31"],
            "the end is not in it"
        );
        assert_eq!(span("minute", midnight, midnight).len(), 0);
        assert_eq!(span("minute", midnight, new_year.0).len(), 0);
        assert_eq!(
            span("day", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z").len(),
            1
        );
    }
}
