//! What a run costs by list price.

use serde::Deserialize;

use crate::commands::used::Used;

/// Orders that prices are said for.
const MILLION: f64 = 1_000_000.0;
/// Bytes of what is charged by the GB.
const GB: f64 = 1024.0 * 1024.0 * 1024.0;

/// The part of `prices.json` that is reckoned with.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Prices {
    /// Of which region.
    pub region: String,
    /// The month of the prices.
    pub as_of: String,
    dynamodb: DynamoDbPrices,
    eventbridge: EventBridgePrices,
    lambda: LambdaPrices,
    http_api: RequestPrices,
    kinesis: KinesisPrices,
    firehose: FirehosePrices,
    logs: LogPrices,
    kms: RequestPrices,
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
struct KinesisPrices {
    put_units_per_million: f64,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
struct FirehosePrices {
    unit_bytes: f64,
    ingested_gb: f64,
    partitioned_gb: f64,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
struct LogPrices {
    ingested_gb: f64,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
struct RequestPrices {
    requests_per_million: f64,
}

impl Prices {
    /// What this costs, in the currency of the prices.
    #[must_use]
    pub fn cost(&self, used: &Used) -> f64 {
        let millions = |count: u64| real(count) / MILLION;
        used.dynamodb.write_units / MILLION * self.dynamodb.write_units_per_million
            + used.dynamodb.read_units / MILLION * self.dynamodb.read_units_per_million
            + millions(used.events.chunks) * self.eventbridge.custom_event_chunks_per_million
            + millions(used.invocations) * self.lambda.requests_per_million
            + used.gb_seconds * self.lambda.gb_second
            + millions(used.api_requests) * self.http_api.requests_per_million
            + millions(used.sqs.requests) * self.sqs.requests_per_million
            + millions(used.kms.requests) * self.kms.requests_per_million
            + self.cost_of_analytics(used)
            + real(used.log_bytes) / GB * self.logs.ingested_gb
    }

    /// The part of [`cost`](Self::cost) that is for the analytics stream and the archive.
    #[must_use]
    pub fn cost_of_analytics(&self, used: &Used) -> f64 {
        let archived = real(used.firehose.chunks) * self.firehose.unit_bytes / GB;
        real(used.kinesis.chunks) / MILLION * self.kinesis.put_units_per_million
            + archived * (self.firehose.ingested_gb + self.firehose.partitioned_gb)
    }

    /// The part of [`cost`](Self::cost) that is for personal data: customers' keys.
    #[must_use]
    pub fn cost_of_personal_data(&self, used: &Used) -> f64 {
        used.keys.write_units / MILLION * self.dynamodb.write_units_per_million
            + used.keys.read_units / MILLION * self.dynamodb.read_units_per_million
            + real(used.kms.requests) / MILLION * self.kms.requests_per_million
    }

    /// The list prices of `prices.json`. (It is part of the program, and a test reads it.)
    #[must_use]
    pub fn list() -> Self {
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
    fn customers_keys_cost_their_units_and_their_calls_of_the_key_service() {
        let counters = |requests: u64, units: f64| aws_endpoint::Counters {
            requests,
            read_units: units,
            write_units: units,
            ..aws_endpoint::Counters::default()
        };
        let used = Used {
            kms: counters(1_000_000, 0.0),
            keys: counters(1_000_000, 1_000_000.0),
            dynamodb: counters(1_000_000, 1_000_000.0),
            ..Used::default()
        };
        let prices = Prices::list();
        let cost = prices.cost_of_personal_data(&used);
        assert!((cost - 3.75).abs() < 1e-9, "{cost}");
        let all = prices.cost(&used);
        assert!((all - 3.75).abs() < 1e-9, "{all}");
    }

    #[test]
    fn an_event_is_charged_in_the_stream_in_the_archive_and_in_logs() {
        let units = |chunks: u64| aws_endpoint::Counters {
            chunks,
            ..aws_endpoint::Counters::default()
        };
        let used = Used {
            kinesis: units(1_000_000),
            firehose: units(1_000_000),
            log_bytes: 1 << 30,
            ..Used::default()
        };
        let prices = Prices::list();
        // 0.014, 4.77 GB at 0.029 and 0.02, and 0.5.
        let analytics = prices.cost_of_analytics(&used);
        assert!((analytics - 0.2477).abs() < 1e-4, "{analytics}");
        let all = prices.cost(&used);
        assert!((all - analytics - 0.5).abs() < 1e-9, "{all}");
    }

    #[test]
    fn a_million_invocations_cost_their_list_price() {
        let used = Used {
            invocations: 1_000_000,
            ..Used::default()
        };
        let cost = Prices::list().cost(&used);
        assert!((cost - 0.2).abs() < 1e-9, "{cost}");
    }
}
