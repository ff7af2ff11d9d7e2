//! One data stream: its shards, its records in order, and how far its consumers have come.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde_json::{Number, Value, json};
use tokio::sync::watch;

use super::kept::{Kept, KeptRecord, Line};
use super::shards::{self, DataShard, ReshardError, shard_id};
use crate::EndpointError;
use crate::clock::now_millis;

/// Records that every consumer has passed leave the memory beyond this number.
const KEPT_WHEN_CONSUMED: usize = 10_000;
/// A stream with so many bytes that a consumer has not passed takes no more: AWS has room for a
/// day of them, a process has not.
const MOST_UNREAD_BYTES: usize = 512 * 1024 * 1024;

/// How a data stream is created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataStreamOptions {
    /// Its name.
    pub name: String,
    /// Shards that it begins with.
    pub shards: u32,
    /// Whether AWS reshards it by itself; then nobody else may.
    pub on_demand: bool,
    /// How long its records can be read, in hours.
    pub retention_hours: u32,
    /// Largest record with its partition key, in KiB.
    pub max_record_kib: u32,
}

/// A record of a data stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataRecord {
    /// Place in the stream, over all shards, from 1.
    pub sequence: u64,
    /// The shard.
    pub shard: u32,
    /// When it came, in milliseconds since the Unix epoch; never less than that of the one before.
    pub at_millis: u64,
    /// The partition key.
    pub partition_key: String,
    /// What was put.
    pub data: Bytes,
}

impl DataRecord {
    /// Name of its shard.
    #[must_use]
    pub fn shard_id(&self) -> String {
        shard_id(self.shard)
    }

    /// Its sequence number: 56 digits, growing.
    #[must_use]
    pub fn sequence_number(&self) -> String {
        sequence_number(self.sequence)
    }

    /// The record as Lambda hands it to a function.
    /// <https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html>
    #[must_use]
    pub fn for_lambda(&self, stream_arn: &str, region: &str, role_arn: &str) -> Value {
        let number = self.sequence_number();
        json!({
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": self.partition_key,
                "sequenceNumber": number,
                "data": BASE64.encode(&self.data),
                "approximateArrivalTimestamp": seconds(self.at_millis),
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": format!("{}:{number}", self.shard_id()),
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": role_arn,
            "awsRegion": region,
            "eventSourceARN": stream_arn,
        })
    }

    fn bytes(&self) -> usize {
        self.data.len() + self.partition_key.len()
    }
}

/// Sequence number of a sequence.
pub(super) fn sequence_number(sequence: u64) -> String {
    format!("4{sequence:055}")
}

/// The sequence in a sequence number.
pub(super) fn sequence_in(number: &str) -> Option<u64> {
    let digits = number.strip_prefix('4').filter(|rest| rest.len() == 55)?;
    digits.parse().ok()
}

/// Seconds with milliseconds as a fraction, exactly.
pub(super) fn seconds(millis: u64) -> Value {
    let text = format!("{}.{:03}", millis / 1000, millis % 1000);
    text.parse::<Number>().map_or(Value::Null, Value::Number)
}

#[derive(Debug, Default)]
struct State {
    shards: Vec<DataShard>,
    records: VecDeque<DataRecord>,
    bytes: usize,
    last: u64,
    newest_millis: u64,
    checkpoints: BTreeMap<String, u64>,
}

#[derive(Debug)]
struct Inner {
    options: DataStreamOptions,
    arn: String,
    state: Mutex<State>,
    latest: watch::Sender<u64>,
    /// How many shards there have been.
    resharded: watch::Sender<usize>,
    kept: Option<Arc<Kept>>,
}

/// A data stream. Clones are the same.
#[derive(Debug, Clone)]
pub struct DataStream(Arc<Inner>);

/// A record that is to be put.
#[derive(Debug)]
pub(super) struct NewRecord {
    pub(super) hash: u128,
    pub(super) partition_key: String,
    pub(super) data: Bytes,
}

/// Why records are not taken.
#[derive(Debug)]
pub(super) enum PutError {
    Full,
    Storage(EndpointError),
}

impl DataStream {
    pub(super) fn new(options: DataStreamOptions, arn: String, kept: Option<Arc<Kept>>) -> Self {
        let shards = shards::first_shards(options.shards);
        Self(Arc::new(Inner {
            options,
            arn,
            resharded: watch::Sender::new(shards.len()),
            state: Mutex::new(State {
                shards,
                ..State::default()
            }),
            latest: watch::Sender::new(0),
            kept,
        }))
    }

    /// Its ARN.
    #[must_use]
    pub fn arn(&self) -> &str {
        &self.0.arn
    }

    /// What it was created with.
    #[must_use]
    pub fn options(&self) -> &DataStreamOptions {
        &self.0.options
    }

    /// All its shards, closed ones included, parents before their children.
    #[must_use]
    pub fn shards(&self) -> Vec<DataShard> {
        self.state().shards.clone()
    }

    /// Waits until there have been more shards than this.
    pub async fn more_shards(&self, known: usize) {
        let mut resharded = self.0.resharded.subscribe();
        let _ = resharded.wait_for(|count| *count > known).await;
    }

