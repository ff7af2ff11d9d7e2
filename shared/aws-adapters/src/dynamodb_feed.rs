//! All events of a table, complete and resumable, without a write unit on the append path: a
//! parallel scan of history, then the table's own stream.
//!
//! Why nothing is skipped: [`EventFeed::begin`] notes the time *before* the first page is scanned.
//! What was stored before that time is in the (strongly consistent) scan; what was stored after it
//! is in the stream, which keeps 24 hours, and is read from its oldest record on. The stream is
//! read per shard, parents before children, so a partition key's records come in order; records
//! that were written well before the noted time are passed over, as the scan has them. A history
//! that takes longer than the stream keeps is an error ([`FeedError::Expired`]), never a gap.

use crate::dynamodb_event_store::{DynamoDbEventStore, describe};
use crate::dynamodb_item;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodbstreams::types::{Record, Shard, ShardIteratorType};
use event_sourcing::envelope::Envelope;
use event_sourcing::feed::{Batch, Delivery, EventFeed, FeedError, Position, in_order};
use event_sourcing::store::{EventStore, ReadError};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tokio::task::JoinSet;

/// How long a stream keeps its records
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html>), less an hour
/// to be safe.
const KEPT: SignedDuration = SignedDuration::from_hours(23);
/// Records that are older than the beginning by more than this are history: their times are
/// approximate, to the second.
const SLACK: SignedDuration = SignedDuration::from_secs(60);
/// Most records of one request, which is also the API's own limit.
const MAX_RECORDS: i32 = 1000;

/// The feed of an event store's table.
#[derive(Debug, Clone)]
pub struct DynamoDbFeed {
    dynamodb: Client,
    streams: aws_sdk_dynamodbstreams::Client,
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
        streams: aws_sdk_dynamodbstreams::Client,
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

    async fn history(&self, place: Place, segments: Vec<Segment>) -> Result<Batch, FeedError> {
        let mut scans = JoinSet::new();
        for (index, segment) in segments.iter().enumerate() {
            if *segment != Segment::Done {
                let (feed, segment) = (self.clone(), segment.clone());
                let total = segments.len();
                scans.spawn(async move { (index, feed.scan(index, total, segment).await) });
            }
        }
        let mut segments = segments;
        let mut events = Vec::new();
        while let Some(scanned) = scans.join_next().await {
            let (index, page) = scanned.map_err(|error| FeedError::Unavailable(error.into()))?;
            let (found, after) = page?;
            events.extend(found);
            segments[index] = after;
        }
        let done = segments.iter().all(|segment| *segment == Segment::Done);
        let phase = if done {
            Phase::Live(BTreeMap::new())
        } else {
            Phase::History(segments)
        };
        batch(events, Place { phase, ..place }, None)
    }

