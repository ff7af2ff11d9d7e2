//! Windows as a table for spreadsheets (RFC 4180). All values are numbers, times and names of
//! currencies: nothing has to be quoted.

use crate::reading::Told;
use crate::span::Step;
use std::collections::BTreeMap;

/// A line per window; a column of revenue and one of refunds per currency.
#[must_use]
pub fn csv(windows: &[Told], step: Step) -> String {
    let currencies: BTreeMap<_, _> = windows
        .iter()
        .flat_map(|told| {
            let orders = &told.totals.orders;
            orders.revenue.iter().chain(orders.refunds.iter())
        })
        .map(|(currency, _)| (currency.to_string(), currency))
        .collect();
    let mut header: Vec<String> = [
        "start",
        "end",
        "final",
        "revision",
        "placed",
        "confirmed",
        "rejected",
        "failed",
        "cancelled",
        "refunded",
        "p50Ms",
        "p95Ms",
        "distinctCustomers",
        "failureRatio",
        "onTime",
        "late",
        "duplicate",
        "tooLate",
        "tooEarly",
        "malformed",
    ]
    .map(str::to_owned)
    .to_vec();
    for currency in currencies.keys() {
        header.push(format!("revenue{currency}"));
        header.push(format!("refunds{currency}"));
    }
    let mut lines = vec![header.join(",")];
    for told in windows {
        let (orders, counts) = (&told.totals.orders, &told.totals.counts);
        let text = |value: Option<String>| value.unwrap_or_default();
        let mut line = vec![
            told.start.to_string(),
            step.end(told.start).to_string(),
            told.is_final.to_string(),
            told.revision.to_string(),
        ];
        line.extend(
            [
                orders.placed,
                orders.confirmed,
                orders.rejected,
                orders.failed,
                orders.cancelled,
                orders.refunded,
            ]
            .map(|count| count.to_string()),
        );
        line.extend(
            [50, 95]
                .map(|percent| text(orders.latency.percentile(percent).map(|ms| ms.to_string()))),
        );
        line.push(orders.customers.estimate().to_string());
        line.push(text(orders.failure_ratio().map(|ratio| ratio.to_string())));
        line.extend(
            [
                counts.on_time,
                counts.late,
                counts.duplicate,
                counts.too_late,
                counts.too_early,
                counts.malformed,
            ]
            .map(|count| count.to_string()),
        );
        for currency in currencies.values() {
            line.push(orders.revenue.of(*currency).to_string());
            line.push(orders.refunds.of(*currency).to_string());
        }
        lines.push(line.join(","));
    }
    lines.push(String::new());
    lines.join("\r\n")
}
