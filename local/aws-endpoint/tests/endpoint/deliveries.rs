//! Firehose, the objects it writes, and topics, as the real SDKs see them.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_endpoint::{DeliveryStreamOptions, Endpoint, ObjectKeys, Options};
use aws_sdk_firehose::primitives::Blob;
use aws_sdk_firehose::types::Record;
use aws_sdk_s3::error::ProvideErrorMetadata;
use serde_json::{Value, json};

use crate::setup::{CALLER, config, deadline};

/// By the member `type` of a record.
struct ByType;

impl ObjectKeys for ByType {
    fn partition(&self, record: &[u8]) -> Result<Vec<String>, String> {
        let record: Value = serde_json::from_slice(record).map_err(|error| error.to_string())?;
        let kind = record["type"].as_str().ok_or("no type")?;
        Ok(vec![kind.to_owned()])
    }

    fn prefix(&self, keys: &[String], _: u64, _: &str) -> String {
        format!("events/type={}/", keys[0])
    }

    fn error_prefix(&self, error_type: &str, _: u64, _: &str) -> String {
        format!("errors/{error_type}/")
    }
}

fn archive(interval: Duration) -> DeliveryStreamOptions {
    DeliveryStreamOptions {
        name: "archive".to_owned(),
        bucket: "files".to_owned(),
        interval,
        size: 1024 * 1024,
        gzip: true,
        delimits: true,
        extension: ".jsonl.gz".to_owned(),
        keys: Arc::new(ByType),
    }
}

async fn started(options: Options, interval: Duration) -> Endpoint {
    let endpoint = Endpoint::start(options).await.expect("it starts");
    endpoint.create_bucket("files");
    endpoint.create_delivery_stream(archive(interval));
    endpoint
}

async fn put(endpoint: &Endpoint, data: &[&str]) {
    let client = aws_sdk_firehose::Client::from_conf(config!(aws_sdk_firehose, endpoint).build());
    let record = |data: &&str| {
        let data = Blob::new(data.as_bytes());
        Record::builder().data(data).build().expect("a record")
    };
    let call = client.put_record_batch().delivery_stream_name("archive");
    let call = call.set_records(Some(data.iter().map(record).collect()));
    let answer = call.send().await.expect("taken");
    assert_eq!(answer.failed_put_count(), 0);
    assert_eq!(answer.request_responses().len(), data.len());
}

fn s3(endpoint: &Endpoint) -> aws_sdk_s3::Client {
    let config = config!(aws_sdk_s3, endpoint).force_path_style(true);
    aws_sdk_s3::Client::from_conf(config.build())
}

async fn keys(client: &aws_sdk_s3::Client, prefix: &str) -> Vec<String> {
    let pages = client.list_objects_v2().bucket("files").prefix(prefix);
    let mut pages = pages.max_keys(2).into_paginator().send();
    let mut keys = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.expect("a page");
        keys.extend(
            page.contents()
                .iter()
                .map(|one| one.key().expect("a key").to_owned()),
        );
    }
    keys
}

async fn content(client: &aws_sdk_s3::Client, key: &str) -> String {
    let object = client.get_object().bucket("files").key(key).send().await;
    let object = object.expect("an object").body.collect().await;
    unpacked(&object.expect("its content").into_bytes())
}

fn unpacked(content: &[u8]) -> String {
    let mut text = String::new();
    let read = flate2::read::MultiGzDecoder::new(content).read_to_string(&mut text);
    read.expect("gzip");
    text
}

