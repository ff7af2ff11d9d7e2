//! How invocations and processes end when their caller or their host does.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use lambda_host::InvokeError;
use serde_json::json;

use crate::function;
use crate::setup::{host, payload, stats, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invocation_runs_to_its_end_when_its_caller_hangs_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let (gate, file) = (folder.path().join("open"), folder.path().join("done"));
    let host = host(function::spec("f")).await;
    let event = payload(&json!({"do": "wait and write", "for": gate, "file": file}));
    let caller = tokio::spawn({
        let host = host.clone();
        async move { host.invoke("f", event, None).await }
    });
    until("busy", || stats(&host).busy == 1).await;
    caller.abort();
    std::fs::write(&gate, "").expect("opened");
    until("written", || file.exists()).await;
    until("counted", || stats(&host).invocations == 1).await;
    assert_eq!(stats(&host).errors, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_lets_the_busy_answer_and_refuses_the_rest() {
    let folder = tempfile::tempdir().expect("a folder");
    let gate = folder.path().join("open");
    let host = host(function::spec("f")).await;
    let event = payload(&json!({"do": "wait", "for": gate}));
    let invoking = tokio::spawn({
        let host = host.clone();
        async move { host.invoke("f", event, None).await }
    });
    until("busy", || stats(&host).busy == 1).await;
    let ending = tokio::spawn({
        let host = host.clone();
        async move { host.shutdown(Duration::from_mins(1)).await }
    });
    let refused = loop {
        match host.invoke("f", "{}".into(), None).await {
            Ok(_) => tokio::task::yield_now().await,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, InvokeError::ShuttingDown));
    std::fs::write(&gate, "").expect("opened");
    let answered = invoking.await.expect("joined").expect("ran");
    assert!(answered.succeeded(), "{:?}", answered.outcome);
    ending.await.expect("ended");
    until("no process", || stats(&host).processes == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invocation_that_a_shutdown_kills_is_no_failure_of_the_function() {
    let host = host(function::spec("f")).await;
    let invoking = tokio::spawn({
        let host = host.clone();
        async move {
            host.invoke("f", payload(&json!({"do": "hang"})), None)
                .await
        }
    });
    until("busy", || stats(&host).busy == 1).await;
    host.shutdown(Duration::ZERO).await;
    let ended = invoking.await.expect("joined");
    assert!(matches!(ended, Err(InvokeError::ShuttingDown)), "{ended:?}");
    assert_eq!(stats(&host).errors, 0);
}

#[cfg(target_os = "linux")]
fn is_alive(pid: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

#[cfg(target_os = "linux")]
fn pid_in(file: &Path) -> String {
    std::fs::read_to_string(file).expect("a pid")
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_is_dropped_leaves_no_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pid");
    let host = host(function::spec("f")).await;
    let event = payload(&json!({"do": "tell pid and hang", "file": file}));
    let caller = tokio::spawn({
        let host = host.clone();
        async move { host.invoke("f", event, None).await }
    });
    until("a pid", || file.exists()).await;
    let pid = pid_in(&file);
    assert!(is_alive(&pid));
    caller.abort();
    drop(host);
    until("the process gone", || !is_alive(&pid)).await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_is_killed_leaves_no_process_even_of_a_busy_function() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pid");
    let mut host = tokio::process::Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "this_binary_acts_as_a_host", "--nocapture"])
        .env("TEST_HOST_PID_FILE", &file)
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("a host");
    until("a pid", || file.exists()).await;
    let pid = pid_in(&file);
    assert!(is_alive(&pid));
    host.kill().await.expect("killed");
    until("the process gone", || !is_alive(&pid)).await;
}
