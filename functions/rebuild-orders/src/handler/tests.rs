use super::*;
use crate::ports::InMemoryBoard;
use aws_adapters::dynamodb_order_summaries::Standing;
use aws_adapters::order_projection::{InMemoryOrderSummaries, OrderSummaries, project};
use aws_adapters::order_tables::Remembered;
use domain::ids::OrderId;
use domain::order_summary::{OrderStatus, OrderSummary};
use event_sourcing::chain::Head;
use event_sourcing::envelope::Envelope;
use event_sourcing::feed::{Batch, FeedError, Position};
use event_sourcing::in_memory::InMemoryEventStore;
use event_sourcing::store::ReadError;
use serde_json::json;
use std::collections::BTreeMap;

/// The time of tokio, which stands still but where everybody waits.
#[derive(Debug, Clone, Copy)]
struct TestClock(tokio::time::Instant);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.0.elapsed()).unwrap();
        Timestamp::from_second(1_000_000).unwrap() + passed
    }
}

/// The arrivals of a store in memory, some at a time.
#[derive(Debug)]
struct TestFeed {
    store: Arc<InMemoryEventStore>,
    clock: TestClock,
}

impl EventFeed for TestFeed {
    async fn begin(&self) -> Result<Position, FeedError> {
        Ok(Position("0".to_owned()))
    }

    async fn next(&self, position: &Position) -> Result<Batch, FeedError> {
        let arrivals = self.store.arrivals();
        let from: usize = position.0.parse().unwrap();
        let to = arrivals.len().min(from + 3);
        Ok(Batch {
            events: arrivals[from..to].to_vec(),
            position: Position(to.to_string()),
            caught_up: from == to,
            through: (to == arrivals.len()).then(|| self.clock.now()),
        })
    }
}

type Rebuild =
    Handler<TestFeed, InMemoryEventStore, InMemoryOrderSummaries, InMemoryBoard, TestClock>;

/// A rebuild, and a projection as `project-orders` makes it.
struct Shop {
    rebuild: Rebuild,
    remembered: Remembered<Vec<Side>>,
}

impl Shop {
    fn open() -> Self {
        let clock = TestClock(tokio::time::Instant::now());
        let store = Arc::new(InMemoryEventStore::default());
        Self {
            rebuild: Handler {
                feed: TestFeed {
                    store: Arc::clone(&store),
                    clock,
                },
                store,
                rows: Sides::default(),
                board: InMemoryBoard::default(),
                clock,
                drop_after: SignedDuration::from_secs(15),
            },
            remembered: Remembered::default(),
        }
    }

    /// Stores the next event of an order and projects it.
    async fn append(&self, order: &str, event_type: &str) {
        let stream = format!("order-{order}");
        let store = &self.rebuild.store;
        let head = Head::after(store.read(&stream, 1).await.unwrap().last());
        let data = json!({"orderId": order, "userId": "u", "totalAmount": 1,
            "reason": "reserved", "changes": []});
        let event = json!({"eventId": format!("{order}-{}", head.version), "data": data,
            "eventType": event_type, "timestamp": "2025-01-01T12:00:00Z"});
        let event = Envelope::from_value(event).unwrap();
        let stored = store.append(&stream, &head, vec![event]).await.unwrap();
        let now = self.rebuild.clock.now();
        let told = async { Ok::<_, ReadError>(self.rebuild.board.kept().1) };
        for side in self.remembered.get(now, told).await.unwrap() {
            let rows = &**self.rebuild.rows.of(side);
            project(&**store, rows, &stream, &stored).await.unwrap();
        }
    }

    async fn call(&self, position: &Value, seconds: u32) -> Result<Value, Failure> {
        let mut payload = json!({"projection": "orders", "seconds": seconds});
        if !position.is_null() {
            payload["position"] = position.clone();
        }
        self.rebuild.handle(payload).await
    }

    fn rows(&self, side: Side) -> BTreeMap<OrderId, OrderSummary> {
        self.rebuild.rows.of(side).rows()
    }

    fn live(&self) -> Side {
        let switch = self.rebuild.board.kept().0;
        switch.live(self.rebuild.clock.now())
    }
}

/// A shop with orders, one of whose rows is wrong, and the rows as they should be.
async fn a_wrong_row() -> (Shop, BTreeMap<OrderId, OrderSummary>) {
    let shop = Shop::open();
    for order in ["1", "2", "3"] {
        shop.append(order, "OrderPlaced").await;
        shop.append(order, "InventoryUpdated").await;
    }
    let right = shop.rows(Side::Blue);
    let blue = shop.rebuild.rows.of(Side::Blue);
    let mut wrong = right.values().next().unwrap().clone();
    blue.clear();
    wrong.status = OrderStatus::Expired;
    blue.put_if_newer(&wrong, Standing::Settled).await.unwrap();
    (shop, right)
}

