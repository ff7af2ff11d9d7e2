//! A stream in memory mapped to a scripted function, and what the tests of it use.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use crate::fakes::{FakeDestination, FakeFunction, answer, error, until};
use lambda_host::stream_mapping::{
    Record, RecordSource, Shard, StreamMapping, StreamMappingSettings,
};
use serde_json::{Value, json};
use tokio::sync::watch;

pub const STREAM: &str = "arn:aws:dynamodb:us-east-1:000000000000:table/EventStore/stream/1";
pub const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";
pub const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:f-dlq";

/// A stream in memory.
pub struct MemoryStream {
    pub records: Mutex<Vec<Record>>,
    pub last: watch::Sender<u64>,
    pub checkpoints: Mutex<BTreeMap<String, u64>>,
    pub saves: Mutex<Vec<u64>>,
    pub fails: Mutex<u32>,
    pub shards: watch::Sender<Vec<Shard>>,
}

impl MemoryStream {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            records: Mutex::default(),
            last: watch::channel(0).0,
            checkpoints: Mutex::default(),
            saves: Mutex::default(),
            fails: Mutex::new(0),
            shards: watch::channel(Vec::new()).0,
        })
    }

    /// A stream of one key with records 1 to `count`.
    pub fn of(count: u64) -> Arc<Self> {
        let stream = Self::new();
        (0..count).for_each(|_| stream.put("order-1", SystemTime::now(), ""));
        stream
    }

    pub fn put(&self, key: &str, created: SystemTime, ballast: &str) {
        self.put_to(None, key, created, ballast);
    }

    pub fn put_to(&self, shard: Option<&str>, key: &str, created: SystemTime, ballast: &str) {
        let mut records = self.records.lock().expect("unpoisoned");
        let sequence = records.len() as u64 + 1;
        records.push(Record {
            sequence,
            partition_key: key.to_owned(),
            shard: shard.map(str::to_owned),
            json: json!({
                "eventID": sequence.to_string(),
                "eventSource": "aws:dynamodb",
                "dynamodb": {"SequenceNumber": name(sequence), "Keys": key, "ballast": ballast},
            }),
            created,
        });
        drop(records);
        self.last.send_replace(sequence);
    }

    /// Adds a shard that came from these, which are closed by it.
    pub fn add_shard(&self, id: &str, parents: &[&str]) {
        let last = self.last();
        self.shards.send_modify(|shards| {
            for shard in shards.iter_mut() {
                if parents.contains(&shard.id.as_str()) {
                    shard.ends_at = Some(last);
                }
            }
            shards.push(Shard {
                id: id.to_owned(),
                parents: parents.iter().map(|one| (*one).to_owned()).collect(),
                ends_at: None,
            });
        });
    }

    pub fn last(&self) -> u64 {
        *self.last.borrow()
    }

    pub fn saves(&self) -> Vec<u64> {
        self.saves.lock().expect("unpoisoned").clone()
    }

    pub fn fail(&self) -> Result<(), String> {
        let mut fails = self.fails.lock().expect("unpoisoned");
        if *fails == 0 {
            return Ok(());
        }
        *fails -= 1;
        Err("the stream is away".to_owned())
    }
}

impl RecordSource for MemoryStream {
    async fn read(&self, after: u64, limit: usize) -> Result<Vec<Record>, String> {
        self.fail()?;
        let records = self.records.lock().expect("unpoisoned");
        let newer = records.iter().filter(|record| record.sequence > after);
        Ok(newer.take(limit).cloned().collect())
    }

    fn shards(&self) -> Vec<Shard> {
        self.shards.borrow().clone()
    }

    async fn more_shards(&self, known: usize) {
        let mut shards = self.shards.subscribe();
        let _ = shards.wait_for(|shards| shards.len() > known).await;
    }

    async fn changed(&self, after: u64) {
        let mut last = self.last.subscribe();
        let _ = last.wait_for(|last| *last > after).await;
    }

    async fn last_sequence(&self) -> Result<u64, String> {
        Ok(self.last())
    }

