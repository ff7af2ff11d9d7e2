//! Snapshots: a long stream is loaded as its last snapshot and the few events after it, in two
//! requests, whatever its length.
//!
//! A snapshot is a cache of a fold and nothing more: it may be missing, late or wrong in version,
//! and then the stream is folded from its start. It is thrown away when the fold changes
//! ([`Snapshotable::FOLD`]), and when the stream does not have its last event ([`crate::chain`]).

use crate::chain::Head;
use crate::decider::Decider;
use crate::envelope::Envelope;
use crate::execute::{
    Cause, ExecuteError, Executed, Loaded, Start, decode, execute_loading, retrying,
};
use crate::store::{EventStore, ReadError, Source};
use serde_json::Value;
use std::future::Future;

/// A decider whose state can be kept between loads.
pub trait Snapshotable: Decider {
    /// Version of the fold. Raise it whenever `evolve` or the form of the state changes: snapshots
    /// of another version are thrown away.
    const FOLD: u32;

    /// The state as it is kept.
    ///
    /// # Errors
    /// When the state cannot be written as JSON.
    fn to_snapshot(state: &Self::State) -> Result<Value, serde_json::Error>;

    /// A kept state.
    ///
    /// # Errors
    /// When it is none; the stream is folded from its start then.
    fn from_snapshot(kept: Value) -> Result<Self::State, serde_json::Error>;
}

/// A kept state of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Which stream.
    pub stream: String,
    /// Where the stream ended.
    pub head: Head,
    /// The [`Snapshotable::FOLD`] that made it.
    pub fold: u32,
    /// The state.
    pub state: Value,
}

/// Why a snapshot was not kept. It is a cache: whoever sees this may go on.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The store did not answer.
    #[error("the snapshot was not kept, for the store did not answer; the next one will be")]
    Unavailable(#[source] Source),
    /// The state is larger than the store takes.
    #[error("the snapshot has {bytes} bytes, the store takes {limit}; keep less in the state")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// What the store takes.
        limit: usize,
    },
    /// The state cannot be written in the store's format.
    #[error("the snapshot cannot be stored: {0}")]
    Malformed(String),
}

/// Keeps the last snapshot of each stream.
pub trait SnapshotStore: Send + Sync {
    /// The snapshot of a stream, where there is one. It may be an older one.
    ///
    /// # Errors
    /// [`ReadError`].
    fn snapshot(
        &self,
        stream: &str,
    ) -> impl Future<Output = Result<Option<Snapshot>, ReadError>> + Send;

    /// Keeps a snapshot. An adapter MUST NOT replace one of a newer fold, or of the same fold and
    /// a later version; that is no failure.
    ///
    /// # Errors
    /// [`SnapshotError`].
    fn keep(&self, snapshot: &Snapshot) -> impl Future<Output = Result<(), SnapshotError>> + Send;
}

/// When a snapshot is due: as soon as this much follows on the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotPolicy {
    /// Events.
    pub events: usize,
    /// Bytes of events, as JSON: keeps the events after a snapshot within one page of a read
    /// (1 MB on `DynamoDB`).
    pub bytes: usize,
}

impl Default for SnapshotPolicy {
    fn default() -> Self {
        Self {
            events: 100,
            bytes: 512 * 1024,
        }
    }
}

/// An event store with snapshots beside it.
#[derive(Debug, Clone, Copy)]
pub struct Snapshotting<'a, S, K> {
    /// Where the events are.
    pub events: &'a S,
    /// Where the snapshots are.
    pub snapshots: &'a K,
    /// When they are taken.
    pub policy: SnapshotPolicy,
}

impl<S: EventStore, K: SnapshotStore> Snapshotting<'_, S, K> {
    /// Loads a stream: one request for the snapshot, one for the events after it. Keeps a new
    /// snapshot when one is due. `history` has the events after the snapshot only.
    ///
    /// # Errors
    /// [`ExecuteError::Read`], [`ExecuteError::Unreadable`].
    pub async fn load<D: Snapshotable>(
        &self,
        stream: &str,
    ) -> Result<Loaded<D::State>, ExecuteError<D::Rejection>> {
        let kept = retrying(|| self.snapshots.snapshot(stream)).await?;
        let start = kept.filter(|kept| kept.fold == D::FOLD).and_then(|kept| {
            let state = D::from_snapshot(kept.state).ok()?;
            Some((state, kept.head))
        });
        let loaded = match start {
            Some((state, head)) => match self.tail::<D>(stream, state, head).await? {
                Some(loaded) => loaded,
                None => self.whole::<D>(stream).await?,
            },
            None => self.whole::<D>(stream).await?,
        };
        if self.is_due(&loaded.history) {
            self.keep::<D>(stream, &loaded.state, &loaded.head).await;
        }
        Ok(loaded)
    }

    /// Executes a command on a stream, from its snapshot. Keeps a new one when that is due.
    ///
    /// # Errors
    /// As [`crate::execute::execute`].
    pub async fn execute<D: Snapshotable>(
        &self,
        stream: &str,
        start: Start<D::State>,
        command: &D::Command,
        cause: &Cause,
    ) -> Result<Executed<D::State>, ExecuteError<D::Rejection>> {
        execute_loading::<D>(self.events, stream, start, command, cause, async || {
            self.load::<D>(stream).await
        })
        .await
    }

    async fn whole<D: Snapshotable>(
        &self,
        stream: &str,
    ) -> Result<Loaded<D::State>, ExecuteError<D::Rejection>> {
        crate::execute::load::<D, _>(self.events, stream).await
    }

    /// The events after a snapshot, folded into its state; `None` when it is not one of this
    /// stream: its last event is read, too, and must be there with the same hash.
    async fn tail<D: Snapshotable>(
        &self,
        stream: &str,
        mut state: D::State,
        head: Head,
    ) -> Result<Option<Loaded<D::State>>, ExecuteError<D::Rejection>> {
        let mut history = retrying(|| self.events.read(stream, head.version)).await?;
        if history.is_empty() || Head::after(history.first()) != head {
            return Ok(None);
        }
        history.remove(0);
        for event in &history {
            state = D::evolve(state, &decode(event)?, event.at());
        }
        Ok(Some(Loaded {
            state,
            head: history.last().map_or(head, |last| Head::after(Some(last))),
            history,
        }))
    }

    fn is_due(&self, history: &[Envelope]) -> bool {
        history.len() >= self.policy.events
            || history
                .iter()
                .map(|event| serde_json::to_vec(event).map_or(0, |json| json.len()))
                .sum::<usize>()
                >= self.policy.bytes
    }

    /// Keeps a snapshot. One that cannot be kept costs a longer load next time, so it is no
    /// failure of the command.
    async fn keep<D: Snapshotable>(&self, stream: &str, state: &D::State, head: &Head) {
        if let Ok(state) = D::to_snapshot(state) {
            let snapshot = Snapshot {
                stream: stream.to_owned(),
                head: head.clone(),
                fold: D::FOLD,
                state,
            };
            let _ = self.snapshots.keep(&snapshot).await;
        }
    }
}

#[cfg(test)]
mod tests;
