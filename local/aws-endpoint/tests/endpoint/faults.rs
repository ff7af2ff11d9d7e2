//! Faults on purpose, as the SDK sees them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_endpoint::{CallInfo, Fault, Faults, Options};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use crate::bus;
use crate::setup::{CALLER, dynamodb, event, get, item, n, s, start};

/// The next call of an operation gets this fault.
struct Once(Mutex<Option<(&'static str, Fault)>>);

impl Faults for Once {
    fn decide(&self, call: &CallInfo<'_>) -> Fault {
        assert_eq!(call.caller, CALLER);
        let mut next = self.0.lock().expect("no panic");
        match next.take() {
            Some((operation, fault)) if operation == call.operation => fault,
            other => {
                *next = other;
                Fault::None
            }
        }
    }
}

fn once(operation: &'static str, fault: Fault) -> Options {
    Options {
        faults: Some(Arc::new(Once(Mutex::new(Some((operation, fault)))))),
        ..Options::default()
    }
}

#[tokio::test]
async fn a_throttled_or_failed_call_is_not_executed() {
    for (fault, code) in [
        (Fault::Throttle, "ProvisionedThroughputExceededException"),
        (Fault::InternalError, "InternalServerError"),
    ] {
        let endpoint = start(once("PutItem", fault.clone())).await;
        let client = dynamodb(&endpoint);
        let put = || {
            client
                .put_item()
                .table_name("EventStore")
                .set_item(Some(event("o", 1)))
                .condition_expression("attribute_not_exists(streamId)")
                .send()
        };
        let error = put().await.expect_err("a fault");
        assert_eq!(error.code(), Some(code));
        put().await.expect("the second time it is served");
        let used = endpoint.meter().total(|call| call.operation == "PutItem");
        assert_eq!(
            (used.requests, used.errors, used.throttles),
            (2, 1, u64::from(fault == Fault::Throttle))
        );
    }
}

#[tokio::test]
async fn a_call_without_an_answer_was_executed_or_not() {
    let key = || item([("streamId", s("o")), ("version", n(1))]);
    for (fault, executed) in [
        (Fault::WrittenButNoAnswer, true),
        (Fault::TimeoutBefore(Duration::from_millis(1)), false),
    ] {
        let endpoint = start(once("PutItem", fault)).await;
        let client = dynamodb(&endpoint);
        let error = client
            .put_item()
            .table_name("EventStore")
            .set_item(Some(event("o", 1)))
            .send()
            .await
            .expect_err("no answer");
        assert!(matches!(error, SdkError::DispatchFailure(_)), "{error:?}");
        assert_eq!(get(&client, "EventStore", key()).await.is_some(), executed);
        assert_eq!(
            endpoint
                .stream("EventStore")
                .map(|stream| stream.last_sequence()),
            Some(u64::from(executed))
        );
    }
}

#[tokio::test]
async fn some_entries_of_a_put_events_fail() {
    let options = once("PutEvents", Fault::PartialEntries(vec![1]));
    let (_endpoint, client, sink) = bus::started(options).await;
    let answer = client
        .put_events()
        .set_entries(Some(vec![bus::entry("{\"n\":0}"), bus::entry("{\"n\":1}")]))
        .send()
        .await
        .expect("answered");
    assert_eq!(answer.failed_entry_count(), 1);
    assert_eq!(
        answer.entries()[1].error_code(),
        Some("ThrottlingException")
    );
    assert_eq!(sink.take()[0].1.len(), 1);
}
