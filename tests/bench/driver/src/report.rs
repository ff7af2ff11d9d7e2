//! What a run took, as one JSON object.

use std::collections::BTreeMap;

use aws_endpoint::MeterSnapshot;
use lambda_host::FunctionStats;
use local::commands::load::accounting::Prices;
use local::commands::used::Used;
use serde_json::{Value, json};

use crate::clients::Placed;
use crate::processor::Taken;
use crate::system::System;

/// Orders, and when they were placed and confirmed.
#[derive(Debug)]
pub struct Placing {
    /// What clients saw.
    pub placed: Vec<Placed>,
    /// When each was confirmed, in milliseconds since 1970.
    pub confirmed: BTreeMap<String, i64>,
    /// When the system had come to rest.
    pub rest_millis: u64,
}

/// Everything that is told.
#[derive(Debug)]
pub struct Run {
    pub system: System,
    pub clients: usize,
    pub placing: Placing,
    pub used: Used,
    pub functions: BTreeMap<String, Value>,
    pub meter: MeterSnapshot,
    pub processor: Taken,
    pub steps: Option<Value>,
}

impl Run {
    /// The one JSON object.
    pub fn to_json(&self) -> Value {
        let placing = &self.placing;
        let orders: Vec<Value> = placing
            .placed
            .iter()
            .map(|one| {
                let confirmed = placing.confirmed.get(&one.order);
                json!([one.order, one.sent, one.answered, confirmed])
            })
            .collect();
        json!({
            "system": format!("{:?}", self.system).to_lowercase(),
            "clients": self.clients,
            "orders": orders,
            "rest_millis": placing.rest_millis,
            "used": self.used,
            "usd": usd(&self.used),
            "functions": self.functions,
            "calls": self.meter,
            "processor": self.processor.to_json(),
            "steps": self.steps,
        })
    }
}

/// What was used, by list price and by what is charged for.
fn usd(used: &Used) -> BTreeMap<&'static str, f64> {
    let prices = Prices::list();
    let nothing = Used::default();
    let parts = [
        (
            "tables",
            Used {
                dynamodb: used.dynamodb,
                ..nothing
            },
        ),
        (
            "bus",
            Used {
                events: used.events,
                ..nothing
            },
        ),
        (
            "invocations",
            Used {
                invocations: used.invocations,
                ..nothing
            },
        ),
        (
            "function time",
            Used {
                gb_seconds: used.gb_seconds,
                ..nothing
            },
        ),
        (
            "HTTP API",
            Used {
                api_requests: used.api_requests,
                ..nothing
            },
        ),
        (
            "logs",
            Used {
                log_bytes: used.log_bytes,
                ..nothing
            },
        ),
        (
            "queues",
            Used {
                sqs: used.sqs,
                ..nothing
            },
        ),
        (
            "keys",
            Used {
                kms: used.kms,
                ..nothing
            },
        ),
        (
            "analytics and archive",
            Used {
                kinesis: used.kinesis,
                firehose: used.firehose,
                ..nothing
            },
        ),
    ];
    let mut costs: BTreeMap<_, _> = parts
        .into_iter()
        .map(|(name, part)| (name, prices.cost(&part)))
        .collect();
    costs.insert("all", prices.cost(used));
    costs
}

/// What each function did in between.
pub fn functions(
    before: &BTreeMap<String, FunctionStats>,
    after: &BTreeMap<String, FunctionStats>,
) -> BTreeMap<String, Value> {
    let told = after.iter().map(|(name, after)| {
        let before = before.get(name).copied().unwrap_or_default();
        let told = json!({
            "invocations": after.invocations - before.invocations,
            "errors": after.errors - before.errors,
            "cold_starts": after.cold_starts - before.cold_starts,
            "billed_ms": after.billed_ms - before.billed_ms,
        });
        (name.clone(), told)
    });
    told.collect()
}
