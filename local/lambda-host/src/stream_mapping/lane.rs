//! One lane of a mapping: reads its records, cuts them into batches, one after the other.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::Shared;
use super::batch::{Batch, ENVELOPE_BYTES, Prepared};
use super::place::{LaneShard, Place};
use super::source::RecordSource;
use super::window::{self, Window};
use crate::limits::MAPPING_PAYLOAD_BYTES;

/// Records looked at in one read.
const READ_LIMIT: usize = 1000;

/// What a lane does next.
enum Step {
    /// Hand over these records.
    Batch(Batch),
    /// The open window is over.
    CloseWindow,
    /// The lane's shard is closed and everything of it is done with.
    End,
    /// The mapping stops.
    Stop,
}

/// One lane.
pub(super) struct Lane<S> {
    pub(super) shared: Arc<Shared<S>>,
    pub(super) shard_id: String,
    pub(super) stop: watch::Receiver<bool>,
    /// The window that is open, where the mapping has windows.
    pub(super) window: Option<Window>,
    place: Place,
    checkpoint_name: String,
    /// Begin behind this sequence without a checkpoint; none as the mapping's settings say.
    begin_after: Option<u64>,
    /// Read, wanted, and not in a batch yet.
    waiting: VecDeque<Prepared>,
    waiting_bytes: usize,
    /// Everything up to here was looked at.
    looked_at: u64,
    /// Where the lane's shard ends, if it is closed.
    ends_at: Option<u64>,
    /// Shards of the stream at the last look.
    known_shards: usize,
    /// A record of this lane was filtered out since the last checkpoint.
    skipped: bool,
    settled: Arc<AtomicU64>,
}

impl<S: RecordSource> Lane<S> {
    pub(super) fn new(
        shared: Arc<Shared<S>>,
        place: Place,
        begin_after: Option<u64>,
        settled: Arc<AtomicU64>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self {
            shared,
            shard_id: place.shard_id(),
            stop,
            window: None,
            checkpoint_name: place.checkpoint_name(),
            place,
            begin_after,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            looked_at: 0,
            ends_at: None,
            known_shards: 0,
            skipped: false,
            settled,
        }
    }