    async fn load_checkpoints(&self) -> Result<BTreeMap<String, u64>, String> {
        self.fail()?;
        Ok(self.checkpoints.lock().expect("unpoisoned").clone())
    }

    async fn save_checkpoint(&self, lane: &str, sequence: u64) -> Result<(), String> {
        self.fail()?;
        let mut checkpoints = self.checkpoints.lock().expect("unpoisoned");
        checkpoints.insert(lane.to_owned(), sequence);
        self.saves.lock().expect("unpoisoned").push(sequence);
        Ok(())
    }
}

/// `SequenceNumber` of a record.
pub fn name(sequence: u64) -> String {
    format!("{:021}", sequence * 100)
}

/// Sequences of the records of an event.
pub fn sequences(event: &Value) -> Vec<u64> {
    let records = event["Records"].as_array().expect("records");
    let ids = records.iter().map(|record| record["eventID"].as_str());
    ids.map(|id| id.expect("an id").parse().expect("a number"))
        .collect()
}

/// Fails batches with one of these records, whole.
pub fn fails_with(poison: &'static [u64]) -> FakeFunction {
    FakeFunction::new(move |event| {
        let poisoned = sequences(event).iter().any(|one| poison.contains(one));
        Ok(if poisoned {
            error("poison")
        } else {
            answer("null")
        })
    })
}

/// Works record by record and reports the first of these that it meets.
pub fn reports(poison: &'static [u64]) -> FakeFunction {
    FakeFunction::new(move |event| {
        let first = sequences(event)
            .into_iter()
            .find(|one| poison.contains(one));
        Ok(answer(&report(first.as_slice())))
    })
}

pub fn report(sequences: &[u64]) -> String {
    let items: Vec<Value> = sequences
        .iter()
        .map(|sequence| json!({"itemIdentifier": name(*sequence)}))
        .collect();
    json!({"batchItemFailures": items}).to_string()
}

pub struct Setup {
    pub stream: Arc<MemoryStream>,
    pub function: Arc<FakeFunction>,
    pub destination: Arc<FakeDestination>,
    pub mapping: StreamMapping,
}

pub fn start(
    stream: &Arc<MemoryStream>,
    function: FakeFunction,
    configure: impl FnOnce(&mut StreamMappingSettings),
) -> Setup {
    let (function, destination) = (Arc::new(function), Arc::new(FakeDestination::default()));
    let mut settings = StreamMappingSettings::new("f", FUNCTION, STREAM);
    configure(&mut settings);
    let mapping = StreamMapping::start(
        settings,
        Arc::clone(stream),
        Arc::clone(&function),
        Arc::clone(&destination),
    );
    Setup {
        stream: Arc::clone(stream),
        function,
        destination,
        mapping,
    }
}

impl Setup {
    pub async fn quiet(&self) {
        until("quiet", || {
            self.mapping.settled_through() == self.stream.last()
        })
        .await;
    }

    /// The records of each call.
    pub fn calls(&self) -> Vec<Vec<u64>> {
        let calls = self.function.calls();
        calls.iter().map(|call| sequences(&call.event)).collect()
    }

    /// First and last record, condition and size of each batch that was given up.
    pub fn dropped(&self) -> Vec<(String, String, String, u64)> {
        let got = self.destination.got();
        let records = got
            .iter()
            .map(|(_, body, _)| serde_json::from_str::<Value>(body).expect("JSON"));
        records
            .map(|record| {
                let text = |pointer: &str| {
                    let value = record.pointer(pointer).and_then(Value::as_str);
                    value.expect("a string").to_owned()
                };
                (
                    text("/DDBStreamBatchInfo/startSequenceNumber"),
                    text("/DDBStreamBatchInfo/endSequenceNumber"),
                    text("/requestContext/condition"),
                    record["DDBStreamBatchInfo"]["batchSize"]
                        .as_u64()
                        .expect("a number"),
                )
            })
            .collect()
    }
}

pub fn exhausted(first: u64, last: u64) -> (String, String, String, u64) {
    let condition = "RetryAttemptsExhausted".to_owned();
    (name(first), name(last), condition, last - first + 1)
}
