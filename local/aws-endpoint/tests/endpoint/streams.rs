//! The change log: what is recorded, for whom, and how it is read.

use std::collections::BTreeSet;

use aws_endpoint::{Endpoint, Options, StreamRecord, sequence_of};
use serde_json::{Value, json};

use crate::setup::{ephemeral, event, event_store, item, n, put, s};

fn records(endpoint: &Endpoint) -> Vec<StreamRecord> {
    endpoint
        .stream("EventStore")
        .expect("a stream")
        .read(0, 1000)
}

fn names(records: &[StreamRecord]) -> Vec<&str> {
    records
        .iter()
        .filter_map(|record| record.record["eventName"].as_str())
        .collect()
}

async fn call(endpoint: &Endpoint, operation: &str, request: Value) -> Value {
    endpoint
        .call("dynamodb", operation, request)
        .await
        .expect("the call succeeds")
}

#[tokio::test]
async fn a_record_is_what_a_function_gets() {
    let (endpoint, client) = ephemeral().await;
    put(&client, "EventStore", event("o-1", 1)).await;

    let read = records(&endpoint);
    assert_eq!(read.len(), 1);
    assert_eq!(
        (read[0].sequence, read[0].partition_key.as_str()),
        (1, "o-1")
    );
    let mut record = read[0].record.clone();
    let data = &mut record["dynamodb"];
    assert!(
        data["ApproximateCreationDateTime"]
            .take()
            .as_u64()
            .is_some_and(|at| at > 1_600_000_000)
    );
    assert_eq!(
        data["SequenceNumber"].as_str().and_then(sequence_of),
        Some(1)
    );
    assert_eq!(record["eventID"].take().as_str().map(str::len), Some(32));
    let stream = endpoint.stream("EventStore").expect("a stream");
    let keys = json!({"streamId": {"S": "o-1"}, "version": {"N": "1"}});
    assert_eq!(
        record,
        json!({
            "eventID": null, "eventName": "INSERT", "eventVersion": "1.1",
            "eventSource": "aws:dynamodb", "awsRegion": "us-east-1",
            "eventSourceARN": stream.arn(),
            "dynamodb": {
                "ApproximateCreationDateTime": null, "Keys": keys,
                "NewImage": {"streamId": {"S": "o-1"}, "version": {"N": "1"},
                             "eventType": {"S": "OrderPlaced"}},
                "SequenceNumber": "100000000000000000001",
                // keys 8+3+7+2, image 20+9+11
                "SizeBytes": 20 + 40, "StreamViewType": "NEW_AND_OLD_IMAGES",
            }
        })
    );
    assert!(
        stream
            .arn()
            .starts_with("arn:aws:dynamodb:us-east-1:000000000000:table/EventStore/stream/")
    );
}

#[tokio::test]
async fn each_item_of_a_transaction_and_a_batch_gets_its_record() {
    let (endpoint, _client) = ephemeral().await;
    let put =
        |version: u32| json!({"streamId": {"S": "o-1"}, "version": {"N": version.to_string()}});
    let transaction: Vec<Value> = (1..=3)
        .map(|version| json!({"Put": {"TableName": "EventStore", "Item": put(version)}}))
        .chain([json!({"Put": {"TableName": "Stock", "Item": {"sku": {"S": "a"}}}})])
        .collect();
    call(
        &endpoint,
        "TransactWriteItems",
        json!({"TransactItems": transaction}),
    )
    .await;
    let batch: Vec<Value> = vec![
        json!({"PutRequest": {"Item": put(4)}}),
        json!({"DeleteRequest": {"Key": put(1)}}),
        json!({"DeleteRequest": {"Key": put(9)}}),
    ];
    call(
        &endpoint,
        "BatchWriteItem",
        json!({"RequestItems": {"EventStore": batch}}),
    )
    .await;

    let read = records(&endpoint);
    assert_eq!(
        names(&read),
        ["INSERT", "INSERT", "INSERT", "INSERT", "REMOVE"]
    );
    let sequences: Vec<u64> = read.iter().map(|record| record.sequence).collect();
    assert_eq!(sequences, [1, 2, 3, 4, 5]);
    assert_eq!(read[4].record["dynamodb"]["OldImage"], put(1));
    assert_eq!(read[4].record["dynamodb"].get("NewImage"), None);
    assert!(endpoint.stream("Stock").is_none());
}

#[tokio::test]
async fn a_write_that_changes_nothing_or_fails_leaves_no_record() {
    let (endpoint, client) = ephemeral().await;
    put(&client, "EventStore", event("o-1", 1)).await;
    put(&client, "EventStore", event("o-1", 1)).await;
    let key = json!({"streamId": {"S": "o-1"}, "version": {"N": "1"}});
    let update = |to: &str| {
        json!({"TableName": "EventStore", "Key": key, "UpdateExpression": "SET eventType = :t",
               "ExpressionAttributeValues": {":t": {"S": to}}})
    };
    call(&endpoint, "UpdateItem", update("OrderPlaced")).await;
    let missing = json!({"streamId": {"S": "o-9"}, "version": {"N": "1"}});
    call(
        &endpoint,
        "DeleteItem",
        json!({"TableName": "EventStore", "Key": missing}),
    )
    .await;
    let failing = json!({"TransactItems": [
        {"Put": {"TableName": "EventStore",
            "Item": {"streamId": {"S": "o-2"}, "version": {"N": "1"}}}},
        {"ConditionCheck": {"TableName": "EventStore", "Key": key,
            "ConditionExpression": "attribute_not_exists(streamId)"}}]});
    assert!(
        endpoint
            .call("dynamodb", "TransactWriteItems", failing)
            .await
            .is_err()
    );
    assert_eq!(names(&records(&endpoint)), ["INSERT"]);

    call(&endpoint, "UpdateItem", update("OrderCancelled")).await;

    let read = records(&endpoint);
    assert_eq!(names(&read), ["INSERT", "MODIFY"]);
    let data = &read[1].record["dynamodb"];
    assert_eq!(data["OldImage"]["eventType"], json!({"S": "OrderPlaced"}));
    assert_eq!(
        data["NewImage"]["eventType"],
        json!({"S": "OrderCancelled"})
    );
}

