//! Adapters that keep everything in memory: for tests and for the simulation.

use crate::chain::{self, Head};
use crate::envelope::Envelope;
use crate::publisher::{EventPublisher, PublishError};
#[cfg(feature = "runtime")]
use crate::snapshot::{Snapshot, SnapshotError, SnapshotStore};
use crate::store::{AppendError, AppendWith, EventStore, ReadError};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// An event store in memory. It also keeps the order in which all events arrived, as the stream
/// of a table would, and companion data `C` that moves with the events.
#[derive(Debug, Default)]
pub struct InMemoryEventStore<C = ()> {
    kept: Mutex<Kept>,
    companion: Mutex<C>,
}

/// Data beside the streams that changes in the transactions of events.
pub trait Companion<M>: Send {
    /// Why a move was refused.
    type Refusal: Debug + Send + 'static;

    /// Makes all moves, which belong to `events`, or none.
    ///
    /// # Errors
    /// Every move that is refused.
    fn apply(&mut self, moves: &[M], events: &[Envelope]) -> Result<(), Vec<Self::Refusal>>;
}

#[derive(Debug, Default)]
struct Kept {
    streams: BTreeMap<String, Vec<Envelope>>,
    arrivals: Vec<Envelope>,
}

impl<C> InMemoryEventStore<C> {
    /// Appends if `moves` succeeds; nothing else happens in between.
    ///
    /// # Errors
    /// [`AppendError`]; `Refused` with what `moves` gave.
    fn append_if<R: Debug>(
        &self,
        stream: &str,
        head: &Head,
        events: Vec<Envelope>,
        moves: impl FnOnce(&[Envelope]) -> Result<(), Vec<R>>,
    ) -> Result<Vec<Envelope>, AppendError<R>> {
        let mut kept = self.lock();
        let events = chain::record(stream, head, events);
        let expected = head.version;
        let history = kept.streams.get(stream).map_or(&[][..], Vec::as_slice);
        // A gap would be a mistake of the caller: its trigger was never stored.
        if history.len() as u64 != expected {
            let stored = usize::try_from(expected)
                .ok()
                .and_then(|at| history.get(at));
            return Err(AppendError::Conflict {
                stream: stream.to_owned(),
                version: expected + 1,
                stored: stored.cloned().map(Box::new),
            });
        }
        moves(&events).map_err(AppendError::Refused)?;
        kept.arrivals.extend(events.iter().cloned());
        kept.streams
            .entry(stream.to_owned())
            .or_default()
            .extend(events.iter().cloned());
        Ok(events)
    }

    /// All events in the order of their arrival.
    #[must_use]
    pub fn arrivals(&self) -> Vec<Envelope> {
        self.lock().arrivals.clone()
    }

    /// The companion data.
    pub fn companion(&self) -> MutexGuard<'_, C> {
        self.companion
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Send> EventStore for InMemoryEventStore<C> {
    async fn append(
        &self,
        stream: &str,
        head: &Head,
        events: Vec<Envelope>,
    ) -> Result<Vec<Envelope>, AppendError> {
        for event in &events {
            let bytes = serde_json::to_vec(event)
                .map_err(|error| AppendError::Malformed(error.to_string()))?
                .len();
            if bytes > MAX_EVENT_BYTES {
                return Err(AppendError::TooLarge {
                    bytes,
                    limit: MAX_EVENT_BYTES,
                });
            }
        }
        self.append_if(stream, head, events, |_| Ok(()))
    }

    async fn read(&self, stream: &str, from: u64) -> Result<Vec<Envelope>, ReadError> {
        Ok(self
            .lock()
            .streams
            .get(stream)
            .into_iter()
            .flatten()
            .filter(|event| event.version >= Some(from))
            .cloned()
            .collect())
    }
}

impl<M: Sync, C: Companion<M>> AppendWith<M> for InMemoryEventStore<C> {
    type Refusal = C::Refusal;

    async fn append_with(
        &self,
        stream: &str,
        head: &Head,
        events: Vec<Envelope>,
        moves: &[M],
    ) -> Result<Vec<Envelope>, AppendError<C::Refusal>> {
        self.append_if(stream, head, events, |events| {
            self.companion().apply(moves, events)
        })
    }
}

/// Snapshots in memory.
#[cfg(feature = "runtime")]
#[derive(Debug, Default)]
pub struct InMemorySnapshots {
    kept: Mutex<BTreeMap<String, Snapshot>>,
}

#[cfg(feature = "runtime")]
impl SnapshotStore for InMemorySnapshots {
    async fn snapshot(&self, stream: &str) -> Result<Option<Snapshot>, ReadError> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(kept.get(stream).cloned())
    }

    async fn keep(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let rank = |snapshot: &Snapshot| (snapshot.fold, snapshot.head.version);
        let older = |there: &Snapshot| rank(there) < rank(snapshot);
        if kept.get(&snapshot.stream).is_none_or(older) {
            kept.insert(snapshot.stream.clone(), snapshot.clone());
        }
        Ok(())
    }
}

/// Largest event in memory: that of `DynamoDB`, so that tests meet the same limit.
const MAX_EVENT_BYTES: usize = 400 * 1024;

/// A bus in memory: keeps what was published.
#[derive(Debug, Default)]
pub struct InMemoryPublisher {
    published: Mutex<Vec<Envelope>>,
}

impl InMemoryPublisher {
    /// Everything published, in order.
    #[must_use]
    pub fn published(&self) -> Vec<Envelope> {
        self.published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl EventPublisher for InMemoryPublisher {
    async fn publish(&self, events: &[Envelope]) -> Vec<Result<(), PublishError>> {
        self.published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(events.iter().cloned());
        events.iter().map(|_| Ok(())).collect()
    }
}
