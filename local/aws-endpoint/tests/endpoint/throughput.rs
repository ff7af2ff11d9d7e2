//! How fast it is. Prints figures, asserts none.

use std::time::Instant;

use aws_endpoint::Options;
use serde_json::json;

use crate::setup::{dynamodb, event, put, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures: cargo test -p aws-endpoint -- --ignored --nocapture throughput"]
async fn figures() {
    const WRITES: u32 = 2000;
    const TASKS: u32 = 16;
    let directory = tempfile::tempdir().expect("a folder");
    for data_dir in [None, Some(directory.path().to_owned())] {
        let kind = if data_dir.is_some() {
            "durable"
        } else {
            "ephemeral"
        };
        let endpoint = start(Options {
            data_dir,
            ..Options::default()
        })
        .await;
        let began = Instant::now();
        for version in 0..WRITES {
            let item = json!({"streamId": {"S": "o"}, "version": {"N": version.to_string()},
                              "data": {"M": {"text": {"S": "x".repeat(500)}}}});
            let request = json!({"TableName": "EventStore", "Item": item,
                                 "ConditionExpression": "attribute_not_exists(streamId)"});
            endpoint
                .call("dynamodb", "PutItem", request)
                .await
                .expect("stored");
        }
        let in_process = f64::from(WRITES) / began.elapsed().as_secs_f64();
        let client = dynamodb(&endpoint);
        let began = Instant::now();
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| {
                let client = client.clone();
                tokio::spawn(async move {
                    for version in 0..WRITES / TASKS {
                        put(&client, "EventStore", event(&format!("h-{task}"), version)).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("a task");
        }
        let over_http = f64::from(WRITES) / began.elapsed().as_secs_f64();
        println!("{kind}: {in_process:.0} writes/s in process, {over_http:.0} over HTTP and SDK");
        endpoint.shutdown().await.expect("stopped");
    }
}
