//! `DynamoDB` streams: the endpoint's own change log, by table.

pub(crate) mod api;
pub(crate) mod log;
mod record;
pub(crate) mod tail;

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::watch;

use crate::EndpointError;
use crate::clock::now_millis;
use crate::dynamodb::engine::Change;
use log::{ChangeLog, LoggedCommit, LoggedWrite};
pub use record::StreamRecord;
use record::{Kept, render};

/// AWS keeps a stream's records for 24 hours.
const RETENTION_MILLIS: u64 = 24 * 60 * 60 * 1000;
/// Records every consumer has passed leave the memory beyond this number.
const KEPT_WHEN_CONSUMED: usize = 10_000;

/// What a stream's records say about where they come from.
#[derive(Debug, Clone)]
pub(crate) struct StreamOrigin {
    pub(crate) table: String,
    pub(crate) arn: String,
    pub(crate) label: String,
    pub(crate) view: String,
    pub(crate) partition_key: String,
    pub(crate) sort_key: Option<String>,
    pub(crate) region: String,
}

#[derive(Debug, Default)]
struct StreamState {
    records: VecDeque<Kept>,
    last: u64,
    checkpoints: BTreeMap<String, u64>,
}

#[derive(Debug)]
struct Stream {
    origin: StreamOrigin,
    state: Mutex<StreamState>,
    latest: watch::Sender<u64>,
}

/// One table's stream: every change of an item, in order.
#[derive(Debug, Clone)]
pub struct TableStream(Arc<Stream>);

impl TableStream {
    pub(crate) fn new(origin: StreamOrigin) -> Self {
        Self(Arc::new(Stream {
            origin,
            state: Mutex::default(),
            latest: watch::Sender::new(0),
        }))
    }

    pub(crate) fn origin(&self) -> &StreamOrigin {
        &self.0.origin
    }

    /// The stream's ARN, as in `eventSourceARN`.
    #[must_use]
    pub fn arn(&self) -> &str {
        &self.0.origin.arn
    }

    /// Up to `limit` records with a sequence above `after_sequence` (0: from
    /// the oldest kept), in order.
    #[must_use]
    pub fn read(&self, after_sequence: u64, limit: usize) -> Vec<StreamRecord> {
        let state = self.state();
        let from = state
            .records
            .partition_point(|kept| kept.sequence <= after_sequence);
        let until = state.records.len().min(from.saturating_add(limit));
        state.records.range(from..until).map(Kept::read).collect()
    }

    /// Sequence of the newest record, 0 before the first.
    #[must_use]
    pub fn last_sequence(&self) -> u64 {
        *self.0.latest.borrow()
    }

    /// Follows [`last_sequence`](Self::last_sequence): `changed().await`
    /// returns when a record came since the receiver last looked.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.latest.subscribe()
    }

    /// Waits until there is a record with a sequence above `after_sequence`,
    /// and returns the newest sequence.
    pub async fn changed(&self, after_sequence: u64) -> u64 {
        let mut latest = self.subscribe();
        // The sender lives in self, so waiting cannot fail.
        let newest = latest.wait_for(|newest| *newest > after_sequence).await;
        newest.map_or(after_sequence, |newest| *newest)
    }

    /// Sequence of the oldest record kept, 0 for none.
    #[must_use]
    pub fn oldest_sequence(&self) -> u64 {
        self.state().records.front().map_or(0, |kept| kept.sequence)
    }

    /// Sequence of the oldest record that can still be read, or, where all are
    /// trimmed, of the next one to come.
    pub(crate) fn horizon(&self) -> u64 {
        let state = self.state();
        let oldest = state.records.front();
        oldest.map_or(state.last + 1, |kept| kept.sequence)
    }

    pub(crate) fn checkpoint(&self, consumer: &str) -> Option<u64> {
        self.state().checkpoints.get(consumer).copied()
    }

    pub(crate) fn set_checkpoint(&self, consumer: &str, sequence: u64) {
        self.state()
            .checkpoints
            .insert(consumer.to_owned(), sequence);
    }

    fn state(&self) -> MutexGuard<'_, StreamState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, records: Vec<Kept>) {
        let Some(newest) = records.last().map(|kept| kept.sequence) else {
            return;
        };
        let mut state = self.state();
        state.last = newest;
        state.records.extend(records);
        let oldest_kept = now_millis().saturating_sub(RETENTION_MILLIS);
        let consumed = state.checkpoints.values().min().copied().unwrap_or(0);
        while state.records.front().is_some_and(|kept| {
            kept.at_millis < oldest_kept
                || (kept.sequence <= consumed && state.records.len() > KEPT_WHEN_CONSUMED)
        }) {
            state.records.pop_front();
        }
        drop(state);
        self.0.latest.send_replace(newest);
    }

    /// Puts back what a log held.
    pub(crate) fn restore(
        &self,
        commits: &[LoggedCommit<'_>],
        last: u64,
        checkpoints: BTreeMap<String, u64>,
    ) {
        let records = commits
            .iter()
            .flat_map(|commit| {
                let own = |write: &&LoggedWrite<'_>| write.table == self.0.origin.table;
                commit.writes.iter().filter(own).filter_map(|write| {
                    Some(render(
                        &self.0.origin,
                        write.sequence?,
                        commit.at_millis,
                        write,
                    ))
                })
            })
            .collect();
        self.state().checkpoints = checkpoints;
        self.push(records);
        self.state().last = last;
        self.0.latest.send_replace(last);
    }
}

