//! Snapshots on the embedded DynamoDB: requests counted at the server.

use aws_adapters::connection::Connection;
use aws_adapters::dynamodb_event_store::DynamoDbEventStore;
use aws_adapters::dynamodb_snapshots::DynamoDbSnapshots;
use aws_endpoint::{Counters, Endpoint, Options};
use event_sourcing::chain::Head;
use event_sourcing::decider::{Decider, Event};
use event_sourcing::envelope::Envelope;
use event_sourcing::execute::{Cause, Start};
use event_sourcing::snapshot::{SnapshotPolicy, SnapshotStore as _, Snapshotable, Snapshotting};
use event_sourcing::store::EventStore as _;
use jiff::Timestamp;
use serde_json::{Value, json};

/// Counts. `FOLD` is the version of its fold.
#[derive(Debug, Clone, PartialEq)]
struct Counter<const FOLD: u32>(u64);

#[derive(Debug, Clone, PartialEq)]
struct Counted;

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("a counter refuses nothing")]
struct Never;

impl Event for Counted {
    fn event_type(&self) -> &'static str {
        "Counted"
    }

    fn to_data(&self) -> Result<Value, serde_json::Error> {
        Ok(json!({}))
    }

    fn from_data(_: &str, _: &Value) -> Result<Option<Self>, serde_json::Error> {
        Ok(Some(Self))
    }
}

impl<const FOLD: u32> Decider for Counter<FOLD> {
    type State = Self;
    type Command = ();
    type Event = Counted;
    type Rejection = Never;

    fn initial() -> Self {
        Self(0)
    }

    fn decide((): &(), _: &Self) -> Result<Vec<Counted>, Never> {
        Ok(vec![Counted])
    }

    fn evolve(state: Self, _: &Counted, _: Timestamp) -> Self {
        Self(state.0 + 1)
    }
}

impl<const FOLD: u32> Snapshotable for Counter<FOLD> {
    const FOLD: u32 = FOLD;

    fn to_snapshot(state: &Self) -> Result<Value, serde_json::Error> {
        Ok(json!(state.0))
    }

    fn from_snapshot(kept: Value) -> Result<Self, serde_json::Error> {
        serde_json::from_value(kept).map(Self)
    }
}

async fn a_store() -> (Endpoint, DynamoDbEventStore, DynamoDbSnapshots) {
    let endpoint = Endpoint::start(Options::default()).await.unwrap();
    for (table, range) in [("EventStore", Some("version")), ("Snapshots", None)] {
        let mut attributes = vec![json!({"AttributeName": "streamId", "AttributeType": "S"})];
        let mut keys = vec![json!({"AttributeName": "streamId", "KeyType": "HASH"})];
        if let Some(range) = range {
            attributes.push(json!({"AttributeName": range, "AttributeType": "N"}));
            keys.push(json!({"AttributeName": range, "KeyType": "RANGE"}));
        }
        let create = json!({"TableName": table, "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": attributes, "KeySchema": keys});
        endpoint.create_table(&create).await.unwrap();
    }
    let dynamodb = Connection::to_endpoint(&endpoint.url(), "local-test")
        .unwrap()
        .dynamodb();
    let store = DynamoDbEventStore::new(dynamodb.clone(), "EventStore");
    (
        endpoint,
        store,
        DynamoDbSnapshots::new(dynamodb, "Snapshots"),
    )
}

/// What DynamoDB was asked for so far.
fn used(endpoint: &Endpoint) -> Counters {
    endpoint.meter().total(|call| call.service == "dynamodb")
}

/// DynamoDB requests so far.
fn requests(endpoint: &Endpoint) -> u64 {
    used(endpoint).requests
}

/// So many events from a number on.
fn counted(from: u64, count: u64) -> Vec<Envelope> {
    (from..from + count)
        .map(|n| Envelope::new(&n.to_string(), "Counted", Timestamp::UNIX_EPOCH, json!({})))
        .collect()
}