    /// Up to `limit` records with a sequence above `after`, of all shards, in order.
    #[must_use]
    pub fn read(&self, after: u64, limit: usize) -> Vec<DataRecord> {
        let state = self.state();
        let from = state.records.partition_point(|one| one.sequence <= after);
        let until = state.records.len().min(from.saturating_add(limit));
        state.records.range(from..until).cloned().collect()
    }

    /// Sequence of the newest record, 0 before the first.
    #[must_use]
    pub fn last_sequence(&self) -> u64 {
        *self.0.latest.borrow()
    }

    /// Waits until there is a record with a sequence above `after`.
    pub async fn changed(&self, after: u64) {
        let mut latest = self.0.latest.subscribe();
        let _ = latest.wait_for(|newest| *newest > after).await;
    }

    /// Sequences up to which consumers have come whose names begin so, by the rest of the name.
    #[must_use]
    pub fn checkpoints(&self, prefix: &str) -> BTreeMap<String, u64> {
        let state = self.state();
        let own = state.checkpoints.iter().filter_map(|(name, sequence)| {
            let rest = name.strip_prefix(prefix)?;
            Some((rest.to_owned(), *sequence))
        });
        own.collect()
    }

    /// Notes how far a consumer has come; `u64::MAX` for one that is done for ever. Records that
    /// every consumer has passed may leave the memory, so a new one notes where it begins first.
    ///
    /// # Errors
    /// [`EndpointError::Storage`] when it cannot be written.
    pub fn set_checkpoint(&self, consumer: &str, sequence: u64) -> Result<(), EndpointError> {
        if let Some(kept) = &self.0.kept {
            kept.note(&Line::checkpoint(self.name(), consumer, sequence))?;
        }
        let mut state = self.state();
        state.checkpoints.insert(consumer.to_owned(), sequence);
        Ok(())
    }

    pub(super) fn name(&self) -> &str {
        &self.0.options.name
    }

    /// Puts records, all of them or none; their places in the stream, in order.
    pub(super) fn put(&self, records: Vec<NewRecord>) -> Result<Vec<DataRecord>, PutError> {
        let mut state = self.state();
        if state.bytes > MOST_UNREAD_BYTES {
            return Err(PutError::Full);
        }
        // A clock that was set back must not bring a record into an earlier window.
        let at_millis = now_millis().max(state.newest_millis);
        let first = state.last + 1;
        let placed: Vec<DataRecord> = (first..)
            .zip(records)
            .map(|(sequence, record)| DataRecord {
                sequence,
                shard: shards::shard_of(&state.shards, record.hash),
                at_millis,
                partition_key: record.partition_key,
                data: record.data,
            })
            .collect();
        if let Some(kept) = &self.0.kept {
            let lines: Vec<Line> = placed.iter().map(|one| self.line(one)).collect();
            kept.note_all(&lines).map_err(PutError::Storage)?;
        }
        self.add(&mut state, placed.clone());
        let last = state.last;
        drop(state);
        self.0.latest.send_replace(last);
        Ok(placed)
    }

    fn line(&self, record: &DataRecord) -> Line {
        Line::Record {
            stream: self.name().to_owned(),
            record: KeptRecord {
                sequence: record.sequence,
                shard: record.shard,
                at_millis: record.at_millis,
                partition_key: record.partition_key.clone(),
                data: BASE64.encode(&record.data),
            },
        }
    }

    fn add(&self, state: &mut State, records: Vec<DataRecord>) {
        for record in records {
            state.last = record.sequence;
            state.newest_millis = record.at_millis;
            state.bytes += record.bytes();
            state.records.push_back(record);
        }
        let hours = u64::from(self.0.options.retention_hours);
        let oldest_kept = now_millis().saturating_sub(hours * 60 * 60 * 1000);
        let consumed = state.checkpoints.values().min().copied();
        let consumed = consumed.unwrap_or(state.last);
        while state.records.front().is_some_and(|one| {
            one.at_millis < oldest_kept
                || (one.sequence <= consumed && state.records.len() > KEPT_WHEN_CONSUMED)
        }) {
            let gone = state.records.pop_front();
            state.bytes -= gone.map_or(0, |one| one.bytes());
        }
    }

    /// Changes the shards; what comes from now on goes to those that are open then.
    pub(super) fn reshard(
        &self,
        change: impl FnOnce(&mut Vec<DataShard>, u64) -> Result<(), ReshardError>,
    ) -> Result<Result<(), ReshardError>, EndpointError> {
        let mut state = self.state();
        let mut shards = state.shards.clone();
        if let Err(refused) = change(&mut shards, state.last) {
            return Ok(Err(refused));
        }
        if let Some(kept) = &self.0.kept {
            kept.note(&Line::shards(self.name(), &shards))?;
        }
        let count = shards.len();
        state.shards = shards;
        drop(state);
        self.0.resharded.send_replace(count);
        Ok(Ok(()))
    }

