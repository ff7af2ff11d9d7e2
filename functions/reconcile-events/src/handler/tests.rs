use super::*;
use crate::progress::InMemoryProgress;
use event_sourcing::chain::Head;
use event_sourcing::in_memory::{InMemoryEventStore, InMemoryPublisher};
use event_sourcing::publisher::PublishError;
use event_sourcing::reconciling::{Marker, Page, Position, ReconcileError};
use serde_json::json;
use std::sync::Mutex;

/// Minutes after midnight.
fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_700_006_400 + 60 * minute).unwrap()
}

/// Noon, until it is told otherwise.
struct Hand(Mutex<Timestamp>);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// Events of a store in memory, two a page.
#[derive(Default)]
struct Stored {
    events: Mutex<Vec<Envelope>>,
    /// No page from here on is answered.
    broken_from: Mutex<Option<usize>>,
}

impl StoredEvents for Stored {
    async fn stored(
        &self,
        from: Timestamp,
        until: Timestamp,
        page: Option<&str>,
    ) -> Result<Page<Envelope>, ReconcileError> {
        let start: usize = page.map_or(0, |page| page.parse().unwrap());
        if self
            .broken_from
            .lock()
            .unwrap()
            .is_some_and(|at| start >= at)
        {
            return Err(ReconcileError::Unreadable("broken".into()));
        }
        let events = self.events.lock().unwrap();
        let mut found: Vec<_> = events.iter().skip(start).take(2).cloned().collect();
        found.retain(|event| (from..until).contains(&event.at()));
        let next = (start + 2 < events.len()).then(|| (start + 2).to_string());
        Ok(Page { found, next })
    }
}

/// Markers, one a page.
#[derive(Default)]
struct Markers(Mutex<Vec<Marker>>);

impl PublishedMarkers for Markers {
    async fn published(
        &self,
        from: Timestamp,
        until: Timestamp,
        page: Option<&str>,
    ) -> Result<Page<Marker>, ReconcileError> {
        let start: usize = page.map_or(0, |page| page.parse().unwrap());
        let markers = self.0.lock().unwrap();
        let mut found: Vec<_> = markers.iter().skip(start).take(1).cloned().collect();
        found.retain(|marker| (from..until).contains(&marker.at));
        let next = (start + 1 < markers.len()).then(|| (start + 1).to_string());
        Ok(Page { found, next })
    }
}

/// A bus that takes events, but not those of one stream.
#[derive(Default)]
struct Bus {
    taken: InMemoryPublisher,
    refused: &'static str,
}

impl EventPublisher for Bus {
    async fn publish(&self, events: &[Envelope]) -> Vec<Result<(), PublishError>> {
        let mut results = Vec::new();
        for event in events {
            if event.stream_id.as_deref() == Some(self.refused) {
                results.push(Err(PublishError::Unavailable("busy".into())));
            } else {
                results.extend(self.taken.publish(std::slice::from_ref(event)).await);
            }
        }
        results
    }
}

type Tested = Handler<Stored, InMemoryEventStore, Markers, Bus, InMemoryProgress, Hand>;

fn a_handler() -> Tested {
    Handler {
        stored: Stored::default(),
        store: InMemoryEventStore::default(),
        markers: Markers::default(),
        publisher: Bus::default(),
        progress: InMemoryProgress::default(),
        clock: Hand(Mutex::new(at(12 * 60))),
        limits: Limits {
            settled_after: SignedDuration::from_mins(10),
            kept: SignedDuration::from_hours(48),
        },
        metrics: Metrics::of("reconcile-events"),
    }
}

impl Tested {
    /// Stores an event that bears this time.
    async fn stores(&self, stream: &str, minute: i64) {
        let history = self.store.read(stream, 1).await.unwrap();
        let head = Head::after(history.last());
        let event = Envelope::new(stream, "T", at(minute), json!({}));
        let stored = self.store.append(stream, &head, vec![event]).await.unwrap();
        self.stored.events.lock().unwrap().extend(stored);
    }

    fn publishes(&self, stream: &str, version: u64, minute: i64) {
        self.markers.0.lock().unwrap().push(Marker {
            position: Position {
                stream: stream.into(),
                version,
            },
            at: at(minute),
        });
    }

