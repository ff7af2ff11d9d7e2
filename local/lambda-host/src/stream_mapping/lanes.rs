//! The lanes of a mapping: fixed ones of a stream that its source does not cut, or those of its
//! shards, which come and go: a shard is read when its parents are done with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Shared;
use super::lane::Lane;
use super::place::{LaneShard, Place};
use super::source::{RecordSource, Shard};

/// How far each lane is, by the name of its shard.
#[derive(Debug, Default)]
pub(super) struct Settled(Mutex<BTreeMap<String, Vec<Arc<AtomicU64>>>>);

impl Settled {
    /// The sequence that every lane has reached; 0 before there are lanes.
    pub(super) fn through(&self) -> u64 {
        let lanes = self.lanes();
        let reached = lanes.values().flatten();
        let reached = reached.map(|through| through.load(Ordering::Acquire));
        reached.min().unwrap_or(0)
    }

    fn add(&self, shard: &str, at: u64) -> Arc<AtomicU64> {
        let through = Arc::new(AtomicU64::new(at));
        let mut lanes = self.lanes();
        let of_shard = lanes.entry(shard.to_owned()).or_default();
        of_shard.push(Arc::clone(&through));
        through
    }

    fn remove(&self, shard: &str) {
        self.lanes().remove(shard);
    }

    fn lanes(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Arc<AtomicU64>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The lanes that run, and what they need.
pub(super) struct Lanes<S> {
    shared: Arc<Shared<S>>,
    settled: Arc<Settled>,
    stop: watch::Receiver<bool>,
    /// Each ends with the name of its shard and whether that is done with.
    running: JoinSet<(String, bool)>,
    /// Lanes of a shard that are not done yet.
    left: BTreeMap<String, u32>,
    finished: BTreeSet<String>,
}

impl<S: RecordSource> Lanes<S> {
    pub(super) fn new(
        shared: Arc<Shared<S>>,
        settled: Arc<Settled>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self {
            shared,
            settled,
            stop,
            running: JoinSet::new(),
            left: BTreeMap::new(),
            finished: BTreeSet::new(),
        }
    }

    /// Runs the lanes until the mapping stops, and waits for them.
    pub(super) async fn run(mut self) {
        if self.shared.source.shards().is_empty() {
            let shards = self.shared.settings.shards.max(1);
            for shard in 0..shards {
                let place = LaneShard::Hashed { shard, shards };
                self.start(&format!("{shard}"), &place, None);
            }
        } else {
            self.run_shards().await;
        }
        while self.running.join_next().await.is_some() {}
    }

    async fn run_shards(&mut self) {
        let Some((at_start, begin)) = self.first_look().await else {
            return;
        };
        loop {
            let shards = self.shared.source.shards();
            for shard in &shards {
                let waits = shard.parents.iter().any(|parent| {
                    let is_there = shards.iter().any(|one| one.id == *parent);
                    is_there && !self.finished.contains(parent)
                });
                if !waits && !self.left.contains_key(&shard.id) {
                    // What came by a resharding that was seen is read from its first record on.
                    let begin = if at_start.contains(&shard.id) {
                        begin
                    } else {
                        0
                    };
                    let place = LaneShard::Named(shard.id.clone());
                    self.start(&shard.id, &place, Some(begin));
                }
            }
            // Only now: their children are there to be waited for.
            for shard in &self.finished {
                self.settled.remove(shard);
            }
            if !self.wait_for_change(shards.len()).await {
                return;
            }
        }
    }

    /// The shards that are there at first, and the sequence behind which those without a
    /// checkpoint begin; none when the mapping stops before that is known.
    async fn first_look(&self) -> Option<(BTreeSet<String>, u64)> {
        let mut stop = self.stop.clone();
        let settings = &self.shared.settings;
        let mut failures = 0;
        loop {
            let shards = self.shared.source.shards();
            match self.starting_point(&shards).await {
                Ok(begin) => {
                    let ids = shards.into_iter().map(|shard| shard.id);
                    return Some((ids.collect(), begin));
                }
                Err(error) => {
                    failures += 1;
                    settings
                        .observer
                        .on_source_error(&settings.function, &error);
                    let delay = settings.clock.system_error_delay(failures);
                    tokio::select! {
                        biased;
                        _ = stop.wait_for(|stop| *stop) => return None,
                        () = tokio::time::sleep(delay) => {}
                    }
                }
            }
        }
    }

    async fn starting_point(&self, shards: &[Shard]) -> Result<u64, String> {
        let checkpoints = self.shared.source.load_checkpoints().await?;
        let was_here = checkpoints.keys().any(|name| {
            let mut shards = shards.iter();
            shards.any(|shard| name.starts_with(&format!("{}-part-", shard.id)))
        });
        if was_here {
            // A shard without one came while nobody looked.
            return Ok(0);
        }
        self.shared.starting_sequence().await
    }

    fn start(&mut self, shard: &str, place: &LaneShard, begin_after: Option<u64>) {
        let parts = self.shared.settings.parallelization_factor.max(1);
        self.left.insert(shard.to_owned(), parts);
        for part in 0..parts {
            let lane = Lane::new(
                Arc::clone(&self.shared),
                Place {
                    shard: place.clone(),
                    part,
                    parts,
                },
                begin_after,
                self.settled.add(shard, 0),
                self.stop.clone(),
            );
            let shard = shard.to_owned();
            self.running.spawn(async move { (shard, lane.run().await) });
        }
    }

    /// Waits until there are more shards, or one is done with; false when the mapping stops.
    async fn wait_for_change(&mut self, known: usize) -> bool {
        loop {
            tokio::select! {
                biased;
                _ = self.stop.wait_for(|stop| *stop) => return false,
                Some(ended) = self.running.join_next() => {
                    // A lane that panicked leaves its shard where it is.
                    let Ok((shard, true)) = ended else { continue };
                    let left = self.left.entry(shard.clone()).or_default();
                    *left = left.saturating_sub(1);
                    if *left == 0 {
                        self.finished.insert(shard);
                        return true;
                    }
                }
                () = self.shared.source.more_shards(known) => return true,
            }
        }
    }
}
