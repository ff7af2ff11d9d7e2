use super::*;
use domain::ids::Sku;
use domain::inventory::StockTable;
use event_sourcing::chain::Head;
use event_sourcing::clock::SystemClock;
use event_sourcing::ids::event_id;
use event_sourcing::in_memory::InMemoryEventStore;
use event_sourcing::store::EventStore;
use jiff::Timestamp;
use serde_json::json;

type Shop = InMemoryEventStore<StockTable>;

fn tea() -> Sku {
    Sku::parse("tea").unwrap()
}

fn a_handler(available: i64) -> Handler<Shop, SystemClock> {
    let store = Shop::default();
    store
        .companion()
        .apply(&[StockMove::Restock {
            sku: tea(),
            quantity: available,
            price: None,
        }])
        .unwrap();
    Handler {
        store,
        clock: SystemClock,
    }
}

impl Handler<Shop, SystemClock> {
    async fn stored(&self, version: u64, event_type: &str, more: serde_json::Value) -> Envelope {
        let mut data = json!({"orderId": "1", "userId": "u", "totalAmount": 6,
            "items": [{"sku": "tea", "quantity": 3, "unitPrice": 2}]});
        for (name, value) in more.as_object().unwrap() {
            data[name] = value.clone();
        }
        // As place-order derives it from the order.
        let id = match event_type {
            "OrderPlaced" => event_id("order-1", "1", PLACE_ORDER, 0),
            _ => format!("e{version}"),
        };
        let event = Envelope::new(&id, event_type, Timestamp::now(), data);
        let history = self.store.read("order-1", 1).await.unwrap();
        let mut head = Head::after(history.last());
        head.version = version - 1;
        let mut stored = self
            .store
            .append("order-1", &head, vec![event])
            .await
            .unwrap();
        stored.remove(0)
    }

    fn available(&self) -> i64 {
        self.store.companion().level(&tea()).unwrap().available
    }

    fn types(&self) -> Vec<String> {
        self.store
            .arrivals()
            .into_iter()
            .map(|event| event.event_type)
            .collect()
    }
}

#[tokio::test]
async fn a_placed_order_reserves_its_stock_once() {
    let handler = a_handler(10);
    let placed = handler.stored(1, "OrderPlaced", json!({})).await;
    for _ in 0..3 {
        handler.handle(&placed).await.unwrap();
    }
    assert_eq!(handler.types(), ["OrderPlaced", "InventoryUpdated"]);
    assert_eq!(handler.available(), 7);
}

#[tokio::test]
async fn an_order_that_asks_for_more_than_there_is_is_rejected_once() {
    let handler = a_handler(2);
    let placed = handler.stored(1, "OrderPlaced", json!({})).await;
    for _ in 0..3 {
        handler.handle(&placed).await.unwrap();
    }
    assert_eq!(handler.types(), ["OrderPlaced", "InventoryRejected"]);
    assert_eq!(handler.available(), 2);
}

#[tokio::test]
async fn an_unpaid_order_gives_its_stock_back_once() {
    let handler = a_handler(10);
    let placed = handler.stored(1, "OrderPlaced", json!({})).await;
    handler.handle(&placed).await.unwrap();
    let failed = handler
        .stored(3, "PaymentFailed", json!({"reason": "declined"}))
        .await;
    for _ in 0..3 {
        handler.handle(&failed).await.unwrap();
    }
    assert_eq!(
        handler.types().last().map(String::as_str),
        Some("InventoryUpdated")
    );
    assert_eq!((handler.types().len(), handler.available()), (4, 10));
}

#[tokio::test]
async fn an_order_cancelled_before_its_reservation_reserves_nothing() {
    let handler = a_handler(10);
    let placed = handler.stored(1, "OrderPlaced", json!({})).await;
    let cancelled = handler
        .stored(2, "OrderCancelled", json!({"reason": "requested"}))
        .await;
    handler.handle(&placed).await.unwrap();
    handler.handle(&cancelled).await.unwrap();
    assert_eq!(handler.types(), ["OrderPlaced", "OrderCancelled"]);
    assert_eq!(handler.available(), 10);
}

#[tokio::test]
async fn an_order_that_is_not_stored_is_a_permanent_failure() {
    let handler = a_handler(10);
    let plain = Envelope::new(
        "12345",
        "OrderPlaced",
        Timestamp::now(),
        json!({"orderId": "67890", "userId": "abc123", "totalAmount": 150.75}),
    );
    let Err(Failure::Permanent(reason)) = handler.handle(&plain).await else {
        panic!("it is permanent");
    };
    assert!(
        reason.contains("order 67890 is not in the event store"),
        "{reason}"
    );
    assert!(handler.types().is_empty());
}

#[tokio::test]
async fn a_fresh_event_that_the_store_did_not_write_is_not_taken_at_its_word() {
    let handler = a_handler(10);
    let data = json!({"orderId": "unknown", "userId": "u", "totalAmount": 6,
        "items": [{"sku": "tea", "quantity": 3, "unitPrice": 2}]});
    let by_hand = Envelope::new("by-hand", "OrderPlaced", Timestamp::now(), data)
        .recorded("order-unknown", 1);
    assert!(matches!(
        handler.handle(&by_hand).await,
        Err(Failure::Permanent(_))
    ));
    assert!(handler.types().is_empty());
    assert_eq!(handler.available(), 10);
}
