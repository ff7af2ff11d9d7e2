use super::*;
use crate::history::History;
use aws_endpoint::{Endpoint, Options};
use lambda_host::async_invoke::{AsyncConfig, AsyncOptions};
use lambda_host::{Invocation, Invoke, InvokeError, InvokeRequest};
use sam_template::{RetryPolicy, TargetInput};
use serde_json::json;
use std::time::Duration;

const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:dlq";

/// Functions that take every event and never come to an end.
struct Busy;

impl Invoke for Busy {
    async fn invoke(&self, _: InvokeRequest) -> Result<Invocation, InvokeError> {
        std::future::pending().await
    }
}

async fn setup() -> (Arc<Endpoint>, AsyncInvoker, Delivery, Arc<History>) {
    let endpoint = Arc::new(Endpoint::start(Options::default()).await.unwrap());
    endpoint
        .create_queue("dlq", &BTreeMap::new())
        .await
        .unwrap();
    let names = BTreeMap::from([(QUEUE.to_owned(), "dlq".to_owned())]);
    let history = Arc::new(History::in_memory(true));
    let receivers = Receivers::of(Arc::downgrade(&endpoint), &streams(&endpoint));
    let queues = Queues::new(Arc::downgrade(&endpoint), names, Arc::clone(&history));
    let destination = Arc::new(queues.clone());
    let invoker = AsyncInvoker::new(Arc::new(Busy), destination, AsyncOptions::default());
    invoker.configure("notify-user", AsyncConfig::new("arn:notify-user"));
    let functions = BTreeMap::from([(
        "NotifyUserFunction".to_owned(),
        ("notify-user".to_owned(), "arn:notify-user".to_owned()),
    )]);
    let delivery = Delivery::new(
        invoker.clone(),
        (queues, receivers),
        functions,
        RetryClock::local(),
        Arc::new(crate::steps::NoSteps),
        None,
    );
    (endpoint, invoker, delivery, history)
}

/// A template with a stream, a delivery stream and a topic, which the endpoint has as well.
fn streams(endpoint: &Endpoint) -> sam_template::Stack {
    let yaml = "Resources:
  Events: {Type: AWS::Kinesis::Stream, Properties: {Name: events, ShardCount: 2}}
  Files: {Type: AWS::S3::Bucket, Properties: {BucketName: files}}
  Alarms: {Type: AWS::SNS::Topic, Properties: {TopicName: alarms}}
  Putter:
    Type: AWS::IAM::Role
    Properties:
      RoleName: putter
      AssumeRolePolicyDocument: {}
      Policies:
        - PolicyName: put
          PolicyDocument:
            Statement:
              - {Effect: Allow, Action: kinesis:PutRecord, Resource: !GetAtt Events.Arn}
              - {Effect: Allow, Action: firehose:PutRecord, Resource: !GetAtt Archive.Arn}
              - {Effect: Allow, Action: s3:PutObject, Resource: !Sub '${Files.Arn}/*'}
  Archive:
    Type: AWS::KinesisFirehose::DeliveryStream
    Properties:
      DeliveryStreamName: archive
      ExtendedS3DestinationConfiguration: {BucketARN: !GetAtt Files.Arn, RoleARN: !GetAtt Putter.Arn, Prefix: 'all/!{timestamp:yyyy}/', ErrorOutputPrefix: 'errors/!{firehose:error-output-type}/'}
";
    let stack = sam_template::Stack::from_yaml(yaml, &sam_template::Context::default()).unwrap();
    let stream = &stack.kinesis_streams[0];
    let made = endpoint.create_data_stream(aws_endpoint::DataStreamOptions {
        name: stream.name.clone(),
        shards: stream.shards,
        on_demand: false,
        retention_hours: 24,
        max_record_kib: 1024,
    });
    made.unwrap();
    endpoint.create_bucket("files");
    endpoint.create_topic(&stack.topics[0].arn);
    let archive = crate::archive::options(&stack.delivery_streams[0], &stack);
    endpoint.create_delivery_stream(archive.unwrap());
    stack
}

const ROLE: &str = "arn:aws:iam::000000000000:role/putter";

fn by_role(target: Target, role: &str) -> RuleTarget {
    RuleTarget {
        role: Some(role.to_owned()),
        ..self::target(target, TargetInput::Event)
    }
}

fn to_stream(path: Option<&str>) -> Target {
    Target::Kinesis {
        stream: "events".to_owned(),
        partition_key: path.map(|path| sam_template::JsonPath::parse(path).unwrap()),
    }
}

#[tokio::test]
async fn an_event_for_a_data_stream_is_a_record_under_the_key_that_the_path_leads_to() {
    let (endpoint, _, delivery, _) = setup().await;
    let to = by_role(to_stream(Some("$.detail.streamId")), ROLE);
    let event = json!({"id": "e-1", "detail": {"streamId": "order-1"}});
    delivery.deliver(&sender(), &to, &event, "now").await;
    let records = endpoint.data_stream("events").unwrap().read(0, 10);
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].partition_key, "order-1");
    assert_eq!(records[0].data, event.to_string());
}