    /// Works until the mapping stops, or everything of its shard is done with; whether it is.
    pub(super) async fn run(mut self) -> bool {
        let Some(begin) = self.begin().await else {
            return false;
        };
        self.looked_at = begin;
        self.settled.store(begin, Ordering::Release);
        loop {
            let goes_on = match self.next_step().await {
                Step::Batch(batch) => {
                    self.open_window(&batch);
                    self.settle(batch).await
                }
                Step::CloseWindow => self.close_window().await,
                Step::End => {
                    // Nobody waits for it any more.
                    self.save(u64::MAX).await;
                    return true;
                }
                Step::Stop => false,
            };
            if !goes_on {
                return false;
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
        // was furthest behind had got to.
        let former = self.place.former(&checkpoints);
        let begin = match former.or(self.begin_after) {
            Some(begin) => begin,
            None => self.shared.starting_sequence().await?,
        };
        // Kept at once: what comes between now and a restart is not before the start.
        source.save_checkpoint(&self.checkpoint_name, begin).await?;
        Ok(begin)
    }

    async fn next_step(&mut self) -> Step {
        let batching = self.shared.settings.batching_window;
        let mut failures = 0;
        let mut cut_at: Option<Instant> = None;
        // Whether everything that there is was looked at.
        let mut caught_up = false;
        loop {
            if *self.stop.borrow() {
                return Step::Stop;
            }
            let is_at_end = self.is_at_end();
            if self.window_is_over(is_at_end, caught_up) {
                return Step::CloseWindow;
            }
            let waited = cut_at.is_some_and(|at| Instant::now() >= at);
            let more_comes = !is_at_end && !self.waits_for_two_windows();
            if self.is_full() || waited || (!more_comes && !self.waiting.is_empty()) {
                return Step::Batch(self.cut());
            }
            if is_at_end {
                return Step::End;
            }
            match self.look().await {
                Ok(found) => {
                    failures = 0;
                    caught_up = found == 0;
                    if !self.waiting.is_empty() && cut_at.is_none() {
                        cut_at = Some(Instant::now() + batching);
                    }
                    if found == 0 && !self.is_at_end() {
                        self.wait_for_more(cut_at.or(self.window_closes_at())).await;
                    }
                }
                Err(error) => {
                    failures += 1;
                    self.source_failed(&error);
                    if !self.pause(failures).await {
                        return Step::Stop;
                    }
                }
            }
        }
    }

    /// Whether everything of a closed shard was looked at.
    fn is_at_end(&self) -> bool {
        self.ends_at.is_some_and(|end| self.looked_at >= end)
    }

    fn is_full(&self) -> bool {
        self.waiting.len() >= self.shared.settings.batch_size.max(1)
            || self.waiting_bytes + self.envelope_bytes() > MAPPING_PAYLOAD_BYTES
    }

    fn envelope_bytes(&self) -> usize {
        ENVELOPE_BYTES + self.window.as_ref().map_or(0, Window::bytes)
    }

    /// Reads on; the number of records looked at, the other lanes' included.
    async fn look(&mut self) -> Result<usize, String> {
        let records = self.shared.source.read(self.looked_at, READ_LIMIT).await?;
        // After the read: a shard is closed before there is a record of its children.
        self.look_at_shards();
        for record in &records {
            self.looked_at = self.looked_at.max(record.sequence);
            if !self.place.has(record) {
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
        if let Some(end) = self.ends_at {
            // What comes behind it is its children's, and settled by them.
            self.looked_at = self
                .looked_at
                .min(end.max(self.settled.load(Ordering::Acquire)));
        }
        if self.waiting.is_empty() && !records.is_empty() {
            if self.skipped && self.window.is_none() {
                self.save(self.looked_at).await;
            }
            // Other lanes' records need no checkpoint: they are looked at again, and passed over.
            self.settled.store(self.looked_at, Ordering::Release);
        }
        Ok(records.len())
    }

    fn look_at_shards(&mut self) {
        let LaneShard::Named(id) = &self.place.shard else {
            return;
        };
        let shards = self.shared.source.shards();
        self.known_shards = shards.len();
        let own = shards.iter().find(|shard| shard.id == *id);
        self.ends_at = own.and_then(|shard| shard.ends_at);
    }

    async fn wait_for_more(&mut self, until: Option<Instant>) {
        let changed = self.shared.source.changed(self.looked_at);
        let resharded = self.shared.source.more_shards(self.known_shards);
        let full = async {
            match until {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = self.stop.wait_for(|stop| *stop) => {}
            () = full => {}
            () = changed => {}
            () = resharded => {}
        }
    }

    /// Takes as many records as fit a batch; with windows, of one of them.
    fn cut(&mut self) -> Batch {
        let mut records: Vec<Prepared> = Vec::new();
        let mut bytes = self.envelope_bytes();
        let window = self.first_window();
        while let Some(next) = self.waiting.front() {
            let fits = bytes + next.bytes() <= MAPPING_PAYLOAD_BYTES || records.is_empty();
            let later = window
                .as_ref()
                .is_some_and(|one| one.is_before(next.created));
            if !fits || later || records.len() >= self.shared.settings.batch_size.max(1) {
                break;
            }
            bytes += next.bytes();
            self.waiting_bytes -= next.bytes();
            records.extend(self.waiting.pop_front());
        }
        Batch::new(records)
    }

    /// The window of the next records: the open one, or that of the first record that waits.
    fn first_window(&self) -> Option<Window> {
        let length = self.shared.settings.tumbling_window?;
        let first = self.waiting.front()?;
        let open = self.window.clone();
        Some(open.unwrap_or_else(|| Window::of(first.created, length)))
    }

    /// Whether a record waits that is in a later window than the first one: then the first one's
    /// is complete.
    fn waits_for_two_windows(&self) -> bool {
        let (Some(window), Some(last)) = (self.first_window(), self.waiting.back()) else {
            return false;
        };
        window.is_before(last.created)
    }

    /// The open window is over when a record of a later one is next, or its shard ended, or when
    /// its time has passed, and a while more in which nothing came.
    fn window_is_over(&self, is_at_end: bool, caught_up: bool) -> bool {
        let Some(window) = &self.window else {
            return false;
        };
        if let Some(next) = self.waiting.front() {
            return window.is_before(next.created);
        }
        let closes_at = self.window_closes_at();
        is_at_end || (caught_up && closes_at.is_some_and(|at| Instant::now() >= at))
    }

    fn window_closes_at(&self) -> Option<Instant> {
        let end = self.window.as_ref()?.end();
        let left = end.duration_since(self.shared.wall.now());
        let patience = self.shared.settings.clock.window_patience();
        Some(
            Instant::now()
                + left.map_or_else(
                    |passed| patience.saturating_sub(passed.duration()),
                    |left| left + patience,
                ),
        )
    }

    fn open_window(&mut self, batch: &Batch) {
        let length = self.shared.settings.tumbling_window;
        let first = batch.records.first();
        if let (None, Some(length), Some(first)) = (&self.window, length, first) {
            self.window = Some(window::Window::of(first.created, length));
            self.shared.open_windows.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// The window is done with, and with it all its records.
    pub(super) async fn forget_window(&mut self) {
        self.window = None;
        self.save(self.settled.load(Ordering::Acquire)).await;
        self.shared.open_windows.fetch_sub(1, Ordering::AcqRel);
    }

    /// Everything of the lane up to `sequence` is done with.
    pub(super) async fn checkpoint(&mut self, sequence: u64, is_end_of_batch: bool) {
        let through = if is_end_of_batch && self.waiting.is_empty() {
            self.looked_at
        } else {
            sequence
        };
        // What an open window holds is not done with: it is kept by nobody but the function.
        if self.window.is_none() {
            self.save(through).await;
        }
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
