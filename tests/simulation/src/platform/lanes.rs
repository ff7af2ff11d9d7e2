//! The stream of the event store on its way to relay and projection: in order, shard by shard,
//! in batches, as the mappings of the template say.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use event_sourcing::envelope::Envelope;
use sam_template::Mapping;
use serde_json::{Value, json};

use super::invocation::Outcome;
use super::record::record;
use crate::faults::Fault;
use crate::mutants::Mutant;
use crate::scheduler::spawn;
use crate::world::{World, lock};

/// Shards of the stream.
pub(super) const SHARDS: usize = 3;
/// How long a lane waits for more at most.
const POLL: Duration = Duration::from_millis(50);
/// How long a lane waits at most before it tries a batch again.
const AGAIN: Duration = Duration::from_secs(20);

/// Whose records can be lost: what the projection does not get, only a rebuild brings back.
const RELAY: &str = "publish-events";

/// The records of a shard that a mapping has not done with.
#[derive(Default)]
pub struct Lane {
    waiting: VecDeque<Arc<Value>>,
    running: bool,
}

/// FNV-1a over the stream's name.
pub(super) fn shard_of(stream: &str) -> usize {
    let hash = stream
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    usize::try_from(hash % SHARDS as u64).unwrap_or(0)
}

/// A batch as its function gets it.
fn batch_of(records: &[Arc<Value>]) -> Value {
    let records: Vec<_> = records.iter().map(|record| Value::clone(record)).collect();
    json!({"Records": records})
}

impl World {
    /// A stored event goes into the stream of its table.
    pub(crate) fn feed(self: &Arc<Self>, event: &Envelope) {
        let Some((stream, version)) = event.position() else {
            return;
        };
        let sequence = {
            let mut fed = lock(&self.platform.fed);
            fed.push((stream.to_owned(), version));
            fed.len() - 1
        };
        let record = Arc::new(record(event, sequence));
        let shard = shard_of(stream);
        for (index, mapping) in self.wiring.mappings.iter().enumerate() {
            if !mapping.accepts(&record) {
                continue;
            }
            if mapping.function == RELAY && self.hits(Fault::LostRecord) {
                self.note(format_args!("the stream lost {stream}@{version}"));
                continue;
            }
            let mut lane = lock(&self.platform.lanes[index][shard]);
            lane.waiting.push_back(Arc::clone(&record));
            if !std::mem::replace(&mut lane.running, true) {
                let world = Arc::clone(self);
                spawn(async move { world.work(index, shard).await });
            }
        }
    }

    /// Works on a lane until nothing waits in it.
    async fn work(self: &Arc<Self>, index: usize, shard: usize) {
        let wiring = Arc::clone(&self.wiring);
        let mapping = &wiring.mappings[index];
        loop {
            self.pause(POLL).await;
            let most = self.draw(|rng| rng.u32(1..=mapping.batch_size.max(1)));
            let batch: Vec<_> = {
                let mut lane = lock(&self.platform.lanes[index][shard]);
                let count = lane.waiting.len().min(most as usize);
                lane.running = count > 0;
                lane.waiting.drain(..count).collect()
            };
            if batch.is_empty() {
                return;
            }
            self.settle(mapping, batch).await;
        }
    }

    /// Sees a batch through: what failed is tried again before anything that follows.
    async fn settle(self: &Arc<Self>, mapping: &Mapping, batch: Vec<Arc<Value>>) {
        let mut parts = VecDeque::from([(batch, 0)]);
        while let Some((mut part, mut failures)) = parts.pop_front() {
            let done = self.attempt(mapping, &part).await;
            match done {
                Some(done) if done == part.len() => continue,
                Some(done) if done > 0 => {
                    part.drain(..done);
                    failures = 0;
                }
                _ => failures += 1,
            }
            let most = mapping.maximum_retry_attempts;
            if most.is_some_and(|most| failures > most) || self.hits(Fault::GivenUpBatch) {
                let request = self.platform.next_request();
                self.note(format_args!("{} gave a batch up", mapping.function));
                self.give_up_batch(mapping, &request, &part);
                continue;
            }
            self.pause(AGAIN).await;
            if done.is_none() && mapping.bisect_batch_on_function_error && part.len() > 1 {
                let rest = part.split_off(part.len() / 2);
                parts.push_front((rest, failures));
            }
            parts.push_front((part, failures));
        }
    }

    /// Calls the function with a batch; how many of its records are done, from the first on, or
    /// none where the whole call failed.
    async fn attempt(self: &Arc<Self>, mapping: &Mapping, part: &[Arc<Value>]) -> Option<usize> {
        let request = self.platform.next_request();
        let payload = batch_of(part);
        let Outcome::Answered(answer) = self.invoke(&mapping.function, payload, &request).await
        else {
            return None;
        };
        if self.hits(Fault::LostAcknowledgement) {
            return None;
        }
        let failed = answer["batchItemFailures"].as_array();
        if failed.is_none_or(Vec::is_empty) || self.has(Mutant::RelayDropsFailed) {
            return Some(part.len());
        }
        let failed: Vec<_> = failed.into_iter().flatten().collect();
        part.iter().position(|record| {
            let number = &record["dynamodb"]["SequenceNumber"];
            failed.iter().any(|one| one["itemIdentifier"] == *number)
        })
    }
}
