//! What a run used of AWS, and what that costs by list price.

use aws_endpoint::{Counters, MeterSnapshot};
use serde::Deserialize;

use crate::stack::Stack;

/// Orders that prices are said for.
const MILLION: f64 = 1_000_000.0;

/// What was used so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Used {
    meter: MeterSnapshot,
    /// Invocations of functions.
    pub invocations: u64,
    /// Billed GB-seconds, as measured on this machine.
    pub gb_seconds: f64,
    /// Invocations by the HTTP API: its requests.
    api_requests: u64,
}

impl Used {
    /// The counters now.
    pub(super) fn of(stack: &Stack) -> Self {
        let stats = stack.host().stats();
        let behind_api = |name: &str| {
            let template = stack.template();
            let function = template.functions.iter().find(|one| one.name == name);
            function.is_some_and(|function| {
                template
                    .routes
                    .iter()
                    .any(|route| route.function == function.logical_id)
            })
        };
        Self {
            meter: stack.endpoint().meter(),
            invocations: stats.values().map(|one| one.invocations).sum(),
            gb_seconds: stats.values().map(|one| one.gb_seconds).sum(),
            api_requests: stats
                .iter()
                .filter(|(name, _)| behind_api(name))
                .map(|(_, one)| one.invocations)
                .sum(),
        }
    }

    /// What was used since then.
    pub(super) fn since(&self, before: &Self) -> Self {
        Self {
            meter: &self.meter - &before.meter,
            invocations: self.invocations.saturating_sub(before.invocations),
            gb_seconds: self.gb_seconds - before.gb_seconds,
            api_requests: self.api_requests.saturating_sub(before.api_requests),
        }
    }

    /// Totals of one service.
    pub(super) fn service(&self, service: &str) -> Counters {
        self.meter.total(|call| call.service == service)
    }

    /// What this costs, in the currency of the prices.
    pub(super) fn cost(&self, prices: &Prices) -> f64 {
        let (tables, bus) = (self.service("dynamodb"), self.service("events"));
        let queues = self.service("sqs");
        let millions = |count: u64| real(count) / MILLION;
        tables.write_units / MILLION * prices.dynamodb.write_units_per_million
            + tables.read_units / MILLION * prices.dynamodb.read_units_per_million
            + millions(bus.chunks) * prices.eventbridge.custom_event_chunks_per_million
            + millions(self.invocations) * prices.lambda.requests_per_million
            + self.gb_seconds * prices.lambda.gb_second
            + millions(self.api_requests) * prices.http_api.requests_per_million
            + millions(queues.requests) * prices.sqs.requests_per_million
    }
}

/// The part of `prices.json` that is reckoned with.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub(super) struct Prices {
    pub region: String,
    pub as_of: String,
    dynamodb: DynamoDbPrices,
    eventbridge: EventBridgePrices,
    lambda: LambdaPrices,
    http_api: RequestPrices,
    sqs: RequestPrices,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
struct DynamoDbPrices {
    write_units_per_million: f64,
    read_units_per_million: f64,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
struct EventBridgePrices {
    custom_event_chunks_per_million: f64,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
struct LambdaPrices {
    requests_per_million: f64,
    gb_second: f64,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
struct RequestPrices {
    requests_per_million: f64,
}

impl Prices {
    /// The list prices of `prices.json`. (It is part of the program, and a test reads it.)
    pub(super) fn list() -> Self {
        serde_json::from_str(include_str!("../../../prices.json")).unwrap_or_default()
    }
}

/// A count as a number to reckon with; counts here are far below 2^52.
#[allow(clippy::cast_precision_loss)]
pub(super) fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_price_file_is_read() {
        let prices = Prices::list();
        assert_eq!(prices.region, "us-east-1");
        assert!(prices.dynamodb.write_units_per_million > 0.0);
        assert!(prices.lambda.gb_second > 0.0);
    }

    #[test]
    fn a_million_invocations_cost_their_list_price() {
        let used = Used {
            invocations: 1_000_000,
            ..Used::default()
        };
        let cost = used.cost(&Prices::list());
        assert!((cost - 0.2).abs() < 1e-9, "{cost}");
    }
}
