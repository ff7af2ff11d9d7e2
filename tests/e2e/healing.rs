//! Orders that do not move, because a message was lost or nobody paid, and sweeps that move them.

use serde_json::{Value, json};

use crate::system::{System, changed_template, eventually, order};

/// Our template, but some events reach nobody: they are published, and no rule matches them.
fn losing(lost: &[(&str, &str)]) -> (tempfile::TempDir, String) {
    changed_template(|template| {
        lost.iter().fold(template, |template, (rule, broken)| {
            assert!(template.contains(rule), "{rule}");
            template.replace(rule, broken)
        })
    })
}

const TO_CHARGE: (&str, &str) = ("data: { reason: [reserved] }", "data: { reason: [lost] }");
const TO_RELEASE: (&str, &str) = (
    "detail-type: [PaymentFailed, OrderCancelled]",
    "detail-type: [Lost]",
);
const TO_RESERVE: (&str, &str) = ("detail-type: [OrderPlaced]", "detail-type: [Lost]");

async fn available(system: &System) -> u64 {
    let level = system.get("/inventory/tea").await.json();
    level["available"].as_u64().unwrap()
}

/// Sweeps until there is nothing to do; how many were healed and how many expired.
async fn swept(system: &System) -> (u64, u64) {
    let (mut healed, mut expired) = (0, 0);
    eventually("nothing is open any more", async || {
        let answer = system.invoke("sweep-orders", &json!({})).await.unwrap();
        let count = |name: &str| answer[name].as_u64().unwrap();
        healed += count("healed");
        expired += count("expired");
        let open = open_orders(system).await;
        if open.is_empty() {
            Ok(())
        } else {
            Err(format!("{open:?} {answer}"))
        }
    })
    .await;
    (healed, expired)
}

/// Ids of the orders in the index of open ones.
async fn open_orders(system: &System) -> Vec<String> {
    let request = json!({"TableName": "Orders", "IndexName": "open"});
    let answer = system.aws("DynamoDB_20120810.Scan", &request).await;
    let items = answer["Items"].as_array().unwrap();
    let key = |item: &Value| item["orderId"]["S"].as_str().unwrap().to_owned();
    items.iter().map(key).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_whose_messages_were_lost_are_healed_by_a_sweep() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let hasty = ["--parameter", "StuckAfterSeconds=1", "--data-dir", data];
    let (_guard, template) = losing(&[TO_CHARGE, TO_RELEASE]);
    let broken = System::start(&[&hasty[..], &["--template", &template]].concat());
    broken.stock("tea", 10, "2").await;
    let unpaid = broken.place("a", &order("u", "tea", 1, "2")).await;
    let cancelled = broken.place("b", &order("u", "tea", 2, "2")).await;
    for id in [&unpaid, &cancelled] {
        broken.order_at(id, "reserved").await;
    }
    let path = format!("/orders/{cancelled}/cancel");
    assert_eq!(broken.request("POST", &path, &[], "").await.status, 202);
    broken.order_at(&cancelled, "cancelled").await;
    assert_eq!(open_orders(&broken).await.len(), 2);
    assert_eq!(broken.interrupt(), Some(0));

    let (_guard, template) = losing(&[TO_RESERVE]);
    let broken = System::start(&[&hasty[..], &["--template", &template]].concat());
    let unreserved = broken.place("c", &order("u", "tea", 3, "2")).await;
    broken.order_at(&unreserved, "placed").await;
    assert_eq!(broken.interrupt(), Some(0));

    let system = System::start(&hasty);
    assert_eq!(available(&system).await, 7, "three are reserved");
    let tell = eventually("all three are stuck", async || {
        let dry = json!({"dryRun": true});
        let answer = system.invoke("sweep-orders", &dry).await.unwrap();
        (answer["healed"] == 3).then_some(answer)
    });
    let told = tell.await;
    assert_eq!((&told["looked"], &told["expired"]), (&json!(3), &json!(0)));
    assert_eq!(system.events_of(&unreserved).await, ["OrderPlaced"]);

    let (healed, expired) = swept(&system).await;
    assert!(healed >= 3 && expired == 0, "{healed} {expired}");
    for id in [&unpaid, &unreserved] {
        system.order_at(id, "confirmed").await;
    }
    let events = [
        "OrderPlaced",
        "InventoryUpdated",
        "OrderCancelled",
        "InventoryUpdated",
    ];
    assert_eq!(system.events_of(&cancelled).await, events);
    assert_eq!(available(&system).await, 6, "four are sold");
    system
        .invariants_hold(&[unpaid, cancelled, unreserved])
        .await;
    assert_eq!(system.dead_letters().await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_nobody_pays_expires_and_its_stock_is_back() {
    let (_guard, template) = losing(&[TO_CHARGE]);
    let system = System::start(&[
        "--template",
        &template,
        "--parameter",
        "StuckAfterSeconds=1",
        "--parameter",
        "PaymentDeadlineSeconds=3",
    ]);
    system.stock("tea", 10, "2").await;
    let id = system.place("a", &order("u", "tea", 4, "2")).await;
    system.order_at(&id, "reserved").await;
    assert_eq!(available(&system).await, 6);

    let (_, expired) = swept(&system).await;
    assert_eq!(expired, 1);
    let row = system.order_at(&id, "expired").await;
    let events = [
        "OrderPlaced",
        "InventoryUpdated",
        "OrderCancelled",
        "InventoryUpdated",
    ];
    assert_eq!(system.events_of(&id).await, events);
    assert_eq!(
        (&row["refunded"], available(&system).await),
        (&json!(false), 10)
    );
    system.invariants_hold(&[id]).await;
}
