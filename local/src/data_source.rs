//! A Kinesis data stream, as a mapping reads it.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use aws_endpoint::{DataRecord, DataStream};
use lambda_host::stream_mapping::{Record, RecordSource, Shard};

/// A data stream with the checkpoints of one mapping.
pub(crate) struct DataSource {
    stream: DataStream,
    mapping: String,
    region: String,
    /// ARN of the function's role, which records name.
    role: String,
}

impl DataSource {
    pub(crate) fn new(stream: DataStream, mapping: String, region: String, role: String) -> Self {
        Self {
            stream,
            mapping,
            region,
            role,
        }
    }

    fn record(&self, record: &DataRecord) -> Record {
        Record {
            sequence: record.sequence,
            partition_key: record.partition_key.clone(),
            shard: Some(record.shard_id()),
            json: record.for_lambda(self.stream.arn(), &self.region, &self.role),
            created: UNIX_EPOCH + Duration::from_millis(record.at_millis),
        }
    }
}

impl RecordSource for DataSource {
    async fn read(&self, after: u64, limit: usize) -> Result<Vec<Record>, String> {
        let records = self.stream.read(after, limit);
        Ok(records.iter().map(|record| self.record(record)).collect())
    }

    fn shards(&self) -> Vec<Shard> {
        let shards = self.stream.shards();
        let id_of = |number: &u32| {
            let found = shards.iter().find(|shard| shard.number == *number);
            found.map(aws_endpoint::DataShard::id)
        };
        shards
            .iter()
            .map(|shard| Shard {
                id: shard.id(),
                parents: shard.parents.iter().filter_map(id_of).collect(),
                ends_at: shard.ends_at,
            })
            .collect()
    }

    async fn more_shards(&self, known: usize) {
        self.stream.more_shards(known).await;
    }

    async fn changed(&self, after: u64) {
        self.stream.changed(after).await;
    }

    async fn last_sequence(&self) -> Result<u64, String> {
        Ok(self.stream.last_sequence())
    }

    async fn load_checkpoints(&self) -> Result<BTreeMap<String, u64>, String> {
        Ok(self.stream.checkpoints(&format!("{}/", self.mapping)))
    }

    async fn save_checkpoint(&self, lane: &str, sequence: u64) -> Result<(), String> {
        let consumer = format!("{}/{lane}", self.mapping);
        let saved = self.stream.set_checkpoint(&consumer, sequence);
        saved.map_err(|error| error.to_string())
    }
}