    /// Puts back what a file held.
    pub(super) fn restore(&self, lines: &[Line]) {
        let mut state = self.state();
        let mut records = Vec::new();
        for line in lines.iter().filter(|line| line.stream() == self.name()) {
            match line {
                Line::Record { record, .. } => records.extend(record.read()),
                Line::Shards { shards, .. } => state.shards.clone_from(shards),
                Line::Checkpoint {
                    consumer, sequence, ..
                } => {
                    state.checkpoints.insert(consumer.clone(), *sequence);
                }
                Line::Last { last, .. } => state.last = *last,
            }
        }
        let trimmed_to = state.last;
        self.add(&mut state, records);
        state.last = state.last.max(trimmed_to);
        let (last, count) = (state.last, state.shards.len());
        drop(state);
        self.0.latest.send_replace(last);
        self.0.resharded.send_replace(count);
    }

    /// What a file needs to hold of it.
    pub(super) fn lines(&self) -> Vec<Line> {
        let state = self.state();
        let mut lines = vec![
            Line::shards(self.name(), &state.shards),
            Line::Last {
                stream: self.name().to_owned(),
                last: state.last,
            },
        ];
        let checkpoints = state.checkpoints.iter();
        lines.extend(
            checkpoints.map(|(name, sequence)| Line::checkpoint(self.name(), name, *sequence)),
        );
        lines.extend(state.records.iter().map(|record| self.line(record)));
        lines
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(max: u32) -> DataStream {
        let options = DataStreamOptions {
            name: "s".to_owned(),
            shards: 2,
            on_demand: false,
            retention_hours: 24,
            max_record_kib: max,
        };
        DataStream::new(options, "arn".to_owned(), None)
    }

    fn put(stream: &DataStream, keys: &[&str]) -> Vec<DataRecord> {
        let record = |key: &&str| NewRecord {
            hash: shards::hash_of(key),
            partition_key: (*key).to_owned(),
            data: Bytes::from_static(b"{}"),
        };
        stream.put(keys.iter().map(record).collect()).unwrap()
    }

    #[test]
    fn sequence_numbers_order_as_texts_and_as_numbers() {
        assert_eq!(sequence_number(7).len(), 56);
        assert!(sequence_number(9) < sequence_number(10));
        assert_eq!(sequence_in(&sequence_number(u64::MAX)), Some(u64::MAX));
        assert_eq!(sequence_in("7"), None);
    }

    #[test]
    fn a_function_gets_a_record_as_lambda_hands_it_over() {
        let record = DataRecord {
            sequence: 5,
            shard: 6,
            at_millis: 1_545_084_650_007,
            partition_key: "order-1".to_owned(),
            data: Bytes::from_static(b"Hello, this is a test."),
        };
        let number = sequence_number(5);
        let shown = record.for_lambda("arn:stream", "us-east-1", "arn:role");
        assert_eq!(
            shown.to_string(),
            json!({
                "kinesis": {
                    "kinesisSchemaVersion": "1.0",
                    "partitionKey": "order-1",
                    "sequenceNumber": number,
                    "data": "SGVsbG8sIHRoaXMgaXMgYSB0ZXN0Lg==",
                    "approximateArrivalTimestamp":
                        serde_json::from_str::<Value>("1545084650.007").unwrap(),
                },
                "eventSource": "aws:kinesis",
                "eventVersion": "1.0",
                "eventID": format!("shardId-000000000006:{number}"),
                "eventName": "aws:kinesis:record",
                "invokeIdentityArn": "arn:role",
                "awsRegion": "us-east-1",
                "eventSourceARN": "arn:stream",
            })
            .to_string()
        );
    }

    #[test]
    fn what_comes_after_a_split_goes_to_the_children() {
        let stream = stream(1024);
        let before = put(&stream, &["a", "b", "c", "d"]);
        let changed = stream.reshard(|shards, last| shards::update_count(shards, 4, last));
        assert_eq!(changed.unwrap(), Ok(()));
        let after = put(&stream, &["a", "b", "c", "d"]);
        assert!(before.iter().all(|record| record.shard < 2));
        assert!(after.iter().all(|record| record.shard >= 2));
        for shard in stream.shards().iter().filter(|one| one.ends_at.is_some()) {
            assert_eq!(shard.ends_at, Some(4));
        }
        for (earlier, later) in before.iter().zip(&after) {
            let shards = stream.shards();
            let child = &shards[later.shard as usize];
            assert_eq!(child.parents, [earlier.shard]);
        }
    }

    #[test]
    fn what_a_consumer_has_not_passed_stays_and_what_all_have_passed_goes() {
        let stream = stream(1024);
        stream.set_checkpoint("one", 0).unwrap();
        let keys = vec!["a"; KEPT_WHEN_CONSUMED + 5];
        put(&stream, &keys);
        assert_eq!(stream.read(0, 1)[0].sequence, 1);
        stream.set_checkpoint("one", 3).unwrap();
        put(&stream, &["a"]);
        assert_eq!(stream.read(0, 1)[0].sequence, 4);
        stream.set_checkpoint("one", u64::MAX).unwrap();
        put(&stream, &["a"]);
        let oldest = stream.read(0, 1)[0].sequence;
        assert_eq!(
            stream.last_sequence() - oldest + 1,
            KEPT_WHEN_CONSUMED as u64
        );
    }
}