/// A commit that is logged and not yet in the storage engine.
pub(crate) struct Intent {
    records: Vec<(TableStream, Vec<Kept>)>,
}

/// The log behind all streams of an endpoint.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    log: Option<ChangeLog>,
}

impl Outbox {
    pub(crate) fn new(log: Option<ChangeLog>) -> Self {
        Self { log }
    }

    pub(crate) fn log(&self) -> Option<&ChangeLog> {
        self.log.as_ref()
    }

    /// Gives the changes of one commit their sequence numbers and logs them.
    /// The caller holds the write lock until it calls
    /// [`publish`](Self::publish) or [`abort`](Self::abort).
    pub(crate) fn begin(&self, changes: &[Change]) -> Result<Intent, EndpointError> {
        let at_millis = now_millis();
        let mut records: Vec<(TableStream, Vec<Kept>)> = Vec::new();
        let mut writes = Vec::with_capacity(changes.len());
        for change in changes {
            let mut write = LoggedWrite {
                table: Cow::Borrowed(&change.table.definition.name),
                key: Cow::Borrowed(&change.key),
                sequence: None,
                new: change.after.as_ref().map(Cow::Borrowed),
                old: None,
                existed: change.before.is_some(),
            };
            if let Some(stream) = &change.table.stream {
                let origin = stream.origin();
                let position = records
                    .iter()
                    .position(|(other, _)| other.origin().table == origin.table);
                let position = position.unwrap_or_else(|| {
                    records.push((stream.clone(), Vec::new()));
                    records.len() - 1
                });
                let before_this = records[position].1.len() as u64;
                let sequence = stream.state().last + before_this + 1;
                if matches!(origin.view.as_str(), "OLD_IMAGE" | "NEW_AND_OLD_IMAGES") {
                    write.old = change.before.as_ref().map(Cow::Borrowed);
                }
                write.sequence = Some(sequence);
                let kept = render(origin, sequence, at_millis, &write);
                records[position].1.push(kept);
            }
            writes.push(write);
        }
        // Commits without a stream are logged too: recovery relies on the last
        // line being the last commit.
        if let Some(log) = &self.log {
            log.commit(LoggedCommit { at_millis, writes })?;
        }
        Ok(Intent { records })
    }

    /// Shows the commit's records to the streams' readers, all together.
    pub(crate) fn publish(intent: Intent) {
        for (stream, records) in intent.records {
            stream.push(records);
        }
    }

    /// The engine refused the commit: it never happened.
    pub(crate) fn abort(&self) -> Result<(), EndpointError> {
        self.log
            .as_ref()
            .map_or(Ok(()), |log| log.abort(now_millis()))
    }

    /// A table was deleted: nothing in the log is about it any more.
    pub(crate) fn forget(&self, table: &str) -> Result<(), EndpointError> {
        self.log.as_ref().map_or(Ok(()), |log| log.forget(table))
    }
}

/// The part of a log that is younger than 24 hours and belongs to streams
/// that still exist.
pub(crate) fn trim(recovered: &mut log::Recovered, has_stream: impl Fn(&str) -> bool) {
    let oldest_kept = now_millis().saturating_sub(RETENTION_MILLIS);
    recovered
        .commits
        .retain(|commit| commit.at_millis >= oldest_kept);
    for commit in &mut recovered.commits {
        commit
            .writes
            .retain(|write| write.sequence.is_some() && has_stream(&write.table));
    }
    recovered.commits.retain(|commit| !commit.writes.is_empty());
    recovered
        .last_sequences
        .retain(|table, _| has_stream(table));
    recovered
        .checkpoints
        .retain(|(table, _), _| has_stream(table));
}

/// The sequence in a record's `SequenceNumber`.
#[must_use]
pub fn sequence_of(sequence_number: &str) -> Option<u64> {
    sequence_number.strip_prefix('1')?.parse().ok()
}

/// `SequenceNumber` of a sequence: 21 digits, growing.
pub(crate) fn sequence_number(sequence: u64) -> String {
    format!("1{sequence:020}")
}

/// A key value as one string: the shard key.
fn shard_key(value: Option<&Value>) -> String {
    match value.and_then(crate::dynamodb::attributes::tagged) {
        Some((_, Value::String(text))) => text.clone(),
        _ => String::new(),
    }
}
