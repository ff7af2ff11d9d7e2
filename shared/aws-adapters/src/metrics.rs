//! Metrics: one line of JSON on standard output in CloudWatch's embedded metric format, from which
//! CloudWatch makes the metrics. No request, no client, no waiting.
//!
//! The one dimension is the function's name, so that stacks in one account do not mix. Names are
//! `&'static str` and values are numbers: no id and no payload can become a metric, each of which
//! would cost by the month.

use crate::environment::{ConfigError, required};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use std::io::Write as _;

/// Where all metrics are in CloudWatch.
pub const NAMESPACE: &str = "Orderflow";
/// The one dimension.
pub const DIMENSION: &str = "function";

/// What a value is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Count,
    Seconds,
    Milliseconds,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    name: &'static str,
    unit: Unit,
    values: Vec<u64>,
}

impl Metric {
    /// So many of something.
    #[must_use]
    pub fn count(name: &'static str, count: u64) -> Self {
        Self {
            name,
            unit: Unit::Count,
            values: vec![count],
        }
    }

    /// So long, in whole seconds; less than none counts as none.
    #[must_use]
    pub fn seconds(name: &'static str, duration: SignedDuration) -> Self {
        Self {
            name,
            unit: Unit::Seconds,
            values: vec![u64::try_from(duration.as_secs()).unwrap_or_default()],
        }
    }

    /// How long each of several things took, in whole milliseconds; less than none counts as none.
    /// The first 100 of them, more do not go into a line.
    #[must_use]
    pub fn milliseconds(name: &'static str, durations: &[SignedDuration]) -> Self {
        let durations = durations.iter().take(MAX_VALUES);
        Self {
            name,
            unit: Unit::Milliseconds,
            values: durations
                .map(|duration| u64::try_from(duration.as_millis()).unwrap_or_default())
                .collect(),
        }
    }

    /// Whether there was none of it; a time is something, however short.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        match self.unit {
            Unit::Count => self.values.iter().all(|value| *value == 0),
            Unit::Seconds | Unit::Milliseconds => self.values.is_empty(),
        }
    }

    /// A number, or a list of several.
    fn value(&self) -> Value {
        match self.values.as_slice() {
            [value] => json!(value),
            values => json!(values),
        }
    }
}

/// Tells metrics of one function.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Whose they are; nobody's are not told.
    function: Option<String>,
}

impl Metrics {
    /// The metrics of the function that runs, as the platform names it.
    ///
    /// # Errors
    /// [`ConfigError`], when it names none.
    pub fn from_env() -> Result<Self, ConfigError> {
        Ok(Self::of(required("AWS_LAMBDA_FUNCTION_NAME")?))
    }

    /// The metrics of a function.
    #[must_use]
    pub fn of(function: impl Into<String>) -> Self {
        Self {
            function: Some(function.into()),
        }
    }

    /// Metrics that nobody is told: where handlers run that are no functions, as in the simulation.
    #[must_use]
    pub fn silent() -> Self {
        Self { function: None }
    }

    /// Tells values measured at a time; nothing for no values.
    pub fn tell(&self, at: Timestamp, metrics: &[Metric]) {
        let Some(function) = &self.function else {
            return;
        };
        let measured = metrics.iter().filter(|metric| !metric.values.is_empty());
        let measured: Vec<_> = measured.collect();
        for metrics in measured.chunks(MAX_METRICS) {
            let line = line(function, at, metrics);
            // Standard output that is gone takes the log with it; the work is done nevertheless.
            let _ = writeln!(std::io::stdout().lock(), "{line}");
        }
    }
}

/// The line.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
fn line(function: &str, at: Timestamp, metrics: &[&Metric]) -> Value {
    let definitions: Vec<_> = metrics
        .iter()
        .map(|metric| {
            let unit = match metric.unit {
                Unit::Count => "Count",
                Unit::Seconds => "Seconds",
                Unit::Milliseconds => "Milliseconds",
            };
            json!({"Name": metric.name, "Unit": unit})
        })
        .collect();
    let mut line = Map::from_iter([
        (
            "_aws".to_owned(),
            json!({
                "Timestamp": at.as_millisecond(),
                "CloudWatchMetrics": [{
                    "Namespace": NAMESPACE,
                    "Dimensions": [[DIMENSION]],
                    "Metrics": definitions,
                }],
            }),
        ),
        (DIMENSION.to_owned(), json!(function)),
        // Lambda's own filter goes by these two.
        // https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
        ("level".to_owned(), json!("INFO")),
        ("timestamp".to_owned(), json!(format!("{at:.3}"))),
    ]);
    line.extend(
        metrics
            .iter()
            .map(|metric| (metric.name.to_owned(), metric.value())),
    );
    Value::Object(line)
}

/// Most metrics of one directive, from the specification.
const MAX_METRICS: usize = 100;
/// Most values of one metric, from the specification.
const MAX_VALUES: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_shape_that_cloudwatch_reads() {
        let at = Timestamp::from_millisecond(1_735_732_800_123).unwrap();
        let metrics = [
            Metric::count("OrdersHealed", 3),
            Metric::seconds("OldestOpenOrder", SignedDuration::from_millis(61_900)),
            Metric::milliseconds("Took", &[1, -1, 250].map(SignedDuration::from_millis)),
        ];
        let metrics: Vec<_> = metrics.iter().collect();
        assert_eq!(
            line("shop-sweep-orders", at, &metrics),
            json!({
                "_aws": {
                    "Timestamp": 1_735_732_800_123_i64,
                    "CloudWatchMetrics": [{
                        "Namespace": "Orderflow",
                        "Dimensions": [["function"]],
                        "Metrics": [
                            {"Name": "OrdersHealed", "Unit": "Count"},
                            {"Name": "OldestOpenOrder", "Unit": "Seconds"},
                            {"Name": "Took", "Unit": "Milliseconds"},
                        ],
                    }],
                },
                "function": "shop-sweep-orders",
                "level": "INFO",
                "timestamp": "2025-01-01T12:00:00.123Z",
                "OrdersHealed": 3,
                "OldestOpenOrder": 61,
                "Took": [1, 0, 250],
            })
        );
    }

    /// The rules of the specification, held against the line and not against the code.
    #[test]
    fn every_dimension_and_metric_of_a_line_is_a_member_of_it() {
        let metrics = [Metric::count("A", 0), Metric::count("B", u64::MAX)];
        let line = line("f", Timestamp::UNIX_EPOCH, &[&metrics[0], &metrics[1]]);
        let text = line.to_string();
        assert!(!text.contains('\n'), "one line");
        let read: Value = serde_json::from_str(&text).unwrap();
        let directive = &read["_aws"]["CloudWatchMetrics"][0];
        for dimension in directive["Dimensions"][0].as_array().unwrap() {
            assert!(read[dimension.as_str().unwrap()].is_string(), "{dimension}");
        }
        let defined = directive["Metrics"].as_array().unwrap();
        assert_eq!(defined.len(), 2);
        for metric in defined {
            assert!(
                read[metric["Name"].as_str().unwrap()].is_number(),
                "{metric}"
            );
        }
    }

    #[test]
    fn less_than_no_time_is_none() {
        let back = Metric::seconds("Age", SignedDuration::from_secs(-5));
        assert_eq!(back.values, [0]);
    }

    #[test]
    fn more_values_than_go_into_a_line_are_left_out() {
        let many = vec![SignedDuration::from_millis(1); 101];
        assert_eq!(Metric::milliseconds("Took", &many).values.len(), 100);
    }
}
