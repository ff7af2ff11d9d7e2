//! Where a mapping's records come from, and where it keeps how far it got.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::SystemTime;

use serde_json::Value;

/// One record of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Place of the record in the stream: larger than that of every record before it, from 1.
    pub sequence: u64,
    /// Records with the same key are handed over in their order.
    pub partition_key: String,
    /// The shard that has it; none where the source does not cut the stream.
    pub shard: Option<String>,
    /// The record as the function gets it in `Records`.
    pub json: Value,
    /// When the record was written. Its age counts from here.
    pub created: SystemTime,
}

impl Record {
    /// The record's `SequenceNumber` as the function sees it: that of its `dynamodb` or `kinesis`
    /// part, or else the sequence in decimal.
    #[must_use]
    pub fn identifier(&self) -> String {
        ["/dynamodb/SequenceNumber", "/kinesis/sequenceNumber"]
            .iter()
            .find_map(|pointer| self.json.pointer(pointer).and_then(Value::as_str))
            .map_or_else(|| self.sequence.to_string(), str::to_owned)
    }
}

/// A shard of a stream that its source cuts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// Its name.
    pub id: String,
    /// The shards that it came from by a resharding: it is read when they are done with.
    pub parents: Vec<String>,
    /// No record of it has a higher sequence; none as long as it is open.
    pub ends_at: Option<u64>,
}

/// A stream, as one mapping sees it, with the checkpoints of that mapping.
///
/// An adapter MUST keep records in the order of their sequence, and MUST have made a checkpoint
/// durable (as durable as the stream is) when [`RecordSource::save_checkpoint`] returns.
pub trait RecordSource: Send + Sync + 'static {
    /// The first `limit` records with a sequence above `after`; fewer, or none, when there are no
    /// more now.
    ///
    /// # Errors
    /// What went wrong, in words; the mapping tries again.
    fn read(
        &self,
        after: u64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Record>, String>> + Send;

    /// The shards of the stream, closed ones included; empty, which is the default, where the source
    /// does not cut it. What [`RecordSource::read`] gives of a shard's children has a higher
    /// sequence than all records of the shard, and is not given before the shard is closed here.
    fn shards(&self) -> Vec<Shard> {
        Vec::new()
    }

    /// Completes when there have been more shards than so many.
    fn more_shards(&self, known: usize) -> impl Future<Output = ()> + Send {
        let _ = known;
        std::future::pending()
    }

    /// Completes when there is a record with a sequence above `after`, at once if there is one.
    fn changed(&self, after: u64) -> impl Future<Output = ()> + Send;

    /// Sequence of the newest record; 0 when there was none.
    ///
    /// # Errors
    /// What went wrong, in words; the mapping tries again.
    fn last_sequence(&self) -> impl Future<Output = Result<u64, String>> + Send;

    /// What was saved with [`RecordSource::save_checkpoint`], by lane.
    ///
    /// # Errors
    /// What went wrong, in words; the mapping tries again.
    fn load_checkpoints(
        &self,
    ) -> impl Future<Output = Result<BTreeMap<String, u64>, String>> + Send;

    /// Keeps that the lane is done with every record up to `sequence`.
    ///
    /// # Errors
    /// What went wrong, in words; the mapping tries again.
    fn save_checkpoint(
        &self,
        lane: &str,
        sequence: u64,
    ) -> impl Future<Output = Result<(), String>> + Send;
}
