//! How many processes there are: started when needed, reused, ended when idle.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use lambda_host::{FunctionSpec, HostError, HostOptions, InvokeError, LambdaHost, Outcome};
use serde_json::json;

use crate::function;
use crate::setup::{answer, host, host_with, payload, stats, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_event_starts_a_process_and_the_second_finds_it_warm() {
    let host = host(function::spec("f")).await;
    let first = host.invoke("f", "[1.10]".into(), None).await.expect("ran");
    let second = host.invoke("f", "".into(), None).await.expect("ran");

    assert_eq!(first.outcome, Outcome::Answer("[1.10]".into()));
    assert_eq!(second.outcome, Outcome::Answer("{}".into()));
    assert!(first.init_duration.is_some());
    assert_eq!(second.init_duration, None);
    assert_eq!(first.process, second.process);
    assert_ne!(first.request_id, second.request_id);
    let stats = stats(&host);
    assert_eq!((stats.invocations, stats.errors), (2, 0));
    assert_eq!((stats.cold_starts, stats.processes, stats.busy), (1, 1, 0));
    assert_eq!(stats.billed_ms, first.billed_ms() + second.billed_ms());
    assert!(stats.gb_seconds > 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_at_the_same_time_get_a_process_each_and_later_ones_reuse_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let gate = folder.path().join("open");
    let host = host(function::spec("f")).await;
    let event = payload(&json!({"do": "wait", "for": gate}));
    let both = tokio::spawn({
        let host = host.clone();
        async move {
            tokio::join!(
                host.invoke("f", event.clone(), None),
                host.invoke("f", event, None)
            )
        }
    });
    until("two busy", || stats(&host).busy == 2).await;
    std::fs::write(&gate, "").expect("opened");
    let (one, two) = both.await.expect("joined");
    let used = BTreeSet::from([one.expect("ran").process, two.expect("ran").process]);
    assert_eq!(used.len(), 2);

    let third = host.invoke("f", "{}".into(), None).await.expect("ran");
    assert!(used.contains(&third.process));
    assert_eq!(stats(&host).processes, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_above_the_reserved_concurrency_waits_for_its_turn() {
    let folder = tempfile::tempdir().expect("a folder");
    let gate = folder.path().join("open");
    let mut spec = function::spec("f");
    spec.reserved_concurrency = Some(1);
    let host = host(spec).await;
    let event = payload(&json!({"do": "wait", "for": gate}));
    let invoke = || {
        let (host, event) = (host.clone(), event.clone());
        tokio::spawn(async move { host.invoke("f", event, None).await.expect("ran") })
    };
    let (first, second) = (invoke(), invoke());
    until("one busy", || stats(&host).busy == 1).await;
    assert!(!first.is_finished() && !second.is_finished());
    std::fs::write(&gate, "").expect("opened");
    let (first, second) = (first.await.expect("ran"), second.await.expect("ran"));
    assert_eq!(first.process, second.process);
    assert_eq!(stats(&host).cold_starts, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reserved_concurrency_of_zero_refuses_every_event() {
    let mut spec = function::spec("f");
    spec.reserved_concurrency = Some(0);
    let host = host(spec).await;
    let refused = host.invoke("f", "{}".into(), None).await;
    assert!(matches!(
        refused,
        Err(InvokeError::TooManyRequests { limit: 0, .. })
    ));
    assert_eq!(stats(&host).throttles, 1);
    assert_eq!(stats(&host).processes, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_process_that_was_killed_costs_no_event() {
    let host = host(function::spec("f")).await;
    for _ in 0..5 {
        let ran = host.invoke("f", "1".into(), None).await.expect("ran");
        assert_eq!(answer(&ran.outcome), json!(1));
        let killed = host.kill_any(7).expect("one is alive");
        assert_eq!((killed.function.as_str(), killed.was_busy), ("f", false));
    }
    assert_eq!(stats(&host).errors, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_stays_idle_is_ended() {
    let options = HostOptions {
        idle_timeout: Some(Duration::from_millis(50)),
        ..HostOptions::default()
    };
    let host = host_with(options, function::spec("f")).await;
    host.invoke("f", "{}".into(), None).await.expect("ran");
    until("no process", || stats(&host).processes == 0).await;
    let next = host.invoke("f", "{}".into(), None).await.expect("ran");
    assert!(next.init_duration.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_registered_anew_gets_new_processes_and_keeps_its_counters() {
    let host = host(function::spec("f")).await;
    let before = host.invoke("f", "{}".into(), None).await.expect("ran");
    let mut spec = function::spec("f");
    spec.environment.insert("MARK".to_owned(), "2".to_owned());
    host.register(spec).expect("a function");
    let event = payload(&json!({"do": "environment"}));
    let after = host.invoke("f", event, None).await.expect("ran");
    assert_eq!(answer(&after.outcome)["MARK"], "2");
    assert_ne!(before.process, after.process);
    assert_eq!(stats(&host).invocations, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_without_a_program_is_refused_with_its_path() {
    let host = LambdaHost::start(HostOptions::default())
        .await
        .expect("a host");
    let program = Path::new("no-such-program");
    let refused = host.register(FunctionSpec::new("f", program));
    let Err(HostError::ProgramNotFound { program: named, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(named, program);
}
