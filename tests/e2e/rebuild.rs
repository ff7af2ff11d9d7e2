//! Rebuilding the rows of orders while orders are placed and read.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::system::{DEADLINE, System, changed_template, order, run};

const USERS: usize = 10;
/// Key of the item that says which rows are live.
const SWITCH: &str = " switch";

/// Our template, whose old rows go as soon as they may.
fn hasty_template() -> (tempfile::TempDir, String) {
    changed_template(|template| template.replace("DROP_AFTER_SECONDS: 15", "DROP_AFTER_SECONDS: 0"))
}

fn user(number: usize) -> String {
    format!("user-{}", number % USERS)
}

async fn place(system: &System, number: usize) -> String {
    let body = order(&user(number), "tea", 1, "4.5");
    system.place(&format!("key-{number}"), &body).await
}

/// Calls the function until the rebuild is done; the last answer.
async fn rebuilt(system: &System, mut position: Value, seconds: u64) -> Value {
    let until = Instant::now() + 3 * DEADLINE;
    loop {
        let mut call = json!({"projection": "orders", "seconds": seconds});
        if !position.is_null() {
            call["position"] = position;
        }
        let answer = system.invoke("rebuild-orders", &call).await.unwrap();
        if answer["done"] == true {
            return answer;
        }
        assert!(Instant::now() < until, "not done: {answer}");
        position = answer["position"].clone();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Keys of all items of a table, rows or not.
async fn keys(system: &System, table: &str) -> Vec<String> {
    let request = json!({"TableName": table, "ProjectionExpression": "orderId"});
    let answer = system.aws("DynamoDB_20120810.Scan", &request).await;
    let items = answer["Items"].as_array().unwrap();
    let key = |item: &Value| item["orderId"]["S"].as_str().unwrap().to_owned();
    items.iter().map(key).collect()
}

/// Makes an order's row in a table wrong.
async fn corrupt(system: &System, table: &str, order: &str) {
    let request = json!({"TableName": table, "Key": {"orderId": {"S": order}},
        "UpdateExpression": "SET #status = :wrong",
        "ConditionExpression": "attribute_exists(orderId)",
        "ExpressionAttributeNames": {"#status": "status"},
        "ExpressionAttributeValues": {":wrong": {"S": "expired"}}});
    system.aws("DynamoDB_20120810.UpdateItem", &request).await;
    let row = system.get(&format!("/orders/{order}")).await.json();
    assert_eq!(row["status"], "expired");
}

/// Lists and reads until it is told to stop: nothing that was listed goes missing or goes back.
/// How often it read.
async fn read(system: &System, stop: &AtomicBool) -> usize {
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    let mut reads = 0;
    let mut look = |seen: &mut BTreeMap<String, u64>, row: &Value| {
        let id = row["orderId"].as_str().unwrap().to_owned();
        let version = row["version"].as_u64().unwrap();
        let before = seen.insert(id.clone(), version).unwrap_or_default();
        assert!(before <= version, "{id} went from {before} to {version}");
        reads += 1;
        id
    };
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let user = user(number);
        let mut path = format!("/users/{user}/orders?limit=100");
        let mut listed = Vec::new();
        loop {
            let answer = system.get(&path).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let page = answer.json();
            let rows = page["orders"].as_array().unwrap();
            listed.extend(rows.iter().map(|row| look(&mut seen, row)));
            let Some(cursor) = page["nextCursor"].as_str() else {
                break;
            };
            path = format!("/users/{user}/orders?limit=100&cursor={cursor}");
        }
        let known = listed.len();
        for id in listed.iter().skip(number % 7).step_by(7) {
            let answer = system.get(&format!("/orders/{id}")).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            look(&mut seen, &answer.json());
        }
        let again = system.get(&format!("/users/{user}/orders?limit=100")).await;
        let again = again.json()["orders"].as_array().unwrap().len();
        assert!(again >= known.min(100), "{user} had {known}, has {again}");
    }
    reads
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_under_load_makes_every_row_the_fold_of_its_stream_and_reads_never_stop() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let (_guard, template) = hasty_template();
    let system = System::start(&["--data-dir", folder, "--template", &template]);
    system.stock("tea", 100_000, "4.5").await;
    let mut before = Vec::new();
    for number in 0..120 {
        before.push(place(&system, number).await);
    }
    for order in &before {
        system.order_at(order, "confirmed").await;
    }
    corrupt(&system, "Orders", &before[7]).await;

    let stop = AtomicBool::new(false);
    let accepted = Mutex::new(before.clone());
    let write = async {
        for number in 120.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let order = place(&system, number).await;
            accepted.lock().await.push(order);
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    };
    let rebuild = async {
        let answer = rebuilt(&system, Value::Null, 1).await;
        stop.store(true, Ordering::Relaxed);
        answer
    };
    let ((), reads, answer) = tokio::join!(write, read(&system, &stop), rebuild);
    assert!(reads > 20, "{reads} reads while it was rebuilt");
    assert_eq!(
        (&answer["phase"], &answer["live"]),
        (&json!("dropped"), &json!("green"))
    );
    let accepted = accepted.into_inner();
    let meanwhile = accepted.len() - before.len();
    assert!(meanwhile > 20, "{meanwhile} orders while it was rebuilt");
    // Also: one UserNotified per trigger, and each row is the fold of its stream.
    system.invariants_hold(&accepted).await;
    let row = system.get(&format!("/orders/{}", before[7])).await.json();
    assert_eq!(row["status"], "confirmed");
    assert_eq!(keys(&system, "Orders").await, [SWITCH]);
    assert_eq!(keys(&system, "OrdersGreen").await.len(), accepted.len());
    assert_eq!(system.dead_letters().await.len(), 0);

    // And back, by the command: nothing but rows is written.
    let stored = system.stored().await;
    corrupt(&system, "OrdersGreen", &before[9]).await;
    let output = run(&["rebuild", "orders", "--data-dir", folder]);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}");
    assert!(printed.contains("rows written  blue is live"), "{printed}");
    assert!(
        printed.contains("switched from green to blue; green is empty"),
        "{printed}"
    );
    assert_eq!(system.stored().await, stored);
    assert_eq!(keys(&system, "OrdersGreen").await, [""; 0]);
    assert_eq!(keys(&system, "Orders").await.len(), accepted.len() + 1);
    assert_eq!(system.dead_letters().await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_that_is_interrupted_again_and_again_ends_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (_guard, template) = hasty_template();
    let data = folder.path().to_str().unwrap();
    let arguments = ["--data-dir", data, "--template", &template];
    let system = System::start(&arguments);
    system.stock("tea", 1000, "4.5").await;
    let mut accepted = Vec::new();
    for number in 0..30 {
        accepted.push(place(&system, number).await);
    }
    for order in &accepted {
        system.order_at(order, "confirmed").await;
    }
    corrupt(&system, "Orders", &accepted[3]).await;
    // One step a call, and each position used twice.
    let mut position = Value::Null;
    for number in 30..40 {
        let mut call = json!({"projection": "orders", "seconds": 0});
        if !position.is_null() {
            call["position"] = position.clone();
            system.invoke("rebuild-orders", &call).await.unwrap();
        }
        let answer = system.invoke("rebuild-orders", &call).await.unwrap();
        position = answer["position"].clone();
        accepted.push(place(&system, number).await);
    }
    system.kill();

    let system = System::start(&arguments);
    let (answer, more) = tokio::join!(rebuilt(&system, position, 0), async {
        let mut more = Vec::new();
        for number in 40..60 {
            more.push(place(&system, number).await);
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
        more
    });
    accepted.extend(more);
    assert_eq!(answer["live"], "green");
    system.invariants_hold(&accepted).await;
    let row = system.get(&format!("/orders/{}", accepted[3])).await.json();
    assert_eq!(row["status"], "confirmed");
    assert_eq!(keys(&system, "Orders").await, [SWITCH]);
    // Where the green rows are live is known after a restart.
    system.kill();
    let system = System::start(&arguments);
    accepted.push(place(&system, 60).await);
    system.invariants_hold(&accepted).await;
    assert_eq!(keys(&system, "OrdersGreen").await.len(), accepted.len());
}
