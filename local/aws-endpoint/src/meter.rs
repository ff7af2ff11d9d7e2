//! What every call consumed, by caller, service, operation and resource.

use std::collections::BTreeMap;
use std::ops::{AddAssign, Sub};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::ApiError;

/// What is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// Requests, refused ones included.
    pub requests: u64,
    /// Requests answered with an error, or not at all.
    pub errors: u64,
    /// Of the errors, those that said "slow down".
    pub throttles: u64,
    /// DynamoDB read request units (0.5 per 4 KB read with eventual consistency).
    pub read_units: f64,
    /// DynamoDB write request units (1 per KB, 2 in a transaction).
    pub write_units: f64,
    /// Entries of `PutEvents`, messages of SQS and SNS, records of Kinesis and Firehose.
    pub entries: u64,
    /// Started 64 KB of those (25 KB in Kinesis, 5 KB in Firehose): what is charged for.
    pub chunks: u64,
}

impl AddAssign for Counters {
    fn add_assign(&mut self, more: Self) {
        self.requests += more.requests;
        self.errors += more.errors;
        self.throttles += more.throttles;
        self.read_units += more.read_units;
        self.write_units += more.write_units;
        self.entries += more.entries;
        self.chunks += more.chunks;
    }
}

impl Sub for Counters {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(earlier.requests),
            errors: self.errors.saturating_sub(earlier.errors),
            throttles: self.throttles.saturating_sub(earlier.throttles),
            read_units: self.read_units - earlier.read_units,
            write_units: self.write_units - earlier.write_units,
            entries: self.entries.saturating_sub(earlier.entries),
            chunks: self.chunks.saturating_sub(earlier.chunks),
        }
    }
}

/// Who called what; with a resource, on which table, queue or bus.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallKey {
    /// Access key id the request was signed with, `anonymous` for none.
    pub caller: String,
    /// `dynamodb`, `dynamodbstreams`, `events`, `firehose`, `kinesis`, `kms`, `lambda`, `logs`, `s3`,
    /// `ses`, `sns`, `sqs`, `ssm` or `sts`.
    pub service: String,
    /// E.g. `PutItem`.
    pub operation: String,
    /// Table, queue or bus; none in the count over all resources.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
}

/// The meter's state at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MeterSnapshot {
    calls: BTreeMap<CallKey, Counters>,
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    key: &'a CallKey,
    #[serde(flatten)]
    counters: &'a Counters,
}

impl Serialize for MeterSnapshot {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(
            self.calls
                .iter()
                .map(|(key, counters)| Line { key, counters }),
        )
    }
}

impl MeterSnapshot {
    /// Each (caller, service, operation) once, over all resources.
    pub fn calls(&self) -> impl Iterator<Item = (&CallKey, &Counters)> {
        self.calls.iter().filter(|(key, _)| key.resource.is_none())
    }

    /// Each (caller, service, operation, resource) once. A request that
    /// touches two tables counts as a request of both.
    pub fn by_resource(&self) -> impl Iterator<Item = (&CallKey, &Counters)> {
        self.calls.iter().filter(|(key, _)| key.resource.is_some())
    }

    /// Sum over the calls (not by resource) that the filter lets through.
    pub fn total(&self, filter: impl Fn(&CallKey) -> bool) -> Counters {
        sum(self.calls().filter(|(key, _)| filter(key)))
    }

    /// Sum over the calls by resource that the filter lets through.
    pub fn resource_total(&self, filter: impl Fn(&CallKey) -> bool) -> Counters {
        sum(self.by_resource().filter(|(key, _)| filter(key)))
    }
}

fn sum<'a>(counts: impl Iterator<Item = (&'a CallKey, &'a Counters)>) -> Counters {
    let mut total = Counters::default();
    for (_, counters) in counts {
        total += *counters;
    }
    total
}

impl Sub<&MeterSnapshot> for &MeterSnapshot {
    type Output = MeterSnapshot;

    /// What was counted since an earlier snapshot.
    fn sub(self, earlier: &MeterSnapshot) -> MeterSnapshot {
        let calls = self
            .calls
            .iter()
            .map(|(key, now)| {
                let before = earlier.calls.get(key).copied().unwrap_or_default();
                (key.clone(), *now - before)
            })
            .filter(|(_, counters)| *counters != Counters::default())
            .collect();
        MeterSnapshot { calls }
    }
}

/// What one call used, filled in by the service that serves it.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    resources: BTreeMap<String, Counters>,
}

impl Usage {
    pub(crate) fn resource(&mut self, name: &str) -> &mut Counters {
        self.resources.entry(name.to_owned()).or_default()
    }

    /// Counts messages or entries of some bytes each.
    pub(crate) fn add_entry(&mut self, resource: &str, bytes: usize) {
        self.add_chunked(resource, bytes, 64 * 1024);
    }

    /// Counts an entry that is charged for by started chunks of a size.
    pub(crate) fn add_chunked(&mut self, resource: &str, bytes: usize, chunk: usize) {
        let counters = self.resource(resource);
        counters.entries += 1;
        counters.chunks += u64::try_from(bytes.div_ceil(chunk).max(1)).unwrap_or(1);
    }
}

/// Outcome of a call, as far as the meter cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Answered,
    Failed,
    Throttled,
}

impl Outcome {
    pub(crate) fn of<T>(answer: &Result<T, ApiError>) -> Self {
        match answer {
            Ok(_) => Self::Answered,
            Err(error) if error.is_throttle() => Self::Throttled,
            Err(_) => Self::Failed,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Meter {
    counts: Mutex<MeterSnapshot>,
}

impl Meter {
    pub(crate) fn record(
        &self,
        caller: &str,
        service: &str,
        operation: &str,
        usage: &Usage,
        outcome: Outcome,
    ) {
        let of_request = Counters {
            requests: 1,
            errors: u64::from(outcome != Outcome::Answered),
            throttles: u64::from(outcome == Outcome::Throttled),
            ..Counters::default()
        };
        let key = |resource: Option<&String>| CallKey {
            caller: caller.to_owned(),
            service: service.to_owned(),
            operation: operation.to_owned(),
            resource: resource.cloned(),
        };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut total = of_request;
        for (resource, used) in &usage.resources {
            total += *used;
            let counters = counts.calls.entry(key(Some(resource))).or_default();
            *counters += of_request;
            *counters += *used;
        }
        *counts.calls.entry(key(None)).or_default() += total;
    }

    pub(crate) fn snapshot(&self) -> MeterSnapshot {
        self.counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn reset(&self) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner) = MeterSnapshot::default();
    }
}
