//! All events of a store, complete and resumable: for rebuilding a projection, and for a new
//! consumer that needs history.
//!
//! # What is guaranteed
//!
//! - **Complete.** Every event that was stored before a call of [`EventFeed::next`] that says
//!   `caught_up` has been delivered by then, since [`EventFeed::begin`].
//! - **In order.** Of each stream, the first delivery of version *n* comes after that of *n - 1*.
//! - **At least once.** An event can come again: after a crash, and where history is handed over
//!   to the live stream. [`Seen`] tells a repeat from news.
//! - **Resumable.** A [`Position`] is a text to keep anywhere; keep it after the events before it
//!   are dealt with.

use crate::envelope::Envelope;
use crate::retry::{Retry, Retryable};
use crate::store::Source;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::future::Future;

/// A place in the feed; opaque. Keep it as the text that it serializes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub String);

/// What a feed delivers at a time.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Events, each stream's in order.
    pub events: Vec<Envelope>,
    /// Where the feed goes on.
    pub position: Position,
    /// Whether everything stored before this call has been delivered.
    pub caught_up: bool,
    /// Everything stored before this time has been delivered; `None` while that cannot be said.
    /// It moves on also where appends never pause, and so no call catches up.
    pub through: Option<Timestamp>,
}

/// Why a feed delivered nothing.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The store did not answer.
    #[error("the store did not answer; ask again from the same position")]
    Unavailable(#[source] Source),
    /// The live stream does not reach back to the position any more.
    #[error("the position is older than the live stream keeps ({0}); begin anew")]
    Expired(String),
    /// The position is not one of this feed.
    #[error("the position is not one of this feed: {0}")]
    Position(String),
    /// What is stored is not an event.
    #[error("an item of the store is not an event: {0}")]
    Corrupt(String),
}

impl Retryable for FeedError {
    fn retry(&self) -> Retry {
        match self {
            Self::Unavailable(_) => Retry::Later,
            Self::Expired(_) | Self::Position(_) | Self::Corrupt(_) => Retry::Never,
        }
    }
}

/// Delivers all events of a store.
pub trait EventFeed: Send + Sync {
    /// The position before all events.
    ///
    /// # Errors
    /// [`FeedError`].
    fn begin(&self) -> impl Future<Output = Result<Position, FeedError>> + Send;

    /// The next events after a position; see the module's documentation for what an adapter MUST
    /// guarantee.
    ///
    /// # Errors
    /// [`FeedError`].
    fn next(&self, position: &Position) -> impl Future<Output = Result<Batch, FeedError>> + Send;
}

/// What a consumer has seen: the last version of each stream.
///
/// It takes some hundred bytes a stream. A consumer that keeps a version with what it writes (a
/// projection's row) needs none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    versions: HashMap<String, u64>,
}

/// A feed that delivered a version before the one before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("stream {stream} came to version {version} after version {last}: the feed is not complete")]
pub struct Gap {
    /// Which stream.
    pub stream: String,
    /// What was seen of it.
    pub last: u64,
    /// What came.
    pub version: u64,
}

impl Seen {
    /// Whether the event is news. One that is not recorded always is.
    ///
    /// # Errors
    /// [`Gap`], when an event before it was never delivered.
    pub fn is_news(&mut self, event: &Envelope) -> Result<bool, Gap> {
        let Some((stream, version)) = event.position() else {
            return Ok(true);
        };
        let last = match self.versions.get_mut(stream) {
            Some(last) => last,
            None => self.versions.entry(stream.to_owned()).or_default(),
        };
        if version <= *last {
            return Ok(false);
        }
        if version > *last + 1 {
            return Err(Gap {
                stream: stream.to_owned(),
                last: *last,
                version,
            });
        }
        *last = version;
        Ok(true)
    }
}

/// What to deliver of a page of history.
#[derive(Debug, Clone, PartialEq)]
pub enum Delivery {
    /// This event, which follows on the one delivered before it.
    Event(Box<Envelope>),
    /// This whole stream, read anew: the page shows it out of order.
    Stream(String),
}

/// Orders what a scan of a store found, page by page: a store that keeps each stream together and
/// in order (as `DynamoDB` does within a partition) gives every event as it is; where it does not,
/// the stream is to be read by itself. So the order never rests on how a scan happens to go.
///
/// `last` is the last event of the page before: stream and version.
#[must_use]
pub fn in_order(last: Option<(String, u64)>, page: Vec<Envelope>) -> Vec<Delivery> {
    let mut last = last;
    let mut deliveries = Vec::with_capacity(page.len());
    for event in page {
        let Some((stream, version)) = event.position().map(|(s, v)| (s.to_owned(), v)) else {
            continue;
        };
        let follows = match &last {
            Some((before, at)) if *before == stream => version == at + 1,
            _ => version == 1,
        };
        if follows {
            deliveries.push(Delivery::Event(Box::new(event)));
        } else {
            let whole = Delivery::Stream(stream.clone());
            if !deliveries.contains(&whole) {
                deliveries.push(whole);
            }
        }
        last = Some((stream, version));
    }
    deliveries
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(stream: &str, version: u64) -> Envelope {
        Envelope::new("e", "T", Timestamp::UNIX_EPOCH, json!({})).recorded(stream, version)
    }

    #[test]
    fn a_repeat_is_told_from_news_and_a_gap_is_an_error() {
        let mut seen = Seen::default();
        for (stream, version, news) in [
            ("a", 1, true),
            ("b", 1, true),
            ("a", 1, false),
            ("a", 2, true),
        ] {
            assert_eq!(seen.is_news(&event(stream, version)), Ok(news));
        }
        let gap = Gap {
            stream: "b".into(),
            last: 1,
            version: 3,
        };
        assert_eq!(seen.is_news(&event("b", 3)), Err(gap));
    }

    #[test]
    fn a_stream_goes_on_over_pages_and_one_out_of_order_is_read_by_itself() {
        let delivered = |last: Option<(&str, u64)>, page: &[(&str, u64)]| {
            let last = last.map(|(stream, version)| (stream.to_owned(), version));
            let page = page.iter().map(|(stream, version)| event(stream, *version));
            in_order(last, page.collect())
        };
        let as_is = |stream, version| Delivery::Event(Box::new(event(stream, version)));
        assert_eq!(
            delivered(Some(("a", 2)), &[("a", 3), ("b", 1), ("b", 2)]),
            [as_is("a", 3), as_is("b", 1), as_is("b", 2)]
        );
        assert_eq!(
            delivered(None, &[("a", 3), ("b", 1), ("b", 3), ("b", 4), ("c", 1)]),
            [
                Delivery::Stream("a".into()),
                as_is("b", 1),
                Delivery::Stream("b".into()),
                as_is("b", 4),
                as_is("c", 1),
            ]
        );
        assert_eq!(
            delivered(Some(("a", 2)), &[("a", 4)]),
            [Delivery::Stream("a".into())]
        );
    }
}