#[tokio::test]
async fn what_a_role_does_not_allow_is_a_dead_letter_without_retries() {
    let (endpoint, _, delivery, history) = setup().await;
    let event = json!({"id": "e-1"});
    let firehose = Target::Firehose {
        stream: "other".to_owned(),
    };
    // Of a role that is not in the template it is said elsewhere what it allows.
    let to = by_role(firehose, "arn:aws:iam::000000000000:role/elsewhere");
    delivery.deliver(&sender(), &to, &event, "now").await;
    let yaml_role = sam_template::Stack::from_yaml(
        "Resources: {Nobody: {Type: AWS::IAM::Role, Properties: {RoleName: nobody, AssumeRolePolicyDocument: {}}}, Events: {Type: AWS::Kinesis::Stream, Properties: {Name: events}}}",
        &sam_template::Context::default(),
    )
    .unwrap();
    let receivers = Receivers::of(Arc::downgrade(&endpoint), &yaml_role);
    let refused = receivers.put_record(
        Some("arn:aws:iam::000000000000:role/nobody"),
        "events",
        "k",
        "{}",
    );
    let refused = of_put(refused.await.unwrap_err());
    assert_eq!(
        (refused.code, refused.kind),
        ("NO_PERMISSIONS", RefusalKind::Permanent)
    );
    let letters = history.all_given_up();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].attributes["ERROR_CODE"], "NO_RESOURCE");
    assert_eq!(endpoint.data_stream("events").unwrap().last_sequence(), 0);
}

#[tokio::test]
async fn an_event_for_a_delivery_stream_is_in_an_object_and_one_for_a_topic_is_a_message() {
    let (endpoint, _, delivery, _) = setup().await;
    let event = json!({"id": "e-1"});
    let firehose = Target::Firehose {
        stream: "archive".to_owned(),
    };
    let to = by_role(firehose, ROLE);
    delivery.deliver(&sender(), &to, &event, "now").await;
    assert_eq!(endpoint.undelivered_records(), 1);
    endpoint.flush_deliveries().await.unwrap();
    assert_eq!(endpoint.undelivered_records(), 0);
    let arn = "arn:aws:sns:us-east-1:000000000000:alarms".to_owned();
    let to = target(Target::Topic { arn }, TargetInput::Event);
    delivery.deliver(&sender(), &to, &event, "now").await;
    assert_eq!(endpoint.topic_messages()[0].message, event.to_string());
}

fn sender() -> Sender {
    Sender {
        name: "orders".to_owned(),
        arn: "arn:rule".to_owned(),
        origin: Origin::Rule("orders".to_owned()),
        trace: None,
    }
}

fn target(target: Target, input: TargetInput) -> RuleTarget {
    RuleTarget {
        id: "one".to_owned(),
        target,
        role: None,
        retry: RetryPolicy::default(),
        dead_letter: Some(QUEUE.to_owned()),
        input,
    }
}

fn function(logical_id: &str) -> Target {
    Target::Function {
        logical_id: logical_id.to_owned(),
    }
}

#[tokio::test]
async fn an_event_that_lambda_accepts_is_delivered() {
    let (_endpoint, invoker, delivery, history) = setup().await;
    let to = target(function("NotifyUserFunction"), TargetInput::Event);
    let event = json!({"detail": {"eventId": "1"}});
    delivery.deliver(&sender(), &to, &event, "now").await;
    let pending = invoker.snapshot();
    assert_eq!(pending.len(), 1);
    assert_eq!(pending[0].payload, event.to_string());
    assert_eq!(history.all_given_up(), []);
}

#[tokio::test]
async fn an_event_for_a_missing_function_is_a_dead_letter_with_awss_attributes() {
    let (_endpoint, _, delivery, history) = setup().await;
    let event = json!({"detail": {"eventId": "1"}});
    let to = target(function("Nobody"), TargetInput::Event);
    delivery.deliver(&sender(), &to, &event, "now").await;
    let letters = history.all_given_up();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].queue, "dlq");
    assert_eq!(letters[0].body, event.to_string());
    let attributes = &letters[0].attributes;
    assert_eq!(attributes["RULE_ARN"], "arn:rule");
    assert_eq!(attributes["ERROR_CODE"], "NO_RESOURCE");
    assert_eq!(attributes["RETRY_ATTEMPTS"], "0");
    assert!(!attributes.contains_key("EXHAUSTED_RETRY_CONDITION"));
}

#[tokio::test]
async fn an_input_that_is_no_json_is_a_dead_letter_without_retries() {
    let (_endpoint, invoker, delivery, history) = setup().await;
    let input = TargetInput::transformer(&[], "no json").unwrap();
    let to = target(function("NotifyUserFunction"), input);
    delivery
        .deliver(&sender(), &to, &json!({"id": "1"}), "now")
        .await;
    let letters = history.all_given_up();
    assert_eq!(letters[0].attributes["ERROR_CODE"], "INVALID_JSON");
    assert_eq!(letters[0].attributes["TARGET_ARN"], "arn:notify-user");
    assert_eq!(letters[0].body, r#"{"id":"1"}"#);
    assert_eq!(invoker.pending(), 0);
}

#[tokio::test]
async fn an_event_for_a_queue_is_a_message() {
    let (endpoint, _, delivery, _) = setup().await;
    let queue = Target::Queue {
        arn: QUEUE.to_owned(),
        message_group_id: None,
    };
    let to = target(queue, TargetInput::constant(r#"{"a":1}"#).unwrap());
    delivery.deliver(&sender(), &to, &json!({}), "now").await;
    let request = json!({"QueueUrl": endpoint.queue_url("dlq")});
    let answer = endpoint
        .call("sqs", "ReceiveMessage", request)
        .await
        .unwrap();
    assert_eq!(answer["Messages"][0]["Body"], r#"{"a":1}"#);
}

#[tokio::test]
async fn nobody_is_told_that_an_event_was_taken_while_the_stack_ends() {
    let (_endpoint, invoker, delivery, history) = setup().await;
    invoker.stop();
    let to = target(function("NotifyUserFunction"), TargetInput::Event);
    let (from, event) = (sender(), json!({}));
    let delivering = delivery.deliver(&from, &to, &event, "now");
    let ended = tokio::time::timeout(Duration::from_millis(20), delivering).await;
    assert!(ended.is_err());
    assert_eq!(history.all_given_up(), []);
}
