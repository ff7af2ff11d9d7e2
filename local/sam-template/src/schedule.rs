//! When a schedule runs: `rate(…)`, `cron(…)` and `at(…)` expressions, in UTC.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use crate::rule::RuleTarget;

mod cron;

pub use cron::Cron;

/// A Schedule or `ScheduleV2` event, or an `AWS::Events::Rule` with a schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// The rule's or schedule's name.
    pub name: String,
    /// The rule's or schedule's ARN.
    pub arn: String,
    /// When it runs.
    pub cadence: Cadence,
    /// Whether it runs; true if the template does not say.
    pub enabled: bool,
    /// Which service runs it, which decides what the target gets without an Input.
    pub by: ScheduledBy,
    /// What it starts.
    pub targets: Vec<RuleTarget>,
}

/// Who runs a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScheduledBy {
    /// An EventBridge rule: `source` is `aws.events`, `detail` an empty object.
    Rule,
    /// EventBridge Scheduler: `source` is `aws.scheduler`, `detail` the string `{}`.
    Scheduler,
}

/// When a schedule runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cadence {
    /// `rate(5 minutes)`: this long after the start, and then again and again.
    Rate(Duration),
    /// `cron(0 12 * * ? *)`.
    Cron(Cron),
    /// `at(2030-01-01T00:00:00)`: once (EventBridge Scheduler).
    At(Timestamp),
}

/// Why a schedule expression is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Neither `rate(…)` nor `cron(…)` nor `at(…)`.
    #[error(
        "`{0}` is no schedule expression; write rate(5 minutes), cron(0 12 * * ? *) or \
         at(2030-01-01T00:00:00)"
    )]
    Form(String),
    /// What is inside `rate(…)` or `at(…)` is not valid.
    #[error("`{expression}`: {problem}")]
    Value {
        /// The expression as written.
        expression: String,
        /// What is wrong, and what to write instead.
        problem: String,
    },
    /// A field of `cron(…)` is not valid.
    #[error("the {field} field of cron is `{value}`: {problem}")]
    Field {
        /// The field's name, such as `day-of-week`.
        field: &'static str,
        /// The field as written.
        value: String,
        /// What is wrong, and what AWS takes instead.
        problem: String,
    },
}

impl Cadence {
    /// Parses a schedule expression.
    ///
    /// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html>
    ///
    /// # Errors
    /// [`ScheduleError`] for what EventBridge would refuse.
    ///
    /// # Example
    /// ```
    /// use sam_template::Cadence;
    ///
    /// let noon = Cadence::parse("cron(0 12 * * ? *)")?;
    /// let start = "2025-01-01T12:00:00Z".parse().unwrap();
    /// assert_eq!(noon.next_after(start).unwrap().to_string(), "2025-01-02T12:00:00Z");
    /// # Ok::<(), sam_template::ScheduleError>(())
    /// ```
    pub fn parse(expression: &str) -> Result<Self, ScheduleError> {
        let form = || ScheduleError::Form(expression.to_owned());
        let (name, rest) = expression.trim().split_once('(').ok_or_else(form)?;
        let inner = rest.strip_suffix(')').ok_or_else(form)?.trim();
        let value = match name {
            "cron" => return Cron::parse(inner).map(Self::Cron),
            "rate" => rate(inner).map(Self::Rate),
            "at" => at(inner).map(Self::At),
            _ => return Err(form()),
        };
        value.map_err(|problem| ScheduleError::Value {
            expression: expression.to_owned(),
            problem,
        })
    }

    /// The first time strictly after `time` at which the schedule runs; for a rate, `time` is its
    /// start or its last run.
    #[must_use]
    pub fn next_after(&self, time: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Rate(rate) => time.checked_add(*rate).ok(),
            Self::Cron(cron) => cron.next_after(time),
            Self::At(at) => (*at > time).then_some(*at),
        }
    }
}

fn rate(inner: &str) -> Result<Duration, String> {
    let mut parts = inner.split_whitespace();
    let (Some(value), Some(unit), None) = (parts.next(), parts.next(), parts.next()) else {
        return Err("a rate is a number and a unit, as in rate(5 minutes)".to_owned());
    };
    let number = value.parse::<u64>().ok().filter(|number| *number > 0);
    let number = number.ok_or_else(|| format!("`{value}` is no positive whole number"))?;
    let seconds = match unit.strip_suffix('s').unwrap_or(unit) {
        "minute" => 60,
        "hour" => 3_600,
        "day" => 86_400,
        _ => return Err(format!("`{unit}` is not minutes, hours or days")),
    };
    if (number == 1) == unit.ends_with('s') {
        let right = if number == 1 { "singular" } else { "plural" };
        return Err(format!("with {number} the unit must be {right}"));
    }
    let total = number.checked_mul(seconds);
    total
        .map(Duration::from_secs)
        .ok_or_else(|| format!("`{value}` is too large"))
}

