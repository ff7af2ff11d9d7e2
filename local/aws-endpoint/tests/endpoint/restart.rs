//! What survives a restart, and a process that is killed.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use aws_endpoint::{Endpoint, EndpointError, Options};
use serde_json::{Value, json};

use crate::setup::{deadline, dynamodb, event, get, item, n, put, s, start};

fn kept_in(directory: &Path) -> Options {
    Options {
        data_dir: Some(directory.to_owned()),
        ..Options::default()
    }
}

#[tokio::test]
async fn items_messages_streams_and_checkpoints_survive_a_restart() {
    let directory = tempfile::tempdir().expect("a folder");
    let endpoint = start(kept_in(directory.path())).await;
    put(&dynamodb(&endpoint), "EventStore", event("o-1", 1)).await;
    put(
        &dynamodb(&endpoint),
        "Stock",
        item([("sku", s("a")), ("available", n(5))]),
    )
    .await;
    let url = endpoint
        .create_queue("q", &[].into())
        .await
        .expect("a queue");
    for body in ["first", "second"] {
        let message = json!({"QueueUrl": url, "MessageBody": body});
        endpoint
            .call("sqs", "SendMessage", message)
            .await
            .expect("sent");
    }
    endpoint
        .set_checkpoint("EventStore", "publish-events", 1)
        .expect("noted");
    let before = endpoint.stream("EventStore").expect("a stream").read(0, 10);
    endpoint.shutdown().await.expect("stopped");

    let endpoint = start(kept_in(directory.path())).await;

    let client = dynamodb(&endpoint);
    let key = item([("streamId", s("o-1")), ("version", n(1))]);
    assert_eq!(get(&client, "EventStore", key).await, Some(event("o-1", 1)));
    assert!(
        get(&client, "Stock", item([("sku", s("a"))]))
            .await
            .is_some()
    );
    let stream = endpoint.stream("EventStore").expect("a stream");
    assert_eq!(stream.read(0, 10), before);
    assert_eq!(
        endpoint.stream_checkpoint("EventStore", "publish-events"),
        Some(1)
    );
    assert_eq!(
        endpoint.stream_checkpoint("EventStore", "project-orders"),
        None
    );
    put(&client, "EventStore", event("o-1", 2)).await;
    assert_eq!(stream.last_sequence(), 2);
    assert_eq!(endpoint.queue("q").map(|depth| depth.visible), Some(2));
    // The port is another one now, and the URL with it.
    assert_eq!(
        endpoint
            .call("sqs", "GetQueueUrl", json!({"QueueName": "q"}))
            .await,
        Ok(json!({"QueueUrl": endpoint.queue_url("q")}))
    );
}

#[tokio::test]
async fn a_folder_is_used_by_one_endpoint_at_a_time() {
    let directory = tempfile::tempdir().expect("a folder");
    let endpoint = start(kept_in(directory.path())).await;
    assert!(matches!(
        Endpoint::start(kept_in(directory.path())).await,
        Err(EndpointError::DataDirInUse(_))
    ));
    endpoint.shutdown().await.expect("stopped");
    start(kept_in(directory.path())).await;
}

fn append(directory: &Path, text: &str) {
    let mut log = OpenOptions::new()
        .append(true)
        .open(directory.join("changes.jsonl"))
        .expect("the log");
    log.write_all(text.as_bytes()).expect("appended");
}

fn commit_of(version: u32, at_millis: u64) -> String {
    let write = |table: &str, key: Value, new: Value, sequence: Option<u32>| {
        let mut write = json!({"table": table, "key": key, "new": new, "existed": false});
        if let Some(sequence) = sequence {
            write["sequence"] = json!(sequence);
        }
        write
    };
    let event = json!({"streamId": {"S": "o-1"}, "version": {"N": version.to_string()}});
    let stock = json!({"sku": {"S": "a"}, "available": {"N": "4"}});
    let writes = [
        write("EventStore", event.clone(), event, Some(version)),
        write("Stock", json!({"sku": {"S": "a"}}), stock, None),
    ];
    json!({"commit": {"at_millis": at_millis, "writes": writes}}).to_string() + "\n"
}

