//! The stream of a table, as a mapping reads it.

use std::collections::BTreeMap;
use std::sync::Weak;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_endpoint::{Endpoint, TableStream};
use lambda_host::stream_mapping::{Record, RecordSource};

/// Shards that a table's stream has here. Records of one key stay in order; others do not wait
/// for them.
pub(crate) const SHARDS: u32 = 4;
/// Most parts that a mapping cuts a shard into (`ParallelizationFactor`).
const MAX_PARTS: u32 = 10;

/// A table's stream with the checkpoints of one mapping.
pub(crate) struct TableSource {
    endpoint: Weak<Endpoint>,
    stream: TableStream,
    table: String,
    mapping: String,
}

impl TableSource {
    pub(crate) fn new(
        endpoint: Weak<Endpoint>,
        stream: TableStream,
        table: String,
        mapping: String,
    ) -> Self {
        Self {
            endpoint,
            stream,
            table,
            mapping,
        }
    }

    fn consumer(&self, lane: &str) -> String {
        format!("{}/{lane}", self.mapping)
    }
}

impl RecordSource for TableSource {
    async fn read(&self, after: u64, limit: usize) -> Result<Vec<Record>, String> {
        let records = self.stream.read(after, limit);
        Ok(records
            .into_iter()
            .map(|record| Record {
                sequence: record.sequence,
                partition_key: record.partition_key,
                shard: None,
                created: time_of(record.at_millis),
                json: record.record,
            })
            .collect())
    }

    async fn changed(&self, after: u64) {
        self.stream.changed(after).await;
    }

    async fn last_sequence(&self) -> Result<u64, String> {
        Ok(self.stream.last_sequence())
    }

    async fn load_checkpoints(&self) -> Result<BTreeMap<String, u64>, String> {
        let endpoint = self.endpoint.upgrade().ok_or("the AWS endpoint is gone")?;
        let mut found = BTreeMap::new();
        // The store gives checkpoints by name only: these are all the names that a mapping can
        // ever have had, with another parallelization factor, too.
        for parts in 1..=MAX_PARTS {
            for shard in 0..SHARDS {
                for part in 0..parts {
                    let lane = format!("shard-{shard}-of-{SHARDS}-part-{part}-of-{parts}");
                    let kept = endpoint.stream_checkpoint(&self.table, &self.consumer(&lane));
                    if let Some(sequence) = kept {
                        found.insert(lane, sequence);
                    }
                }
            }
        }
        Ok(found)
    }

    async fn save_checkpoint(&self, lane: &str, sequence: u64) -> Result<(), String> {
        let endpoint = self.endpoint.upgrade().ok_or("the AWS endpoint is gone")?;
        endpoint
            .set_checkpoint(&self.table, &self.consumer(lane), sequence)
            .map_err(|error| error.to_string())
    }
}

fn time_of(millis: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(millis)
}
