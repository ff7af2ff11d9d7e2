use super::*;
use crate::simulated_gateway::SimulatedGateway;
use event_sourcing::chain::Head;
use event_sourcing::clock::SystemClock;
use event_sourcing::ids::event_id;
use event_sourcing::in_memory::InMemoryEventStore;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::sync::Mutex;

/// Counts what the gateway is asked, by key.
#[derive(Default)]
struct Recording {
    gateway: SimulatedGateway,
    asked: Mutex<Vec<String>>,
}

impl PaymentGateway for Recording {
    async fn charge(&self, charge: &Charge) -> Result<ChargeOutcome, GatewayError> {
        self.asked.lock().unwrap().push(charge.key.clone());
        self.gateway.charge(charge).await
    }

    async fn refund(&self, refund: &Refund) -> Result<(), GatewayError> {
        self.asked.lock().unwrap().push(refund.key.clone());
        self.gateway.refund(refund).await
    }
}

type Tested = Handler<InMemoryEventStore, Recording, SystemClock>;

fn a_handler() -> Tested {
    Handler {
        store: InMemoryEventStore::default(),
        gateway: Recording::default(),
        clock: SystemClock,
    }
}

impl Tested {
    async fn stored(&self, version: u64, event_type: &str, more: Value) -> Envelope {
        self.stored_at(Timestamp::now(), version, event_type, more)
            .await
    }

