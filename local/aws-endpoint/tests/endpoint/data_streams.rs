//! Kinesis data streams as the real SDK sees them.

use std::sync::Arc;

use aws_endpoint::{CallInfo, DataStreamOptions, Endpoint, Fault, Faults, Options};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, Record, ShardIteratorType};

use crate::setup::{CALLER, config};

fn telemetry(on_demand: bool) -> DataStreamOptions {
    DataStreamOptions {
        name: "telemetry".to_owned(),
        shards: 2,
        on_demand,
        retention_hours: 24,
        max_record_kib: 1024,
    }
}

async fn started(options: Options) -> (Endpoint, Client) {
    let endpoint = Endpoint::start(options).await.expect("it starts");
    endpoint
        .create_data_stream(telemetry(false))
        .expect("a stream");
    let client = client(&endpoint);
    (endpoint, client)
}

fn client(endpoint: &Endpoint) -> Client {
    let config = config!(aws_sdk_kinesis, endpoint).retry_config(RetryConfig::disabled());
    Client::from_conf(config.build())
}

fn entry(key: &str, data: impl Into<Vec<u8>>) -> PutRecordsRequestEntry {
    PutRecordsRequestEntry::builder()
        .partition_key(key)
        .data(Blob::new(data.into()))
        .build()
        .expect("an entry")
}

async fn put(client: &Client, keys: impl IntoIterator<Item = String>) -> Vec<String> {
    let entries = keys.into_iter().map(|key| entry(&key, key.as_bytes()));
    let call = client.put_records().stream_name("telemetry");
    let answer = call.set_records(Some(entries.collect())).send().await;
    let answer = answer.expect("answered");
    assert_eq!(answer.failed_record_count(), Some(0));
    let records = answer.records().iter();
    records
        .map(|one| one.shard_id().expect("a shard").to_owned())
        .collect()
}

async fn read(client: &Client, shard: &str) -> (Vec<Record>, Option<String>, Vec<String>) {
    let iterator = client
        .get_shard_iterator()
        .stream_name("telemetry")
        .shard_id(shard)
        .shard_iterator_type(ShardIteratorType::TrimHorizon)
        .send()
        .await
        .expect("an iterator");
    let read = client
        .get_records()
        .set_shard_iterator(iterator.shard_iterator)
        .send()
        .await
        .expect("records");
    let children = read.child_shards().iter().map(|one| one.shard_id.clone());
    let children = children.collect();
    (read.records, read.next_shard_iterator, children)
}

fn code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> &str {
    error.code().unwrap_or_default()
}

#[tokio::test]
async fn records_of_one_key_are_in_one_shard_in_their_order() {
    let (endpoint, client) = started(Options::default()).await;
    let keys = (0..60).map(|n| format!("device-{}", n % 20));
    let shards = put(&client, keys.clone()).await;
    let summary = client.describe_stream_summary().stream_name("telemetry");
    let summary = summary.send().await.expect("a summary");
    let summary = summary.stream_description_summary().expect("a summary");
    assert_eq!(summary.open_shard_count(), 2);
    let mut seen = 0;
    for shard in ["shardId-000000000000", "shardId-000000000001"] {
        let (records, next, _) = read(&client, shard).await;
        assert!(next.is_some());
        let placed: Vec<String> = (keys.clone().zip(&shards))
            .filter(|(_, of)| *of == shard)
            .map(|(key, _)| key)
            .collect();
        let key = |record: &Record| record.partition_key().expect("a key").to_owned();
        let found: Vec<String> = records.iter().map(key).collect();
        assert_eq!(found, placed);
        let numbers: Vec<_> = records.iter().map(Record::sequence_number).collect();
        assert!(numbers.is_sorted() && !numbers.is_empty());
        let last = records.last().expect("records");
        assert_eq!(last.data().as_ref(), key(last).as_bytes());
        seen += records.len();
    }
    assert_eq!(seen, 60);
    let used = endpoint.meter().resource_total(|key| {
        key.caller == CALLER
            && key.operation == "PutRecords"
            && key.resource.as_deref() == Some("telemetry")
    });
    assert_eq!((used.requests, used.entries, used.chunks), (1, 60, 60));
}

#[tokio::test]
async fn limits_are_those_of_aws_and_a_call_that_breaks_one_puts_nothing() {
    let (endpoint, client) = started(Options::default()).await;
    let put = async |entries: Vec<PutRecordsRequestEntry>| {
        let call = client.put_records().stream_name("telemetry");
        let error = call.set_records(Some(entries)).send().await;
        error.map(|_| ()).map_err(|error| code(&error).to_owned())
    };
    let invalid = Err("ValidationException".to_owned());
    assert_eq!(put(vec![entry("k", "d"); 501]).await, invalid);
    assert_eq!(put(vec![entry("k", "d"), entry("", "d")]).await, invalid);
    assert_eq!(put(vec![entry(&"k".repeat(257), "d")]).await, invalid);
    let mib = 1024 * 1024;
    assert_eq!(put(vec![entry("k", vec![0; mib])]).await, invalid);
    let most = vec![entry("k", vec![0; mib - 1]); 11];
    assert_eq!(put(most).await, Err("InvalidArgumentException".to_owned()));
    let stream = endpoint.data_stream("telemetry").expect("the stream");
    assert_eq!(stream.last_sequence(), 0);
    assert_eq!(put(vec![entry("k", vec![0; mib - 1])]).await, Ok(()));
    let used = endpoint
        .meter()
        .resource_total(|key| key.operation == "PutRecords");
    assert_eq!(used.chunks, 41, "units of 25 KB");

    let nowhere = client.put_record().stream_name("other").partition_key("k");
    let error = nowhere.data(Blob::new("d")).send().await.expect_err("none");
    assert_eq!(code(&error), "ResourceNotFoundException");
}

