//! Records of the event store's stream that a mapping gave up, restored: AWS only says where they
//! were.
//!
//! While the stream has them (24 hours), their keys are read from it. After that, the store is
//! searched for events of that time; that can be more than there were in the batch, which is
//! harmless, because every consumer knows duplicates. What an event *is* always comes from the
//! store.

use crate::connection::Deferred;
use crate::dead_letter_message::GivenUpBatch;
use crate::dynamodb_event_store::describe;
use crate::dynamodb_item::Item;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodbstreams::Client as StreamsClient;
use aws_sdk_dynamodbstreams::error::ProvideErrorMetadata;
use aws_sdk_dynamodbstreams::types::{AttributeValue as StreamValue, ShardIteratorType};
use event_sourcing::failure::Failure;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// How far an event's timestamp may be from its arrival in the stream: clocks differ, and a
/// handler takes the time before it appends.
const MARGIN: SignedDuration = SignedDuration::from_mins(2);

/// Where an event is: stream and version.
type Key = (String, String);

/// Finds the records of batches again.
#[derive(Debug, Clone)]
pub struct StreamHistory {
    tables: Client,
    streams: Deferred<StreamsClient>,
    table: String,
}

/// A record that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Restored {
    /// Stream and version, in one text.
    pub position: String,
    /// A batch of this one record, as the mapping delivers it.
    pub payload: Value,
}

impl StreamHistory {
    /// The history of the event store in `table`.
    #[must_use]
    pub fn new(tables: Client, streams: Deferred<StreamsClient>, table: impl Into<String>) -> Self {
        Self {
            tables,
            streams,
            table: table.into(),
        }
    }

    /// The records of a batch, each as a batch of its own; of streams whose names begin with
    /// `prefix` only.
    ///
    /// # Errors
    /// [`Failure::Transient`], when stream or store does not answer.
    pub async fn restore(
        &self,
        batch: &GivenUpBatch,
        prefix: &str,
    ) -> Result<Vec<Restored>, Failure> {
        let items = match self.keys(batch).await? {
            Some(keys) => self.items(keys).await?,
            None => self.of_that_time(batch).await?,
        };
        let mut restored: Vec<Restored> = items
            .iter()
            .filter(|item| text(item, "streamId").is_some_and(|id| id.starts_with(prefix)))
            .map(|item| of_item(item, &batch.stream_arn))
            .collect();
        restored.sort_by(|a, b| a.position.cmp(&b.position));
        Ok(restored)
    }

    /// The keys that the batch had, as long as the stream has it.
    async fn keys(&self, batch: &GivenUpBatch) -> Result<Option<BTreeSet<Key>>, Failure> {
        let request = self
            .streams
            .get_shard_iterator()
            .stream_arn(&batch.stream_arn)
            .shard_id(&batch.shard_id)
            .shard_iterator_type(ShardIteratorType::AtSequenceNumber)
            .sequence_number(&batch.first);
        let mut iterator = match request.send().await {
            Ok(answer) => answer.shard_iterator,
            Err(error) if is_gone(&error) => return Ok(None),
            Err(error) => return Err(Failure::Transient(describe(&error))),
        };
        let mut keys = BTreeSet::new();
        while let Some(at) = iterator {
            let page = match self.streams.get_records().shard_iterator(at).send().await {
                Ok(page) => page,
                Err(error) if is_gone(&error) => return Ok(None),
                Err(error) => return Err(Failure::Transient(describe(&error))),
            };
            let records = page.records.unwrap_or_default();
            let empty = records.is_empty();
            for record in records {
                let Some(change) = record.dynamodb else {
                    continue;
                };
                let number = change.sequence_number.unwrap_or_default();
                if is_after(&number, &batch.last) {
                    return Ok(Some(keys));
                }
                keys.extend(key_of(change.keys.as_ref()));
                if number == batch.last {
                    return Ok(Some(keys));
                }
            }
            // The last record was there when the batch was read; an empty page can come before it
            // only in a shard with a gap, and what was found so far is not known to be all then.
            if empty && page.next_shard_iterator.is_some() {
                return Ok(None);
            }
            iterator = page.next_shard_iterator;
        }
        Ok(None)
    }

    async fn items(&self, keys: BTreeSet<Key>) -> Result<Vec<Item>, Failure> {
        let mut items = Vec::with_capacity(keys.len());
        for (stream, version) in keys {
            let request = self
                .tables
                .get_item()
                .table_name(&self.table)
                .key("streamId", AttributeValue::S(stream))
                .key("version", AttributeValue::N(version))
                .consistent_read(true);
            let answer = Box::pin(request.send())
                .await
                .map_err(|error| Failure::Transient(describe(&error)))?;
            items.extend(answer.item);
        }
        Ok(items)
    }