#[tokio::test]
async fn a_commit_that_was_logged_and_not_stored_is_completed_at_start() {
    let directory = tempfile::tempdir().expect("a folder");
    let endpoint = start(kept_in(directory.path())).await;
    put(&dynamodb(&endpoint), "EventStore", event("o-1", 1)).await;
    endpoint.shutdown().await.expect("stopped");
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970");
    let now = u64::try_from(now.as_millis()).expect("a time");
    append(directory.path(), &commit_of(2, now));
    // The process died while it wrote the next one.
    append(directory.path(), &commit_of(3, now)[..40]);

    let endpoint = start(kept_in(directory.path())).await;

    let client = dynamodb(&endpoint);
    let version = |version| item([("streamId", s("o-1")), ("version", n(version))]);
    assert!(get(&client, "EventStore", version(2)).await.is_some());
    assert!(get(&client, "EventStore", version(3)).await.is_none());
    let stock = get(&client, "Stock", item([("sku", s("a"))])).await;
    assert_eq!(stock.map(|stock| stock["available"].clone()), Some(n(4)));
    let stream = endpoint.stream("EventStore").expect("a stream");
    assert_eq!(stream.read(0, 10).len(), 2);
    put(&client, "EventStore", event("o-1", 3)).await;
    assert_eq!(stream.last_sequence(), 3);
}

#[tokio::test]
async fn a_stock_change_after_the_last_event_is_not_undone_at_start() {
    let directory = tempfile::tempdir().expect("a folder");
    let endpoint = start(kept_in(directory.path())).await;
    let client = dynamodb(&endpoint);
    put(
        &client,
        "Stock",
        item([("sku", s("a")), ("available", n(5))]),
    )
    .await;
    let reserve = json!({"TransactItems": [
        {"Put": {"TableName": "EventStore",
            "Item": {"streamId": {"S": "o-1"}, "version": {"N": "1"}}}},
        {"Update": {"TableName": "Stock", "Key": {"sku": {"S": "a"}},
            "UpdateExpression": "SET available = available - :q",
            "ExpressionAttributeValues": {":q": {"N": "1"}}}}]});
    endpoint
        .call("dynamodb", "TransactWriteItems", reserve)
        .await
        .expect("reserved");
    put(
        &client,
        "Stock",
        item([("sku", s("a")), ("available", n(50))]),
    )
    .await;
    endpoint.shutdown().await.expect("stopped");
    // Twice, so that the second start reads a log that the first one rewrote.
    for _ in 0..2 {
        let endpoint = start(kept_in(directory.path())).await;
        let stock = get(&dynamodb(&endpoint), "Stock", item([("sku", s("a"))])).await;
        assert_eq!(stock.map(|stock| stock["available"].clone()), Some(n(50)));
        endpoint.shutdown().await.expect("stopped");
    }
}

#[tokio::test]
async fn records_older_than_a_day_are_trimmed_at_start_and_sequences_go_on() {
    let directory = tempfile::tempdir().expect("a folder");
    let endpoint = start(kept_in(directory.path())).await;
    endpoint.shutdown().await.expect("stopped");
    append(directory.path(), &commit_of(1, 1_700_000_000_000));

    for _ in 0..2 {
        let endpoint = start(kept_in(directory.path())).await;
        let stream = endpoint.stream("EventStore").expect("a stream");
        assert!(stream.read(0, 10).is_empty());
        assert_eq!(stream.last_sequence(), 1);
        endpoint.shutdown().await.expect("stopped");
    }
}

