//! What a delivery stream gathers until it is an object.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde_json::json;
use tokio::time::Instant;

use super::DeliveryStreamOptions;

/// Where a record goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// With others of these partition keys.
    Keys(Vec<String>),
    /// With others that have none.
    Failed,
}

/// A record that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Taken {
    /// Its number in the delivery stream.
    pub(super) id: u64,
    pub(super) at_millis: u64,
    pub(super) data: Bytes,
}

/// Records of one part.
#[derive(Debug)]
pub(super) struct Buffer {
    pub(super) part: Part,
    pub(super) records: Vec<Taken>,
    /// As they go into the object.
    pub(super) content: Vec<u8>,
    due: Instant,
}

impl Buffer {
    pub(super) fn oldest_millis(&self) -> u64 {
        self.records.first().map_or(0, |record| record.at_millis)
    }
}

/// The buffers of a delivery stream.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    by_part: BTreeMap<Part, Buffer>,
}

impl Buffers {
    pub(super) fn add(&mut self, options: &DeliveryStreamOptions, record: Taken, now: Instant) {
        let (part, content) = match options.keys.partition(&record.data) {
            Ok(keys) => {
                let mut content = record.data.to_vec();
                if options.delimits {
                    content.push(b'\n');
                }
                (Part::Keys(keys), content)
            }
            Err(problem) => (Part::Failed, failed(&record, &problem)),
        };
        let buffer = self.by_part.entry(part.clone()).or_insert_with(|| Buffer {
            part,
            records: Vec::new(),
            content: Vec::new(),
            due: now + options.interval,
        });
        buffer.content.extend(content);
        buffer.records.push(record);
    }

    /// Puts back what could not be written, to be tried again after a while.
    pub(super) fn put_back(&mut self, mut buffer: Buffer, again: Duration, now: Instant) {
        if let Some(newer) = self.by_part.remove(&buffer.part) {
            buffer.content.extend(newer.content);
            buffer.records.extend(newer.records);
        }
        buffer.due = now + again;
        self.by_part.insert(buffer.part.clone(), buffer);
    }

    /// When the first object is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.by_part.values().map(|buffer| buffer.due).min()
    }

    /// Takes out what is due: by its time, or by its size.
    pub(super) fn take_due(&mut self, size: usize, now: Instant) -> Vec<Buffer> {
        let due = |buffer: &Buffer| buffer.due <= now || buffer.content.len() >= size;
        let parts: Vec<Part> = (self.by_part.values())
            .filter(|buffer| due(buffer))
            .map(|buffer| buffer.part.clone())
            .collect();
        parts
            .iter()
            .filter_map(|part| self.by_part.remove(part))
            .collect()
    }

    pub(super) fn take_all(&mut self) -> Vec<Buffer> {
        std::mem::take(&mut self.by_part).into_values().collect()
    }

    pub(super) fn records(&self) -> usize {
        self.by_part
            .values()
            .map(|buffer| buffer.records.len())
            .sum()
    }
}

/// A record without partition keys, as a line of the object with those that failed.
/// <https://docs.aws.amazon.com/firehose/latest/dev/retry.html>
fn failed(record: &Taken, problem: &str) -> Vec<u8> {
    let line = json!({
        "attemptsMade": 1,
        "arrivalTimestamp": record.at_millis,
        "errorCode": "DynamicPartitioning.MetadataExtractionFailed",
        "errorMessage": problem,
        "attemptEndingTimestamp": record.at_millis,
        "rawData": BASE64.encode(&record.data),
    });
    format!("{line}\n").into_bytes()
}
