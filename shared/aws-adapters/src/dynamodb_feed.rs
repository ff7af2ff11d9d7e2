//! All events of a table, complete and resumable, without a write unit on the append path: a
//! parallel scan of history, then the table's own stream.
//!
//! Why nothing is skipped: [`EventFeed::begin`] notes the time *before* the first page is scanned.
//! What was stored before that time is in the (strongly consistent) scan; what was stored after it
//! is in the stream, which keeps 24 hours, and is read from its oldest record on. The stream is
//! read per shard, parents before children, so a partition key's records come in order; records
//! that were written well before the noted time are passed over, as the scan has them. A history
//! that takes longer than the stream keeps is an error ([`FeedError::Expired`]), never a gap.

mod history;
mod live;

use crate::connection::Deferred;
use crate::dynamodb_event_store::describe;
use aws_sdk_dynamodb::Client;
use event_sourcing::envelope::Envelope;
use event_sourcing::feed::{Batch, EventFeed, FeedError, Position};
use jiff::{SignedDuration, Timestamp};
use live::Reached;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How long a stream keeps its records
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html>), less an hour
/// to be safe.
const KEPT: SignedDuration = SignedDuration::from_hours(23);

/// The feed of an event store's table.
#[derive(Debug, Clone)]
pub struct DynamoDbFeed {
    dynamodb: Client,
    streams: Deferred<aws_sdk_dynamodbstreams::Client>,
    table: String,
    segments: u16,
    page: Option<i32>,
}

/// A position, as it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Place {
    /// When the feed was begun, in milliseconds of the epoch.
    began: i64,
    /// The table's stream.
    stream: String,
    phase: Phase,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Phase {
    /// Scanning; where each segment is.
    History(Vec<Segment>),
    /// Reading the stream; where each shard is.
    Live(BTreeMap<String, ShardPlace>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Segment {
    Start,
    After { stream: String, version: u64 },
    Done,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum ShardPlace {
    After(String),
    Done,
}

impl DynamoDbFeed {
    /// The feed of `table`, whose history is scanned in so many segments at a time.
    #[must_use]
    pub fn new(
        dynamodb: Client,
        streams: Deferred<aws_sdk_dynamodbstreams::Client>,
        table: impl Into<String>,
        segments: u16,
    ) -> Self {
        Self {
            dynamodb,
            streams,
            table: table.into(),
            segments: segments.max(1),
            page: None,
        }
    }

    /// Scans at most so many events at a time; without it, a page is 1 MB.
    #[must_use]
    pub fn with_page(mut self, events: u16) -> Self {
        self.page = Some(i32::from(events.max(1)));
        self
    }

    async fn stream_of_table(&self) -> Result<String, FeedError> {
        let described = Box::pin(
            self.dynamodb
                .describe_table()
                .table_name(&self.table)
                .send(),
        )
        .await
        .map_err(|error| FeedError::Unavailable(describe(&error).into()))?;
        described
            .table()
            .and_then(|table| table.latest_stream_arn())
            .map(str::to_owned)
            .ok_or_else(|| FeedError::Position(format!("table {} has no stream", self.table)))
    }
}

impl EventFeed for DynamoDbFeed {
    async fn begin(&self) -> Result<Position, FeedError> {
        written(&Place {
            began: Timestamp::now().as_millisecond(),
            stream: self.stream_of_table().await?,
            phase: Phase::History(vec![Segment::Start; usize::from(self.segments)]),
        })
    }

    async fn next(&self, position: &Position) -> Result<Batch, FeedError> {
        let mut place: Place = serde_json::from_str(&position.0)
            .map_err(|error| FeedError::Position(error.to_string()))?;
        match std::mem::replace(&mut place.phase, Phase::History(Vec::new())) {
            Phase::History(segments) => {
                still_kept(place.began)?;
                self.history(place, segments).await
            }
            Phase::Live(places) => {
                if places.is_empty() {
                    still_kept(place.began)?;
                }
                self.live(place, places).await
            }
        }
    }
}

/// What the stream has from the beginning on must still be there when it is read.
fn still_kept(began: i64) -> Result<(), FeedError> {
    let age = SignedDuration::from_millis(Timestamp::now().as_millisecond().saturating_sub(began));
    if age > KEPT {
        return Err(FeedError::Expired(format!(
            "history was begun {} hours ago",
            age.as_hours()
        )));
    }
    Ok(())
}

/// A batch of history has not reached the stream.
fn batch(
    events: Vec<Envelope>,
    place: Place,
    reached: Option<Reached>,
) -> Result<Batch, FeedError> {
    Ok(Batch {
        events,
        position: written(&place)?,
        caught_up: reached.is_some_and(|reached| reached.caught_up),
        through: reached.and_then(|reached| reached.through),
    })
}

fn written(place: &Place) -> Result<Position, FeedError> {
    serde_json::to_string(place)
        .map(Position)
        .map_err(|error| FeedError::Position(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_that_takes_too_long_is_an_error_and_no_gap() {
        let hours_ago = |hours| {
            let age = SignedDuration::from_hours(hours);
            still_kept((Timestamp::now() - age).as_millisecond())
        };
        assert!(hours_ago(1).is_ok());
        assert!(matches!(hours_ago(24), Err(FeedError::Expired(_))));
    }
}
