//! The report of a load: as text, and as one JSON object.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use domain::order_summary::{OrderStatus, OrderSummary};
use hdrhistogram::Histogram;
use invariants::{Evidence, Verdict};
use rust_decimal::Decimal;
use serde_json::{Map, Number, Value, json};

use super::accounting::{Prices, Used, real};
use super::placing::Placed;
use super::saga_watch::Sagas;
use crate::terminal::{Palette, printable};

/// Longest latency that is told apart from longer ones: an hour, in microseconds.
const LONGEST_MICROS: u64 = 3_600_000_000;
/// Refused lines that are said in full.
const SAID: usize = 20;

/// Everything a report is made of.
pub(super) struct Run {
    pub lines: usize,
    pub placed: Vec<Placed>,
    pub sagas: Sagas,
    pub used: Used,
    pub prices: Prices,
    pub evidence: Evidence,
    /// Whether nothing was on its way any more, or there was time enough that nothing should be:
    /// only then the invariants can be judged.
    pub is_over: bool,
    pub dead_letters: BTreeMap<String, usize>,
}

/// Percentiles of a latency, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Latency {
    p50: f64,
    p95: f64,
    p99: f64,
}

/// Averages over the accepted orders.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct PerOrder {
    dynamodb_requests: f64,
    write_units: f64,
    read_units: f64,
    eventbridge_entries: f64,
    lambda_invocations: f64,
}

/// The report.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Report {
    orders: usize,
    accepted: usize,
    outcomes: BTreeMap<String, usize>,
    confirmed_amount: BTreeMap<String, Decimal>,
    orders_per_second: f64,
    accept: Latency,
    confirm: Latency,
    per_order: PerOrder,
    usd_per_million_orders: f64,
    refused: Vec<String>,
    dead_letters: BTreeMap<String, usize>,
    prices: String,
    /// The invariants, one by one.
    pub invariants: Vec<Verdict>,
}

impl Report {
    /// Reckons.
    pub(super) fn of(run: Run) -> Self {
        let summaries = run.evidence.stored.summaries();
        let accepted: Vec<&Placed> = run
            .placed
            .iter()
            .filter(|one| one.order.is_some())
            .collect();
        let row = |one: &Placed| {
            let order = one.order.as_deref()?;
            summaries.get(order)?.as_ref()
        };
        let mut outcomes: BTreeMap<String, usize> =
            ["confirmed", "rejected", "cancelled", "expired", "pending"]
                .map(|name| (name.to_owned(), 0))
                .into();
        let mut confirmed_amount = BTreeMap::new();
        let mut refused = Vec::new();
        for one in &run.placed {
            let outcome = match row(one) {
                _ if one.order.is_none() => {
                    refused.push(format!(
                        "line {}: {} {}",
                        one.number, one.status, one.answer
                    ));
                    format!("refused_{}", one.status)
                }
                Some(row) => {
                    add_amount(&mut confirmed_amount, row);
                    outcome(row.status).to_owned()
                }
                None => "pending".to_owned(),
            };
            *outcomes.entry(outcome).or_default() += 1;
        }
        let confirmed = accepted
            .iter()
            .filter(|one| row(one).is_some_and(|row| row.status == OrderStatus::Confirmed));
        let decided = |one: &Placed| run.sagas.decided.get(one.order.as_ref()?).copied();
        let accept = accepted
            .iter()
            .map(|one| u64::try_from(one.accept.as_micros()).unwrap_or(u64::MAX));
        let confirm = confirmed.filter_map(|one| {
            Some(
                decided(one)?
                    .saturating_sub(one.sent_millis)
                    .saturating_mul(1000),
            )
        });
        let first = accepted.iter().map(|one| one.sent_millis).min();
        let last = accepted.iter().filter_map(|one| decided(one)).max();
        let count = real(accepted.len() as u64).max(1.0);
        Self {
            orders: run.lines,
            accepted: accepted.len(),
            orders_per_second: first.zip(last).map_or(0.0, |(first, last)| {
                let seconds = real(last.saturating_sub(first).max(1)) / 1000.0;
                rounded(real(accepted.len() as u64) / seconds, 1)
            }),
            accept: latency(accept),
            confirm: latency(confirm),
            per_order: per_order(&run.used, count),
            usd_per_million_orders: rounded(run.used.cost(&run.prices) * 1_000_000.0 / count, 2),
            outcomes,
            confirmed_amount,
            refused,
            dead_letters: run.dead_letters,
            prices: format!(
                "list prices of {} as of {}",
                run.prices.region, run.prices.as_of
            ),
            invariants: if run.is_over {
                invariants::check(&run.evidence)
            } else {
                Vec::new()
            },
        }
    }

