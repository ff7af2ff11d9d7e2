use super::*;
use crate::gateway::{Refund, UNKNOWN_OUTCOME};
use crate::simulated_gateway::SimulatedGateway;
use domain::payment::PaymentId;
use event_sourcing::chain::Head;
use event_sourcing::clock::SystemClock;
use event_sourcing::ids::event_id;
use event_sourcing::in_memory::InMemoryEventStore;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::sync::Mutex;

/// Counts what the gateway is asked, by key; its books can say more than it answers.
#[derive(Default)]
struct Recording {
    gateway: SimulatedGateway,
    asked: Mutex<Vec<String>>,
    books: Mutex<Option<ChargeOutcome>>,
}

impl PaymentGateway for Recording {
    async fn charge(&self, charge: &Charge) -> Result<ChargeOutcome, GatewayError> {
        self.asked.lock().unwrap().push(charge.key.clone());
        self.gateway.charge(charge).await
    }

    async fn look_up(&self, charge: &Charge) -> Result<Option<ChargeOutcome>, GatewayError> {
        self.asked
            .lock()
            .unwrap()
            .push(format!("look-up-{}", charge.order_id));
        Ok(self.books.lock().unwrap().clone())
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
    let Err(Failure::Transient(cause)) = handler.handle(&reserved).await else {
        panic!("it is given back");
    };
    assert!(cause.starts_with(UNKNOWN_OUTCOME), "{cause}");
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
    assert_eq!(&handler.asked()[..2], ["charge-1", "refund-sim_charge-1"]);
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
    assert_eq!(handler.asked(), ["charge-1", "refund-sim_charge-1"]);
}

impl Tested {
    /// An order that was reserved so long ago; its trigger.
    async fn reserved_before(&self, age: SignedDuration, token: &str) -> Envelope {
        let then = Timestamp::now().checked_sub(age).unwrap();
        self.stored_at(then, 1, "OrderPlaced", json!({})).await;
        let reserved = json!({"reason": "reserved", "changes": [], "payment": {"token": token}});
        self.stored_at(then, 2, "InventoryUpdated", reserved).await
    }

    fn the_books_say(&self, outcome: ChargeOutcome) {
        *self.gateway.books.lock().unwrap() = Some(outcome);
    }
}

fn charged_as(payment: &str) -> ChargeOutcome {
    ChargeOutcome::Approved(Some(PaymentId(payment.into())))
}

#[tokio::test]
async fn an_old_trigger_of_a_settled_order_moves_no_money() {
    let handler = a_handler();
    let age = SignedDuration::from_hours(30);
    let reserved = handler.reserved_before(age, "tok_visa").await;
    handler
        .stored(3, "OrderCancelled", json!({"reason": "expired"}))
        .await;
    handler.handle(&reserved).await.unwrap();
    assert_eq!(handler.asked(), ["look-up-1"], "read, not charged");
    assert_eq!(handler.types().len(), 3);
}

#[tokio::test]
async fn a_charge_without_an_answer_of_an_order_that_was_cancelled_is_found_and_given_back_once() {
    let handler = a_handler();
    let age = SignedDuration::from_mins(6);
    let reserved = handler.reserved_before(age, "tok_timeout").await;
    handler
        .stored(3, "OrderCancelled", json!({"reason": "requested"}))
        .await;
    handler.the_books_say(charged_as("pi_1"));
    for _ in 0..3 {
        handler.handle(&reserved).await.unwrap();
    }
    assert_eq!(handler.types()[2..], ["OrderCancelled", "PaymentRefunded"]);
    assert_eq!(handler.asked(), ["look-up-1", "refund-pi_1"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_stays_unknown_is_looked_up_once_the_books_have_it() {
    let handler = a_handler();
    let age = SignedDuration::from_mins(6);
    let reserved = handler.reserved_before(age, "tok_timeout").await;
    assert!(matches!(
        handler.handle(&reserved).await,
        Err(Failure::Transient(cause)) if cause.starts_with(UNKNOWN_OUTCOME)
    ));
    handler.the_books_say(charged_as("pi_1"));
    handler.handle(&reserved).await.unwrap();
    assert_eq!(handler.types()[2..], ["PaymentProcessed"]);
}

#[tokio::test]
async fn an_order_older_than_the_gateways_keys_is_looked_up_before_it_is_charged() {
    let handler = a_handler();
    let age = SignedDuration::from_hours(21);
    let reserved = handler.reserved_before(age, "tok_visa").await;
    handler.the_books_say(charged_as("pi_1"));
    handler.handle(&reserved).await.unwrap();
    assert_eq!(handler.asked(), ["look-up-1"]);
    assert_eq!(handler.types()[2..], ["PaymentProcessed"]);

    let never_charged = a_handler();
    let reserved = never_charged.reserved_before(age, "tok_visa").await;
    never_charged.handle(&reserved).await.unwrap();
    assert_eq!(never_charged.asked(), ["look-up-1", "charge-1"]);
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
