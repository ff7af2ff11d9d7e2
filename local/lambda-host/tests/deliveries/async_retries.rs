//! Asynchronous invocation: retries, age, destinations, dead letters.

use std::collections::BTreeMap;
use std::time::Duration;

use lambda_host::InvokeError;
use lambda_host::async_invoke::Condition;
use serde_json::{Value, json};

use crate::async_setup::{ARN, QUEUE, setup};
use crate::fakes::{Call, FakeFunction, answer, error, throttled};

#[tokio::test(start_paused = true)]
async fn an_event_that_the_function_answers_is_done_after_one_attempt() {
    let setup = setup(FakeFunction::scripted(vec![]), |_| {});
    let id = setup.submit(r#"{"amount": 150.7500}"#);
    assert_eq!(setup.invoker.pending(), 1);
    setup.quiet().await;
    let calls = setup.function.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].event.to_string(), r#"{"amount":150.7500}"#);
    assert_eq!(calls[0].request_id.as_deref(), Some(id.as_str()));
    assert_eq!(calls[0].trace.as_deref(), Some("Root=1"));
    assert_eq!(setup.seen.steps(), ["submitted", "started 1", "succeeded"]);
    assert_eq!(setup.destination.got(), []);
}

#[tokio::test(start_paused = true)]
async fn a_failing_event_is_tried_again_after_one_minute_and_after_two_and_then_given_up() {
    let setup = setup(FakeFunction::new(|_| Ok(error("no stock"))), |config| {
        config.on_failure = Some(QUEUE.to_owned());
    });
    let id = setup.submit(r#"{"orderId":"67890"}"#);
    setup.quiet().await;
    assert_eq!(setup.pauses(), [60, 120]);
    let same_id = |call: &Call| call.request_id.as_deref() == Some(id.as_str());
    assert!(setup.function.calls().iter().all(same_id));

    let (arn, mut record, attributes) = setup.destination.only();
    assert_eq!((arn.as_str(), attributes), (QUEUE, BTreeMap::new()));
    let timestamp = record["timestamp"].take();
    assert_eq!(timestamp.as_str().map(str::len), Some(24));
    assert_eq!(
        record,
        json!({
            "version": "1.0",
            "timestamp": null,
            "requestContext": {
                "requestId": id,
                "functionArn": format!("{ARN}:$LATEST"),
                "condition": "RetriesExhausted",
                "approximateInvokeCount": 3,
            },
            "requestPayload": {"orderId": "67890"},
            "responseContext": {
                "statusCode": 200,
                "executedVersion": "$LATEST",
                "functionError": "Unhandled",
            },
            "responsePayload": {"errorType": "Oops", "errorMessage": "no stock"},
        })
    );
    assert_eq!(
        setup.seen.steps(),
        [
            "submitted",
            "started 1",
            "failed 1",
            "retried after 60s",
            "started 2",
            "failed 2",
            "retried after 120s",
            "started 3",
            "failed 3",
            "delivered RetriesExhausted",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_event_that_succeeds_on_a_retry_goes_nowhere_else() {
    let function = FakeFunction::scripted(vec![Ok(error("busy"))]);
    let setup = setup(function, |config| {
        config.dead_letter = Some(QUEUE.to_owned());
    });
    setup.submit("{}");
    setup.quiet().await;
    assert_eq!(setup.function.calls().len(), 2);
    assert_eq!(setup.destination.got(), []);
}

#[tokio::test(start_paused = true)]
async fn without_retries_a_failing_event_is_given_up_at_once() {
    let setup = setup(FakeFunction::new(|_| Ok(error("no"))), |config| {
        config.maximum_retry_attempts = 0;
    });
    setup.submit("{}");
    setup.quiet().await;
    assert_eq!(setup.function.calls().len(), 1);
    let steps = setup.seen.steps();
    assert_eq!(steps.last().expect("some"), "discarded RetriesExhausted");
}

#[tokio::test(start_paused = true)]
async fn an_answered_event_is_recorded_at_the_on_success_destination() {
    let function = FakeFunction::scripted(vec![Ok(error("busy")), Ok(answer(r#"{"done":1}"#))]);
    let setup = setup(function, |config| {
        config.on_success = Some(QUEUE.to_owned());
    });
    setup.submit("[1]");
    setup.quiet().await;
    let (_, record, _) = setup.destination.only();
    assert_eq!(record["requestContext"]["condition"], "Success");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 2);
    assert_eq!(
        record["responseContext"],
        json!({"statusCode": 200, "executedVersion": "$LATEST"})
    );
    assert_eq!(record["responsePayload"], json!({"done": 1}));
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_is_the_event_itself_with_its_error_in_attributes() {
    let long = "é".repeat(600);
    let function = FakeFunction::new(move |_| Ok(error(&long)));
    let setup = setup(function, |config| {
        config.dead_letter = Some(QUEUE.to_owned());
    });
    let id = setup.submit(r#"{ "as": "it came" }"#);
    setup.quiet().await;
    let (arn, body, attributes) = setup.destination.got().remove(0);
    assert_eq!(arn, QUEUE);
    assert_eq!(body, r#"{ "as": "it came" }"#);
    assert_eq!(attributes["RequestID"], id);
    assert_eq!(attributes["ErrorCode"], "200");
    assert_eq!(attributes["ErrorMessage"], "é".repeat(512));
}

#[tokio::test(start_paused = true)]
async fn a_throttled_event_is_tried_with_growing_pauses_and_without_using_up_its_retries() {
    let mut script: Vec<_> = (0..11).map(|_| Err(throttled())).collect();
    script.push(Ok(error("no")));
    script.push(Err(throttled()));
    let setup = setup(FakeFunction::scripted(script), |_| {});
    setup.submit("{}");
    setup.quiet().await;
    assert_eq!(
        setup.pauses(),
        [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 60, 1]
    );
    assert_eq!(setup.seen.steps().last().expect("some"), "succeeded");
}

#[tokio::test(start_paused = true)]
async fn an_event_that_would_be_too_old_at_its_next_attempt_is_given_up() {
    let setup = setup(FakeFunction::new(|_| Ok(error("no"))), |config| {
        config.maximum_event_age = Duration::from_secs(90);
        config.on_failure = Some(QUEUE.to_owned());
    });
    setup.submit("{}");
    setup.quiet().await;
    assert_eq!(setup.function.calls().len(), 2);
    let (_, record, _) = setup.destination.only();
    assert_eq!(record["requestContext"]["condition"], "EventAgeExceeded");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 2);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_throttled_for_six_hours_is_given_up_without_an_answer() {
    let setup = setup(FakeFunction::new(|_| Err(throttled())), |config| {
        config.on_failure = Some(QUEUE.to_owned());
    });
    setup.submit("{}");
    setup.quiet().await;
    let (_, record, _) = setup.destination.only();
    assert_eq!(record["requestContext"]["condition"], "EventAgeExceeded");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 0);
    assert_eq!(record.get("responseContext"), None);
    assert_eq!(record.get("responsePayload"), None);
}

#[tokio::test(start_paused = true)]
async fn with_no_reserved_concurrency_an_event_goes_to_its_destinations_at_once() {
    let disabled = |_: &Value| {
        Err(InvokeError::TooManyRequests {
            function: "f".to_owned(),
            limit: 0,
        })
    };
    let setup = setup(FakeFunction::new(disabled), |config| {
        config.on_failure = Some("failures".to_owned());
        config.dead_letter = Some(QUEUE.to_owned());
    });
    setup.submit("{}");
    setup.quiet().await;
    let got = setup.destination.got();
    assert_eq!(got.len(), 2);
    let record: Value = serde_json::from_str(&got[0].1).expect("JSON");
    assert_eq!(
        record["requestContext"]["condition"],
        "ZeroReservedConcurrency"
    );
    assert_eq!(got[1].2["ErrorCode"], "429");
    assert_eq!(setup.function.calls().len(), 1);
}

#[test]
fn conditions_have_the_names_that_aws_gives_them() {
    let names = [
        Condition::Success,
        Condition::RetriesExhausted,
        Condition::EventAgeExceeded,
        Condition::ZeroReservedConcurrency,
    ]
    .map(Condition::as_str);
    assert_eq!(
        names,
        [
            "Success",
            "RetriesExhausted",
            "EventAgeExceeded",
            "ZeroReservedConcurrency"
        ]
    );
}