    /// Number of orders that were placed, the refused ones included.
    pub(super) fn orders(&self) -> usize {
        self.orders
    }

    /// The one JSON object.
    pub(super) fn to_json(&self) -> Value {
        let amounts: Map<String, Value> = self
            .confirmed_amount
            .iter()
            .filter_map(|(currency, amount)| {
                let number: Number = amount.normalize().to_string().parse().ok()?;
                Some((currency.clone(), Value::Number(number)))
            })
            .collect();
        let latency =
            |latency: Latency| json!({"p50": latency.p50, "p95": latency.p95, "p99": latency.p99});
        json!({
            "orders": self.orders,
            "accepted": self.accepted,
            "outcomes": self.outcomes,
            "confirmed_amount": amounts,
            "orders_per_second": self.orders_per_second,
            "latency_ms": {"accept": latency(self.accept), "confirm": latency(self.confirm)},
            "per_order": {
                "dynamodb_requests": self.per_order.dynamodb_requests,
                "write_units": self.per_order.write_units,
                "read_units": self.per_order.read_units,
                "eventbridge_entries": self.per_order.eventbridge_entries,
                "lambda_invocations": self.per_order.lambda_invocations,
            },
            "usd_per_million_orders": self.usd_per_million_orders,
            "faults": {},
            "invariants": self.invariants,
        })
    }

    /// The report for people.
    pub(super) fn to_text(&self, palette: Palette) -> String {
        let mut text = String::new();
        let mut line = |line: String| {
            text.push_str(line.trim_end());
            text.push('\n');
        };
        line(palette.bold(&format!(
            "{} orders, {} accepted, {:.1} per second",
            self.orders, self.accepted, self.orders_per_second
        )));
        let outcomes = self.outcomes.iter().filter(|(_, count)| **count > 0);
        line(format!("  outcomes      {}", listed(outcomes)));
        line(format!(
            "  confirmed     {}",
            listed(self.confirmed_amount.iter())
        ));
        let percentiles = |latency: Latency| {
            format!(
                "p50 {:.1}   p95 {:.1}   p99 {:.1} ms",
                latency.p50, latency.p95, latency.p99
            )
        };
        line(format!("  accept        {}", percentiles(self.accept)));
        line(format!(
            "  confirm       {}  (POST to PaymentProcessed in the store)",
            percentiles(self.confirm)
        ));
        line(String::new());
        line(palette.bold("Per accepted order"));
        let each = &self.per_order;
        line(format!(
            "  DynamoDB      {:.2} requests, {:.2} write units, {:.2} read units",
            each.dynamodb_requests, each.write_units, each.read_units
        ));
        line(format!(
            "  EventBridge   {:.2} entries",
            each.eventbridge_entries
        ));
        line(format!(
            "  Lambda        {:.2} invocations",
            each.lambda_invocations
        ));
        line(format!(
            "  cost          {:.2} USD per million orders ({}; Lambda time as measured here)",
            self.usd_per_million_orders, self.prices
        ));
        if !self.refused.is_empty() {
            line(String::new());
            line(palette.bold("Refused"));
            for refused in self.refused.iter().take(SAID) {
                line(format!("  {}", palette.warn(&printable(refused))));
            }
            if self.refused.len() > SAID {
                line(format!("  and {} more", self.refused.len() - SAID));
            }
        }
        line(String::new());
        line(palette.bold("Invariants"));
        if self.invariants.is_empty() {
            line("  not judged: something was still on its way".to_owned());
        }
        for verdict in &self.invariants {
            let said = verdict.to_string();
            line(format!(
                "  {}",
                if verdict.held {
                    palette.good(&said)
                } else {
                    palette.bad(&said)
                }
            ));
        }
        for (queue, messages) in &self.dead_letters {
            line(palette.bad(&format!("  {messages} dead letters in {queue}")));
        }
        text
    }
}