    /// Everything that was stored at about that time. The plain events of other producers keep
    /// their own timestamps, so they are taken whatever time they tell when there is not as much
    /// of that time as the batch had.
    async fn of_that_time(&self, batch: &GivenUpBatch) -> Result<Vec<Item>, Failure> {
        let from = batch.first_arrived_at.checked_sub(MARGIN);
        let to = batch.last_arrived_at.checked_add(MARGIN);
        let (Ok(from), Ok(to)) = (from, to) else {
            return Ok(Vec::new());
        };
        let items = self.scan("#time BETWEEN :from AND :to", from, to).await?;
        if items.len() >= batch.size {
            return Ok(items);
        }
        let wider = "#time BETWEEN :from AND :to OR attribute_not_exists(causationId)";
        self.scan(wider, from, to).await
    }

    async fn scan(
        &self,
        filter: &str,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Item>, Failure> {
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let request = self
                .tables
                .scan()
                .table_name(&self.table)
                .filter_expression(filter)
                .expression_attribute_names("#time", "timestamp")
                .expression_attribute_values(":from", AttributeValue::S(from.to_string()))
                .expression_attribute_values(":to", AttributeValue::S(to.to_string()))
                .consistent_read(true)
                .set_exclusive_start_key(start);
            let page = Box::pin(request.send())
                .await
                .map_err(|error| Failure::Transient(describe(&error)))?;
            items.extend(page.items.unwrap_or_default());
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(items);
            }
        }
    }
}

/// Whether the stream does not have the record any more, or not in that shard.
fn is_gone(error: &impl ProvideErrorMetadata) -> bool {
    matches!(
        error.code(),
        Some(
            "TrimmedDataAccessException"
                | "ResourceNotFoundException"
                | "ExpiredIteratorException"
                | "ValidationException"
        )
    )
}

/// Sequence numbers are whole numbers of up to 40 digits.
fn is_after(a: &str, b: &str) -> bool {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    (a.len(), a) > (b.len(), b)
}

fn key_of(keys: Option<&std::collections::HashMap<String, StreamValue>>) -> Option<Key> {
    let keys = keys?;
    let stream = keys.get("streamId")?.as_s().ok()?;
    let version = keys.get("version")?.as_n().ok()?;
    Some((stream.clone(), version.clone()))
}

fn text<'i>(item: &'i Item, name: &str) -> Option<&'i str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

/// The record of an item, as a mapping delivers it: a batch of one.
fn of_item(item: &Item, stream_arn: &str) -> Restored {
    let stream = text(item, "streamId").unwrap_or_default();
    let version = item.get("version").and_then(|version| version.as_n().ok());
    let version = version.map_or("0", String::as_str);
    let image: Map<String, Value> = item
        .iter()
        .map(|(name, value)| (name.clone(), attribute(value)))
        .collect();
    let position = format!("{stream}/{version}");
    let payload = json!({"Records": [{
        "eventID": position,
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "eventSourceARN": stream_arn,
        "dynamodb": {
            "Keys": {"streamId": {"S": stream}, "version": {"N": version}},
            "NewImage": image,
            "SequenceNumber": version,
            "StreamViewType": "NEW_IMAGE",
        },
    }]});
    Restored { position, payload }
}

fn attribute(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(number) => json!({ "N": number }),
        AttributeValue::Bool(value) => json!({ "BOOL": value }),
        AttributeValue::L(values) => {
            json!({"L": values.iter().map(attribute).collect::<Vec<_>>()})
        }
        AttributeValue::M(fields) => {
            let fields: Map<String, Value> = fields
                .iter()
                .map(|(name, value)| (name.clone(), attribute(value)))
                .collect();
            json!({ "M": fields })
        }
        // Events have no other kinds; a consumer refuses what is no event.
        _ => json!({"NULL": true}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamodb_item::from_envelope;
    use crate::stream_record::single_event;
    use event_sourcing::envelope::Envelope;

    #[test]
    fn a_restored_record_is_the_event_as_it_is_stored() {
        let event: Envelope = serde_json::from_value(json!({
            "eventId": "e", "eventType": "OrderPlaced", "timestamp": "2025-01-01T12:00:00Z",
            "streamId": "order-1", "version": 7,
            "data": {"totalAmount": 150.75, "items": [{"a": null, "b": true}]}}))
        .unwrap();
        let restored = of_item(&from_envelope(&event).unwrap(), "arn");
        assert_eq!(restored.position, "order-1/7");
        assert_eq!(single_event(&restored.payload), Some(event));
    }

    #[test]
    fn sequence_numbers_are_compared_as_numbers() {
        assert!(is_after("10", "9"));
        assert!(is_after("800000000003126276363", "800000000003126276362"));
        assert!(!is_after("009", "10"));
        assert!(!is_after("9", "9"));
    }
}
