//! What a template wires to data streams and archives, run as a whole: the bus into a stream and an
//! archive, and a function that reads the stream in windows. The function is this binary.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::{Value, json};

use super::{Stack, StackOptions};
use crate::Programs;

const TEMPLATE: &str = "
Resources:
  Bus: {Type: AWS::Events::EventBus, Properties: {Name: bus}}
  Dlq: {Type: AWS::SQS::Queue, Properties: {QueueName: dlq}}
  Numbers: {Type: AWS::Kinesis::Stream, Properties: {Name: numbers, ShardCount: 2}}
  Files: {Type: AWS::S3::Bucket, Properties: {BucketName: files}}
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: {}
      Policies:
        - PolicyName: put
          PolicyDocument:
            Statement:
              - {Effect: Allow, Action: kinesis:PutRecord, Resource: !GetAtt Numbers.Arn}
              - {Effect: Allow, Action: firehose:PutRecord, Resource: !GetAtt Archive.Arn}
              - {Effect: Allow, Action: 's3:PutObject', Resource: !Sub '${Files.Arn}/*'}
  Rule:
    Type: AWS::Events::Rule
    Properties:
      EventBusName: !Ref Bus
      EventPattern: {source: [test], detail: {streamId: [{exists: true}]}}
      Targets:
        - Id: stream
          Arn: !GetAtt Numbers.Arn
          RoleArn: !GetAtt Role.Arn
          KinesisParameters: {PartitionKeyPath: $.detail.streamId}
          DeadLetterConfig: {Arn: !GetAtt Dlq.Arn}
        - Id: archive
          Arn: !GetAtt Archive.Arn
          RoleArn: !GetAtt Role.Arn
          DeadLetterConfig: {Arn: !GetAtt Dlq.Arn}
  Archive:
    Type: AWS::KinesisFirehose::DeliveryStream
    Properties:
      DeliveryStreamName: archive
      ExtendedS3DestinationConfiguration:
        BucketARN: !GetAtt Files.Arn
        RoleARN: !GetAtt Role.Arn
        CompressionFormat: GZIP
        BufferingHints: {IntervalInSeconds: 60, SizeInMBs: 64}
        DynamicPartitioningConfiguration: {Enabled: true}
        ProcessingConfiguration:
          Enabled: true
          Processors:
            - Type: MetadataExtraction
              Parameters:
                - {ParameterName: MetadataExtractionQuery, ParameterValue: '{day: .detail.timestamp[0:10], type: .detail.eventType}'}
                - {ParameterName: JsonParsingEngine, ParameterValue: JQ-1.6}
            - {Type: AppendDelimiterToRecord}
        Prefix: 'events/day=!{partitionKeyFromQuery:day}/type=!{partitionKeyFromQuery:type}/'
        ErrorOutputPrefix: 'errors/!{firehose:error-output-type}/'
  FoldFunction:
    Type: AWS::Serverless::Function
    Metadata: {BuildMethod: rust-cargolambda, BuildProperties: {Binary: fold}}
    Properties:
      FunctionName: fold
      Runtime: provided.al2023
      Handler: bootstrap
      CodeUri: .
      Timeout: 60
      Environment: {Variables: {RESULTS: RESULTS_FILE}}
      Events:
        Numbers:
          Type: Kinesis
          Properties:
            Stream: !GetAtt Numbers.Arn
            StartingPosition: TRIM_HORIZON
            BatchSize: 7
            TumblingWindowInSeconds: 1
            BisectBatchOnFunctionError: true
            MaximumRetryAttempts: 20
            FunctionResponseTypes: [ReportBatchItemFailures]
            DestinationConfig: {OnFailure: {Type: SQS, Destination: !GetAtt Dlq.Arn}}
            FilterCriteria: {Filters: [{Pattern: '{\"data\": {\"detail\": {\"number\": [{\"exists\": true}]}}}'}]}
";
const THIS_TEST: &str = "stack::streaming::this_binary_acts_as_a_function";

#[test]
fn this_binary_acts_as_a_function() {
    let Ok(results) = std::env::var("RESULTS") else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let fold = service_fn(move |event: LambdaEvent<Value>| {
        let answer = fold(&event.payload, Path::new(&results));
        async move { Ok::<_, lambda_runtime::Error>(answer) }
    });
    runtime.block_on(lambda_runtime::run(fold)).unwrap();
}

