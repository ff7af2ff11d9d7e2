//! What a run used of AWS. Functions that a schedule calls, or that read a stream in tumbling windows,
//! are left out: what they take goes by the minute and not by the order.

use std::collections::BTreeSet;
use std::ops::{AddAssign, Sub};

use aws_endpoint::Counters;
use serde::{Deserialize, Serialize};

use crate::programs;
use crate::stack::Stack;
use crate::store_view::Tables;

/// The program that takes stock.
const INVENTORY: &str = "update-inventory";

/// The table of customers' keys.
const SUBJECT_KEYS: &str = "SubjectKeys";

/// What was used so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Used {
    /// Calls to the tables.
    pub dynamodb: Counters,
    /// Calls to the buses.
    pub events: Counters,
    /// Calls to the queues.
    pub sqs: Counters,
    /// Records that were put into streams, with their units of 25 KB.
    #[serde(default)]
    pub kinesis: Counters,
    /// Records that were given to delivery streams, with their units of 5 KB.
    #[serde(default)]
    pub firehose: Counters,
    /// Bytes of functions' log lines.
    #[serde(default)]
    pub log_bytes: u64,
    /// Calls to the key service.
    pub kms: Counters,
    /// Those calls to the tables that were for customers' keys.
    pub keys: Counters,
    /// Transactions that moved an order's stock, or tried to.
    pub stock_transactions: u64,
    /// Invocations of functions.
    pub invocations: u64,
    /// Billed GB-seconds, as measured on this machine.
    pub gb_seconds: f64,
    /// Invocations by the HTTP API: its requests.
    pub api_requests: u64,
}

impl Used {
    /// The counters now.
    #[must_use]
    pub fn of(stack: &Stack) -> Self {
        let by_time = by_time(stack.template());
        let mut stats = stack.host().stats();
        stats.retain(|name, _| !by_time.contains(name));
        let callers: BTreeSet<String> = by_time.iter().map(|one| programs::caller(one)).collect();
        let meter = stack.endpoint().meter();
        let service = |service: &str| {
            meter.total(|call| call.service == service && !callers.contains(&call.caller))
        };
        let tables = Tables::of(stack.template());
        let inventory = stack.function_name(INVENTORY).ok();
        let caller = inventory.map(|name| programs::caller(&name));
        let moves = meter.resource_total(|call| {
            Some(&call.caller) == caller.as_ref()
                && call.operation == "TransactWriteItems"
                && call.resource.as_ref() == Some(&tables.stock)
        });
        let keys = subject_keys(stack.template()).map_or_else(Counters::default, |table| {
            meter.resource_total(|call| {
                call.service == "dynamodb"
                    && call.resource.as_ref() == Some(&table)
                    && !callers.contains(&call.caller)
            })
        });
        Self {
            kms: service("kms"),
            keys,
            dynamodb: service("dynamodb"),
            events: service("events"),
            sqs: service("sqs"),
            kinesis: service("kinesis"),
            firehose: service("firehose"),
            log_bytes: logged(stack, &by_time),
            stock_transactions: moves.requests,
            invocations: stats.values().map(|one| one.invocations).sum(),
            gb_seconds: stats.values().map(|one| one.gb_seconds).sum(),
            api_requests: stats
                .iter()
                .filter(|(name, _)| is_behind_api(stack, name))
                .map(|(_, one)| one.invocations)
                .sum(),
        }
    }
}

/// What functions logged, but for those that go by the time.
fn logged(stack: &Stack, by_time: &BTreeSet<String>) -> u64 {
    let logged = stack.logged().into_iter();
    let by_order = logged.filter(|(name, _)| !by_time.contains(name));
    by_order.map(|(_, bytes)| bytes).sum()
}

/// Name of the table of customers' keys.
fn subject_keys(template: &sam_template::Stack) -> Option<String> {
    let mut tables = template.tables.iter();
    let table = tables.find(|table| table.logical_id == SUBJECT_KEYS)?;
    Some(table.name.clone())
}

/// Names of the functions that the clock calls: by a schedule, or with a window of a stream.
fn by_time(template: &sam_template::Stack) -> BTreeSet<String> {
    let targets = template.schedules.iter().flat_map(|one| &one.targets);
    let scheduled = targets.filter_map(|target| match &target.target {
        sam_template::Target::Function { logical_id } => Some(logical_id),
        _ => None,
    });
    let mappings = template.mappings.iter();
    let windowed = mappings.filter(|mapping| mapping.tumbling_window.is_some());
    let windowed = windowed.map(|mapping| &mapping.function);
    scheduled
        .chain(windowed)
        .filter_map(|logical_id| Some(template.function(logical_id)?.name.clone()))
        .collect()
}

fn is_behind_api(stack: &Stack, name: &str) -> bool {
    let template = stack.template();
    let function = template.functions.iter().find(|one| one.name == name);
    function.is_some_and(|function| {
        let mut routes = template.routes.iter();
        routes.any(|route| route.function == function.logical_id)
    })
}

impl Sub for Used {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            dynamodb: self.dynamodb - before.dynamodb,
            events: self.events - before.events,
            sqs: self.sqs - before.sqs,
            kinesis: self.kinesis - before.kinesis,
            firehose: self.firehose - before.firehose,
            log_bytes: self.log_bytes.saturating_sub(before.log_bytes),
            kms: self.kms - before.kms,
            keys: self.keys - before.keys,
            stock_transactions: self
                .stock_transactions
                .saturating_sub(before.stock_transactions),
            invocations: self.invocations.saturating_sub(before.invocations),
            gb_seconds: self.gb_seconds - before.gb_seconds,
            api_requests: self.api_requests.saturating_sub(before.api_requests),
        }
    }
}

impl AddAssign for Used {
    fn add_assign(&mut self, more: Self) {
        self.dynamodb += more.dynamodb;
        self.events += more.events;
        self.sqs += more.sqs;
        self.kinesis += more.kinesis;
        self.firehose += more.firehose;
        self.log_bytes += more.log_bytes;
        self.kms += more.kms;
        self.keys += more.keys;
        self.stock_transactions += more.stock_transactions;
        self.invocations += more.invocations;
        self.gb_seconds += more.gb_seconds;
        self.api_requests += more.api_requests;
    }
}
