//! One lane of a mapping: reads its records, cuts them into batches, one after the other.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::batch::{Batch, ENVELOPE_BYTES, Prepared};
use super::source::RecordSource;
use super::{Shared, StartingPosition};
use crate::limits::MAPPING_PAYLOAD_BYTES;

/// Records looked at in one read.
const READ_LIMIT: usize = 1000;

/// Which part of the stream a lane has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub shard: u32,
    pub shards: u32,
    pub part: u32,
    pub parts: u32,
}

impl Place {
    /// Whether records with this key are the lane's.
    fn has(self, partition_key: &str) -> bool {
        let hash = stable_hash(partition_key);
        let shards = u64::from(self.shards);
        hash % shards == u64::from(self.shard)
            && hash / shards % u64::from(self.parts) == u64::from(self.part)
    }

    /// The place, in a stream of so many shards that are not cut further, of records with this
    /// key.
    fn of(partition_key: &str, shards: u32) -> Self {
        let whole = |shard| Self {
            shard,
            shards,
            part: 0,
            parts: 1,
        };
        let mut places = (0..shards).map(whole);
        places
            .find(|place| place.has(partition_key))
            .unwrap_or(whole(0))
    }

    /// Name of the lane's checkpoint. It says how many lanes there are: with another number, a
    /// lane has other records.
    fn checkpoint_name(self) -> String {
        format!(
            "shard-{}-of-{}-part-{}-of-{}",
            self.shard, self.shards, self.part, self.parts
        )
    }

    fn shard_id(self) -> String {
        format!("shardId-{:020}", self.shard)
    }
}

/// Name of the shard that has the records with this key, in a stream of so many shards.
#[must_use]
pub fn shard_id(partition_key: &str, shards: u32) -> String {
    Place::of(partition_key, shards).shard_id()
}

