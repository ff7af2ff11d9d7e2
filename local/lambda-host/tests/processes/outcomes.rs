//! How an invocation can end, and what its caller is told.

use std::time::Duration;

use lambda_host::{HostOptions, InvokeError, InvokeRequest, Outcome};
use serde_json::{Value, json};

use crate::function;
use crate::setup::{answer, host, host_with, payload, stats, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_function_reports_its_error_and_its_process_lives_on() {
    let host = host(function::spec("f")).await;
    let failed = host
        .invoke("f", payload(&json!({"do": "fail"})), None)
        .await
        .expect("ran");
    let panicked = host
        .invoke("f", payload(&json!({"do": "panic"})), None)
        .await
        .expect("ran");
    let error: Value = serde_json::from_slice(&failed.response_payload()).expect("JSON");
    assert_eq!(error["errorMessage"], "the shelf is empty");
    assert!(error["errorType"].is_string());
    let Outcome::FunctionError { message, .. } = &panicked.outcome else {
        panic!("{:?}", panicked.outcome);
    };
    assert!(message.contains("the roof is on fire"), "{message}");
    assert_eq!(failed.process, panicked.process);
    assert_eq!(stats(&host).errors, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_that_takes_too_long_is_killed_and_the_next_event_gets_a_new_process() {
    let mut spec = function::spec("f");
    spec.timeout = Duration::from_secs(1);
    let host = host(spec).await;
    let late = host
        .invoke("f", payload(&json!({"do": "hang"})), None)
        .await
        .expect("ran");
    let error: Value = serde_json::from_slice(&late.response_payload()).expect("JSON");
    assert_eq!(
        error["errorMessage"],
        format!("{} Task timed out after 1.00 seconds", late.request_id)
    );
    assert_eq!(error["errorType"], "Sandbox.Timedout");
    let next = host.invoke("f", "1".into(), None).await.expect("ran");
    assert_eq!(answer(&next.outcome), json!(1));
    assert_ne!(late.process, next.process);
    assert_eq!((stats(&host).timeouts, stats(&host).errors), (1, 1));
    until("one process", || stats(&host).processes == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_exits_with_its_event_is_a_crash_with_its_status() {
    let host = host(function::spec("f")).await;
    for (code, ending) in [
        (3, "Error: Runtime exited with error: exit status 3"),
        (0, "Error: Runtime exited without providing a reason"),
    ] {
        let event = payload(&json!({"do": "exit", "code": code}));
        let crashed = host.invoke("f", event, None).await.expect("ran");
        assert!(matches!(crashed.outcome, Outcome::Crashed { .. }));
        let error: Value = serde_json::from_slice(&crashed.response_payload()).expect("JSON");
        assert_eq!(error["errorType"], "Runtime.ExitError");
        assert_eq!(
            error["errorMessage"],
            format!("RequestId: {} {ending}", crashed.request_id)
        );
    }
    let next = host.invoke("f", "1".into(), None).await.expect("ran");
    assert_eq!(answer(&next.outcome), json!(1));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_process_that_is_killed_is_a_crash_by_signal() {
    let host = host(function::spec("f")).await;
    assert!(!host.kill_busy("f"));
    assert_eq!(host.kill_any(5), None);
    let invoking = tokio::spawn({
        let host = host.clone();
        async move {
            host.invoke("f", payload(&json!({"do": "hang"})), None)
                .await
        }
    });
    until("killed", || host.kill_busy("f")).await;
    let crashed = invoking.await.expect("joined").expect("ran");
    // Killed before or after it had taken the event: both are errors of the function.
    let (error_type, message) = crashed.failure().expect("a failure");
    assert_eq!(error_type, "Runtime.ExitError");
    assert_eq!(
        message,
        format!(
            "RequestId: {} Error: Runtime exited with error: signal: killed",
            crashed.request_id
        )
    );
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invocation_is_killed_by_its_request_id_and_no_other_one_is() {
    let host = host(function::spec("f")).await;
    let request = InvokeRequest {
        request_id: Some("request-1".to_owned()),
        ..InvokeRequest::new("f", payload(&json!({"do": "hang"})))
    };
    let invoking = tokio::spawn({
        let host = host.clone();
        async move { host.invoke_request(request).await }
    });
    until("killed", || host.kill_invocation("f", "request-1")).await;
    let crashed = invoking.await.expect("joined").expect("ran");
    assert!(matches!(crashed.outcome, Outcome::Crashed { .. }));
    let request = InvokeRequest {
        request_id: Some("request-2".to_owned()),
        ..InvokeRequest::new("f", "{}".into())
    };
    let answered = host.invoke_request(request).await.expect("ran");
    assert!(answered.succeeded());
    for request in ["request-1", "request-2"] {
        assert!(!host.kill_invocation("f", request), "{request} is over");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_ends_before_its_first_event_has_failed_to_initialise() {
    let host = host(function::with_role("f", "exits at init")).await;
    let failed = host.invoke("f", "{}".into(), None).await.expect("ran");
    assert!(matches!(failed.outcome, Outcome::InitFailed { .. }));
    let (error_type, message) = failed.failure().expect("a failure");
    assert_eq!(error_type, "Runtime.ExitError");
    assert!(message.ends_with("Runtime exited with error: exit status 7"));
    assert_eq!(stats(&host).errors, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_never_asks_for_an_event_is_killed() {
    let options = HostOptions {
        init_timeout: Duration::from_millis(300),
        ..HostOptions::default()
    };
    let host = host_with(options, function::with_role("f", "hangs at init")).await;
    let failed = host.invoke("f", "{}".into(), None).await.expect("ran");
    let (error_type, _) = failed.failure().expect("a failure");
    assert_eq!(error_type, "Sandbox.Timedout");
    until("no process", || stats(&host).processes == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_over_six_megabytes_is_refused_and_the_process_lives_on() {
    let host = host(function::spec("f")).await;
    let event = |bytes: usize| payload(&json!({"do": "answer much", "bytes": bytes}));
    // Two quotes around them make 6 MB and 100 bytes exactly.
    let limit = 6 * 1024 * 1024 + 98;
    let fits = host.invoke("f", event(limit), None).await.expect("ran");
    assert!(fits.succeeded());
    let too_much = host.invoke("f", event(limit + 1), None).await.expect("ran");
    let (error_type, _) = too_much.failure().expect("a failure");
    assert_eq!(error_type, "Function.ResponseSizeTooLarge");
    let next = host.invoke("f", "1".into(), None).await.expect("ran");
    assert_eq!(next.process, fits.process);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_lambda_would_refuse_never_reach_the_function() {
    let host = host(function::spec("f")).await;
    let quoted = |bytes: usize| bytes::Bytes::from(format!("\"{}\"", "x".repeat(bytes - 2)));
    let limit = 6 * 1024 * 1024;
    assert!(matches!(
        host.invoke("f", quoted(limit + 1), None).await,
        Err(InvokeError::RequestTooLarge { .. })
    ));
    assert!(matches!(
        host.invoke("f", "{".into(), None).await,
        Err(InvokeError::InvalidRequestContent(_))
    ));
    assert!(matches!(
        host.invoke("g", "{}".into(), None).await,
        Err(InvokeError::NotFound { .. })
    ));
    assert_eq!(stats(&host).invocations, 0);
    let fits = host.invoke("f", quoted(limit), None).await.expect("ran");
    assert!(fits.succeeded());
}