fn at(inner: &str) -> Result<Timestamp, String> {
    let time: DateTime = inner
        .parse()
        .map_err(|error| format!("is no date and time: {error}"))?;
    Offset::UTC
        .to_timestamp(time)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn next(expression: &str, after: &str) -> String {
        let cadence = Cadence::parse(expression).unwrap();
        let next = cadence.next_after(after.parse().unwrap());
        next.map_or_else(|| "never".to_owned(), |time| time.to_string())
    }

    #[track_caller]
    fn refused(expression: &str, with: &str) {
        let message = Cadence::parse(expression).unwrap_err().to_string();
        assert!(message.contains(with), "{message}");
    }

    const START: &str = "2025-01-01T00:00:30Z";

    #[test]
    fn a_rate_runs_that_long_after_the_last_run() {
        assert_eq!(next("rate(5 minutes)", START), "2025-01-01T00:05:30Z");
        assert_eq!(next("rate(1 day)", START), "2025-01-02T00:00:30Z");
        assert_eq!(
            Cadence::parse("rate(1 hour)"),
            Ok(Cadence::Rate(Duration::from_hours(1)))
        );
    }

    #[test]
    fn a_rate_that_aws_refuses_is_refused() {
        refused("rate(1 minutes)", "must be singular");
        refused("rate(5 minute)", "must be plural");
        refused("rate(0 minutes)", "no positive whole number");
        refused("rate(5 seconds)", "not minutes, hours or days");
        refused("every 5 minutes", "no schedule expression");
    }

    #[test]
    fn an_at_expression_runs_once() {
        let expression = "at(2025-06-01T10:00:00)";
        assert_eq!(next(expression, START), "2025-06-01T10:00:00Z");
        assert_eq!(next(expression, "2025-06-01T10:00:00Z"), "never");
    }

    /// The examples of EventBridge's documentation.
    #[test]
    fn the_documented_cron_examples_run_when_the_documentation_says() {
        assert_eq!(next("cron(0 10 * * ? *)", START), "2025-01-01T10:00:00Z");
        assert_eq!(next("cron(15 12 * * ? *)", START), "2025-01-01T12:15:00Z");
        let weekdays = "cron(0 18 ? * MON-FRI *)";
        assert_eq!(
            next(weekdays, "2025-01-03T18:00:00Z"),
            "2025-01-06T18:00:00Z"
        );
        assert_eq!(next("cron(0 8 1 * ? *)", START), "2025-01-01T08:00:00Z");
        assert_eq!(next("cron(0/15 * * * ? *)", START), "2025-01-01T00:15:00Z");
        let business = "cron(0/5 8-17 ? * MON-FRI *)";
        assert_eq!(
            next(business, "2025-01-03T17:55:00Z"),
            "2025-01-06T08:00:00Z"
        );
        let night = "cron(0/30 20-2 ? * MON-FRI *)";
        assert_eq!(next(night, "2025-01-01T02:30:00Z"), "2025-01-01T20:00:00Z");
        let last_friday = "cron(15 10 ? * 6L 2019-2026)";
        assert_eq!(next(last_friday, START), "2025-01-31T10:15:00Z");
        assert_eq!(next(last_friday, "2026-12-30T00:00:00Z"), "never");
        let twice = "cron(5,35 14 * * ? *)";
        assert_eq!(next(twice, "2025-01-01T14:05:00Z"), "2025-01-01T14:35:00Z");
    }

    #[test]
    fn the_special_days_of_cron_are_found() {
        assert_eq!(next("cron(0 0 L * ? *)", START), "2025-01-31T00:00:00Z");
        // the second Tuesday
        assert_eq!(next("cron(0 0 ? * 3#2 *)", START), "2025-01-14T00:00:00Z");
        // the weekday nearest to the 4th, a Saturday, is Friday the 3rd
        assert_eq!(next("cron(0 0 4W * ? *)", START), "2025-01-03T00:00:00Z");
        // the 1st of February is a Saturday: it stays in its month
        assert_eq!(next("cron(0 0 1W 2 ? *)", START), "2025-02-03T00:00:00Z");
        // the last weekday of August, which ends on a Sunday
        assert_eq!(next("cron(0 0 LW AUG ? *)", START), "2025-08-29T00:00:00Z");
        assert_eq!(next("cron(0 0 29 2 ? *)", START), "2028-02-29T00:00:00Z");
        assert_eq!(next("cron(0 0 ? * L *)", START), "2025-01-04T00:00:00Z");
        assert_eq!(next("cron(0 0 30 2 ? *)", START), "never");
    }

    #[test]
    fn a_cron_that_aws_refuses_is_refused_with_the_field() {
        refused("cron(0 12 * * *)", "six fields");
        refused("cron(0 12 * * * *)", "`?`");
        refused("cron(0 12 ? * ? *)", "`?`");
        refused("cron(60 12 * * ? *)", "minutes field of cron is `60`");
        refused("cron(0 12 ? * 8 *)", "day-of-week");
        refused("cron(0 12 ? * 3#1,6#3 *)", "only one");
        refused("cron(0 12 * FOO ? *)", "month");
        refused("cron(0/0 12 * * ? *)", "step");
    }
}
