//! Which windows are asked for.

use aws_adapters::http_api::{HttpRequest, Problem};
use jiff::{SignedDuration, Timestamp};
use streaming_analytics::window::Minute;

/// Most windows of an answer about orders: the minutes of a day.
pub const MAX_WINDOWS: i64 = 1_440;
/// Most windows of an answer about a device, each of which is a read: three hours of minutes.
pub const MAX_DEVICE_WINDOWS: i64 = 180;

/// The length of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day, in UTC.
    Day,
}

impl Step {
    fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "minute" => Ok(Self::Minute),
            "hour" => Ok(Self::Hour),
            "day" => Ok(Self::Day),
            _ => Err("must be minute, hour or day"),
        }
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// When the window of this length starts that a moment since 1970 is in.
    #[must_use]
    pub fn start(self, at: Timestamp) -> Timestamp {
        let into = at.as_second().rem_euclid(self.seconds());
        Timestamp::from_second(at.as_second() - into).unwrap_or(at)
    }

    /// When a window of this length ends that starts then.
    #[must_use]
    pub fn end(self, start: Timestamp) -> Timestamp {
        start
            .checked_add(SignedDuration::from_secs(self.seconds()))
            .unwrap_or(Timestamp::MAX)
    }

    /// Whether the results of all minutes of such a window are made.
    #[must_use]
    pub fn is_closed(self, start: Timestamp, made: Option<Minute>) -> bool {
        made.is_some_and(|made| self.end(start) <= made.end())
    }

    /// How long it is, in seconds.
    fn seconds(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    /// So many windows are told of where nobody says how many.
    fn usual(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::Hour => 24,
            Self::Day => 30,
        }
    }
}

/// The windows that are asked for: those that begin at `from` or later, and before `until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Start of the first one.
    pub from: Timestamp,
    /// End of the last one.
    pub until: Timestamp,
    /// Until when something can have happened in them: what was asked for, or now.
    pub to: Timestamp,
    /// How long each is.
    pub step: Step,
}

impl Span {
    /// Reads `from`, `to` and `step` of a request: by default the last 60 minutes, 24 hours or 30
    /// days up to now. A window that is on is the last one; there is none that has not begun.
    ///
    /// # Errors
    /// A problem that names the parameter.
    pub fn of(request: &HttpRequest, now: Timestamp, most: i64) -> Result<Self, Problem> {
        let step = request.query("step", Step::parse)?.unwrap_or(Step::Minute);
        let time = |text: &str| {
            text.parse::<Timestamp>()
                .ok()
                .filter(|at| *at >= Timestamp::UNIX_EPOCH)
                .ok_or("must be a time since 1970 in RFC 3339, like 2025-01-01T12:00:00Z")
        };
        let to = request.query("to", time)?.unwrap_or(now).min(now);
        let from = request.query("from", time)?;
        let length = step.seconds();
        // The window that `to` is in is asked for, unless it only begins there.
        let whole_seconds = to.as_second() + i64::from(to.subsec_nanosecond() > 0);
        let until = -(-whole_seconds).div_euclid(length);
        let first = match from {
            None => (until - step.usual().min(most)).max(0),
            Some(from) => from.as_second().div_euclid(length),
        };
        if first >= until {
            return Err(Problem::invalid(
                "from",
                "must be before to, and in the past",
            ));
        }
        if until - first > most {
            let reason = format!(
                "and to must be at most {most} windows apart, are {}: take a larger step, or ask in parts",
                until - first
            );
            return Err(Problem::invalid("from", reason));
        }
        let at = |window: i64| {
            let since = SignedDuration::from_secs(window.saturating_mul(length));
            Timestamp::UNIX_EPOCH
                .checked_add(since)
                .unwrap_or(Timestamp::MAX)
        };
        Ok(Self {
            from: at(first),
            until: at(until),
            to,
            step,
        })
    }

