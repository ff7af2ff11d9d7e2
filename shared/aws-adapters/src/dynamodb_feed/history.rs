//! The scan of what is stored already.

use super::{DynamoDbFeed, Phase, Place, Segment, batch};
use crate::dynamodb_event_store::{DynamoDbEventStore, describe};
use crate::dynamodb_item;
use aws_sdk_dynamodb::types::AttributeValue;
use event_sourcing::envelope::Envelope;
use event_sourcing::feed::{Batch, Delivery, FeedError, in_order};
use event_sourcing::store::{EventStore, ReadError};
use std::collections::{BTreeMap, HashMap};
use tokio::task::JoinSet;

impl DynamoDbFeed {
    /// A page of every segment that is not done.
    pub(super) async fn history(
        &self,
        place: Place,
        segments: Vec<Segment>,
    ) -> Result<Batch, FeedError> {
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
        let after = match page.last_evaluated_key() {
            None => Segment::Done,
            Some(key) => after_key(key)?,
        };
        let found = page
            .items
            .into_iter()
            .flatten()
            .map(dynamodb_item::into_envelope)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| FeedError::Corrupt(error.to_string()))?;
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
}

fn after_key(key: &HashMap<String, AttributeValue>) -> Result<Segment, FeedError> {
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
