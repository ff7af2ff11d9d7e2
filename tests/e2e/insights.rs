//! What happens is in the figures of its minute, each thing once; what a rule says of them raises
//! an alarm, once per episode, and clears it.

use aws_adapters::connection::Connection;
use aws_adapters::dynamodb_alarm_rules::DynamoDbAlarmRules;
use aws_adapters::dynamodb_insights::{DynamoDbInsights, Retention};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use streaming_analytics::insights_table::contract;

use crate::shop::{Shop, ordered_by};
use crate::store_contract::a_store;
use crate::system::{System, eventually, run};

/// Windows of a second, and minutes that wait for nobody: what is tested takes no minutes.
const AT_ONCE: [(&str, &str); 2] = [
    ("AnalyticsWindowSeconds", "1"),
    ("AnalyticsLatenessSeconds", "0"),
];

fn seconds_ago(seconds: i64) -> String {
    (Timestamp::now() - SignedDuration::from_secs(seconds)).to_string()
}

async fn get(shop: &Shop<'_>, path: &str) -> Value {
    let answer = shop.send("GET", path, "-", &Value::Null).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// The sum of a figure over all windows.
fn sum(insights: &Value, figure: &str) -> u64 {
    let windows = insights["windows"].as_array().unwrap().iter();
    windows.map(|window| window[figure].as_u64().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_in_the_figures_of_their_minute_once_however_often_their_events_come() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path(), &AT_ONCE).await;
    shop.stock().await;
    let orders = ["ann", "bob", "ann"];
    for (number, user) in orders.iter().enumerate() {
        let order = ordered_by(user, user, "tok_visa");
        let id = shop.place(&number.to_string(), &order).await;
        shop.comes_to(&id, "confirmed").await;
    }
    let figures = async || {
        let insights = get(&shop, "/insights").await;
        (sum(&insights, "placed"), sum(&insights, "confirmed"))
    };
    eventually("all orders are in the figures", async || {
        (figures().await == (3, 3)).then_some(())
    })
    .await;
    let insights = get(&shop, "/insights?step=hour").await;
    let window = insights["windows"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()
        .clone();
    assert_eq!(window["distinctCustomers"], 2, "{window}");
    assert_eq!(window["unmeasured"], 0, "{window}");
    assert!(window["p95Ms"].as_u64().unwrap() < 60_000, "{window}");
    let skus = get(&shop, "/insights/top-skus").await;
    assert_eq!(skus["topSkus"][0]["sku"], "tea");

    // The relay publishes them again; another batch, another window.
    let again: Vec<_> = shop
        .stored()
        .await
        .streams
        .into_values()
        .flatten()
        .collect();
    let published = again.len() as u64;
    for event in again
        .iter()
        .filter(|event| event.event_type != "UserNotified")
    {
        let entry = json!({"Source": "orderflow", "DetailType": event.event_type,
            "EventBusName": "orders", "Detail": serde_json::to_string(event).unwrap()});
        let endpoint = shop.stack.endpoint();
        let put = endpoint.call("events", "PutEvents", json!({ "Entries": [entry] }));
        assert_eq!(put.await.unwrap()["FailedEntryCount"], 0);
    }
    let duplicates = async || {
        let insights = get(&shop, "/insights").await;
        let windows = insights["windows"].as_array().unwrap().clone();
        let of = |window: &Value| window["records"]["duplicate"].as_u64().unwrap();
        windows.iter().map(of).sum::<u64>()
    };
    eventually("the duplicates are counted as such", async || {
        let notified = 2 * orders.len() as u64;
        (duplicates().await >= published - notified).then_some(())
    })
    .await;
    assert_eq!(figures().await, (3, 3));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_store_that_warms_up_raises_one_alarm_that_is_published_and_cleared() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path(), &AT_ONCE).await;
    let rule = json!({"metric": {"kind": "device", "deviceId": "fridge", "sensor": "temperature",
        "figure": "max"}, "condition": {"kind": "above", "threshold": 8, "clear": 6}});
    let set = shop.send("PUT", "/alarm-rules/warm", "-", &rule).await;
    assert_eq!(set.status, 200, "{}", set.text());
    let at = seconds_ago(130);
    let reading = |value: f64| {
        json!({"deviceId": "fridge", "sensor": "temperature", "value": value, "unit": "Cel",
            "at": at})
    };
    let batch = json!({"readings": [reading(9.5), reading(9.5)]});
    for _ in 0..2 {
        let taken = shop.send("POST", "/telemetry", "-", &batch).await;
        assert_eq!(taken.status, 202, "{}", taken.text());
    }
    let readings = async || {
        let device = get(&shop, "/devices/fridge").await;
        device["readings"].as_array().unwrap().clone()
    };
    let [open] = eventually("the reading is in its minute", async || {
        <[Value; 1]>::try_from(readings().await).ok()
    })
    .await;
    assert_eq!(
        (&open["count"], &open["final"]),
        (&json!(1), &json!(false)),
        "{open}"
    );

    let closed = shop.call("close-windows", &json!({})).await;
    assert_eq!(closed["raised"], 1, "{closed}");
    let [made] = <[Value; 1]>::try_from(readings().await).unwrap();
    assert_eq!(
        (&made["max"], &made["final"]),
        (&json!(9.5), &json!(true)),
        "{made}"
    );
    let again = shop.call("close-windows", &json!({})).await;
    assert_eq!(again["raised"], 0, "{again}");

    let removed = shop
        .send("DELETE", "/alarm-rules/warm", "-", &Value::Null)
        .await;
    assert_eq!(removed.status, 200, "{}", removed.text());
    let cleared = shop.call("close-windows", &json!({})).await;
    assert_eq!(cleared["cleared"], 1, "{cleared}");
    let stored = shop.stored().await;
    let alarm: Vec<_> = stored.streams["alarm-warm"]
        .iter()
        .map(|event| event.event_type.as_str())
        .collect();
    assert_eq!(alarm, ["AlarmRaised", "AlarmCleared"]);
    eventually("whoever subscribed is told", async || {
        let told = shop.stack.endpoint().topic_messages();
        (told.len() == 2).then_some(())
    })
    .await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readings_of_a_file_are_taken_and_a_bad_one_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let system = System::start(&[
        "--data-dir",
        folder.path().to_str().unwrap(),
        "--parameter",
        "AnalyticsWindowSeconds=1",
    ]);
    let file = folder.path().join("readings.jsonl");
    let at = seconds_ago(1);
    let reading = json!({"deviceId": "shelf", "sensor": "weight", "value": 41.25, "unit": "kg",
        "at": at});
    std::fs::write(&file, format!("{reading}\n\n{reading}\n")).unwrap();
    let of_file = || {
        let (file, folder) = (file.to_str().unwrap(), folder.path().to_str().unwrap());
        run(&["telemetry", file, "--data-dir", folder])
    };
    let sent = of_file();
    let said = String::from_utf8_lossy(&sent.stdout).into_owned();
    assert!(sent.status.success(), "{said}");
    assert_eq!(said, "2 readings are taken.\n");
    eventually("the reading is told once", async || {
        let device = system.get("/devices/shelf").await.json();
        let readings = device["readings"].as_array()?.clone();
        (readings.len() == 1 && readings[0]["count"] == 1).then_some(())
    })
    .await;
    for (line, named) in [
        ("{", "must be JSON"),
        (r#"{"deviceId": "x"}"#, "readings[0].sensor"),
    ] {
        std::fs::write(&file, line).unwrap();
        let refused = of_file();
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains(named), "{said}");
    }
    let simulated = ["telemetry", "--simulate", "--for", "1s", "--data-dir"];
    let simulated = run(&[&simulated, [folder.path().to_str().unwrap()].as_slice()].concat());
    let said = String::from_utf8_lossy(&simulated.stdout).into_owned();
    assert_eq!(said, "9 readings are taken.\n");
}

#[tokio::test]
async fn the_table_of_insights_on_dynamodb_keeps_the_contract() {
    let (endpoint, _, _) = a_store().await;
    let dynamodb = Connection::to_endpoint(&endpoint.url(), "local-test")
        .unwrap()
        .dynamodb();
    let table = DynamoDbInsights::new(dynamodb.clone(), "Insights", Retention::default());
    contract::holds(&table).await.unwrap();
    let rules = DynamoDbAlarmRules::new(dynamodb, "AlarmRules");
    contract::rules_are_kept(&rules).await.unwrap();
    endpoint.shutdown().await.unwrap();
}