    /// Starts of its windows, in order.
    pub fn starts(&self) -> impl Iterator<Item = Timestamp> + use<> {
        let length = self.step.seconds();
        let (from, until) = (self.from.as_second(), self.until.as_second());
        (0..(until - from) / length)
            .filter_map(move |number| Timestamp::from_second(from + number * length).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: &str = "2026-01-01T12:00:30Z";

    fn span(query: &[(&str, &str)], most: i64) -> Result<(String, String), Option<String>> {
        let parameters: serde_json::Map<_, _> = query
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        let request = HttpRequest::from_payload(json!({"version": "2.0", "headers": {},
            "queryStringParameters": parameters, "isBase64Encoded": false,
            "requestContext": {"http": {"method": "GET"}}}))
        .unwrap();
        Span::of(&request, NOW.parse().unwrap(), most)
            .map(|span| (span.from.to_string(), span.until.to_string()))
            .map_err(|problem| problem.field)
    }

    fn spans(query: &[(&str, &str)]) -> (String, String) {
        span(query, MAX_WINDOWS).unwrap()
    }

    fn of(from: &str, until: &str) -> (String, String) {
        (
            format!("2026-01-01T{from}Z"),
            format!("2026-01-01T{until}Z"),
        )
    }

    #[test]
    fn the_last_hour_is_told_of_where_nobody_says_what() {
        assert_eq!(spans(&[]), of("11:01:00", "12:01:00"));
        let (from, until) = spans(&[("step", "hour")]);
        assert_eq!(from, "2025-12-31T13:00:00Z");
        assert_eq!(until, "2026-01-01T13:00:00Z");
    }

    #[test]
    fn windows_that_are_touched_are_told_of_and_none_that_has_not_begun() {
        let asked = [
            ("from", "2026-01-01T11:00:59Z"),
            ("to", "2026-01-01T11:02:00Z"),
        ];
        assert_eq!(spans(&asked), of("11:00:00", "11:02:00"));
        let asked = [
            ("from", "2026-01-01T11:00:00Z"),
            ("to", "2026-01-01T11:02:00.001Z"),
        ];
        assert_eq!(spans(&asked), of("11:00:00", "11:03:00"));
        let asked = [
            ("from", "2026-01-01T11:00:00Z"),
            ("to", "2026-01-01T11:00:59.5Z"),
        ];
        assert_eq!(spans(&asked), of("11:00:00", "11:01:00"));
        let asked = [
            ("from", "2026-01-01T11:59:00Z"),
            ("to", "2027-01-01T00:00:00Z"),
        ];
        assert_eq!(spans(&asked), of("11:59:00", "12:01:00"));
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        for (query, field) in [
            (vec![("step", "week")], "step"),
            (vec![("from", "yesterday")], "from"),
            (vec![("to", "1969-12-31T23:59:59Z")], "to"),
            (vec![("from", "2026-01-01T12:02:00Z")], "from"),
            (
                vec![
                    ("from", "2026-01-01T11:00:00Z"),
                    ("to", "2026-01-01T11:00:00Z"),
                ],
                "from",
            ),
            (vec![("from", "2025-12-01T00:00:00Z")], "from"),
        ] {
            assert_eq!(
                span(&query, MAX_WINDOWS),
                Err(Some(field.to_owned())),
                "{query:?}"
            );
        }
        assert_eq!(
            spans(&[("from", "2025-12-31T12:01:00Z")]).1,
            "2026-01-01T12:01:00Z"
        );
        assert!(span(&[("from", "2025-12-31T12:01:00Z")], MAX_DEVICE_WINDOWS).is_err());
    }

    #[test]
    fn a_spans_windows_follow_each_other() {
        let span = Span {
            from: "2026-01-01T11:58:00Z".parse().unwrap(),
            until: "2026-01-01T12:00:00Z".parse().unwrap(),
            to: "2026-01-01T12:00:00Z".parse().unwrap(),
            step: Step::Minute,
        };
        let starts: Vec<_> = span.starts().map(|start| start.to_string()).collect();
        assert_eq!(starts, ["2026-01-01T11:58:00Z", "2026-01-01T11:59:00Z"]);
    }
}