#[tokio::test]
async fn a_stream_of_any_length_is_loaded_in_two_requests() {
    let (endpoint, store, snapshots) = a_store().await;
    let both = Snapshotting {
        events: &store,
        snapshots: &snapshots,
        policy: SnapshotPolicy::default(),
    };
    let mut head = Head::START;
    for hundred in 1..=10_u64 {
        let events = counted(hundred * 100, 100);
        let stored = store.append("s", &head, events).await.unwrap();
        head = Head::after(stored.last());
        // Whoever loads keeps the snapshot that is due.
        both.load::<Counter<1>>("s").await.unwrap();
    }

    let before = requests(&endpoint);
    let loaded = both.load::<Counter<1>>("s").await.unwrap();
    assert_eq!((loaded.state, loaded.head), (Counter(1000), head.clone()));
    assert_eq!(
        requests(&endpoint) - before,
        2,
        "snapshot, and what follows on it"
    );

    let cause = Cause {
        id: "c".into(),
        seed: "c".into(),
        purpose: "test",
        correlation_id: None,
        traceparent: None,
        actor: None,
        now: Timestamp::UNIX_EPOCH,
    };
    let before = requests(&endpoint);
    let done = both
        .execute::<Counter<1>>("s", Start::Load, &(), &cause)
        .await
        .unwrap();
    assert_eq!(done.version, 1001);
    assert_eq!(
        requests(&endpoint) - before,
        3,
        "two to load, one to append"
    );

    // Another fold begins anew, and has a snapshot of its own from then on.
    let folded_anew = both.load::<Counter<2>>("s").await.unwrap();
    assert_eq!(folded_anew.state, Counter(1001));
    let kept = snapshots.snapshot("s").await.unwrap().unwrap();
    assert_eq!((kept.fold, kept.head.version), (2, 1001));
    let before = requests(&endpoint);
    both.load::<Counter<2>>("s").await.unwrap();
    assert_eq!(requests(&endpoint) - before, 2);
    endpoint.shutdown().await.unwrap();
}

/// The table of ARCHITECTURE.md: an event is one unit to write, two in a transaction; a load costs
/// a unit for 4 KB, in requests of 1 MB, and with a snapshot two requests whatever the length.
#[tokio::test]
async fn an_append_and_a_load_take_the_units_that_they_are_designed_for() {
    let (endpoint, store, snapshots) = a_store().await;
    let both = Snapshotting {
        events: &store,
        snapshots: &snapshots,
        policy: SnapshotPolicy::default(),
    };
    let spent = |before: Counters| {
        let spent = used(&endpoint) - before;
        (spent.requests, spent.write_units, spent.read_units)
    };

    let before = used(&endpoint);
    let one = store.append("one", &Head::START, counted(1, 1)).await;
    assert_eq!(spent(before), (1, 1.0, 0.0), "append 1");
    let before = used(&endpoint);
    let head = Head::after(one.unwrap().last());
    store.append("one", &head, counted(2, 3)).await.unwrap();
    assert_eq!(spent(before), (1, 6.0, 0.0), "append 3");

    let mut head = Head::START;
    for (length, requests) in [(10, 1), (1_000, 1), (10_000, 2)] {
        while head.version < length {
            let more = counted(head.version + 1, (length - head.version).min(100));
            let stored = store.append("s", &head, more).await.unwrap();
            head = Head::after(stored.last());
        }
        let before = used(&endpoint);
        let events = store.read("s", 1).await.unwrap();
        let (asked, _, whole) = spent(before);
        assert_eq!(
            (events.len() as u64, asked),
            (length, requests),
            "load {length}"
        );

        both.load::<Counter<1>>("s").await.unwrap();
        let before = used(&endpoint);
        let loaded = both.load::<Counter<1>>("s").await.unwrap();
        let (asked, written, tail) = spent(before);
        assert_eq!((loaded.head, written), (head.clone(), 0.0));
        if length >= 100 {
            assert_eq!(asked, 2, "load {length} with a snapshot");
            assert!(tail <= 2.0, "{tail} units to load {length} with a snapshot");
        }
        println!(
            "load {length}: {requests} requests, {whole} RCU; with a snapshot {asked}, {tail} RCU"
        );
    }
    endpoint.shutdown().await.unwrap();
}