#[tokio::test(start_paused = true)]
async fn wrong_and_missing_rows_are_right_after_a_rebuild_and_the_old_ones_are_gone() {
    let (shop, right) = a_wrong_row().await;
    let answer = shop.call(&Value::Null, 60).await.unwrap();
    for (name, expected) in [
        ("phase", json!("dropped")),
        ("done", json!(true)),
        ("caughtUp", json!(true)),
        ("live", json!("green")),
        ("events", json!(6)),
    ] {
        assert_eq!(answer[name], expected, "{answer}");
    }
    assert_eq!(shop.rows(Side::Green), right);
    assert_eq!(shop.rows(Side::Blue), BTreeMap::new());
    assert_eq!(shop.rebuild.board.kept().1, [Side::Green]);
    // And back.
    let answer = shop.call(&Value::Null, 60).await.unwrap();
    assert_eq!(answer["live"], "blue");
    assert_eq!(shop.rows(Side::Blue), right);
    assert_eq!(shop.rows(Side::Green), BTreeMap::new());
}

/// Whatever step a call ends with, and while events come in: no row that is read goes back, and
/// none is missing.
#[tokio::test(start_paused = true)]
async fn a_rebuild_in_calls_of_one_step_misses_no_event_and_no_reader_goes_back() {
    let (shop, right) = a_wrong_row().await;
    let mut position = Value::Null;
    let mut phases = Vec::new();
    let mut seen = BTreeMap::new();
    for step in 0.. {
        let order = format!("new-{}", step / 3);
        let event = ["OrderPlaced", "InventoryUpdated", "PaymentProcessed"][step % 3];
        shop.append(&order, event).await;
        let answer = shop.call(&position, 0).await.unwrap();
        position = answer["position"].clone();
        phases.push(answer["phase"].as_str().unwrap().to_owned());
        phases.dedup();
        let rows = shop.rows(shop.live());
        for (order, row) in &rows {
            let before = seen.insert(order.clone(), row.version).unwrap_or_default();
            assert!(before <= row.version, "{order:?} at step {step}");
        }
        assert_eq!(rows.len(), seen.len(), "at step {step}");
        if answer["done"] == true {
            break;
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    let expected = [
        "emptying",
        "history",
        "live",
        "switching",
        "switched",
        "dropped",
    ];
    assert_eq!(phases, expected);
    assert_eq!(shop.rows(Side::Blue), BTreeMap::new());
    let rows = shop.rows(Side::Green);
    for (order, row) in right {
        assert_eq!(rows[&order], row);
    }
    for (order, row) in &rows {
        let history = shop.rebuild.store.read(&order.stream(), 1).await.unwrap();
        assert_eq!(row.version, history.len() as u64, "{order:?}");
        assert_eq!(row.timeline.len(), history.len(), "{order:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rebuild_whose_position_was_lost_is_ended_or_begun_anew() {
    let (shop, right) = a_wrong_row().await;
    let first = shop.call(&Value::Null, 1).await.unwrap();
    assert_eq!(first["phase"], "live");
    // Lost before the switch: it begins anew, and the position leads nowhere.
    let second = shop.call(&Value::Null, 6).await.unwrap();
    assert_eq!(
        (&second["phase"], &second["live"]),
        (&json!("switching"), &json!("blue"))
    );
    let superseded = shop.call(&first["position"], 1).await;
    assert!(matches!(superseded, Err(Failure::Permanent(_))));
    // Lost after it: it is ended first, and then the next one is made.
    let third = shop.call(&Value::Null, 60).await.unwrap();
    assert_eq!(
        (&third["done"], &third["live"]),
        (&json!(true), &json!("blue"))
    );
    assert_eq!(shop.rows(Side::Blue), right);
    assert_eq!(shop.rows(Side::Green), BTreeMap::new());
    assert_eq!(shop.rebuild.board.kept().0.generation, 3);
}

#[tokio::test(start_paused = true)]
async fn two_calls_are_never_at_work_and_one_that_died_is_waited_for() {
    let (shop, _) = a_wrong_row().await;
    let call = shop.call(&Value::Null, 10);
    let died = tokio::time::timeout(Duration::from_secs(2), call).await;
    assert!(died.is_err());
    let refused = shop.call(&Value::Null, 10).await;
    assert!(matches!(refused, Err(Failure::Transient(_))), "{refused:?}");
    tokio::time::sleep(Duration::from_secs(70)).await;
    assert!(shop.call(&Value::Null, 60).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_cannot_be_folded_is_told_of_and_keeps_no_other_back() {
    let (shop, right) = a_wrong_row().await;
    let bad = json!({"eventId": "x", "eventType": "PaymentProcessed",
        "timestamp": "2025-01-01T12:00:00Z",
        "data": {"orderId": "bad", "userId": "u", "totalAmount": 1}});
    let bad = Envelope::from_value(bad).unwrap();
    let store = &shop.rebuild.store;
    store
        .append("order-bad", &Head::START, vec![bad])
        .await
        .unwrap();
    let answer = shop.call(&Value::Null, 60).await.unwrap();
    assert_eq!(
        (&answer["done"], &answer["skipped"]),
        (&json!(true), &json!(1))
    );
    let named = answer["unreadable"][0].as_str().unwrap();
    assert!(named.starts_with("order-bad: "), "{named}");
    assert_eq!(shop.rows(Side::Green), right);
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_is_no_call_is_refused() {
    let shop = Shop::open();
    for payload in [
        json!({}),
        json!({"projection": "stock"}),
        json!({"projection": "orders", "position": "nonsense"}),
        json!({"projection": "orders", "seconds": 10_000}),
        json!({"projection": "orders", "positon": "1"}),
    ] {
        let refused = shop.rebuild.handle(payload.clone()).await;
        assert!(matches!(refused, Err(Failure::Permanent(_))), "{payload}");
    }
}