    /// One page of a segment, in order, and where the segment goes on.
    async fn scan(
        &self,
        index: usize,
        total: usize,
        segment: Segment,
    ) -> Result<(Vec<Envelope>, Segment), FeedError> {
        let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
        let mut request = self
            .dynamodb
            .scan()
            .table_name(&self.table)
            .consistent_read(true)
            .segment(number(index))
            .total_segments(number(total))
            .set_limit(self.page);
        let mut last = None;
        if let Segment::After { stream, version } = segment {
            request = request
                .exclusive_start_key("streamId", AttributeValue::S(stream.clone()))
                .exclusive_start_key("version", AttributeValue::N(version.to_string()));
            last = Some((stream, version));
        }
        let page = Box::pin(request.send())
            .await
            .map_err(|error| FeedError::Unavailable(describe(&error).into()))?;
        let found = page
            .items()
            .iter()
            .map(|item| {
                dynamodb_item::to_envelope(item)
                    .map_err(|error| FeedError::Corrupt(error.to_string()))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let after = match page.last_evaluated_key() {
            None => Segment::Done,
            Some(key) => after_key(key)?,
        };
        let mut events = Vec::with_capacity(found.len());
        for delivery in in_order(last, found) {
            match delivery {
                Delivery::Event(event) => events.push(*event),
                Delivery::Stream(stream) => events.extend(self.whole(&stream).await?),
            }
        }
        Ok((events, after))
    }

    async fn whole(&self, stream: &str) -> Result<Vec<Envelope>, FeedError> {
        let store = DynamoDbEventStore::new(self.dynamodb.clone(), &self.table);
        store.read(stream, 1).await.map_err(|error| match error {
            ReadError::Unavailable(source) => FeedError::Unavailable(source),
            ReadError::Corrupt { .. } => FeedError::Corrupt(error.to_string()),
        })
    }

    async fn live(
        &self,
        place: Place,
        mut places: BTreeMap<String, ShardPlace>,
    ) -> Result<Batch, FeedError> {
        let asked = Timestamp::now();
        let shards = self.shards(&place.stream).await?;
        places.retain(|id, _| shards.iter().any(|shard| shard.shard_id() == Some(id)));
        let mut events = Vec::new();
        let mut reached = Reached {
            caught_up: true,
            through: Some(asked),
        };
        let since = Timestamp::from_millisecond(place.began)
            .map_err(|error| FeedError::Position(error.to_string()))?
            - SLACK;
        for shard in readable(&shards, &places) {
            let at = places.get(shard).cloned();
            let (records, after) = self.records(&place.stream, shard, at.as_ref()).await?;
            reached.add(&records, after == Some(ShardPlace::Done));
            for record in &records {
                events.extend(stored(record, since)?);
            }
            if let Some(after) = after {
                places.insert(shard.to_owned(), after);
            }
        }
        let phase = Phase::Live(places);
        batch(events, Place { phase, ..place }, Some(reached))
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

    async fn shards(&self, stream: &str) -> Result<Vec<Shard>, FeedError> {
        let mut shards = Vec::new();
        let mut start = None;
        loop {
            let request = self
                .streams
                .describe_stream()
                .stream_arn(stream)
                .set_exclusive_start_shard_id(start);
            let page = Box::pin(request.send())
                .await
                .map_err(|error| FeedError::Unavailable(describe(&error).into()))?;
            let Some(description) = page.stream_description else {
                return Ok(shards);
            };
            shards.extend_from_slice(description.shards());
            start = description.last_evaluated_shard_id;
            if start.is_none() {
                return Ok(shards);
            }
        }
    }

    /// The next records of a shard, and where it goes on; `None` where it stays.
    async fn records(
        &self,
        stream: &str,
        shard: &str,
        at: Option<&ShardPlace>,
    ) -> Result<(Vec<Record>, Option<ShardPlace>), FeedError> {
        let request = self
            .streams
            .get_shard_iterator()
            .stream_arn(stream)
            .shard_id(shard);
        let request = match at {
            Some(ShardPlace::After(sequence)) => request
                .shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
                .sequence_number(sequence),
            _ => request.shard_iterator_type(ShardIteratorType::TrimHorizon),
        };
        let iterator = Box::pin(request.send())
            .await
            .map_err(|error| stream_error(&error))?
            .shard_iterator;
        let page = Box::pin(
            self.streams
                .get_records()
                .set_shard_iterator(iterator)
                .limit(MAX_RECORDS)
                .send(),
        )
        .await
        .map_err(|error| stream_error(&error))?;
        let last = page.records().last().and_then(|record| {
            let sequence = record.dynamodb()?.sequence_number()?;
            Some(ShardPlace::After(sequence.to_owned()))
        });
        let after = if page.next_shard_iterator().is_none() {
            Some(ShardPlace::Done)
        } else {
            last
        };
        Ok((page.records.unwrap_or_default(), after))
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

/// How far the stream was read.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Reached {
    caught_up: bool,
    through: Option<Timestamp>,
}

impl Reached {
    /// Adds what was read of a shard. A shard's records are in the order of their times, which are
    /// to the second: what came before the last one's second is complete. Of a shard that ended,
    /// the children are still to be read.
    fn add(&mut self, records: &[Record], ended: bool) {
        self.caught_up &= records.is_empty() && !ended;
        if ended {
            self.through = None;
        } else if let Some(last) = records.last() {
            let second = last
                .dynamodb()
                .and_then(|change| change.approximate_creation_date_time())
                .and_then(|created| Timestamp::from_second(created.secs()).ok());
            self.through = self.through.zip(second).map(|(one, other)| one.min(other));
        }
    }
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

fn after_key(
    key: &std::collections::HashMap<String, AttributeValue>,
) -> Result<Segment, FeedError> {
    let stream = key.get("streamId").and_then(|value| value.as_s().ok());
    let version = key.get("version").and_then(|value| value.as_n().ok());
    match (stream, version.and_then(|version| version.parse().ok())) {
        (Some(stream), Some(version)) => Ok(Segment::After {
            stream: stream.clone(),
            version,
        }),
        _ => Err(FeedError::Corrupt(
            "the table's key is not streamId and version".into(),
        )),
    }
}

/// The shards that can be read now: not done, and their parents are done or gone.
fn readable<'a>(shards: &'a [Shard], places: &BTreeMap<String, ShardPlace>) -> Vec<&'a str> {
    let done = |id: &str| places.get(id) == Some(&ShardPlace::Done);
    let listed = |id: &str| shards.iter().any(|shard| shard.shard_id() == Some(id));
    shards
        .iter()
        .filter(|shard| {
            shard
                .parent_shard_id()
                .is_none_or(|parent| done(parent) || !listed(parent))
        })
        .filter_map(Shard::shard_id)
        .filter(|id| !done(id))
        .collect()
}

/// The event that a record stored; `None` for another change, or for one before `since`.
fn stored(record: &Record, since: Timestamp) -> Result<Option<Envelope>, FeedError> {
    let inserted = record
        .event_name()
        .is_some_and(|name| name.as_str() == "INSERT");
    let Some(change) = record.dynamodb().filter(|_| inserted) else {
        return Ok(None);
    };
    let created = change
        .approximate_creation_date_time()
        .map(aws_sdk_dynamodbstreams::primitives::DateTime::secs);
    if created.is_some_and(|created| created < since.as_second()) {
        return Ok(None);
    }
    let item = change
        .new_image()
        .into_iter()
        .flatten()
        .map(|(name, value)| Ok((name.clone(), table_value(name, value)?)))
        .collect::<Result<dynamodb_item::Item, FeedError>>()?;
    dynamodb_item::to_envelope(&item)
        .map(Some)
        .map_err(|error| FeedError::Corrupt(error.to_string()))
}

/// A stream's attribute as a table's: the SDK has two types for one thing.
fn table_value(
    name: &str,
    value: &aws_sdk_dynamodbstreams::types::AttributeValue,
) -> Result<AttributeValue, FeedError> {
    use aws_sdk_dynamodbstreams::types::AttributeValue as Streamed;
    Ok(match value {
        Streamed::S(text) => AttributeValue::S(text.clone()),
        Streamed::N(number) => AttributeValue::N(number.clone()),
        Streamed::Bool(value) => AttributeValue::Bool(*value),
        Streamed::Null(value) => AttributeValue::Null(*value),
        Streamed::L(values) => AttributeValue::L(
            values
                .iter()
                .map(|value| table_value(name, value))
                .collect::<Result<_, _>>()?,
        ),
        Streamed::M(fields) => AttributeValue::M(
            fields
                .iter()
                .map(|(name, value)| Ok((name.clone(), table_value(name, value)?)))
                .collect::<Result<_, FeedError>>()?,
        ),
        _ => {
            return Err(FeedError::Corrupt(format!(
                "attribute {name} is of a kind that events don't have"
            )));
        }
    })
}

fn stream_error<E>(error: &aws_sdk_dynamodb::error::SdkError<E>) -> FeedError
where
    E: aws_sdk_dynamodb::error::ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
    match error.code() {
        Some("TrimmedDataAccessException" | "ResourceNotFoundException") => {
            FeedError::Expired(describe(error))
        }
        _ => FeedError::Unavailable(describe(error).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(id: &str, parent: Option<&str>) -> Shard {
        Shard::builder()
            .shard_id(id)
            .set_parent_shard_id(parent.map(str::to_owned))
            .build()
    }

    #[test]
    fn a_shard_is_read_after_its_parent() {
        let shards = [
            shard("a", None),
            shard("b", Some("a")),
            shard("c", Some("a")),
            shard("d", Some("gone")),
        ];
        let mut places = BTreeMap::new();
        assert_eq!(readable(&shards, &places), ["a", "d"]);
        places.insert("a".to_owned(), ShardPlace::Done);
        assert_eq!(readable(&shards, &places), ["b", "c", "d"]);
        places.insert("b".to_owned(), ShardPlace::After("7".into()));
        places.insert("c".to_owned(), ShardPlace::Done);
        assert_eq!(readable(&shards, &places), ["b", "d"]);
    }

    #[test]
    fn a_history_that_takes_too_long_is_an_error_and_no_gap() {
        let hours_ago = |hours| {
            let age = SignedDuration::from_hours(hours);
            still_kept((Timestamp::now() - age).as_millisecond())
        };
        assert!(hours_ago(1).is_ok());
        assert!(matches!(hours_ago(24), Err(FeedError::Expired(_))));
    }

    #[test]
    fn a_stream_is_read_through_to_the_second_of_the_last_record_of_its_slowest_shard() {
        let created = |second| {
            let change = aws_sdk_dynamodbstreams::types::StreamRecord::builder()
                .approximate_creation_date_time(
                    aws_sdk_dynamodbstreams::primitives::DateTime::from_secs(second),
                )
                .build();
            Record::builder().dynamodb(change).build()
        };
        let second = |second| Timestamp::from_second(second).ok();
        let mut reached = Reached {
            caught_up: true,
            through: second(100),
        };
        reached.add(&[], false);
        assert_eq!((reached.caught_up, reached.through), (true, second(100)));
        reached.add(&[created(97), created(98)], false);
        reached.add(&[created(99)], false);
        assert_eq!((reached.caught_up, reached.through), (false, second(98)));
        reached.add(&[], true);
        assert_eq!(reached.through, None);
    }
}