    async fn stored_at(
        &self,
        at: Timestamp,
        version: u64,
        event_type: &str,
        more: Value,
    ) -> Envelope {
        let mut data = json!({"orderId": "1", "userId": "u", "totalAmount": 150.75});
        for (name, value) in more.as_object().unwrap() {
            data[name] = value.clone();
        }
        // As update-inventory derives it from its trigger.
        let id = match (version, event_type) {
            (2, "InventoryUpdated") => event_id("order-1", "e1", UPDATE_INVENTORY, 0),
            _ => format!("e{version}"),
        };
        let mut event = Envelope::new(&id, event_type, at, data);
        event.causation_id = Some("e1".into());
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

    async fn reserved(&self, more: Value) -> Envelope {
        self.stored(1, "OrderPlaced", json!({})).await;
        let mut data = json!({"reason": "reserved", "changes": []});
        for (name, value) in more.as_object().unwrap() {
            data[name] = value.clone();
        }
        self.stored(2, "InventoryUpdated", data).await
    }

    fn types(&self) -> Vec<String> {
        self.store
            .arrivals()
            .into_iter()
            .map(|event| event.event_type)
            .collect()
    }

    fn asked(&self) -> Vec<String> {
        self.gateway.asked.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn a_reserved_order_is_charged_and_confirmed_once() {
    let handler = a_handler();
    let reserved = handler.reserved(json!({})).await;
    for _ in 0..3 {
        handler.handle(&reserved).await.unwrap();
    }
    assert_eq!(
        handler.types(),
        ["OrderPlaced", "InventoryUpdated", "PaymentProcessed"]
    );
    assert!(
        handler.asked().iter().all(|key| key == "charge-1"),
        "one key, one charge"
    );
}

#[tokio::test]
async fn an_order_that_costs_nothing_is_confirmed_without_the_gateway() {
    let handler = a_handler();
    let reserved = handler.reserved(json!({"totalAmount": 0})).await;
    handler.handle(&reserved).await.unwrap();
    assert_eq!(
        handler.types().last().map(String::as_str),
        Some("PaymentProcessed")
    );
    assert!(handler.asked().is_empty());
}

#[tokio::test]
async fn a_declined_charge_is_an_answer() {
    let handler = a_handler();
    let reserved = handler
        .reserved(json!({"payment": {"token": "tok_declined"}}))
        .await;
    handler.handle(&reserved).await.unwrap();
    assert_eq!(
        handler.types().last().map(String::as_str),
        Some("PaymentFailed")
    );
}

#[tokio::test(start_paused = true)]
async fn a_flaky_gateway_is_asked_again_under_the_same_key() {
    let handler = a_handler();
    let reserved = handler
        .reserved(json!({"payment": {"token": "tok_flaky"}}))
        .await;
    handler.handle(&reserved).await.unwrap();
    assert_eq!(handler.asked(), ["charge-1"; 3]);
    assert_eq!(
        handler.types().last().map(String::as_str),
        Some("PaymentProcessed")
    );
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_is_given_back_and_never_guessed() {
    let handler = a_handler();
    let reserved = handler
        .reserved(json!({"payment": {"token": "tok_timeout"}}))
        .await;
    assert!(matches!(
        handler.handle(&reserved).await,
        Err(Failure::Transient(_))
    ));
    assert_eq!(handler.types(), ["OrderPlaced", "InventoryUpdated"]);
}

#[tokio::test]
async fn a_charge_that_crosses_a_cancellation_is_given_back() {
    let handler = a_handler();
    let reserved = handler.reserved(json!({})).await;
    let cancelled = handler
        .stored(3, "OrderCancelled", json!({"reason": "requested"}))
        .await;
    handler.handle(&reserved).await.unwrap();
    handler.handle(&cancelled).await.unwrap();
    handler.handle(&reserved).await.unwrap();
    assert_eq!(
        handler.types(),
        [
            "OrderPlaced",
            "InventoryUpdated",
            "OrderCancelled",
            "PaymentRefunded"
        ]
    );
    assert_eq!(&handler.asked()[..2], ["charge-1", "refund-1"]);
}

#[tokio::test]
async fn a_confirmed_order_that_is_cancelled_gets_its_money_back_once() {
    let handler = a_handler();
    let reserved = handler.reserved(json!({})).await;
    handler.handle(&reserved).await.unwrap();
    let cancelled = handler
        .stored(4, "OrderCancelled", json!({"reason": "requested"}))
        .await;
    for _ in 0..3 {
        handler.handle(&cancelled).await.unwrap();
    }
    assert_eq!(
        handler.types().last().map(String::as_str),
        Some("PaymentRefunded")
    );
    assert_eq!(handler.types().len(), 5);
    assert_eq!(handler.asked(), ["charge-1", "refund-1"]);
}

#[tokio::test]
async fn an_old_trigger_of_a_settled_order_moves_no_money() {
    let handler = a_handler();
    let yesterday = Timestamp::now()
        .checked_sub(SignedDuration::from_hours(30))
        .unwrap();
    handler
        .stored_at(yesterday, 1, "OrderPlaced", json!({}))
        .await;
    let reserved = json!({"reason": "reserved", "changes": []});
    let reserved = handler
        .stored_at(yesterday, 2, "InventoryUpdated", reserved)
        .await;
    handler
        .stored(3, "OrderCancelled", json!({"reason": "expired"}))
        .await;
    handler.handle(&reserved).await.unwrap();
    assert!(handler.asked().is_empty());
}

#[tokio::test]
async fn an_order_that_is_not_stored_is_a_permanent_failure_and_not_charged() {
    let handler = a_handler();
    let plain = Envelope::new(
        "12345",
        "InventoryUpdated",
        Timestamp::now(),
        json!({"orderId": "67890", "userId": "abc123", "totalAmount": 150.75, "reason": "reserved"}),
    );
    assert!(matches!(
        handler.handle(&plain).await,
        Err(Failure::Permanent(_))
    ));
    assert!(handler.asked().is_empty());
}

#[tokio::test]
async fn a_fresh_event_that_the_store_did_not_write_is_not_taken_at_its_word() {
    let handler = a_handler();
    handler.stored(1, "OrderPlaced", json!({})).await;
    let reserved = |order: &str| {
        let data = json!({"orderId": order, "userId": "u", "totalAmount": 150.75,
            "reason": "reserved", "changes": []});
        Envelope::new("by-hand", "InventoryUpdated", Timestamp::now(), data)
            .recorded(&format!("order-{order}"), 2)
    };
    for order in ["1", "unknown"] {
        assert!(matches!(
            handler.handle(&reserved(order)).await,
            Err(Failure::Permanent(_))
        ));
    }
    assert!(handler.asked().is_empty());
    assert_eq!(handler.types(), ["OrderPlaced"]);
}