#[derive(Debug)]
struct ThrottlesTheSecond;

impl Faults for ThrottlesTheSecond {
    fn decide(&self, _: &CallInfo<'_>) -> Fault {
        Fault::PartialEntries(vec![1])
    }
}

#[tokio::test]
async fn a_throttled_record_is_named_in_the_answer_and_not_put() {
    let (endpoint, client) = started(Options {
        faults: Some(Arc::new(ThrottlesTheSecond)),
        ..Options::default()
    })
    .await;
    let entries = ["a", "b", "c"].map(|key| entry(key, key)).to_vec();
    let call = client.put_records().stream_name("telemetry");
    let answer = call.set_records(Some(entries)).send().await;
    let answer = answer.expect("answered");
    assert_eq!(answer.failed_record_count(), Some(1));
    let codes: Vec<Option<&str>> = (answer.records().iter())
        .map(|record| record.error_code())
        .collect();
    let throttled = Some("ProvisionedThroughputExceededException");
    assert_eq!(codes, [None, throttled, None]);
    let stream = endpoint.data_stream("telemetry").expect("the stream");
    let keys: Vec<String> = (stream.read(0, 10).into_iter())
        .map(|record| record.partition_key)
        .collect();
    assert_eq!(keys, ["a", "c"]);
}

#[tokio::test]
async fn a_split_shard_can_be_read_to_its_end_and_names_its_children() {
    let (_endpoint, client) = started(Options::default()).await;
    let keys = (0..20).map(|n| format!("device-{n}"));
    put(&client, keys.clone()).await;
    let split = client
        .update_shard_count()
        .stream_name("telemetry")
        .target_shard_count(4)
        .scaling_type(aws_sdk_kinesis::types::ScalingType::UniformScaling);
    let split = split.send().await.expect("split");
    assert_eq!(split.current_shard_count(), Some(2));
    let shards = put(&client, keys).await;
    assert!(
        shards
            .iter()
            .all(|shard| shard.as_str() > "shardId-000000000001")
    );
    let (records, next, children) = read(&client, "shardId-000000000000").await;
    assert!(!records.is_empty() && next.is_none());
    assert_eq!(children, ["shardId-000000000002", "shardId-000000000003"]);
    let listed = client.list_shards().stream_name("telemetry").send().await;
    let listed = listed.expect("listed");
    assert_eq!(listed.shards().len(), 6);
    assert_eq!(
        listed.shards()[2].parent_shard_id(),
        Some("shardId-000000000000")
    );
}

#[tokio::test]
async fn a_stream_on_demand_is_resharded_by_its_platform_only() {
    let endpoint = Endpoint::start(Options::default()).await.expect("started");
    endpoint.create_data_stream(telemetry(true)).expect("made");
    let split = client(&endpoint)
        .split_shard()
        .stream_name("telemetry")
        .shard_to_split("shardId-000000000000")
        .new_starting_hash_key("10");
    let error = split.send().await.expect_err("refused");
    assert_eq!(code(&error), "ValidationException");
    endpoint.reshard("telemetry", 7).expect("resharded");
    let stream = endpoint.data_stream("telemetry").expect("the stream");
    let open = |stream: &aws_endpoint::DataStream| {
        let shards = stream.shards();
        shards.iter().filter(|one| one.ends_at.is_none()).count()
    };
    assert_eq!(open(&stream), 7);
    endpoint.reshard("telemetry", 1).expect("resharded");
    assert_eq!(open(&stream), 1);
}

#[tokio::test]
async fn records_shards_and_checkpoints_survive_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = || Options {
        data_dir: Some(folder.path().to_owned()),
        ..Options::default()
    };
    let (endpoint, client) = started(options()).await;
    put(&client, ["a".to_owned()]).await;
    endpoint.reshard("telemetry", 3).expect("resharded");
    put(&client, ["a".to_owned(), "b".to_owned()]).await;
    let stream = endpoint.data_stream("telemetry").expect("the stream");
    stream.set_checkpoint("analyze/shard", 2).expect("noted");
    let (records, shards) = (stream.read(0, 10), stream.shards());
    drop(stream);
    endpoint.shutdown().await.expect("stopped");

    for _ in 0..2 {
        let endpoint = Endpoint::start(options()).await.expect("started again");
        let three = DataStreamOptions {
            shards: 3,
            ..telemetry(false)
        };
        endpoint.create_data_stream(three).expect("the stream");
        let stream = endpoint.data_stream("telemetry").expect("the stream");
        assert_eq!(stream.read(0, 10), records);
        assert_eq!(stream.shards(), shards);
        assert_eq!(stream.last_sequence(), 3);
        let checkpoints = stream.checkpoints("analyze/");
        assert_eq!(checkpoints, [("shard".to_owned(), 2)].into());
        endpoint.shutdown().await.expect("stopped");
    }
}