#[tokio::test]
async fn a_record_carries_the_images_of_its_view() {
    for (view, new, old) in [
        ("KEYS_ONLY", false, false),
        ("NEW_IMAGE", true, false),
        ("OLD_IMAGE", false, true),
        ("NEW_AND_OLD_IMAGES", true, true),
    ] {
        let endpoint = Endpoint::start(Options::default()).await.expect("started");
        let mut table = event_store();
        table["StreamSpecification"] = json!({"StreamEnabled": true, "StreamViewType": view});
        endpoint.create_table(&table).await.expect("a table");
        for text in ["a", "b"] {
            let item = json!({"streamId": {"S": "o"}, "version": {"N": "1"}, "text": {"S": text}});
            call(
                &endpoint,
                "PutItem",
                json!({"TableName": "EventStore", "Item": item}),
            )
            .await;
        }
        let modified = &records(&endpoint)[1].record["dynamodb"];
        assert_eq!(modified.get("NewImage").is_some(), new, "{view}");
        assert_eq!(modified.get("OldImage").is_some(), old, "{view}");
        assert_eq!(modified["StreamViewType"], json!(view));
    }
}

#[tokio::test]
async fn a_reader_waits_for_the_next_record_and_reads_from_where_it_was() {
    let (endpoint, client) = ephemeral().await;
    let stream = endpoint.stream("EventStore").expect("a stream");
    assert_eq!(stream.last_sequence(), 0);
    let waiting = tokio::spawn({
        let stream = stream.clone();
        async move { stream.changed(0).await }
    });
    put(&client, "EventStore", event("o-1", 1)).await;
    assert_eq!(waiting.await.expect("woken"), 1);
    put(&client, "EventStore", event("o-1", 2)).await;
    put(&client, "EventStore", event("o-1", 3)).await;

    let next: Vec<u64> = stream.read(1, 1).iter().map(|r| r.sequence).collect();
    assert_eq!(next, [2]);
    assert_eq!(stream.last_sequence(), 3);
    assert!(stream.read(3, 10).is_empty());
}

#[tokio::test]
async fn concurrent_writers_leave_one_record_each_without_gaps() {
    let (endpoint, client) = ephemeral().await;
    let writers: Vec<_> = (0..20)
        .map(|writer| {
            let client = client.clone();
            tokio::spawn(async move {
                for version in 1..=5 {
                    put(
                        &client,
                        "EventStore",
                        event(&format!("o-{writer}"), version),
                    )
                    .await;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("a writer");
    }
    let read = records(&endpoint);
    let sequences: Vec<u64> = read.iter().map(|r| r.sequence).collect();
    assert_eq!(sequences, (1..=100).collect::<Vec<_>>());
    let keys: BTreeSet<String> = read
        .iter()
        .map(|r| r.record["dynamodb"]["Keys"].to_string())
        .collect();
    assert_eq!(keys.len(), 100);
}

#[tokio::test]
async fn the_streams_api_reads_a_shard_page_by_page() {
    let (endpoint, client) = ephemeral().await;
    for version in 1..=3 {
        put(
            &client,
            "EventStore",
            item([("streamId", s("o-1")), ("version", n(version))]),
        )
        .await;
    }
    let api = |operation: &'static str, request: Value| {
        let endpoint = &endpoint;
        async move {
            endpoint
                .call("dynamodbstreams", operation, request)
                .await
                .expect("served")
        }
    };
    let listed = api("ListStreams", json!({"TableName": "EventStore"})).await;
    let arn = listed["Streams"][0]["StreamArn"].clone();
    let described = api("DescribeStream", json!({"StreamArn": arn})).await;
    let shard = described["StreamDescription"]["Shards"][0]["ShardId"].clone();
    assert_eq!(
        described["StreamDescription"]["KeySchema"],
        event_store()["KeySchema"]
    );
    let start = json!({"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
    let iterator = api("GetShardIterator", start).await["ShardIterator"].clone();
    let first = api("GetRecords", json!({"ShardIterator": iterator, "Limit": 2})).await;
    assert_eq!(first["Records"].as_array().map(Vec::len), Some(2));
    let rest = api(
        "GetRecords",
        json!({"ShardIterator": first["NextShardIterator"]}),
    )
    .await;
    assert_eq!(
        rest["Records"][0]["dynamodb"]["Keys"]["version"],
        json!({"N": "3"})
    );
    let none = api(
        "GetRecords",
        json!({"ShardIterator": rest["NextShardIterator"]}),
    )
    .await;
    assert_eq!(none["Records"], json!([]));
}