#[tokio::test]
async fn records_are_gathered_into_objects_by_their_keys_in_order() {
    let endpoint = started(Options::default(), Duration::from_hours(1)).await;
    let first = r#"{"type":"a","n":1}"#;
    put(&endpoint, &[first, r#"{"type":"b","n":2}"#]).await;
    put(&endpoint, &[r#"{"type":"a","n":3}"#, "oops"]).await;
    assert_eq!(endpoint.undelivered_records(), 4);
    endpoint.flush_deliveries().await.expect("written");
    assert_eq!(endpoint.undelivered_records(), 0);
    let client = s3(&endpoint);
    let of_a = keys(&client, "events/type=a/").await;
    assert_eq!(of_a.len(), 1);
    let name = of_a[0]
        .strip_prefix("events/type=a/archive-1-")
        .expect("its name");
    assert!(name.ends_with(".jsonl.gz"), "{name}");
    assert_eq!(
        content(&client, &of_a[0]).await,
        format!("{first}\n{{\"type\":\"a\",\"n\":3}}\n")
    );
    let failed = keys(&client, "errors/").await;
    assert_eq!(failed.len(), 1);
    let failed = content(&client, &failed[0]).await;
    let failed: Value = serde_json::from_str(&failed).expect("a line of JSON");
    assert_eq!(
        failed["errorCode"],
        "DynamicPartitioning.MetadataExtractionFailed"
    );
    assert_eq!(failed["rawData"], "b29wcw==", "oops in base64");
    assert_eq!(keys(&client, "").await.len(), 3, "over two pages");
    let used = endpoint
        .meter()
        .total(|key| key.service == "firehose" && key.caller == CALLER);
    assert_eq!((used.requests, used.entries, used.chunks), (2, 4, 4));
}

#[tokio::test]
async fn an_object_is_written_when_it_is_due_without_anybody_asking() {
    let endpoint = started(Options::default(), Duration::from_millis(5)).await;
    put(&endpoint, &[r#"{"type":"a"}"#]).await;
    let in_time = deadline();
    while endpoint.undelivered_records() > 0 {
        assert!(in_time(), "in vain");
        tokio::task::yield_now().await;
    }
    assert_eq!(keys(&s3(&endpoint), "events/").await.len(), 1);
}

#[tokio::test]
async fn what_is_not_there_is_the_error_that_the_sdk_knows() {
    let endpoint = started(Options::default(), Duration::from_hours(1)).await;
    let client = s3(&endpoint);
    let missing = client.get_object().bucket("files").key("a/b").send().await;
    assert!(
        missing
            .expect_err("none")
            .into_service_error()
            .is_no_such_key()
    );
    let missing = client.list_objects_v2().bucket("other").send().await;
    assert!(
        missing
            .expect_err("none")
            .into_service_error()
            .is_no_such_bucket()
    );
    let head = client.head_object().bucket("files").key("a").send().await;
    assert!(head.expect_err("none").into_service_error().is_not_found());
}

#[tokio::test]
async fn folders_are_listed_as_common_prefixes() {
    let endpoint = started(Options::default(), Duration::from_hours(1)).await;
    let of = ["a", "a", "b", "c"].map(|kind| format!("{{\"type\":\"{kind}\"}}"));
    for record in &of {
        put(&endpoint, &[record]).await;
        endpoint.flush_deliveries().await.expect("written");
    }
    let client = s3(&endpoint);
    let pages = client.list_objects_v2().bucket("files").prefix("events/");
    let mut pages = pages.delimiter("/").max_keys(2).into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.expect("a page");
        assert!(page.contents().is_empty());
        let prefixes = page.common_prefixes().iter();
        found.extend(prefixes.map(|one| one.prefix().expect("a prefix").to_owned()));
    }
    assert_eq!(
        found,
        ["events/type=a/", "events/type=b/", "events/type=c/"]
    );
}

fn objects(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            found.extend(objects(&entry.path()));
        } else {
            found.push(unpacked(&std::fs::read(entry.path()).expect("a file")));
        }
    }
    found
}

#[tokio::test]
async fn an_orderly_end_writes_what_is_gathered_and_after_a_crash_the_next_start_has_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let archive = tempfile::tempdir().expect("a folder");
    let options = || Options {
        data_dir: Some(folder.path().to_owned()),
        objects_dir: Some(archive.path().to_owned()),
        ..Options::default()
    };
    let endpoint = started(options(), Duration::from_hours(1)).await;
    put(&endpoint, &[r#"{"type":"a","n":1}"#]).await;
    endpoint.shutdown().await.expect("stopped");
    assert_eq!(objects(archive.path()), ["{\"type\":\"a\",\"n\":1}\n"]);

    let endpoint = started(options(), Duration::from_hours(1)).await;
    assert_eq!(endpoint.undelivered_records(), 0, "delivered before");
    put(&endpoint, &[r#"{"type":"b","n":2}"#]).await;
    // As a crash: nothing is written at the end.
    drop(endpoint);
    assert_eq!(objects(archive.path()).len(), 1);
    let endpoint = loop {
        // The server of the one before ends in a task of its own.
        match Endpoint::start(options()).await {
            Ok(endpoint) => break endpoint,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    endpoint.create_bucket("files");
    endpoint.create_delivery_stream(self::archive(Duration::from_hours(1)));
    assert_eq!(endpoint.undelivered_records(), 1);
    endpoint.shutdown().await.expect("stopped");
    let mut found = objects(archive.path());
    found.sort();
    assert_eq!(
        found,
        ["{\"type\":\"a\",\"n\":1}\n", "{\"type\":\"b\",\"n\":2}\n"]
    );
}

#[tokio::test]
async fn what_a_topic_takes_is_there_to_be_seen() {
    let endpoint = Endpoint::start(Options::default()).await.expect("started");
    let topic = "arn:aws:sns:us-east-1:000000000000:alarms";
    endpoint.create_topic(topic);
    let client = aws_sdk_sns::Client::from_conf(config!(aws_sdk_sns, endpoint).build());
    let kind = aws_sdk_sns::types::MessageAttributeValue::builder();
    let kind = kind.data_type("String").string_value("AlarmRaised");
    let sent = client
        .publish()
        .topic_arn(topic)
        .subject("an alarm")
        .message("{\"a\": \"ü & <b>\"}")
        .message_attributes("kind", kind.build().expect("a value"))
        .send()
        .await
        .expect("taken");
    let inside = json!({"TopicArn": topic, "Message": "from inside"});
    let inside = endpoint.call("sns", "Publish", inside).await;
    assert!(inside.expect("taken")["MessageId"].is_string());
    let messages = endpoint.topic_messages();
    assert_eq!(sent.message_id(), Some(messages[0].message_id.as_str()));
    assert_eq!(messages[0].message, "{\"a\": \"ü & <b>\"}");
    assert_eq!(messages[0].subject, "an alarm");
    assert_eq!(messages[0].attributes["kind"], "AlarmRaised");
    assert_eq!(messages[1].message, "from inside");
    let other = client.publish().topic_arn("arn:other").message("x").send();
    let error = other.await.expect_err("no such topic");
    assert_eq!(error.code(), Some("NotFound"));
}
