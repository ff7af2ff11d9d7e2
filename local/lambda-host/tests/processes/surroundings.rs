//! What a function sees of the world, and the world of it.

use std::sync::{Arc, Mutex};

use lambda_host::{HostOptions, InvokeRequest, LogLine, LogSink, LogStream};
use serde_json::json;

use crate::function;
use crate::setup::{answer, host, host_with, payload, stats, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_sees_lambdas_environment_and_nothing_of_ours() {
    let mut spec = function::spec("f");
    spec.memory_mb = 256;
    spec.environment
        .insert("TABLE_NAME".to_owned(), "EventStore".to_owned());
    spec.environment
        .insert("AWS_REGION".to_owned(), "eu-central-1".to_owned());
    let host = host(spec).await;
    let event = payload(&json!({"do": "environment"}));
    let ran = host.invoke("f", event, None).await.expect("ran");
    let environment = answer(&ran.outcome);
    for (name, value) in [
        ("AWS_LAMBDA_FUNCTION_NAME", "f"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/f"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_REGION", "eu-central-1"),
        ("TABLE_NAME", "EventStore"),
        ("TZ", ":UTC"),
        ("_HANDLER", "bootstrap"),
    ] {
        assert_eq!(environment[name], value, "{name}");
    }
    // This test runs under cargo, which sets plenty.
    let allowed = |name: &str| {
        name.starts_with("AWS_")
            || name.starts_with("LAMBDA_")
            || [
                "PATH",
                "HOME",
                "LANG",
                "TZ",
                "_HANDLER",
                "_X_AMZN_TRACE_ID",
                "TABLE_NAME",
                function::ROLE,
            ]
            .contains(&name)
            || (cfg!(windows) && ["SystemRoot", "SystemDrive", "TEMP", "TMP"].contains(&name))
    };
    let leaked: Vec<&String> = environment
        .as_object()
        .expect("an object")
        .keys()
        .filter(|name| !allowed(name))
        .collect();
    assert!(leaked.is_empty(), "{leaked:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_carries_its_id_deadline_arn_trace_and_what_the_caller_tells() {
    let host = host(function::spec("f")).await;
    let now = || {
        let since = std::time::UNIX_EPOCH.elapsed().expect("after 1970");
        u64::try_from(since.as_millis()).expect("small")
    };
    let request = InvokeRequest {
        trace: Some("Root=1-5759e988-bd862e3fe1be46a994272793".to_owned()),
        request_id: Some("8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned()),
        client_context: Some(r#"{"custom": {"redrive": "id"}}"#.to_owned()),
        ..InvokeRequest::new("f", payload(&json!({"do": "context"})))
    };
    let before = now();
    let ran = host.invoke_request(request).await.expect("ran");
    let context = answer(&ran.outcome);
    assert_eq!(ran.request_id, "8476a536-e9f4-11e8-9739-2dfe598c3fcd");
    assert_eq!(context["requestId"], ran.request_id);
    assert_eq!(context["trace"], "Root=1-5759e988-bd862e3fe1be46a994272793");
    assert_eq!(
        context["arn"],
        "arn:aws:lambda:us-east-1:000000000000:function:f"
    );
    assert_eq!(context["custom"], json!({"redrive": "id"}));
    let deadline = context["deadline"].as_u64().expect("a number");
    assert!((before + 60_000..=now() + 60_000).contains(&deadline));
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_memory_that_a_process_used_is_reported() {
    let host = host(function::spec("f")).await;
    let event = payload(&json!({"do": "allocate", "mb": 64}));
    let ran = host.invoke("f", event, None).await.expect("ran");
    let used = ran.max_memory_bytes.expect("measured");
    assert!(used > 64 * 1024 * 1024, "{used}");
    assert_eq!(stats(&host).max_memory_bytes, Some(used));
}

type SeenLine = (String, Option<String>, LogStream, String);

#[derive(Default)]
struct SeenLog(Mutex<Vec<SeenLine>>);

impl LogSink for SeenLog {
    fn line(&self, line: &LogLine<'_>) {
        self.0.lock().expect("unpoisoned").push((
            line.function.to_owned(),
            line.request_id.map(str::to_owned),
            line.stream,
            line.text.to_owned(),
        ));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_function_writes_reaches_the_log_with_its_request_id() {
    let log = Arc::new(SeenLog::default());
    let options = HostOptions {
        log_sink: Arc::clone(&log) as Arc<dyn LogSink>,
        ..HostOptions::default()
    };
    let host = host_with(options, function::spec("f")).await;
    let event = payload(&json!({"do": "print"}));
    let ran = host.invoke("f", event, None).await.expect("ran");
    for (stream, text) in [
        (LogStream::Stdout, "to stdout"),
        (LogStream::Stderr, "to stderr"),
    ] {
        let line = (
            "f".to_owned(),
            Some(ran.request_id.clone()),
            stream,
            text.to_owned(),
        );
        until(text, || log.0.lock().expect("unpoisoned").contains(&line)).await;
    }
}
