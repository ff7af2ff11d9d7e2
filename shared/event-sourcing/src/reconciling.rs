//! Proving that stored ⇔ published over a period: what the store has is held against the markers
//! that publishing leaves, in both directions.

use crate::envelope::Envelope;
use crate::retry::{Retry, Retryable};
use crate::store::Source;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

/// Where an event is: stream and version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Which stream.
    pub stream: String,
    /// Which version of it.
    pub version: u64,
}

/// What publishing an event left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// Which event.
    pub position: Position,
    /// When it was published.
    pub at: Timestamp,
}

/// A page of something.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// What is on it; it may be empty and not the last one.
    pub found: Vec<T>,
    /// What to ask for the next page with; `None` after the last one.
    pub next: Option<String>,
}

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// No answer.
    #[error("what was stored or published could not be read; ask again for the same page")]
    Unavailable(#[source] Source),
    /// What is there cannot be read, or the page is not one of these.
    #[error("what was stored or published cannot be read: {0}")]
    Unreadable(String),
}

impl Retryable for ReconcileError {
    fn retry(&self) -> Retry {
        match self {
            Self::Unavailable(_) => Retry::Later,
            Self::Unreadable(_) => Retry::Never,
        }
    }
}

/// Tells what was published.
pub trait PublishedMarkers: Send + Sync {
    /// A page of the markers of everything that was published from `from` on, before `until`.
    ///
    /// An adapter MUST give a marker for each event that a bus took and for no other, once it has
    /// been there for some minutes.
    ///
    /// # Errors
    /// [`ReconcileError`].
    fn published(
        &self,
        from: Timestamp,
        until: Timestamp,
        page: Option<&str>,
    ) -> impl Future<Output = Result<Page<Marker>, ReconcileError>> + Send;
}

/// Tells what was stored.
pub trait StoredEvents: Send + Sync {
    /// A page of the events that bear a time from `from` on, before `until`, in any order.
    ///
    /// # Errors
    /// [`ReconcileError`].
    fn stored(
        &self,
        from: Timestamp,
        until: Timestamp,
        page: Option<&str>,
    ) -> impl Future<Output = Result<Page<Envelope>, ReconcileError>> + Send;
}

/// What was published, and what of it was found in the store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// By stream: the versions published, and those of them that were not found yet.
    published: BTreeMap<String, BTreeSet<u64>>,
    open: BTreeMap<String, BTreeSet<u64>>,
}

impl Ledger {
    /// Notes what was published. Whether it has to be found in the store is up to the caller: a
    /// marker at the edge of a period may belong to an event outside of it.
    pub fn publish(&mut self, position: Position, must_be_stored: bool) {
        let Position { stream, version } = position;
        if must_be_stored {
            self.open.entry(stream.clone()).or_default().insert(version);
        }
        self.published.entry(stream).or_default().insert(version);
    }

    /// Notes that an event is stored; whether it was published.
    pub fn store(&mut self, event: &Envelope) -> bool {
        let Some((stream, version)) = event.position() else {
            return false;
        };
        if let Some(versions) = self.open.get_mut(stream) {
            versions.remove(&version);
            if versions.is_empty() {
                self.open.remove(stream);
            }
        }
        self.published
            .get(stream)
            .is_some_and(|versions| versions.contains(&version))
    }

    /// What has to be stored and was not found: streams, with the versions.
    #[must_use]
    pub fn not_found(&self) -> &BTreeMap<String, BTreeSet<u64>> {
        &self.open
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(stream: &str, version: u64) -> Envelope {
        Envelope::new("e", "T", Timestamp::UNIX_EPOCH, json!({})).recorded(stream, version)
    }

    fn position(stream: &str, version: u64) -> Position {
        Position {
            stream: stream.into(),
            version,
        }
    }

    fn not_found(ledger: &Ledger) -> Vec<(String, u64)> {
        let streams = ledger.not_found().iter();
        streams
            .flat_map(|(stream, versions)| versions.iter().map(|at| (stream.clone(), *at)))
            .collect()
    }

    #[test]
    fn what_is_stored_and_not_published_is_told_and_the_other_way_round() {
        let mut ledger = Ledger::default();
        for (stream, version) in [("a", 1), ("a", 2), ("b", 1), ("c", 7)] {
            ledger.publish(position(stream, version), true);
        }
        let stored = [("a", 1), ("a", 2), ("a", 3), ("b", 1), ("d", 1)];
        let published = stored.map(|(stream, version)| ledger.store(&event(stream, version)));
        assert_eq!(published, [true, true, false, true, false]);
        assert_eq!(not_found(&ledger), [("c".to_owned(), 7)]);
    }

    #[test]
    fn what_was_published_twice_is_found_once_and_stays_found() {
        let mut ledger = Ledger::default();
        for _ in 0..2 {
            ledger.publish(position("a", 1), true);
        }
        assert!(ledger.store(&event("a", 1)));
        assert!(ledger.store(&event("a", 1)));
        assert_eq!(not_found(&ledger), []);
    }

    #[test]
    fn a_marker_at_the_edge_proves_that_its_event_was_published_and_asks_for_nothing() {
        let mut ledger = Ledger::default();
        ledger.publish(position("a", 1), false);
        assert_eq!(not_found(&ledger), []);
        assert!(ledger.store(&event("a", 1)));
    }

    #[test]
    fn an_event_that_is_not_recorded_was_not_published_by_us() {
        let plain = Envelope::new("e", "T", Timestamp::UNIX_EPOCH, json!({}));
        assert!(!Ledger::default().store(&plain));
    }
}
