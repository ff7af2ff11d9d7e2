//! `verify`: history that was changed behind the store's back is found, by its first event.

use serde_json::{Value, json};

use crate::system::{System, order, run};

fn verify(folder: &str, more: &[&str]) -> (Option<i32>, Value) {
    let mut arguments = vec!["verify", "--data-dir", folder, "--json"];
    arguments.extend(more);
    let output = run(&arguments);
    let report = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code(), report)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_and_a_removed_event_are_named_and_the_rest_is_as_it_was_appended() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let system = System::start(&["--data-dir", folder]);
    system.stock("tea", 10, "1").await;
    let mut ids = Vec::new();
    for key in ["a", "b", "c"] {
        let id = system.place(key, &order("u", "tea", 1, "1")).await;
        system.order_at(&id, "confirmed").await;
        ids.push(id);
    }
    let (code, report) = verify(folder, &[]);
    assert_eq!(
        (code, report["tampered"].clone()),
        (Some(0), json!([])),
        "{report}"
    );

    let key = |id: &str, version: u64| json!({"streamId": {"S": format!("order-{id}")}, "version": {"N": version.to_string()}});
    let cheaper = json!({"TableName": "EventStore", "Key": key(&ids[0], 3),
        "UpdateExpression": "SET #data.totalAmount = :nothing",
        "ExpressionAttributeNames": {"#data": "data"},
        "ExpressionAttributeValues": {":nothing": {"N": "0"}}});
    system.aws("DynamoDB_20120810.UpdateItem", &cheaper).await;
    let last = json!({"TableName": "EventStore", "Key": key(&ids[1], 3)});
    system.aws("DynamoDB_20120810.DeleteItem", &last).await;

    let (code, report) = verify(folder, &[]);
    assert_eq!(code, Some(1), "{report}");
    let tampered: Vec<_> = report["tampered"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line.as_str().unwrap())
        .collect();
    assert_eq!(tampered.len(), 2, "{tampered:?}");
    let altered = format!("event 3 of stream order-{} was altered", ids[0]);
    let removed = format!("event 3 of stream order-{} was removed", ids[1]);
    assert!(
        tampered.iter().any(|line| line.starts_with(&altered)),
        "{tampered:?}"
    );
    assert!(
        tampered.iter().any(|line| line.starts_with(&removed)),
        "{tampered:?}"
    );

    let stream = format!("order-{}", ids[2]);
    let (code, report) = verify(folder, &["--stream", &stream]);
    assert_eq!(
        (code, report["events"].clone()),
        (Some(0), json!(3)),
        "{report}"
    );
    assert_eq!(verify(folder, &["--stream", "order-nobody"]).0, Some(1));

    // The same over the folder when nothing runs on it.
    assert_eq!(system.interrupt(), Some(0));
    let (code, report) = verify(folder, &[]);
    assert_eq!(
        (code, report["tampered"].as_array().unwrap().len()),
        (Some(1), 2)
    );
}
