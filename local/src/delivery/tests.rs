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
        queues,
        functions,
        RetryClock::local(),
        Arc::new(crate::steps::NoSteps),
        None,
    );
    (endpoint, invoker, delivery, history)
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
