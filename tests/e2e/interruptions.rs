//! Ctrl-C: what was begun comes to its end, and nothing is left behind.
#![cfg(unix)]

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::system::{DEADLINE, command};

/// More than are placed within the tenth part of the time that they take.
const ORDERS: u64 = 2000;

fn started(arguments: &[&str], temporary: &Path) -> Child {
    command(arguments)
        .env("TMPDIR", temporary)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn send(signal: &str, child: &Child) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args([signal, &pid]).status().unwrap();
    assert!(sent.success());
}

#[track_caller]
fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "in vain waited for: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn left(temporary: &Path) -> usize {
    std::fs::read_dir(temporary).unwrap().count()
}

#[test]
fn a_load_that_is_interrupted_reports_the_orders_that_were_placed() {
    let folder = tempfile::tempdir().unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let path = folder.path().join("orders.jsonl");
    let orders = (0..ORDERS).fold(String::new(), |mut lines, number| {
        let order = json!({"userId": format!("user-{number}"), "currency": "USD",
            "items": [{"sku": format!("sku-{}", number % 9), "quantity": 1, "unitPrice": 2}]});
        writeln!(lines, "{order}").unwrap();
        lines
    });
    std::fs::write(&path, orders).unwrap();
    let mut child = started(
        &[
            "load",
            path.to_str().unwrap(),
            "--json",
            "--concurrency",
            "4",
        ],
        temporary.path(),
    );
    // The first tenth is placed and decided.
    let mut errors = BufReader::new(child.stderr.take().unwrap()).lines();
    errors
        .find(|line| line.as_ref().unwrap().contains("% of"))
        .unwrap()
        .unwrap();
    send("-INT", &child);
    let errors: Vec<String> = errors.map(Result::unwrap).collect();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{errors:?}");
    assert_eq!(left(temporary.path()), 0, "temporary folders");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let placed = report["orders"].as_u64().unwrap();
    assert!((ORDERS / 10..ORDERS).contains(&placed), "{report}");
    let said = format!("Interrupted: {placed} of {ORDERS} orders were placed.");
    assert!(errors.contains(&said), "{errors:?}");
    let invariants = report["invariants"].as_array().unwrap();
    assert!(invariants.iter().all(|one| one["held"] == true), "{report}");
    assert_eq!(report["outcomes"]["confirmed"], placed, "{report}");
}

#[test]
fn a_demo_that_is_interrupted_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    let child = started(&["demo"], temporary.path());
    until("a start", || left(temporary.path()) > 0);
    send("-TERM", &child);
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{errors}");
    assert_eq!(left(temporary.path()), 0, "temporary folders");
}

#[test]
fn an_interruption_while_it_serves_ends_in_order() {
    let temporary = tempfile::tempdir().unwrap();
    let child = serving(temporary.path());
    send("-TERM", &child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(left(temporary.path()), 0, "temporary folders");
}

#[test]
fn a_second_interruption_ends_at_once_and_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    let child = serving(temporary.path());
    send("-INT", &child);
    send("-INT", &child);
    let output = child.wait_with_output().unwrap();
    // It may have been quicker than the second one.
    assert!(matches!(output.status.code(), Some(0 | 130)));
    assert_eq!(left(temporary.path()), 0, "temporary folders");
}

/// A system that is ready.
fn serving(temporary: &Path) -> Child {
    let arguments = ["up", "--api-port", "0", "--aws-port", "0", "--json-ready"];
    let mut child = started(&arguments, temporary);
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    assert!(line.starts_with('{'), "{line}");
    child
}
