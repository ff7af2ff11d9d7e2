//! Wall clock in the forms that the AWS protocols use.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// Milliseconds since the Unix epoch; 0 when the clock is set before it.
pub(crate) fn now_millis() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| {
            u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
        })
}

/// Whole seconds since the Unix epoch.
pub(crate) fn now_seconds() -> i64 {
    i64::try_from(now_millis() / 1000).unwrap_or(i64::MAX)
}

/// `2025-01-01T12:00:00Z`: the form EventBridge puts into an envelope's `time`.
pub(crate) fn rfc3339_seconds(epoch_seconds: i64) -> String {
    let time = Timestamp::from_second(epoch_seconds).unwrap_or(Timestamp::MAX);
    format!("{time:.0}")
}

#[cfg(test)]
mod tests {
    use super::rfc3339_seconds;

    #[test]
    fn times_before_at_and_after_the_epoch_are_written_in_rfc_3339() {
        assert_eq!(rfc3339_seconds(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339_seconds(-1), "1969-12-31T23:59:59Z");
        assert_eq!(rfc3339_seconds(1_735_732_800), "2025-01-01T12:00:00Z");
        assert_eq!(rfc3339_seconds(1_709_210_096), "2024-02-29T12:34:56Z");
    }
}
