//! Orders that end otherwise: rejected, unpaid, cancelled. What they took is given back.

use crate::system::{System, eventually, order};
use serde_json::{Value, json};

async fn available(system: &System, sku: &str) -> i64 {
    system.get(&format!("/inventory/{sku}")).await.json()["available"]
        .as_i64()
        .unwrap()
}

/// Waits until an order's stream has exactly these events.
async fn history_is(system: &System, id: &str, types: &[&str]) {
    eventually(&format!("{types:?}"), async || {
        let stored = system.events_of(id).await;
        if stored == types {
            Ok(())
        } else {
            Err(format!("{stored:?}"))
        }
    })
    .await;
}

fn paid_with(mut order: Value, token: &str) -> Value {
    order["payment"] = json!({"token": token});
    order
}

#[tokio::test(flavor = "multi_thread")]
async fn payment_fails_and_stock_is_released() {
    let system = System::start(&[]);
    system.stock("tea", 5, "2").await;
    let id = system
        .place("k", &paid_with(order("u", "tea", 2, "2"), "tok_declined"))
        .await;
    history_is(
        &system,
        &id,
        &[
            "OrderPlaced",
            "InventoryUpdated",
            "PaymentFailed",
            "InventoryUpdated",
        ],
    )
    .await;
    let row = system.order_at(&id, "rejected").await;
    assert_eq!(row["reason"], "payment: card_declined");
    assert_eq!(available(&system, "tea").await, 5);
    system.invariants_hold(&[id]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_falls_short_and_nothing_is_reserved_or_charged() {
    let system = System::start(&[]);
    system.stock("tea", 5, "2").await;
    system.stock("cup", 1, "3").await;
    let lines = |lines: Value| json!({"userId": "u", "currency": "USD", "items": lines});
    for (key, items, reason) in [
        (
            "short",
            json!([{"sku": "tea", "quantity": 1, "unitPrice": 2}, {"sku": "cup", "quantity": 2, "unitPrice": 3}]),
            "inventory: cup out_of_stock",
        ),
        (
            "unknown",
            json!([{"sku": "pot", "quantity": 1, "unitPrice": 1}]),
            "inventory: pot unknown_sku",
        ),
        (
            "price",
            json!([{"sku": "tea", "quantity": 1, "unitPrice": 1.99}]),
            "inventory: tea price_changed",
        ),
        // Two lines of one SKU are one reservation.
        (
            "twice",
            json!([{"sku": "tea", "quantity": 3, "unitPrice": 2}, {"sku": "tea", "quantity": 3, "unitPrice": 2}]),
            "inventory: tea out_of_stock",
        ),
    ] {
        let id = system.place(key, &lines(items)).await;
        assert_eq!(system.order_at(&id, "rejected").await["reason"], reason);
        assert_eq!(
            system.events_of(&id).await,
            ["OrderPlaced", "InventoryRejected"]
        );
    }
    // One of two prices is not the price.
    let two_prices = json!([{"sku": "tea", "quantity": 1, "unitPrice": 2}, {"sku": "tea", "quantity": 1, "unitPrice": 1}]);
    let id = system.place("prices", &lines(two_prices)).await;
    assert_eq!(
        system.order_at(&id, "rejected").await["reason"],
        "inventory: tea price_changed"
    );
    let euros = json!({"userId": "u", "currency": "EUR",
        "items": [{"sku": "tea", "quantity": 1, "unitPrice": 2}]});
    let id = system.place("euros", &euros).await;
    assert_eq!(
        system.order_at(&id, "rejected").await["reason"],
        "inventory: tea price_changed"
    );
    assert_eq!(
        (
            available(&system, "tea").await,
            available(&system, "cup").await
        ),
        (5, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_order_is_cancelled_within_the_grace_and_refunded() {
    let system = System::start(&[]);
    system.stock("tea", 5, "2").await;
    let id = system.place("k", &order("u", "tea", 2, "2")).await;
    system.order_at(&id, "confirmed").await;

    let path = format!("/orders/{id}/cancel");
    let stale = system
        .request("POST", &path, &[("if-match", "\"2\"")], "")
        .await;
    assert_eq!(
        (stale.status, stale.json()["field"].clone()),
        (412, json!("If-Match"))
    );
    let odd = system
        .request("POST", &path, &[("if-match", "yes")], "")
        .await;
    assert_eq!(
        (odd.status, odd.json()["field"].clone()),
        (400, json!("If-Match"))
    );
    let cancelled = system
        .request("POST", &path, &[("if-match", "\"3\"")], "")
        .await;
    assert_eq!(cancelled.status, 202, "{}", cancelled.text());
    assert_eq!(
        cancelled.json(),
        json!({"orderId": id, "status": "cancelled", "version": 4})
    );
    // A repeat is answered, though the version has moved on.
    let again = system
        .request("POST", &path, &[("if-match", "\"3\"")], "")
        .await;
    assert_eq!(again.status, 202);

    eventually("stock and money are back", async || {
        let types = system.events_of(&id).await;
        (types.len() == 6).then_some(())
    })
    .await;
    let mut types = system.events_of(&id).await;
    types[4..].sort();
    assert_eq!(
        types[3..],
        ["OrderCancelled", "InventoryUpdated", "PaymentRefunded"]
    );
    assert_eq!(available(&system, "tea").await, 5);
    let row = eventually("the row is complete", async || {
        let row = system.order_at(&id, "cancelled").await;
        (row["version"] == 6).then_some(row)
    })
    .await;
    assert_eq!(row["refunded"], true);
    system.invariants_hold(&[id]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_not_cancelled_after_the_grace_nor_one_that_is_not_there() {
    let system = System::start(&["--parameter", "CancelGraceSeconds=0"]);
    system.stock("tea", 5, "2").await;
    let id = system.place("k", &order("u", "tea", 2, "2")).await;
    system.order_at(&id, "confirmed").await;
    let late = system
        .request("POST", &format!("/orders/{id}/cancel"), &[], "")
        .await;
    assert_eq!(late.status, 409, "{}", late.text());
    let rejected = system.place("r", &order("u", "pot", 1, "1")).await;
    system.order_at(&rejected, "rejected").await;
    let over = system
        .request("POST", &format!("/orders/{rejected}/cancel"), &[], "")
        .await;
    assert_eq!(over.status, 409);
    let absent = system
        .request("POST", "/orders/nobody/cancel", &[], "")
        .await;
    assert_eq!(
        (absent.status, absent.json()["field"].clone()),
        (404, json!("id"))
    );
    assert_eq!(system.events_of(&id).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_cancelled_at_any_moment_end_consistent() {
    let system = System::start(&[]);
    system.stock("tea", 1000, "2").await;
    let mut ids = Vec::new();
    for number in 0..12 {
        let id = system
            .place(&format!("k{number}"), &order("u", "tea", 2, "2"))
            .await;
        // Each is cancelled one event later than the one before: at once, reserved, paid.
        let moment = number % 3;
        eventually("the moment has come", async || {
            (system.events_of(&id).await.len() > moment).then_some(())
        })
        .await;
        let answer = system
            .request("POST", &format!("/orders/{id}/cancel"), &[], "")
            .await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        ids.push(id);
    }
    system.invariants_hold(&ids).await;
    eventually("all stock is back", async || {
        (available(&system, "tea").await == 1000).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_stays_unknown_goes_to_the_dead_letter_queue_and_is_never_guessed() {
    let system = System::start(&["--retry-delay", "20"]);
    system.stock("tea", 5, "2").await;
    let id = system
        .place("k", &paid_with(order("u", "tea", 2, "2"), "tok_timeout"))
        .await;
    eventually("it is a dead letter", async || {
        let letters = system.dead_letters().await;
        (letters.get("process-payment-dlq") == Some(&1)).then_some(())
    })
    .await;
    assert_eq!(
        system.events_of(&id).await,
        ["OrderPlaced", "InventoryUpdated"]
    );
    assert_eq!(
        available(&system, "tea").await,
        3,
        "its stock stays reserved"
    );
}