/// FNV-1a: the same on every run and every machine.
fn stable_hash(key: &str) -> u64 {
    key.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// One lane.
pub(super) struct Lane<S> {
    pub(super) shared: Arc<Shared<S>>,
    pub(super) shard_id: String,
    pub(super) stop: watch::Receiver<bool>,
    place: Place,
    checkpoint_name: String,
    /// Read, wanted, and not in a batch yet.
    waiting: VecDeque<Prepared>,
    waiting_bytes: usize,
    /// Everything up to here was looked at.
    looked_at: u64,
    /// A record of this lane was filtered out since the last checkpoint.
    skipped: bool,
    settled: Arc<AtomicU64>,
}

impl<S: RecordSource> Lane<S> {
    pub(super) fn new(
        shared: Arc<Shared<S>>,
        place: Place,
        settled: Arc<AtomicU64>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self {
            shared,
            shard_id: place.shard_id(),
            stop,
            place,
            checkpoint_name: place.checkpoint_name(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            looked_at: 0,
            skipped: false,
            settled,
        }
    }

    /// Works until the mapping stops.
    pub(super) async fn run(mut self) {
        let Some(begin) = self.begin().await else {
            return;
        };
        self.looked_at = begin;
        self.settled.store(begin, Ordering::Release);
        while let Some(batch) = self.next_batch().await {
            if !self.settle(batch).await {
                return;
            }
        }
    }

    /// The sequence to begin after; none when the mapping stops before it is known.
    async fn begin(&self) -> Option<u64> {
        let mut failures = 0;
        loop {
            match self.find_begin().await {
                Ok(begin) => return Some(begin),
                Err(error) => {
                    failures += 1;
                    self.source_failed(&error);
                    if !self.pause(failures).await {
                        return None;
                    }
                }
            }
        }
    }

    async fn find_begin(&self) -> Result<u64, String> {
        let source = &self.shared.source;
        let checkpoints = source.load_checkpoints().await?;
        if let Some(own) = checkpoints.get(&self.checkpoint_name) {
            return Ok(*own);
        }
        // Cut into other lanes than before: nothing may be left out, so begin where the lane that
        // was furthest behind had got to. A later lane of the same cut must find the same.
        let same_cut = format!("-of-{}-", self.place.shards);
        let same_parts = format!("-of-{}", self.place.parts);
        let former = checkpoints
            .iter()
            .filter(|(name, _)| !(name.contains(&same_cut) && name.ends_with(&same_parts)))
            .map(|(_, sequence)| *sequence)
            .min();
        let begin = match (former, self.shared.settings.starting_position) {
            (Some(former), _) => former,
            (None, StartingPosition::TrimHorizon) => 0,
            (None, StartingPosition::Latest) => source.last_sequence().await?,
        };
        // Kept at once: what comes between now and a restart is not before the start.
        source.save_checkpoint(&self.checkpoint_name, begin).await?;
        Ok(begin)
    }

    /// The next batch; none when the mapping stops.
    async fn next_batch(&mut self) -> Option<Batch> {
        let window = self.shared.settings.batching_window;
        let mut failures = 0;
        let mut cut_at: Option<Instant> = None;
        loop {
            if *self.stop.borrow() {
                return None;
            }
            if self.is_full() || cut_at.is_some_and(|at| Instant::now() >= at) {
                return Some(self.cut());
            }
            match self.look().await {
                Ok(found) => {
                    failures = 0;
                    if !self.waiting.is_empty() && cut_at.is_none() {
                        cut_at = Some(Instant::now() + window);
                    }
                    if found == 0 {
                        self.wait_for_more(cut_at).await;
                    }
                }
                Err(error) => {
                    failures += 1;
                    self.source_failed(&error);
                    if !self.pause(failures).await {
                        return None;
                    }
                }
            }
        }
    }

    fn is_full(&self) -> bool {
        self.waiting.len() >= self.shared.settings.batch_size.max(1)
            || self.waiting_bytes + ENVELOPE_BYTES > MAPPING_PAYLOAD_BYTES
    }

    /// Reads on; the number of records looked at, the other lanes' included.
    async fn look(&mut self) -> Result<usize, String> {
        let records = self.shared.source.read(self.looked_at, READ_LIMIT).await?;
        for record in &records {
            self.looked_at = self.looked_at.max(record.sequence);
            if !self.place.has(&record.partition_key) {
                continue;
            }
            let wanted = self.shared.settings.filter.as_ref();
            if wanted.is_none_or(|wanted| wanted(&record.json)) {
                let prepared = Prepared::new(record);
                self.waiting_bytes += prepared.bytes();
                self.waiting.push_back(prepared);
            } else {
                self.skipped = true;
            }
        }
        if self.waiting.is_empty() && !records.is_empty() {
            if self.skipped {
                self.save(self.looked_at).await;
            }
            // Other lanes' records need no checkpoint: they are looked at again, and passed over.
            self.settled.store(self.looked_at, Ordering::Release);
        }
        Ok(records.len())
    }

    async fn wait_for_more(&mut self, cut_at: Option<Instant>) {
        let changed = self.shared.source.changed(self.looked_at);
        let full = async {
            match cut_at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = self.stop.wait_for(|stop| *stop) => {}
            () = full => {}
            () = changed => {}
        }
    }

    /// Takes as many records as fit a batch.
    fn cut(&mut self) -> Batch {
        let mut records = Vec::new();
        let mut bytes = ENVELOPE_BYTES;
        while let Some(next) = self.waiting.front() {
            let fits = bytes + next.bytes() <= MAPPING_PAYLOAD_BYTES || records.is_empty();
            if !fits || records.len() >= self.shared.settings.batch_size.max(1) {
                break;
            }
            bytes += next.bytes();
            self.waiting_bytes -= next.bytes();
            records.extend(self.waiting.pop_front());
        }
        Batch::new(records)
    }

    /// Everything of the lane up to `sequence` is done with.
    pub(super) async fn checkpoint(&mut self, sequence: u64, is_end_of_batch: bool) {
        let through = if is_end_of_batch && self.waiting.is_empty() {
            self.looked_at
        } else {
            sequence
        };
        self.save(through).await;
        self.settled.store(through, Ordering::Release);
    }

    async fn save(&mut self, sequence: u64) {
        let mut failures = 0;
        while let Err(error) = self
            .shared
            .source
            .save_checkpoint(&self.checkpoint_name, sequence)
            .await
        {
            failures += 1;
            self.source_failed(&error);
            // When it stops first, the records come again: at least once.
            if !self.pause(failures).await {
                return;
            }
        }
        self.skipped = false;
    }

    fn source_failed(&self, error: &str) {
        let settings = &self.shared.settings;
        settings.observer.on_source_error(&settings.function, error);
    }

    /// Waits as long as befits the number of failures; false when the mapping stops.
    pub(super) async fn pause(&self, failures: u32) -> bool {
        self.pause_for(self.shared.settings.clock.system_error_delay(failures))
            .await
    }

    /// Waits; false when the mapping stops.
    pub(super) async fn pause_for(&self, delay: Duration) -> bool {
        let mut stop = self.stop.clone();
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => false,
            () = tokio::time::sleep(delay) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_belongs_to_exactly_one_lane() {
        for key in (0..200).map(|number| format!("order-{number}")) {
            let lanes = (0..4).flat_map(|shard| (0..3).map(move |part| (shard, part)));
            let owners = lanes
                .filter(|(shard, part)| {
                    let place = Place {
                        shard: *shard,
                        shards: 4,
                        part: *part,
                        parts: 3,
                    };
                    place.has(&key)
                })
                .count();
            assert_eq!(owners, 1, "{key}");
        }
    }

    #[test]
    fn the_shard_of_a_key_is_the_one_whose_lane_has_it() {
        assert_eq!(shard_id("", 1), format!("shardId-{:020}", 0));
        let shards: Vec<String> = (0..200)
            .map(|n| shard_id(&format!("order-{n}"), 4))
            .collect();
        for shard in 0..4 {
            let name = format!("shardId-{shard:020}");
            assert!(shards.contains(&name), "{name}");
        }
    }

    #[test]
    fn the_hash_of_a_key_never_changes() {
        assert_eq!(stable_hash(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(stable_hash("a"), 0xaf63_dc4c_8601_ec8c);
    }
}
