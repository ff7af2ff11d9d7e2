//! Deliveries come twice, and in any order: nothing changes.

use crate::repository::stack;
use crate::system::{System, order};
use sam_template::{Stack, Target};
use serde_json::{Value, json};

/// What the bus delivers of a stored event.
fn delivered(event: &event_sourcing::envelope::Envelope) -> Value {
    json!({"version": "0", "id": "again", "detail-type": event.event_type, "source": "orderflow",
        "account": "000000000000", "time": "2025-01-01T12:00:00Z", "region": "us-east-1",
        "resources": [], "detail": event})
}

/// The functions whose rules, as the template has them, let a delivery through.
fn consumers(template: &Stack, delivery: &Value) -> Vec<String> {
    let rules = template
        .rules
        .iter()
        .filter(|rule| rule.enabled && rule.pattern.matches(delivery));
    rules
        .flat_map(|rule| &rule.targets)
        .filter_map(|target| match &target.target {
            Target::Function { logical_id } => template.function(logical_id),
            _ => None,
        })
        .map(|function| function.name.clone())
        .collect()
}

/// Orders with every ending: confirmed, declined, out of stock, cancelled.
async fn orders_with_every_ending(system: &System) -> Vec<String> {
    system.stock("tea", 10, "2").await;
    let confirmed = system.place("confirmed", &order("u", "tea", 1, "2")).await;
    let mut unpaid = order("u", "tea", 1, "2");
    unpaid["payment"] = json!({"token": "tok_declined"});
    let declined = system.place("declined", &unpaid).await;
    let short = system.place("short", &order("u", "tea", 100, "2")).await;
    let cancelled = system.place("cancelled", &order("u", "tea", 1, "2")).await;
    system.order_at(&cancelled, "confirmed").await;
    let answer = system
        .request("POST", &format!("/orders/{cancelled}/cancel"), &[], "")
        .await;
    assert_eq!(answer.status, 202);
    system.order_at(&confirmed, "confirmed").await;
    system.order_at(&declined, "rejected").await;
    system.order_at(&short, "rejected").await;
    let ids = vec![confirmed, declined, short, cancelled];
    system.invariants_hold(&ids).await;
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_delivered_again_to_every_consumer_in_any_order_changes_nothing() {
    let system = System::start(&[]);
    let ids = orders_with_every_ending(&system).await;
    let before = system.stored().await;
    let events: Vec<_> = before.streams.values().flatten().collect();
    let template = stack(&[]);
    let deliveries: Vec<_> = events
        .iter()
        .map(|event| delivered(event))
        .flat_map(|delivery| {
            let consumers = consumers(&template, &delivery);
            consumers
                .into_iter()
                .map(move |consumer| (consumer, delivery.clone()))
        })
        .collect();
    assert!(deliveries.len() >= 20, "{}", deliveries.len());
    // As they were, twice; then backwards: the last of each order first.
    for (consumer, event) in deliveries
        .iter()
        .chain(&deliveries)
        .chain(deliveries.iter().rev())
    {
        system
            .invoke(consumer, event)
            .await
            .unwrap_or_else(|error| panic!("{consumer} {event}: {error}"));
    }
    let after = system.stored().await;
    assert_eq!(after.streams, before.streams);
    assert_eq!(after.stock, before.stock);
    assert_eq!(after.rows, before.rows);
    system.invariants_hold(&ids).await;
    assert!(system.dead_letters().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_recorded_already_is_not_recorded_again() {
    let system = System::start(&[]);
    orders_with_every_ending(&system).await;
    let before = system.stored().await;
    let event = before.streams.values().flatten().next().unwrap();
    let answer = system.invoke("record-events", &delivered(event)).await;
    assert_eq!(answer.unwrap()["givenUp"], "Permanent");
    assert_eq!(system.stored().await.streams, before.streams);
}
