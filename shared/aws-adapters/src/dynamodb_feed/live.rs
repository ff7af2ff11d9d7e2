//! The table's stream, shard by shard.

use super::{DynamoDbFeed, Phase, Place, ShardPlace, batch};
use crate::dynamodb_event_store::describe;
use crate::dynamodb_item;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodbstreams::types::{Record, Shard, ShardIteratorType};
use event_sourcing::envelope::Envelope;
use event_sourcing::feed::{Batch, FeedError};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// Records that are older than the beginning by more than this are history: their times are
/// approximate, to the second.
const SLACK: SignedDuration = SignedDuration::from_secs(60);
/// Most records of one request, which is also the API's own limit.
const MAX_RECORDS: i32 = 1000;

impl DynamoDbFeed {
    /// The next records of every shard that can be read now.
    pub(super) async fn live(
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

/// How far the stream was read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reached {
    pub(super) caught_up: bool,
    pub(super) through: Option<Timestamp>,
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
    dynamodb_item::into_envelope(item)
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