    /// Stores and publishes the events of a stream, one a minute.
    async fn both(&self, stream: &str, minutes: std::ops::Range<i64>) {
        for (minute, version) in minutes.zip(1..) {
            self.stores(stream, minute).await;
            self.publishes(stream, version, minute);
        }
    }

    fn republished(&self) -> Vec<(String, u64)> {
        let position = |event: &Envelope| {
            let (stream, version) = event.position().unwrap();
            (stream.to_owned(), version)
        };
        let published = self.publisher.taken.published();
        published.iter().map(position).collect()
    }
}

/// stored, published, missing, repaired, unstored.
fn figures(answer: &Value) -> [u64; 5] {
    ["stored", "published", "missing", "repaired", "unstored"]
        .map(|name| answer[name].as_u64().unwrap())
}

#[tokio::test]
async fn what_was_not_published_is_published_as_it_was_recorded() {
    let handler = a_handler();
    handler.both("a", 0..3).await;
    handler.stores("a", 4).await;
    handler.stores("b", 5).await;
    let answer = handler.handle(json!({})).await.unwrap();
    assert_eq!(figures(&answer), [5, 3, 2, 2, 0]);
    assert_eq!(answer["named"], json!(["a@4", "b@1"]));
    assert_eq!(answer["done"], true);
    assert_eq!(answer["position"], Value::Null);
    let events = handler.stored.events.lock().unwrap()[3..].to_vec();
    assert_eq!(handler.publisher.taken.published(), events);
}

#[tokio::test]
async fn a_dry_run_publishes_nothing() {
    let handler = a_handler();
    handler.stores("a", 0).await;
    let answer = handler.handle(json!({"dryRun": true})).await.unwrap();
    assert_eq!(figures(&answer), [1, 0, 1, 0, 0]);
    assert_eq!(handler.republished(), []);
}

#[tokio::test]
async fn what_is_published_and_not_stored_is_told() {
    let handler = a_handler();
    handler.both("a", 0..2).await;
    handler.publishes("a", 3, 2);
    handler.publishes("nowhere", 1, 3);
    let answer = handler.handle(json!({})).await.unwrap();
    assert_eq!(figures(&answer), [2, 4, 0, 0, 2]);
    assert_eq!(
        answer["named"],
        json!(["a@3 is not stored", "nowhere@1 is not stored"])
    );
}

#[tokio::test]
async fn calls_of_one_page_come_to_the_same_as_one_call() {
    let handler = a_handler();
    handler.both("a", 0..4).await;
    handler.stores("b", 5).await;
    handler.both("c", 6..10).await;
    handler.stores("d", 11).await;
    let mut call = json!({"seconds": 0});
    let mut calls = 0;
    let last = loop {
        let answer = handler.handle(call.clone()).await.unwrap();
        calls += 1;
        if answer["done"] == true {
            break answer;
        }
        call["position"] = answer["position"].clone();
    };
    assert_eq!(calls, 5);
    assert_eq!(figures(&last), [10, 8, 2, 2, 0]);
    assert_eq!(
        handler.republished(),
        [("b".to_owned(), 1), ("d".to_owned(), 1)]
    );
}

#[tokio::test]
async fn what_is_near_the_edges_of_the_period_is_neither_missing_nor_unstored() {
    let handler = a_handler();
    // Stored in the period, published after it.
    handler.stores("late", 99).await;
    handler.publishes("late", 1, 120);
    // Published in the period, and it bears another producer's time.
    handler.stores("old", -3000).await;
    handler.publishes("old", 1, 50);
    // Still on its way.
    handler.stores("new", 715).await;
    let period = json!({"from": at(0).to_string(), "to": at(100).to_string()});
    let answer = handler.handle(period).await.unwrap();
    assert_eq!(figures(&answer), [1, 1, 0, 0, 0]);
    let answer = handler.handle(json!({})).await.unwrap();
    assert_eq!(figures(&answer), [1, 2, 0, 0, 0]);
    assert_eq!(answer["to"], at(710).to_string());
}

