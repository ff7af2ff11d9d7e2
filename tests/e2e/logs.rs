//! Logs are lines of JSON with ids, few enough bytes, and in the trace of the order.

use std::collections::{BTreeMap, BTreeSet};

use aws_adapters::publications::read_marker;
use serde_json::{Value, json};

use crate::shop::{Shop, address, ordered_by};
use crate::system::eventually;

/// Most bytes of log lines that a happy order of two SKUs may cost at the level `INFO` when hardly
/// any others share its batches. With them it is less: a batch has one line.
const MAX_BYTES_PER_ORDER: usize = 2048;
const ORDERS: usize = 10;
const TRACE: &str = "5759e988bd862e3fe1be46a994272793";

fn two_skus(user: &str) -> Value {
    let mut body = ordered_by(user, user, "tok_visa");
    body["items"] = json!([
        {"sku": "tea", "quantity": 1, "unitPrice": 4.5},
        {"sku": "mug", "quantity": 2, "unitPrice": 7.25},
    ]);
    body
}

async fn stocked(shop: &Shop<'_>) {
    shop.stock().await;
    let pieces = json!({"restock": 1000});
    let stocked = shop.send("PUT", "/inventory/mug", "-", &pieces).await;
    assert_eq!(stocked.status, 200, "{}", stocked.text());
}

/// The lines, each of which is JSON.
fn parsed(lines: &[String]) -> Vec<Value> {
    let parsed = lines.iter().map(|line| {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?} is no JSON: {error}"))
    });
    parsed.collect()
}

/// Waits until every order's last event is published, and every mail is sent.
async fn all_is_told(shop: &Shop<'_>, orders: &[String]) {
    for (order, user) in orders.iter().zip(1..) {
        shop.comes_to(order, "confirmed").await;
        shop.gets_mails(&address(&format!("user{user}")), 2).await;
    }
    eventually("everything stored is published", async || {
        let stored = shop.stored().await;
        let stored = stored
            .streams
            .iter()
            .map(|(name, events)| (name.clone(), events.len()));
        let mut published = BTreeMap::<String, usize>::new();
        for line in shop.log_lines() {
            for position in read_marker(&line) {
                *published.entry(position.stream).or_default() += 1;
            }
        }
        let stored: BTreeMap<_, _> = stored.collect();
        (stored == published)
            .then_some(())
            .ok_or_else(|| format!("{stored:?} {published:?}"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_costs_so_many_bytes_of_logs_at_most_and_every_line_has_its_ids() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path(), &[]).await;
    stocked(&shop).await;
    let before = shop.log_lines().len();
    let mut orders = Vec::new();
    for number in 1..=ORDERS {
        let body = two_skus(&format!("user{number}"));
        orders.push(shop.place(&number.to_string(), &body).await);
    }
    all_is_told(&shop, &orders).await;
    let mut lines = shop.log_lines().split_off(before);
    // A real gateway writes no line here.
    lines.retain(|line| !line.contains(r#""message":"charged""#));
    let bytes: usize = lines.iter().map(|line| line.len() + 1).sum();
    let per_order = bytes / ORDERS;
    assert!(
        per_order <= MAX_BYTES_PER_ORDER,
        "{per_order} bytes of logs per order: {:#?}",
        &lines[..lines.len() / ORDERS]
    );
    for line in parsed(&lines) {
        for field in ["timestamp", "level"] {
            assert!(line[field].is_string(), "{field} is not in {line}");
        }
        if line["_aws"].is_object() {
            continue; // metrics, of no call by itself
        }
        assert!(line["request_id"].is_string(), "{line}");
        assert!(line["trace_id"].is_null(), "nobody keeps a trace: {line}");
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_goes_through_every_event_and_every_function_of_an_order() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path(), &[]).await;
    stocked(&shop).await;
    let traceparent = format!("00-{TRACE}-53995c3f42cd8ad8-01");
    let placed = shop
        .send_traced(&traceparent, "1", &two_skus("user1"))
        .await;
    assert_eq!(placed.status, 202, "{}", placed.text());
    let order = placed.json()["orderId"].as_str().unwrap().to_owned();
    all_is_told(&shop, std::slice::from_ref(&order)).await;

    let stored = shop.stored().await;
    let of_order = |event: &&event_sourcing::envelope::Envelope| event.data["orderId"] == order;
    let events: Vec<_> = stored.streams.values().flatten().filter(of_order).collect();
    let types: BTreeSet<_> = events
        .iter()
        .map(|event| event.event_type.as_str())
        .collect();
    let expected = [
        "InventoryUpdated",
        "OrderPlaced",
        "PaymentProcessed",
        "UserNotified",
    ];
    assert_eq!(types, expected.into());
    for event in events {
        assert_eq!(event.traceparent.as_ref(), Some(&traceparent), "{event:?}");
    }
    // What the bus calls is in the trace; a table's stream carries none.
    let lines = parsed(&shop.log_lines());
    for consumer in ["stock settled", "charged", "payment settled", "mail sent"] {
        let of_consumer = |line: &&Value| {
            let message = line["message"].as_str().unwrap_or_default();
            message.contains(consumer)
        };
        let mut lines = lines.iter().filter(of_consumer).peekable();
        assert!(lines.peek().is_some(), "no line says {consumer}");
        for line in lines {
            assert_eq!(line["trace_id"], TRACE, "{line}");
        }
    }
    shop.close().await;
}
