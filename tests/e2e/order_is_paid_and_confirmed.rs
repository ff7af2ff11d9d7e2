//! The happy way: placed, reserved, paid, notified twice, and to be seen in the read model.

use crate::system::{System, eventually, futures_of, order};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_reserved_paid_confirmed_and_told_about() {
    let system = System::start(&[]);
    system.stock("tea", 10, "12.50").await;
    let placed = system
        .post_order("key-1", &order("abc123", "tea", 3, "12.50"))
        .await;
    assert_eq!(placed.status, 202);
    let body = placed.json();
    let id = body["orderId"].as_str().unwrap().to_owned();
    assert_eq!(
        body,
        json!({"orderId": id, "status": "placed", "version": 1})
    );
    assert_eq!(placed.header("location"), format!("/orders/{id}"));
    assert_eq!(placed.header("etag"), "\"1\"");

    let row = system.order_at(&id, "confirmed").await;
    assert_eq!(row["totalAmount"].to_string(), "37.5");
    assert_eq!(row["version"], 3);
    let timeline: Vec<_> = row["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| &e["type"])
        .collect();
    assert_eq!(
        timeline,
        ["OrderPlaced", "InventoryUpdated", "PaymentProcessed"]
    );
    system.invariants_hold(std::slice::from_ref(&id)).await;

    let stored = system.stored().await;
    let about: Vec<_> = stored
        .streams
        .values()
        .flatten()
        .filter(|event| event.event_type == "UserNotified")
        .map(|event| event.data["about"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(about.len(), 2);
    for trigger in ["OrderPlaced", "PaymentProcessed"] {
        assert!(about.iter().any(|about| about == trigger), "{about:?}");
    }
    // Every event of the case is tied to it and to its cause.
    let history = &stored.streams[&format!("order-{id}")];
    for pair in history.windows(2) {
        assert_eq!(
            pair[1].causation_id.as_deref(),
            Some(pair[0].event_id.as_str())
        );
        assert_eq!(pair[1].correlation_id.as_deref(), Some(id.as_str()));
    }
    assert_eq!(system.get("/inventory/tea").await.json()["available"], 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_costs_nothing_is_confirmed_without_the_gateway() {
    let system = System::start(&[]);
    system.stock("sample", 1, "0").await;
    let mut gift = order("abc123", "sample", 1, "0");
    gift["payment"] = json!({"token": "tok_declined"});
    let id = system.place("key-1", &gift).await;
    system.order_at(&id, "confirmed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_again_gets_the_same_answer_and_another_one_is_refused() {
    let system = System::start(&[]);
    system.stock("tea", 10, "12.50").await;
    let body = order("abc123", "tea", 1, "12.50");
    let first = system.post_order("key-1", &body).await;
    let id = first.json()["orderId"].as_str().unwrap().to_owned();
    system.order_at(&id, "confirmed").await;
    // The order has moved on; the answer has not.
    let again = system.post_order("key-1", &body).await;
    assert_eq!((again.status, again.json()), (202, first.json()));
    assert_eq!(again.header("etag"), first.header("etag"));
    assert_eq!(again.header("location"), first.header("location"));

    for change in [
        json!({"quantity": 2}),
        json!({"unitPrice": 12.51}),
        json!({"sku": "cup"}),
    ] {
        let mut other = body.clone();
        for (field, value) in change.as_object().unwrap() {
            other["items"][0][field] = value.clone();
        }
        let refused = system.post_order("key-1", &other).await;
        assert_eq!(refused.status, 422, "{}", refused.text());
        assert_eq!(refused.json()["field"], "Idempotency-Key");
    }
    assert_eq!(system.events_of(&id).await.len(), 3);

    // Another customer's key of the same name is another key.
    let other = system
        .place("key-1", &order("somebody", "tea", 1, "12.50"))
        .await;
    assert_ne!(other, id);
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_posts_of_one_order_at_once_store_one() {
    let system = System::start(&[]);
    system.stock("tea", 100, "1").await;
    let body = order("abc123", "tea", 1, "1");
    let posts = (0..20).map(|_| system.post_order("key-1", &body));
    let answers = futures_of(posts).await;
    let first = answers[0].json();
    for answer in &answers {
        assert_eq!((answer.status, answer.json()), (202, first.clone()));
    }
    let id = first["orderId"].as_str().unwrap();
    system.order_at(id, "confirmed").await;
    let available = eventually("one piece is sold", async || {
        system.get("/inventory/tea").await.json()["available"].as_u64()
    });
    assert_eq!(available.await, 99);
}
