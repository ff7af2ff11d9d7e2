//! `--data-dir`: what was on its way goes on after a restart, however sudden the end was.

use serde_json::json;

use crate::system::{System, eventually, order};

#[tokio::test(flavor = "multi_thread")]
async fn orders_in_flight_when_the_system_is_killed_are_confirmed_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let data = ["--data-dir", folder.path().to_str().unwrap()];
    let system = System::start(&data);
    system.stock("tea", 1000, "4.5").await;
    let mut accepted = Vec::new();
    for number in 0..30 {
        let body = order(&format!("user-{number}"), "tea", 2, "4.5");
        accepted.push(system.place(&format!("key-{number}"), &body).await);
    }
    // In the middle: some went on, and they cannot all have come to their end.
    eventually("the first order is confirmed", async || {
        let stored = system.stored().await;
        let mut events = stored.streams.values().flatten();
        events
            .any(|event| event.event_type == "PaymentProcessed")
            .then_some(())
    })
    .await;
    system.kill();

    let system = System::start(&data);
    for order in &accepted {
        system.order_at(order, "confirmed").await;
    }
    system.invariants_hold(&accepted).await;
    let stock = system.get("/inventory/tea").await.json();
    assert_eq!(stock["available"], json!(1000 - 2 * 30));
    assert_eq!(system.dead_letters().await.len(), 0);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_system_that_is_interrupted_ends_in_order_and_keeps_everything() {
    let folder = tempfile::tempdir().unwrap();
    let data = ["--data-dir", folder.path().to_str().unwrap()];
    let system = System::start(&data);
    system.stock("tea", 10, "4.5").await;
    let id = system.place("key", &order("user", "tea", 1, "4.5")).await;
    assert_eq!(system.interrupt(), Some(0));

    let system = System::start(&data);
    system.order_at(&id, "confirmed").await;
    system.invariants_hold(&[id]).await;
}