fn outcome(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::Placed | OrderStatus::Reserved => "pending",
        OrderStatus::Confirmed => "confirmed",
        OrderStatus::Rejected => "rejected",
        OrderStatus::Cancelled => "cancelled",
        OrderStatus::Expired => "expired",
    }
}

fn add_amount(amounts: &mut BTreeMap<String, Decimal>, row: &OrderSummary) {
    if row.status != OrderStatus::Confirmed {
        return;
    }
    let amount: Decimal = row.total_amount.to_string().parse().unwrap_or_default();
    let sum = amounts.entry(row.currency.code().to_owned()).or_default();
    *sum = sum.saturating_add(amount);
}

fn per_order(used: &Used, orders: f64) -> PerOrder {
    let (tables, bus) = (used.service("dynamodb"), used.service("events"));
    PerOrder {
        dynamodb_requests: rounded(real(tables.requests) / orders, 3),
        write_units: rounded(tables.write_units / orders, 3),
        read_units: rounded(tables.read_units / orders, 3),
        eventbridge_entries: rounded(real(bus.entries) / orders, 3),
        lambda_invocations: rounded(real(used.invocations) / orders, 3),
    }
}

/// Percentiles of microseconds, in milliseconds.
fn latency(micros: impl Iterator<Item = u64>) -> Latency {
    let Ok(mut histogram) = Histogram::<u64>::new_with_bounds(1, LONGEST_MICROS, 3) else {
        return Latency::default();
    };
    for value in micros {
        histogram.saturating_record(value);
    }
    let at = |percentile| rounded(real(histogram.value_at_percentile(percentile)) / 1000.0, 2);
    Latency {
        p50: at(50.0),
        p95: at(95.0),
        p99: at(99.0),
    }
}

fn rounded(value: f64, places: i32) -> f64 {
    let factor = 10_f64.powi(places);
    (value * factor).round() / factor
}

fn listed<'a, V: std::fmt::Display + 'a>(all: impl Iterator<Item = (&'a String, V)>) -> String {
    let mut text = String::new();
    for (name, value) in all {
        let separator = if text.is_empty() { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(text, "{separator}{name} {value}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn run() -> Run {
        let placed = |number, order: Option<&str>, status| Placed {
            number,
            order: order.map(str::to_owned),
            status,
            answer: String::new(),
            accept: Duration::from_millis(5),
            sent_millis: 1000,
        };
        Run {
            lines: 2,
            placed: vec![placed(1, Some("1"), 202), placed(2, None, 400)],
            sagas: Sagas {
                decided: BTreeMap::from([("1".to_owned(), 1100)]),
                rewrites: 0,
            },
            used: Used::default(),
            prices: Prices::list(),
            evidence: Evidence::default(),
            is_over: true,
            dead_letters: BTreeMap::new(),
        }
    }

    #[test]
    fn the_json_has_exactly_the_promised_keys() {
        let report = Report::of(run()).to_json();
        let mut keys: Vec<&str> = report
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let mut promised = [
            "orders",
            "accepted",
            "outcomes",
            "confirmed_amount",
            "orders_per_second",
            "latency_ms",
            "per_order",
            "usd_per_million_orders",
            "faults",
            "invariants",
        ];
        promised.sort_unstable();
        keys.sort_unstable();
        assert_eq!(keys, promised);
        assert_eq!(report["outcomes"]["refused_400"], 1);
        assert_eq!(report["outcomes"]["pending"], 1);
        assert_eq!(report["accepted"], 1);
        assert_eq!(report["faults"], json!({}));
    }

    #[test]
    fn percentiles_are_in_milliseconds() {
        let found = latency((1..=100).map(|milliseconds| milliseconds * 1000));
        assert!((found.p50 - 50.0).abs() < 0.1, "{found:?}");
        assert!((found.p99 - 99.0).abs() < 0.1, "{found:?}");
    }

    #[test]
    fn amounts_add_up_to_the_digit() {
        let mut amounts = BTreeMap::new();
        let row = |amount: &str| -> OrderSummary {
            serde_json::from_str(&format!(
                r#"{{"orderId":"1","userId":"u","status":"confirmed","version":3,
                "totalAmount":{amount},"currency":"USD","placedAt":"x","timeline":[]}}"#
            ))
            .unwrap()
        };
        add_amount(&mut amounts, &row("0.1"));
        add_amount(&mut amounts, &row("0.2"));
        assert_eq!(amounts["USD"].to_string(), "0.3");
    }
}
