//! Records that go to the function together.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::source::Record;

/// Bytes of `{"Records":[]}`.
pub(crate) const ENVELOPE_BYTES: usize = 14;

/// A record, serialised once.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    pub sequence: u64,
    pub identifier: String,
    pub created: SystemTime,
    json: String,
}

impl Prepared {
    pub(crate) fn new(record: &Record) -> Self {
        Self {
            sequence: record.sequence,
            identifier: record.identifier(),
            created: record.created,
            json: record.json.to_string(),
        }
    }

    /// What it takes of a batch's payload, its comma included.
    pub(crate) fn bytes(&self) -> usize {
        self.json.len() + 1
    }
}

/// A batch, or what is left of one.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub records: Vec<Prepared>,
    /// Failed attempts that count towards the retry quota.
    pub failures: u32,
    /// How often the function ran with these records.
    pub invocations: u32,
    pub last_request_id: Option<String>,
    /// Whether the last attempt was an error of the function, not a report in its answer.
    pub last_was_error: bool,
}

impl Batch {
    pub(crate) fn new(records: Vec<Prepared>) -> Self {
        Self {
            records,
            ..Self::default()
        }
    }

    pub(crate) fn payload(&self) -> Bytes {
        Bytes::from(format!("{{\"Records\":[{}]}}", self.records_json()))
    }

    /// The records, with commas between them.
    pub(crate) fn records_json(&self) -> String {
        let records = self.records.iter().map(|record| record.json.as_str());
        records.collect::<Vec<&str>>().join(",")
    }

    pub(crate) fn first(&self) -> String {
        self.records
            .first()
            .map(|record| record.identifier.clone())
            .unwrap_or_default()
    }

    pub(crate) fn last(&self) -> String {
        self.records
            .last()
            .map(|record| record.identifier.clone())
            .unwrap_or_default()
    }

    pub(crate) fn last_sequence(&self) -> u64 {
        self.records.last().map_or(0, |record| record.sequence)
    }

    /// Takes the first `count` records out, with the same history.
    pub(crate) fn split_off_front(&mut self, count: usize) -> Self {
        let rest = self.records.split_off(count);
        Self {
            records: std::mem::replace(&mut self.records, rest),
            failures: self.failures,
            invocations: self.invocations,
            last_request_id: self.last_request_id.clone(),
            last_was_error: self.last_was_error,
        }
    }

    /// Takes out the records, from the first on, that are older than `age`.
    pub(crate) fn split_off_older_than(&mut self, age: Duration, now: SystemTime) -> Self {
        let too_old = self
            .records
            .iter()
            .take_while(|record| now.duration_since(record.created).unwrap_or_default() > age)
            .count();
        self.split_off_front(too_old)
    }

    /// Index of the first record that is named; none when a name belongs to no record.
    pub(crate) fn lowest(&self, identifiers: &[String]) -> Option<usize> {
        let positions: Option<Vec<usize>> = identifiers
            .iter()
            .map(|identifier| {
                self.records
                    .iter()
                    .position(|record| record.identifier == *identifier)
            })
            .collect();
        positions?.into_iter().min()
    }
}
