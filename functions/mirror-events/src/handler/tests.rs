use super::*;
use aws_adapters::dynamodb_mirror_positions::PositionsError;
use event_sourcing::chain::Head;
use event_sourcing::clock::SystemClock;
use event_sourcing::in_memory::InMemoryEventStore;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;

/// What the topic has, and the next failures of it.
#[derive(Debug, Default)]
struct Cluster {
    records: Mutex<Vec<(String, String)>>,
    failures: Mutex<Vec<TopicError>>,
}

impl Topic for Arc<Cluster> {
    async fn append(&self, key: &str, events: &[Envelope]) -> Result<(), TopicError> {
        // Others get their turn in between, as on a network.
        tokio::task::yield_now().await;
        if let Some(failure) = self.failures.lock().unwrap().pop() {
            return Err(failure);
        }
        let mut records = self.records.lock().unwrap();
        records.extend(
            events
                .iter()
                .map(|one| (key.to_owned(), one.event_id.clone())),
        );
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Rows(Mutex<HashMap<String, Row>>);

/// How far it is mirrored; who has it, and until when.
type Row = (u64, Option<(String, Timestamp)>);

impl Positions for Rows {
    async fn claim(
        &self,
        stream: &str,
        version: u64,
        by: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Claim, PositionsError> {
        let mut rows = self.0.lock().unwrap();
        let (mirrored, held) = rows.entry(stream.to_owned()).or_default();
        if *mirrored >= version {
            return Ok(Claim::Done);
        }
        match held {
            Some((holder, end)) if holder != by && *end >= now => Ok(Claim::Held),
            _ => {
                *held = Some((by.to_owned(), until));
                Ok(Claim::Granted {
                    mirrored: *mirrored,
                })
            }
        }
    }

    async fn let_go(&self, stream: &str, version: u64, by: &str) -> Result<(), PositionsError> {
        let mut rows = self.0.lock().unwrap();
        if let Some((mirrored, held)) = rows.get_mut(stream)
            && held.as_ref().is_some_and(|(holder, _)| holder == by)
        {
            (*mirrored, *held) = (version, None);
        }
        Ok(())
    }
}

type Mirror = Handler<InMemoryEventStore, Rows, Arc<Cluster>, SystemClock>;

/// A mirror of a store with one stream of so many events, and its cluster.
async fn mirror_of(count: u64) -> (Mirror, Arc<Cluster>, Vec<Envelope>) {
    let store = InMemoryEventStore::default();
    let mut head = Head::START;
    let mut events = Vec::new();
    for version in 1..=count {
        let data = json!({"orderId": "67890"});
        let id = format!("e-{version}");
        let event = Envelope::new(&id, "CouponRedeemed", Timestamp::UNIX_EPOCH, data);
        let stored = store
            .append("order-67890", &head, vec![event])
            .await
            .unwrap();
        head = Head {
            version,
            hash: stored[0].hash.clone(),
        };
        events.extend(stored);
    }
    let cluster = Arc::new(Cluster::default());
    let mirror = Handler::new(store, Rows::default(), Arc::clone(&cluster), SystemClock);
    (mirror, cluster, events)
}

fn ids(cluster: &Cluster) -> Vec<String> {
    let records = cluster.records.lock().unwrap();
    assert!(records.iter().all(|(key, _)| key == "67890"));
    records.iter().map(|(_, id)| id.clone()).collect()
}

#[tokio::test]
async fn a_stream_is_mirrored_in_its_order_whatever_order_its_deliveries_come_in() {
    let (mirror, cluster, events) = mirror_of(4).await;
    for (at, count) in [(2, 4), (0, 0), (3, 0), (1, 0), (2, 0)] {
        let mirrored = mirror.handle(&events[at], "call", false).await;
        assert_eq!(mirrored, Ok(count));
    }
    assert_eq!(ids(&cluster), ["e-1", "e-2", "e-3", "e-4"]);
}

#[tokio::test(start_paused = true)]
async fn calls_at_the_same_time_mirror_each_event_once() {
    let (mirror, cluster, events) = mirror_of(3).await;
    let (a, b, c) = tokio::join!(
        mirror.handle(&events[2], "a", false),
        mirror.handle(&events[0], "b", false),
        mirror.handle(&events[1], "c", false),
    );
    assert_eq!((a, b, c), (Ok(3), Ok(0), Ok(0)));
    assert_eq!(ids(&cluster), ["e-1", "e-2", "e-3"]);
}

#[tokio::test]
async fn while_the_cluster_is_down_events_wait_and_a_redrive_brings_them_in_order() {
    let (mirror, cluster, events) = mirror_of(2).await;
    let down = TopicError::Unavailable("no answer".into());
    cluster.failures.lock().unwrap().push(down);
    for event in &events {
        let waiting = mirror.handle(event, "call", false).await;
        assert!(matches!(waiting, Err(Failure::Waiting(_))), "{waiting:?}");
    }
    assert!(ids(&cluster).is_empty());
    // The first failure is used up: the second call did not ask.
    assert_eq!(mirror.handle(&events[1], "call", true).await, Ok(2));
    assert_eq!(mirror.handle(&events[0], "call", true).await, Ok(0));
    assert_eq!(ids(&cluster), ["e-1", "e-2"]);
}

#[tokio::test]
async fn what_the_cluster_refuses_and_what_is_not_stored_is_for_an_operator() {
    let (mirror, cluster, events) = mirror_of(1).await;
    let refusal = TopicError::Refused("too large".into());
    cluster.failures.lock().unwrap().push(refusal);
    let unstored = events[0].clone().recorded("order-67890", 9);
    let mut plain = events[0].clone();
    plain.version = None;
    for event in [&events[0], &unstored, &plain] {
        let refused = mirror.handle(event, "call", false).await;
        assert!(matches!(refused, Err(Failure::Permanent(_))), "{refused:?}");
    }
    assert_eq!(mirror.handle(&events[0], "call", false).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_a_dead_call_holds_comes_again() {
    let (mirror, cluster, events) = mirror_of(1).await;
    let now = Timestamp::now();
    let until = now.checked_add(HELD).unwrap();
    let claim = mirror.positions.claim("order-67890", 1, "dead", now, until);
    claim.await.unwrap();
    let held = mirror.handle(&events[0], "call", false).await;
    assert!(matches!(held, Err(Failure::Transient(_))), "{held:?}");
    assert_eq!(mirror.handle(&events[0], "dead", false).await, Ok(1));
    assert_eq!(ids(&cluster), ["e-1"]);
}

#[test]
fn a_part_has_what_a_cluster_takes_and_one_key() {
    let event = |order: &str, padding: usize| {
        let data = json!({"orderId": order, "padding": "x".repeat(padding)});
        Envelope::new("e", "T", Timestamp::UNIX_EPOCH, data)
    };
    let events = [
        event("a", 400_000),
        event("a", 400_000),
        event("a", 400_000),
        event("b", 1),
        event("b", 2_000_000),
    ];
    let sizes: Vec<_> = parts(&events).iter().map(|part| part.len()).collect();
    assert_eq!(sizes, [2, 1, 1, 1]);
    assert!(parts(&[]).is_empty());
}