#[tokio::test]
async fn a_stream_that_trimming_emptied_is_read_from_its_next_record() {
    let directory = tempfile::tempdir().expect("a folder");
    let endpoint = start(kept_in(directory.path())).await;
    endpoint.shutdown().await.expect("stopped");
    for version in 1..=5 {
        append(directory.path(), &commit_of(version, 1_700_000_000_000));
    }
    let endpoint = start(kept_in(directory.path())).await;
    let api = |operation, request| endpoint.call("dynamodbstreams", operation, request);
    let listed = api("ListStreams", json!({})).await.expect("listed");
    let arn = &listed["Streams"][0]["StreamArn"];
    let described = api("DescribeStream", json!({"StreamArn": arn})).await;
    let shard = described.expect("described")["StreamDescription"]["Shards"][0].clone();
    let first = &shard["SequenceNumberRange"]["StartingSequenceNumber"];
    assert_eq!(first.as_str().and_then(aws_endpoint::sequence_of), Some(6));
    let iterator = |kind: &str, sequence: u64| {
        let request = json!({
            "StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": kind,
            "SequenceNumber": format!("1{sequence:020}")});
        api("GetShardIterator", request)
    };
    let horizon = iterator("TRIM_HORIZON", 0).await.expect("an iterator");
    for (kind, sequence) in [("AFTER_SEQUENCE_NUMBER", 2), ("AT_SEQUENCE_NUMBER", 5)] {
        let error = iterator(kind, sequence).await.expect_err(kind);
        assert_eq!(
            error.code, "TrimmedDataAccessException",
            "{kind} {sequence}"
        );
    }

    put(&dynamodb(&endpoint), "EventStore", event("o-1", 6)).await;
    let records = api("GetRecords", horizon).await.expect("records");
    assert_eq!(records["Records"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn deletion_protection_survives_a_restart_until_it_is_taken_away() {
    let directory = tempfile::tempdir().expect("a folder");
    let endpoint = start(kept_in(directory.path())).await;
    let update =
        |protected: bool| json!({"TableName": "Stock", "DeletionProtectionEnabled": protected});
    let answer = endpoint.call("dynamodb", "UpdateTable", update(true)).await;
    assert_eq!(
        answer.expect("updated")["TableDescription"]["DeletionProtectionEnabled"],
        json!(true)
    );
    endpoint.shutdown().await.expect("stopped");

    let endpoint = start(kept_in(directory.path())).await;

    let api = |operation, request| endpoint.call("dynamodb", operation, request);
    let table = json!({"TableName": "Stock"});
    let described = api("DescribeTable", table.clone())
        .await
        .expect("described");
    assert_eq!(described["Table"]["DeletionProtectionEnabled"], json!(true));
    let refused = api("DeleteTable", table.clone()).await;
    assert!(
        refused
            .expect_err("protected")
            .message
            .contains("protected against deletion"),
    );
    api("UpdateTable", update(false)).await.expect("updated");
    api("DeleteTable", table).await.expect("deleted");
}

#[tokio::test]
async fn a_temporary_endpoint_leaves_nothing_behind() {
    let endpoint = start(Options::default()).await;
    put(&dynamodb(&endpoint), "EventStore", event("o-1", 1)).await;
    endpoint
        .shutdown()
        .await
        .expect("stopped, and its folder removed");
}

const CHILD_FOLDER: &str = "AWS_ENDPOINT_TEST_FOLDER";

/// Writes for ever, and says what was answered; to be killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run as a child process by the next test"]
async fn child_that_writes_until_it_is_killed() {
    let Ok(directory) = std::env::var(CHILD_FOLDER) else {
        return;
    };
    let endpoint = start(kept_in(Path::new(&directory))).await;
    let url = endpoint
        .create_queue("q", &[].into())
        .await
        .expect("a queue");
    for order in 0.. {
        let request = json!({"TransactItems": [
            {"Put": {"TableName": "EventStore", "Item": {
                "streamId": {"S": format!("o-{order}")}, "version": {"N": "1"}}}},
            {"Put": {"TableName": "EventStore", "Item": {
                "streamId": {"S": format!("o-{order}")}, "version": {"N": "2"}}}}]});
        endpoint
            .call("dynamodb", "TransactWriteItems", request)
            .await
            .expect("stored");
        let message = json!({"QueueUrl": url, "MessageBody": format!("o-{order}")});
        endpoint
            .call("sqs", "SendMessage", message)
            .await
            .expect("sent");
        println!("\nanswered {order}");
    }
}

#[tokio::test]
async fn nothing_answered_is_lost_when_the_process_is_killed() {
    let directory = tempfile::tempdir().expect("a folder");
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--ignored", "--exact", "--nocapture"])
        .arg("restart::child_that_writes_until_it_is_killed")
        .env(CHILD_FOLDER, directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the child starts");
    let mut answered = None;
    let in_time = deadline();
    for line in BufReader::new(child.stdout.take().expect("its output")).lines() {
        let line = line.expect("a line");
        if let Some(order) = line.strip_prefix("answered ") {
            answered = order.parse::<usize>().ok();
        }
        if answered == Some(60) || !in_time() {
            break;
        }
    }
    child.kill().expect("killed");
    child.wait().expect("gone");
    let answered = answered.expect("something was answered");

    let endpoint = start(kept_in(directory.path())).await;

    let mut stored = BTreeSet::new();
    let mut request = json!({"TableName": "EventStore"});
    loop {
        let page = endpoint
            .call("dynamodb", "Scan", request.clone())
            .await
            .expect("scanned");
        for item in page["Items"].as_array().into_iter().flatten() {
            stored.insert((item["streamId"].to_string(), item["version"].to_string()));
        }
        match page.get("LastEvaluatedKey") {
            Some(key) => request["ExclusiveStartKey"] = key.clone(),
            None => break,
        }
    }
    let recorded: BTreeSet<_> = endpoint
        .stream("EventStore")
        .expect("a stream")
        .read(0, usize::MAX)
        .iter()
        .map(|record| {
            let keys = &record.record["dynamodb"]["Keys"];
            (keys["streamId"].to_string(), keys["version"].to_string())
        })
        .collect();
    assert_eq!(stored, recorded, "stored exactly what is in the stream");
    assert!(stored.len() >= 2 * (answered + 1) && stored.len().is_multiple_of(2));
    let messages = endpoint.queue("q").expect("the queue").visible;
    assert!(
        messages > answered,
        "{messages} messages, {answered} answered"
    );
}
