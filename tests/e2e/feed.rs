//! The feed over all events, while writers append and readers crash.

use aws_adapters::connection::Connection;
use aws_adapters::dynamodb_event_store::DynamoDbEventStore;
use aws_adapters::dynamodb_feed::DynamoDbFeed;
use aws_endpoint::{Endpoint, Options};
use event_sourcing::chain::Head;
use event_sourcing::envelope::Envelope;
use event_sourcing::feed::{EventFeed as _, FeedError, Position, Seen};
use event_sourcing::store::EventStore as _;
use jiff::Timestamp;
use serde_json::json;
use std::time::Instant;

use crate::system::DEADLINE;

const WRITERS: u64 = 16;
/// Each writer appends to so many streams in turn.
const STREAMS: u64 = 5;
/// So many appends to each stream: 20,000 in all.
const APPENDS: u64 = 250;

async fn a_store() -> (Endpoint, DynamoDbEventStore, DynamoDbFeed) {
    let endpoint = Endpoint::start(Options::default()).await.unwrap();
    let create = json!({"TableName": "EventStore", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "streamId", "AttributeType": "S"},
            {"AttributeName": "version", "AttributeType": "N"}],
        "KeySchema": [{"AttributeName": "streamId", "KeyType": "HASH"},
            {"AttributeName": "version", "KeyType": "RANGE"}],
        "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_IMAGE"}});
    endpoint.create_table(&create).await.unwrap();
    let connection = Connection::to_endpoint(&endpoint.url(), "local-test").unwrap();
    let store = DynamoDbEventStore::new(connection.dynamodb(), "EventStore");
    let feed = DynamoDbFeed::new(
        connection.dynamodb(),
        connection.dynamodbstreams(),
        "EventStore",
        4,
    );
    (endpoint, store, feed)
}

async fn write(store: DynamoDbEventStore, writer: u64) {
    let mut heads = vec![Head::START; usize::try_from(STREAMS).unwrap()];
    for version in 1..=APPENDS {
        for (number, head) in (0..STREAMS).zip(&mut heads) {
            let stream = format!("stream-{writer}-{number}");
            let id = format!("{stream}@{version}");
            let event = Envelope::new(&id, "Counted", Timestamp::now(), json!({"n": version}));
            let stored = store.append(&stream, head, vec![event]).await.unwrap();
            *head = Head::after(stored.last());
        }
    }
}

/// A consumer that keeps its position and what it has seen together, and crashes: then what it
/// did since it last kept them is forgotten, and comes again.
#[derive(Default)]
struct Consumer {
    kept: Option<(Position, Seen, u64)>,
    crashes: u64,
}

impl Consumer {
    /// Reads until it has caught up or crashes after so many batches; whether it caught up.
    async fn run(&mut self, feed: &DynamoDbFeed, batches: u64) -> bool {
        let (mut position, mut seen, mut events) = match self.kept.take() {
            Some(kept) => kept,
            None => (feed.begin().await.unwrap(), Seen::default(), 0),
        };
        for batch in 1..=batches {
            let before = (position.clone(), seen.clone(), events);
            let next = feed.next(&position).await.unwrap();
            for event in &next.events {
                // Fails the test when the one before it never came.
                events += u64::from(seen.is_news(event).unwrap());
            }
            if batch == batches && !next.caught_up {
                self.crashes += 1;
                self.kept = Some(before);
                return false;
            }
            position = next.position;
            if next.caught_up {
                self.kept = Some((position, seen, events));
                return true;
            }
        }
        self.kept = Some((position, seen, events));
        false
    }

    /// Different events that it has seen: [`Seen`] counts each version of a stream once.
    fn seen(&self) -> u64 {
        self.kept.as_ref().map_or(0, |(_, _, events)| *events)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_seen_in_order_while_sixteen_append_and_the_reader_crashes() {
    let (endpoint, store, feed) = a_store().await;
    let feed = feed.with_page(200);
    // History before the feed begins …
    write(store.clone(), WRITERS).await;
    // … and appends while it is read.
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| tokio::spawn(write(store.clone(), writer)))
        .collect();
    let mut consumer = Consumer::default();
    let mut batches = 1;
    let until = Instant::now() + DEADLINE * 3;
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        consumer.run(&feed, batches).await;
        batches = batches % 7 + 1;
        assert!(Instant::now() < until, "the writers end");
    }
    for writer in writers {
        writer.await.unwrap();
    }
    while !consumer.run(&feed, u64::MAX).await {}
    let appended = (WRITERS + 1) * STREAMS * APPENDS;
    const { assert!(WRITERS * STREAMS * APPENDS >= 20_000) };
    assert_eq!(consumer.seen(), appended);
    assert!(
        consumer.crashes > 5,
        "it crashed {} times",
        consumer.crashes
    );
    endpoint.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_position_of_another_feed_is_refused() {
    let (endpoint, _, feed) = a_store().await;
    let nonsense = feed.next(&Position("nonsense".into())).await;
    assert!(matches!(nonsense, Err(FeedError::Position(_))));
    let begun = feed.begin().await.unwrap();
    let long_ago = begun.0.replace("\"began\":17", "\"began\":10");
    let expired = feed.next(&Position(long_ago)).await;
    assert!(matches!(expired, Err(FeedError::Expired(_))));
    endpoint.shutdown().await.unwrap();
}