#[tokio::test]
async fn what_the_bus_does_not_take_stays_missing() {
    let mut handler = a_handler();
    handler.publisher.refused = "b";
    for stream in ["a", "b", "c"] {
        handler.stores(stream, 0).await;
    }
    let answer = handler.handle(json!({})).await.unwrap();
    assert_eq!(figures(&answer), [3, 0, 3, 2, 0]);
    assert_eq!(
        handler.republished(),
        [("a".to_owned(), 1), ("c".to_owned(), 1)]
    );
}

#[tokio::test]
async fn a_period_that_cannot_be_reconciled_is_refused() {
    let handler = a_handler();
    for payload in [
        json!({"from": at(-3000).to_string()}),
        json!({"from": at(100).to_string(), "to": at(100).to_string()}),
        json!({"from": at(715).to_string(), "to": at(800).to_string()}),
        json!({"from": "yesterday"}),
        json!({"seconds": 1000}),
        json!({"position": "nonsense"}),
        json!({"dryrun": true}),
        json!({"goOn": true, "dryRun": true}),
        json!({"goOn": true, "from": at(0).to_string()}),
    ] {
        let refused = handler.handle(payload.clone()).await;
        assert!(matches!(refused, Err(Failure::Permanent(_))), "{payload}");
    }
}

#[tokio::test]
async fn what_a_call_does_not_get_to_the_next_one_goes_on_with_whoever_makes_it() {
    let handler = a_handler();
    handler.both("a", 0..4).await;
    handler.stores("b", 5).await;
    let call = json!({"goOn": true, "seconds": 0});
    for stored in [2, 4] {
        let answer = handler.handle(call.clone()).await.unwrap();
        assert_eq!(answer["done"], false);
        assert_eq!(figures(&answer)[0], stored);
        *handler.clock.0.lock().unwrap() += SignedDuration::from_hours(1);
    }
    let answer = handler.handle(call.clone()).await.unwrap();
    assert_eq!(answer["done"], true);
    assert_eq!(figures(&answer), [5, 4, 1, 1, 0]);
    assert_eq!(handler.republished(), [("b".to_owned(), 1)]);
    // The day is reconciled, and the next one is not over.
    *handler.clock.0.lock().unwrap() += SignedDuration::from_hours(1);
    assert_eq!(handler.handle(call.clone()).await, Ok(Value::Null));
    let progress = handler.progress.read().await.unwrap();
    assert_eq!(progress.done_to, Some(at(12 * 60 - 10)));
    *handler.clock.0.lock().unwrap() += SignedDuration::from_hours(24);
    let answer = handler.handle(call).await.unwrap();
    assert_eq!(answer["from"], at(11 * 60 - 10).to_string());
}

#[tokio::test]
async fn a_call_that_fails_keeps_how_far_it_got() {
    let handler = a_handler();
    handler.both("a", 0..4).await;
    *handler.stored.broken_from.lock().unwrap() = Some(2);
    let call = json!({"goOn": true});
    for _ in 0..2 {
        let failed = handler.handle(call.clone()).await;
        assert!(matches!(failed, Err(Failure::Permanent(_))), "{failed:?}");
        let open = handler.progress.read().await.unwrap().open.unwrap();
        assert_eq!((open.page.as_deref(), open.stored), (Some("2"), 2));
    }
    *handler.stored.broken_from.lock().unwrap() = None;
    let answer = handler.handle(call).await.unwrap();
    assert_eq!(figures(&answer), [4, 4, 0, 0, 0]);
}

/// Who scanned in an earlier call has to look up what that call came across, and may have no time
/// for all of it.
#[tokio::test]
async fn looking_up_is_gone_on_with_too_and_nothing_is_counted_twice() {
    let handler = a_handler();
    for number in 0..LOOKED_UP + 50 {
        handler.publishes(&format!("s{number:03}"), 1, 1);
    }
    handler.both("a", 0..2).await;
    let mut call = json!({"seconds": 0});
    let first = handler.handle(call.clone()).await.unwrap();
    assert_eq!(first["done"], false);
    assert_eq!(figures(&first)[4], 100);
    call["position"] = first["position"].clone();
    let last = handler.handle(call).await.unwrap();
    assert_eq!(last["done"], true);
    assert_eq!(figures(&last), [2, 152, 0, 0, 150]);
}
