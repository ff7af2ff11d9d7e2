//! The plain four-field event: recorded once, then it travels like ours.

use crate::system::{System, eventually, run};
use serde_json::{Value, json};

fn plain() -> Value {
    json!({"eventId": "12345", "eventType": "OrderPlaced", "timestamp": "2025-01-01T12:00:00Z",
        "data": {"orderId": "67890", "userId": "abc123", "totalAmount": 150.75}})
}

async fn put(system: &System, detail: &Value) {
    let entry = json!({"EventBusName": "orders", "Source": "legacy.shop",
        "DetailType": detail["eventType"], "Detail": detail.to_string()});
    let answer = system
        .aws("AWSEvents.PutEvents", &json!({"Entries": [entry]}))
        .await;
    assert_eq!(answer["FailedEntryCount"], 0, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_event_on_the_bus_is_recorded_once_charged_and_told_about() {
    let system = System::start(&[]);
    for _ in 0..3 {
        put(&system, &plain()).await;
    }
    let row = system.order_at("67890", "confirmed").await;
    assert_eq!(row["totalAmount"].to_string(), "150.75");
    assert_eq!(row["placedAt"], "2025-01-01T12:00:00Z");
    system.invariants_hold(&["67890".to_owned()]).await;
    put(&system, &plain()).await;
    assert_eq!(
        system.events_of("67890").await,
        ["OrderPlaced", "InventoryUpdated", "PaymentProcessed"]
    );
    let stored = system.stored().await;
    let placed = &stored.streams["order-67890"][0];
    assert_eq!(
        (placed.event_id.as_str(), placed.version),
        ("12345", Some(1))
    );
    let paid = &stored.streams["order-67890"][2];
    assert_eq!(paid.data["totalAmount"].to_string(), "150.75");
    assert!(system.dead_letters().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_not_recorded_and_kept_as_a_dead_letter() {
    let system = System::start(&["--retry-delay", "20"]);
    let mut cancelled = plain();
    cancelled["eventType"] = json!("OrderCancelled");
    cancelled["data"]["reason"] = json!("requested");
    put(&system, &cancelled).await;
    eventually("it is a dead letter", async || {
        (system.dead_letters().await.get("record-events-dlq") == Some(&1)).then_some(())
    })
    .await;
    assert!(system.stored().await.streams.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_an_unknown_type_is_recorded_and_published() {
    let system = System::start(&[]);
    let coupon = json!({"eventId": "c-1", "eventType": "CouponRedeemed",
        "timestamp": "2025-01-01T12:00:00Z", "data": {"code": "SPRING", "value": 5.00}});
    put(&system, &coupon).await;
    eventually("it is recorded", async || {
        system
            .stored()
            .await
            .streams
            .contains_key("external-c-1")
            .then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn notify_user_takes_the_plain_event_as_it_is_and_notifies_once() {
    let system = System::start(&[]);
    for _ in 0..3 {
        system.invoke("notify-user", &plain()).await.unwrap();
    }
    let stored = system.stored().await;
    let all: Vec<_> = stored.streams.values().flatten().collect();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].position(), Some(("notification-12345", 1)));
    assert_eq!(all[0].event_type, "UserNotified");
}

#[test]
fn the_plain_event_on_the_command_line_prints_the_notification() {
    let output = run(&["invoke", "notify-user", "events/notify-user-plain.json"]);
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "null");
    let log = String::from_utf8_lossy(&output.stderr);
    let line = "Sending notification for Order ID: 67890 to User ID: abc123";
    assert_eq!(log.matches(line).count(), 1, "{log}");
}

#[test]
fn a_call_into_a_running_system_prints_the_log_and_a_second_one_notifies_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let _system = System::start(&["--data-dir", folder]);
    let call = || {
        let event = "events/notify-user-plain.json";
        let output = run(&["invoke", "notify-user", event, "--data-dir", folder]);
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let line = "Sending notification for Order ID: 67890 to User ID: abc123";
    assert_eq!(call().matches(line).count(), 1);
    let second = call();
    assert!(second.contains("notified before"), "{second}");
    assert!(!second.contains(line), "{second}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_invoked_for_an_order_that_is_not_stored_says_so() {
    let system = System::start(&[]);
    let mut reserved = plain();
    reserved["eventType"] = json!("InventoryUpdated");
    reserved["data"]["reason"] = json!("reserved");
    for (function, event) in [("update-inventory", plain()), ("process-payment", reserved)] {
        let answer = system.invoke(function, &event).await.unwrap();
        assert_eq!(answer["givenUp"], "Permanent");
        let message = answer["cause"].as_str().unwrap();
        assert!(
            message.contains("order 67890 is not in the event store"),
            "{message}"
        );
    }
    assert!(system.stored().await.streams.is_empty());
}