/// Gathers numbers in the state; with the final call, a line with them and their shard.
fn fold(event: &Value, results: &Path) -> Value {
    let mut numbers = event["state"]["numbers"].as_array().cloned();
    let numbers = numbers.get_or_insert_default();
    for record in event["Records"].as_array().unwrap() {
        let data = record["kinesis"]["data"].as_str().unwrap();
        let data: Value = serde_json::from_slice(&BASE64.decode(data).unwrap()).unwrap();
        let shard = record["eventID"].as_str().unwrap().split(':').next();
        assert_eq!(shard, event["shardId"].as_str());
        numbers.push(data["detail"]["number"].clone());
    }
    if event["isFinalInvokeForWindow"] == true {
        let line = json!({
            "shard": event["shardId"], "window": event["window"], "numbers": numbers,
        });
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(results);
        // At once: another process may write another line.
        let line = format!("{line}\n");
        file.unwrap().write_all(line.as_bytes()).unwrap();
    }
    json!({"state": {"numbers": numbers}, "batchItemFailures": []})
}

/// A folder with a template and the function's program.
fn prepared() -> (tempfile::TempDir, StackOptions) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let results = path("results.jsonl");
    let template = TEMPLATE.replace("RESULTS_FILE", results.to_str().unwrap());
    std::fs::write(path("template.yaml"), template).unwrap();
    let this = std::env::current_exe().unwrap();
    let script = format!(
        "#!/bin/sh\nexec \"{}\" --exact {THIS_TEST} --nocapture\n",
        this.display()
    );
    std::fs::create_dir(path("fold")).unwrap();
    let program = path("fold/bootstrap");
    std::fs::write(&program, script).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, executable).unwrap();
    let programs = Programs::Folder(folder.path().to_owned());
    let mut options = StackOptions::new(path("template.yaml"), programs);
    options.data_dir = Some(path("data"));
    (folder, options)
}

async fn put(stack: &Stack, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let detail = json!({
            "streamId": format!("order-{}", number % 10), "number": number,
            "timestamp": format!("2025-01-0{}T12:00:00Z", number % 2 + 1), "eventType": "Counted",
        });
        let entry = json!({
            "EventBusName": "bus", "Source": "test", "DetailType": "Counted",
            "Detail": detail.to_string(),
        });
        let request = json!({"Entries": [entry]});
        let put = stack.endpoint().call("events", "PutEvents", request).await;
        assert_eq!(put.unwrap()["FailedEntryCount"], 0);
    }
}

async fn windows_closed(stack: &Stack) {
    stack.quiet(Duration::from_mins(1)).await.unwrap();
    while stack.open_windows() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Number, with its shard and window, of everything that final calls had.
fn folded(folder: &Path) -> Vec<(u64, String, String)> {
    let text = std::fs::read_to_string(folder.join("results.jsonl")).unwrap();
    let of_line = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (shard, window) = (text(&line["shard"]), text(&line["window"]["start"]));
        let numbers = line["numbers"].as_array().unwrap().clone();
        numbers
            .into_iter()
            .map(move |number| (number.as_u64().unwrap(), shard.clone(), window.clone()))
    };
    text.lines().flat_map(of_line).collect()
}

fn lines_of_objects(folder: &Path) -> BTreeMap<PathBuf, usize> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            found.extend(lines_of_objects(&entry.path()));
            continue;
        }
        let mut text = String::new();
        let file = std::fs::File::open(entry.path()).unwrap();
        let mut content = flate2::read::MultiGzDecoder::new(file);
        content.read_to_string(&mut text).unwrap();
        *found.entry(folder.to_owned()).or_default() += text.lines().count();
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_bus_takes_is_folded_once_in_its_window_and_archived_once() {
    let (folder, options) = prepared();
    let stack = Stack::start(options).await.unwrap();
    put(&stack, 0..100).await;
    stack.endpoint().reshard("numbers", 4).unwrap();
    put(&stack, 100..200).await;
    windows_closed(&stack).await;
    stack.shutdown(Duration::from_secs(10)).await.unwrap();

    let folded = folded(folder.path());
    let numbers: BTreeSet<u64> = folded.iter().map(|(number, ..)| *number).collect();
    assert_eq!(folded.len(), 200, "each once");
    assert_eq!(numbers, (0..200).collect());
    // One aggregate is in one shard, in order; after the resharding in a child of it.
    for order in 0..10 {
        let own = folded.iter().filter(|(number, ..)| number % 10 == order);
        let own: Vec<_> = own
            .map(|(number, shard, _)| (*number, shard.as_str()))
            .collect();
        assert!(own.is_sorted(), "order-{order}: {own:?}");
        let shards: BTreeSet<_> = own.iter().map(|(_, shard)| *shard).collect();
        assert_eq!(shards.len(), 2, "order-{order}");
    }

    let archive = folder.path().join("data/archive/files/events");
    let day = |day: u32| archive.join(format!("day=2025-01-0{day}/type=Counted"));
    assert_eq!(
        lines_of_objects(&archive),
        BTreeMap::from([(day(1), 100), (day(2), 100)])
    );
}
