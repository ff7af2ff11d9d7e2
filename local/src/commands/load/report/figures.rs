//! What is reckoned: percentiles, averages, attempts.

use domain::inventory::StockReason;
use domain::order::OrderEvent;
use hdrhistogram::Histogram;
use invariants::{StoreView, decoded};
use serde::Serialize;

use super::real;
use crate::commands::used::Used;

/// Longest latency that is told apart from longer ones: an hour, in microseconds.
const LONGEST_MICROS: u64 = 3_600_000_000;

/// Percentiles of a latency, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(super) struct Latency {
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
}

/// Percentiles of microseconds, in milliseconds.
pub(super) fn latency(micros: impl Iterator<Item = u64>) -> Latency {
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

/// Averages over the accepted orders.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(super) struct PerOrder {
    pub dynamodb_requests: f64,
    pub write_units: f64,
    pub read_units: f64,
    pub eventbridge_entries: f64,
    pub lambda_invocations: f64,
    pub sqs_requests: f64,
    pub kinesis_units: f64,
    pub firehose_units: f64,
    pub log_bytes: f64,
}

impl PerOrder {
    pub(super) fn of(used: &Used, orders: f64) -> Self {
        let (tables, bus) = (used.dynamodb, used.events);
        Self {
            dynamodb_requests: rounded(real(tables.requests) / orders, 3),
            write_units: rounded(tables.write_units / orders, 3),
            read_units: rounded(tables.read_units / orders, 3),
            eventbridge_entries: rounded(real(bus.entries) / orders, 3),
            lambda_invocations: rounded(real(used.invocations) / orders, 3),
            sqs_requests: rounded(real(used.sqs.requests) / orders, 3),
            kinesis_units: rounded(real(used.kinesis.chunks) / orders, 3),
            firehose_units: rounded(real(used.firehose.chunks) / orders, 3),
            log_bytes: rounded(real(used.log_bytes) / orders, 0),
        }
    }
}

/// What sealing personal data took, of an accepted order on average; part of the whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(super) struct PersonalData {
    pub kms_requests: f64,
    pub write_units: f64,
    pub read_units: f64,
    pub usd_per_million_orders: f64,
}

impl PersonalData {
    pub(super) fn of(used: &Used, cost: f64, orders: f64) -> Self {
        Self {
            kms_requests: rounded(real(used.kms.requests) / orders, 3),
            write_units: rounded(used.keys.write_units / orders, 3),
            read_units: rounded(used.keys.read_units / orders, 3),
            usd_per_million_orders: rounded(cost * 1_000_000.0 / orders, 2),
        }
    }
}

/// What taking and giving back stock took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(super) struct Reservations {
    /// Orders whose stock was reserved.
    pub reserved: u64,
    /// Orders that found too little.
    pub rejected: u64,
    /// Orders whose stock was given back.
    pub released: u64,
    /// Transactions that were sent for all of these, those that met another one included.
    pub transactions: u64,
    /// Transactions for each order that got its stock.
    pub attempts_per_reservation: f64,
    /// Transactions for each order that got its stock, found too little, or gave back.
    pub attempts_per_decision: f64,
}

impl Reservations {
    pub(super) fn of(stored: &StoreView, transactions: u64) -> Self {
        let mut found = Self {
            transactions,
            ..Self::default()
        };
        for (_, events) in stored.orders() {
            for (event, _) in decoded(events).unwrap_or_default() {
                match event {
                    OrderEvent::InventoryUpdated(update) => match update.reason {
                        StockReason::Reserved => found.reserved += 1,
                        StockReason::Released => found.released += 1,
                        StockReason::Restocked => {}
                    },
                    OrderEvent::InventoryRejected(_) => found.rejected += 1,
                    _ => {}
                }
            }
        }
        let decided = found.reserved + found.rejected + found.released;
        let per = |count: u64| rounded(real(transactions) / real(count.max(1)), 3);
        found.attempts_per_reservation = per(found.reserved);
        found.attempts_per_decision = per(decided);
        found
    }
}

pub(super) fn rounded(value: f64, places: i32) -> f64 {
    let factor = 10_f64.powi(places);
    (value * factor).round() / factor
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_in_milliseconds() {
        let found = latency((1..=100).map(|milliseconds| milliseconds * 1000));
        assert!((found.p50 - 50.0).abs() < 0.1, "{found:?}");
        assert!((found.p99 - 99.0).abs() < 0.1, "{found:?}");
    }
}
