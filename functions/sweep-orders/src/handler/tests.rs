use super::*;
use crate::open_orders::InMemoryOpenOrders;
use domain::ids::OrderId;
use event_sourcing::chain::Head;
use event_sourcing::in_memory::{InMemoryEventStore, InMemoryPublisher};
use event_sourcing::publisher::PublishError;
use serde_json::json;
use std::sync::Mutex;

/// A clock that tests set.
struct TestClock(Mutex<Timestamp>);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// A bus that takes events, but not those of some streams.
#[derive(Default)]
struct Bus {
    taken: InMemoryPublisher,
    refused: Vec<String>,
}

impl EventPublisher for Bus {
    async fn publish(&self, events: &[Envelope]) -> Vec<Result<(), PublishError>> {
        let mut results = Vec::new();
        for event in events {
            if self.refused.contains(event.stream_id.as_ref().unwrap()) {
                results.push(Err(PublishError::Unavailable("busy".into())));
            } else {
                results.extend(self.taken.publish(std::slice::from_ref(event)).await);
            }
        }
        results
    }
}

type Tested = Handler<InMemoryEventStore, Bus, InMemoryOpenOrders, TestClock>;

const PATIENCE: Patience = Patience {
    stuck_after: SignedDuration::from_secs(300),
    payment_deadline: SignedDuration::from_hours(24),
};

/// Minutes after the orders of these tests were placed.
fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + 60 * minute).unwrap()
}

fn a_handler() -> Tested {
    Handler {
        store: InMemoryEventStore::default(),
        publisher: Bus::default(),
        open_orders: InMemoryOpenOrders::default(),
        clock: TestClock(Mutex::new(at(0))),
        patience: PATIENCE,
        metrics: Metrics::of("sweep-orders"),
    }
}

fn id(order: &str) -> OrderId {
    OrderId::parse(order).unwrap()
}

impl Tested {
    /// Stores an open order whose events all happened at minute 0.
    async fn open(&self, order: &str, events: &[(&str, Value)]) {
        for (event_type, more) in events {
            let mut data = json!({"orderId": order, "userId": "u", "totalAmount": 1});
            for (name, value) in more.as_object().unwrap() {
                data[name] = value.clone();
            }
            let stream = id(order).stream();
            let history = self.store.read(&stream, 1).await.unwrap();
            let head = Head::after(history.last());
            let event_id = format!("{order}-{}", head.version + 1);
            let event = Envelope::new(&event_id, event_type, at(0), data);
            self.store
                .append(&stream, &head, vec![event])
                .await
                .unwrap();
        }
        self.open_orders.note(id(order), at(0));
    }

    async fn sweep_at(&self, minute: i64) -> Value {
        *self.clock.0.lock().unwrap() = at(minute);
        self.handle(json!({})).await.unwrap()
    }

    fn published(&self) -> Vec<String> {
        let published = self.publisher.taken.published();
        published.into_iter().map(|event| event.event_id).collect()
    }
}

fn placed() -> (&'static str, Value) {
    ("OrderPlaced", json!({}))
}

fn reserved() -> (&'static str, Value) {
    let changes = json!([{"sku": "tea", "quantity": -1}]);
    (
        "InventoryUpdated",
        json!({"reason": "reserved", "changes": changes}),
    )
}

fn paid() -> (&'static str, Value) {
    ("PaymentProcessed", json!({"paymentId": "ch_1"}))
}

/// Figures of an answer.
fn figures(answer: &Value) -> [u64; 6] {
    ["looked", "moving", "healed", "expired", "stuck", "failed"]
        .map(|name| answer[name].as_u64().unwrap())
}

#[tokio::test]
async fn a_stuck_order_gets_its_event_again_as_it_was_recorded() {
    let handler = a_handler();
    handler.open("1", &[placed(), reserved()]).await;
    assert_eq!(figures(&handler.sweep_at(4).await), [0; 6]);
    let answer = handler.sweep_at(6).await;
    assert_eq!(figures(&answer), [1, 0, 1, 0, 0, 0]);
    assert_eq!(answer["oldestSeconds"], 360);
    assert_eq!(answer["done"], true);
    let stored = handler.store.read("order-1", 2).await.unwrap();
    assert_eq!(handler.publisher.taken.published(), stored);
}

