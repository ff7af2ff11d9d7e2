//! The payment gateway is down: orders wait, are not rejected and not lost, and are paid once
//! when it is back.

use crate::system::{System, eventually, order};
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const ORDERS: usize = 5;

/// The idempotency keys of the charges that a gateway made.
type Charged = Arc<Mutex<Vec<String>>>;

async fn charge(State(charged): State<Charged>, headers: HeaderMap) -> String {
    let key = headers["idempotency-key"].to_str().unwrap().to_owned();
    let payment = format!("pi_{key}");
    let mut charged = charged.lock().unwrap();
    // One charge per key, as Stripe has it.
    if !charged.contains(&key) {
        charged.push(key);
    }
    json!({"id": payment, "status": "succeeded"}).to_string()
}

/// The message that a consumer was given: the stored event that reserved the order's stock.
async fn reservation(system: &System, order: &str) -> Value {
    let trail = system.get(&format!("/orders/{order}/events")).await.json();
    let event = trail["events"][1].clone();
    assert_eq!(event["eventType"], "InventoryUpdated", "{trail}");
    event
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_wait_while_the_gateway_is_down_and_are_paid_once_when_it_is_back() {
    // Bound and closed again: nobody listens there until the gateway is back.
    let address = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let url = format!("StripeUrl=http://{address}");
    let system = System::start(&[
        "--retry-delay",
        "20",
        "--parameter",
        "PaymentGateway=stripe",
        "--parameter",
        &url,
    ]);
    let key = json!({"Name": "/orderflow/stripe-key", "Type": "SecureString", "Value": "sk_test"});
    system.aws("AmazonSSM.PutParameter", &key).await;
    system.stock("tea", 100, "2").await;
    let mut ids = Vec::new();
    for number in 0..ORDERS {
        let mut body = order("u", "tea", 1, "2");
        body["payment"] = json!({"token": "pm_card_visa"});
        let id = system.place(&format!("k{number}"), &body).await;
        system.order_at(&id, "reserved").await;
        ids.push(id);
    }
    for id in &ids {
        // Given up as waiting, whether the gateway was asked or the breaker was open.
        let message = reservation(&system, id).await;
        let answer = system.invoke("process-payment", &message).await;
        assert_eq!(answer.unwrap()["givenUp"], "Waiting");
        assert_eq!(
            system.events_of(id).await,
            ["OrderPlaced", "InventoryUpdated"]
        );
    }

    let now = json!({"consumer": "process-payment", "now": true});
    let down = system.invoke("redrive-dlq", &now).await.unwrap();
    assert_eq!(
        (&down["waiting"], &down["failed"]),
        (&json!(ORDERS), &json!(0)),
        "{down}"
    );
    for letter in system.letters().await.values() {
        assert_eq!(
            (&letter["status"], &letter["round"]),
            (&json!("waiting"), &json!(0))
        );
    }

    let charged = Charged::default();
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let stripe = Router::new()
        .route("/v1/payment_intents", post(charge))
        .with_state(Arc::clone(&charged));
    tokio::spawn(async move { axum::serve(listener, stripe).await });
    for id in &ids {
        eventually("a redrive has paid it", async || {
            // Given back until the cool-down of the breaker is over.
            let redriven = system.invoke("redrive-dlq", &now).await.unwrap();
            let stored = system.events_of(id).await;
            if stored.len() == 3 {
                Ok(())
            } else {
                Err(format!("{stored:?}, {redriven}"))
            }
        })
        .await;
        system.order_at(id, "confirmed").await;
    }
    let mut keys = charged.lock().unwrap().clone();
    keys.sort();
    let mut expected: Vec<_> = ids.iter().map(|id| format!("charge-{id}")).collect();
    expected.sort();
    assert_eq!(keys, expected, "each is charged once");
    system.invariants_hold(&ids).await;
}
