//! Every file in `events/` through the function that it is for.

use crate::system::{System, workspace};
use serde_json::{Value, json};

fn sample(name: &str) -> Value {
    let path = workspace().join("events").join(format!("{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The function that a sample is named after.
fn function_of(sample: &str) -> String {
    let functions = std::fs::read_dir(workspace().join("functions")).unwrap();
    functions
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .find(|function| sample == function || sample.starts_with(&format!("{function}-")))
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sample_event_passes_through_its_function() {
    let system = System::start(&[]);
    let status = |code: u64| json!({"statusCode": code});
    let taken = json!({"batchItemFailures": []});
    let given_up = |cause: &str| json!({"givenUp": "Permanent", "cause": cause});
    let refused = |reason: &str| json!({"errorType": "Permanent", "errorMessage": reason});
    let not_stored = given_up("order 67890 is not in the event store");
    let in_stock = given_up("it is still to be delivered, its stock stays reserved");
    let mut left: std::collections::BTreeSet<_> = std::fs::read_dir(workspace().join("events"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
        .filter(|name| name != "asyncapi")
        .collect();
    for (name, expected) in [
        // Nothing is stored yet.
        ("update-inventory", not_stored.clone()),
        ("process-payment", not_stored),
        ("query-orders", status(404)),
        ("query-orders-inventory", status(404)),
        // The order of the samples, from its recording on.
        ("restock-inventory", status(200)),
        ("query-orders-inventory", status(200)),
        ("place-order", status(202)),
        ("place-order", status(202)),
        ("record-events", Value::Null),
        ("record-events", Value::Null),
        ("update-inventory", Value::Null),
        ("CONFIRMED", Value::Null),
        ("process-payment", Value::Null),
        // It was paid under another id; and no signing secret is stored.
        ("resolve-payment", refused("settled before")),
        ("payment-webhook", status(503)),
        ("notify-user", Value::Null),
        ("notify-user-plain", Value::Null),
        ("update-inventory-payment-failed", in_stock.clone()),
        ("update-inventory-order-cancelled", in_stock),
        ("process-payment-order-cancelled", Value::Null),
        ("query-orders", status(200)),
        ("query-orders-as-of", status(200)),
        ("query-orders-events", status(200)),
        ("query-orders-diff", status(200)),
        ("query-orders-of-user", status(200)),
        ("project-orders", taken.clone()),
        ("cancel-order", status(202)),
        ("update-inventory-order-cancelled", Value::Null),
        ("process-payment-order-cancelled", Value::Null),
        ("publish-events", taken),
        ("rebuild-orders", json!({"live": "blue", "done": false})),
        ("sweep-orders", json!({"dryRun": true, "done": true})),
        (
            "reconcile-events",
            json!({"missing": 0, "unstored": 0, "done": true}),
        ),
        // What was refused above, for there was no order then, or it was still to be delivered.
        (
            "redrive-dlq",
            json!({"left": 0, "failed": 0, "waiting": 0, "skipped": 0}),
        ),
    ] {
        if name == "CONFIRMED" {
            system.order_at("67890", "confirmed").await;
            continue;
        }
        left.remove(name);
        let answer = match system.invoke(&function_of(name), &sample(name)).await {
            Ok(answer) | Err(answer) => answer,
        };
        match &expected {
            Value::Object(fields) => {
                for (field, expected) in fields {
                    let same = match (&answer[field], expected) {
                        (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
                        (value, expected) => value == expected,
                    };
                    assert!(same, "{name}: {answer}, expected {field} {expected}");
                }
            }
            expected => assert_eq!(&answer, expected, "{name}"),
        }
    }
    assert!(left.is_empty(), "not tried: {left:?}");
}