#[tokio::test]
async fn an_order_is_healed_ever_more_rarely_and_told_of_as_stuck() {
    let handler = a_handler();
    handler.open("1", &[placed()]).await;
    let (mut healed, mut stuck) = (Vec::new(), Vec::new());
    for minute in 0..300 {
        let answer = handler.sweep_at(minute).await;
        if answer["healed"] == 1 {
            healed.push(minute);
        }
        if answer["stuck"] == 1 {
            stuck.push(minute);
        }
    }
    assert_eq!(healed, [5, 10, 20, 40, 80, 160]);
    assert_eq!(stuck, [40, 80, 160]);
}

#[tokio::test]
async fn an_order_that_is_not_paid_in_time_expires_on_time_and_once() {
    let handler = a_handler();
    handler.open("1", &[placed(), reserved()]).await;
    let mut expired = Vec::new();
    for minute in 0..1500 {
        if handler.sweep_at(minute).await["expired"] == 1 {
            expired.push(minute);
        }
    }
    assert_eq!(expired, [1440]);
    let history = handler.store.read("order-1", 3).await.unwrap();
    assert_eq!(history.len(), 1);
    let event = &history[0];
    assert_eq!(event.event_type, "OrderCancelled");
    assert_eq!(event.data["reason"], "expired");
    assert_eq!(event.causation_id.as_deref(), Some("1-1"));
    assert_eq!(event.correlation_id.as_deref(), Some("1-1"));
}

#[tokio::test]
async fn a_row_that_is_behind_the_stream_is_no_reason_to_act() {
    let handler = a_handler();
    handler.open("1", &[placed(), reserved(), paid()]).await;
    let answer = handler.sweep_at(2000).await;
    assert_eq!(figures(&answer), [1, 1, 0, 0, 0, 0]);
    assert!(handler.published().is_empty());
    // It is not looked at every minute.
    assert_eq!(figures(&handler.sweep_at(2001).await), [0; 6]);
}

#[tokio::test]
async fn a_dry_run_tells_and_changes_nothing() {
    let handler = a_handler();
    handler.open("1", &[placed()]).await;
    handler.open("2", &[placed(), reserved()]).await;
    let before = handler.open_orders.find(&id("1"));
    for (minute, figures_then) in [(6, [2, 0, 2, 0, 0, 0]), (1500, [2, 0, 0, 2, 0, 0])] {
        *handler.clock.0.lock().unwrap() = at(minute);
        for _ in 0..2 {
            let answer = handler.handle(json!({"dryRun": true})).await.unwrap();
            assert_eq!(figures(&answer), figures_then);
            assert_eq!(answer["orders"].as_array().unwrap().len(), 2);
        }
    }
    assert!(handler.published().is_empty());
    assert_eq!(handler.store.arrivals().len(), 3);
    assert_eq!(handler.open_orders.find(&id("1")), before);
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_does_not_keep_the_others_and_is_tried_again() {
    let mut handler = a_handler();
    handler.publisher.refused = vec!["order-2".to_owned()];
    for order in ["1", "2", "3"] {
        handler.open(order, &[placed()]).await;
    }
    handler.open("4", &[("Unheard", json!({}))]).await;
    let answer = handler.sweep_at(6).await;
    assert_eq!(figures(&answer), [4, 0, 2, 0, 1, 1]);
    assert_eq!(handler.published(), ["1-1", "3-1"]);
    handler.publisher.refused.clear();
    let answer = handler.sweep_at(7).await;
    assert_eq!(figures(&answer), [1, 0, 1, 0, 0, 0]);
    assert_eq!(handler.published(), ["1-1", "3-1", "2-1"]);
}

#[tokio::test]
async fn more_orders_than_a_page_are_all_healed_once() {
    let handler = a_handler();
    for order in 0..120 {
        handler.open(&format!("{order}"), &[placed()]).await;
    }
    assert_eq!(figures(&handler.sweep_at(6).await), [120, 0, 120, 0, 0, 0]);
    let mut published = handler.published();
    published.sort();
    published.dedup();
    assert_eq!(published.len(), 120);
}

#[tokio::test]
async fn a_call_with_another_payload_is_refused() {
    let handler = a_handler();
    for payload in [json!({"dryrun": true}), json!({"dryRun": 1}), json!("now")] {
        let refused = handler.handle(payload.clone()).await;
        assert!(matches!(refused, Err(Failure::Permanent(_))), "{payload}");
    }
}

#[test]
fn every_partition_is_swept_and_each_one_first_in_its_turn() {
    for minute in [0, 1, 17, 1_000_003] {
        let mut parts: Vec<_> = parts_from(at(minute)).collect();
        let first = parts[0];
        assert_eq!(parts_from(at(minute + 1)).next(), Some((first + 1) % PARTS));
        parts.sort_unstable();
        assert_eq!(parts, (0..PARTS).collect::<Vec<_>>());
    }
}
