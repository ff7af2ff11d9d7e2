//! `load`: what many orders took, and that they kept the invariants.

use std::fmt::Write as _;
use std::process::Stdio;

use invariants::{NO_LOST_ORDER, ONE_CHARGE};
use serde_json::{Value, json};

use crate::system::{changed_template, command, run};

/// Runs `load` over these orders with further arguments: exit code, report, standard error.
pub fn load(orders: &str, more: &[&str]) -> (Option<i32>, Value, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orders.jsonl");
    std::fs::write(&path, orders).unwrap();
    let mut arguments = vec!["load", path.to_str().unwrap(), "--json"];
    arguments.extend(more);
    let output = run(&arguments);
    let report = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), report, errors)
}

/// What the report says of an invariant.
fn detail<'r>(report: &'r Value, name: &str) -> &'r str {
    let invariants = report["invariants"].as_array().unwrap();
    let found = invariants.iter().find(|one| one["name"] == name);
    found.unwrap()["detail"].as_str().unwrap()
}

fn lines(count: u64) -> String {
    lines_of_skus(count, 5)
}

fn lines_of_skus(count: u64, skus: u64) -> String {
    (0..count).fold(String::new(), |mut lines, number| {
        let order = json!({"userId": format!("user-{number}"), "currency": "USD", "at": number,
            "items": [{"sku": format!("sku-{}", number % skus), "quantity": 1, "unitPrice": 2.25}]});
        writeln!(lines, "{order}").unwrap();
        lines
    })
}

#[test]
fn fifty_happy_orders_are_confirmed_and_every_invariant_holds() {
    let (code, report, errors) = load(&lines(50), &["--concurrency", "8"]);
    assert_eq!(code, Some(0), "{report}\n{errors}");
    assert_eq!(report["orders"], 50);
    assert_eq!(report["accepted"], 50);
    assert_eq!(report["outcomes"]["confirmed"], 50);
    assert_eq!(report["confirmed_amount"].to_string(), r#"{"USD":112.5}"#);
    assert_eq!(report["faults"], json!({}));
    let invariants = report["invariants"].as_array().unwrap();
    assert_eq!(invariants.len(), 7);
    for invariant in invariants {
        assert_eq!(invariant["held"], true, "{invariant}");
    }
    for latency in ["accept", "confirm"] {
        let p50 = report["latency_ms"][latency]["p50"].as_f64().unwrap();
        assert!(p50 > 0.0, "{report}");
    }
}

/// With every event in a batch of its own, its units are exact: 5 events are one unit each, and
/// one of them is in a transaction with its SKU, where both count double (8); the row is written
/// at each of the order's 3 events, the first time with its entry in the index by user (4); and it
/// enters the index of open orders and leaves it (2).
#[test]
fn a_happy_order_that_shares_no_batch_takes_exactly_the_units_it_is_designed_for() {
    let alone = "BatchSize: 1\n";
    let (_folder, template) = changed_template(|template| {
        let relay_alone = template.replace("BatchSize: 100\n", alone);
        relay_alone.replace("BatchSize: 500\n", alone)
    });
    let (code, report, errors) = load(&lines(1), &["--template", &template]);
    assert_eq!(code, Some(0), "{report}\n{errors}");
    let per_order = &report["per_order"];
    for (what, count) in [
        ("dynamodb_requests", 8.0),
        ("write_units", 14.0),
        ("read_units", 0.0),
        ("eventbridge_entries", 5.0),
        ("lambda_invocations", 13.0),
        ("sqs_requests", 0.0),
        ("kinesis_units", 5.0),
        ("firehose_units", 5.0),
    ] {
        assert_eq!(per_order[what].as_f64(), Some(count), "{what}: {report}");
    }
}

/// Batches take fewer: each of an order's events is stored once, and none is read again. (No two
/// of these orders want the same SKU: a transaction that meets another one is paid for twice.) The
/// projection waits a second for its batches, so most orders are settled when their row is first
/// written, and never enter the index of open ones.
#[test]
fn happy_orders_that_share_batches_take_fewer_units_and_read_nothing() {
    let window = ["--parameter", "ProjectionWindowSeconds=1"];
    let more = [&["--concurrency", "16"], &window[..]].concat();
    let (code, report, errors) = load(&lines_of_skus(40, 40), &more);
    assert_eq!(code, Some(0), "{report}\n{errors}");
    for (what, most) in [
        ("dynamodb_requests", 8.0),
        ("write_units", 12.0),
        ("read_units", 0.0),
        ("eventbridge_entries", 5.0),
        ("lambda_invocations", 13.0),
        ("sqs_requests", 0.0),
        ("kinesis_units", 5.0),
        ("firehose_units", 5.0),
    ] {
        let count = report["per_order"][what].as_f64().unwrap();
        assert!(count <= most, "{what}: {report}");
    }
}

#[test]
fn an_order_that_is_refused_is_counted_and_the_others_go_on() {
    let mut orders = lines(2);
    orders.push_str("\n{\"userId\": \"\", \"items\": []}\n");
    let (code, report, errors) = load(&orders, &["--aws-latency", "5"]);
    assert_eq!(code, Some(0), "{report}\n{errors}");
    assert_eq!(report["orders"], 3);
    assert_eq!(report["accepted"], 2);
    assert_eq!(report["outcomes"]["refused_400"], 1);
}

#[test]
fn orders_beyond_the_stock_are_rejected_and_nothing_is_oversold() {
    let folder = tempfile::tempdir().unwrap();
    let stock = folder.path().join("stock.json");
    std::fs::write(&stock, r#"{"sku-0": 1, "sku-1": 1, "sku-2": 0}"#).unwrap();
    let (code, report, errors) = load(&lines(10), &["--stock", stock.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{report}\n{errors}");
    assert_eq!(report["outcomes"]["confirmed"], 2);
    assert_eq!(report["outcomes"]["rejected"], 8);
}

#[test]
fn a_malformed_line_is_named_before_anything_starts() {
    let (code, _, errors) = load("{\"userId\": \"a\"}\n{oops\n", &[]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("line 2"), "{errors}");
}

#[test]
fn odd_lines_are_posted_and_refused_and_need_no_stock() {
    let mut orders = lines(2);
    for (currency, sku, quantity, price) in [
        ("usd", "tea", "1", "1"),
        ("USD", "", "1", "1"),
        ("USD", "tea", "9007199254740991", "1"),
        ("USD", "tea", "1", "-1"),
    ] {
        writeln!(
            orders,
            r#"{{"userId":"u","currency":"{currency}","items":[{{"sku":"{sku}","quantity":{quantity},"unitPrice":{price}}}]}}"#
        )
        .unwrap();
    }
    let (code, report, errors) = load(&orders, &[]);
    assert_eq!(code, Some(0), "{report}\n{errors}");
    assert_eq!(report["outcomes"]["confirmed"], 2);
    assert_eq!(report["outcomes"]["refused_400"], 4);
}

#[test]
fn the_charges_of_the_gateway_are_held_against_the_events() {
    let (code, report, errors) = load(&lines(10), &[]);
    assert_eq!(code, Some(0), "{report}\n{errors}");
    assert_eq!(
        detail(&report, ONE_CHARGE),
        "10 charges, 0 refunds, as the gateway has them"
    );
}

/// The gateway never tells what became of the charge: the order stands still, visibly.
#[test]
fn an_order_whose_payment_is_parked_is_not_lost() {
    let order = json!({"userId": "u", "currency": "USD", "payment": {"token": "tok_timeout"},
        "items": [{"sku": "sku-0", "quantity": 1, "unitPrice": 2.25}]});
    let (code, report, errors) = load(&format!("{}{order}\n", lines(1)), &["--retry-delay", "10"]);
    assert_eq!(code, Some(0), "{report}\n{errors}");
    assert_eq!(report["outcomes"]["confirmed"], 1);
    assert_eq!(report["outcomes"]["pending"], 1);
    assert_eq!(detail(&report, NO_LOST_ORDER), "1 orders ended, 1 parked");
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_is_no_failure_of_the_load() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orders.jsonl");
    std::fs::write(&path, lines(2)).unwrap();
    let mut child = command(&["load", path.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(!errors.contains("panicked"), "{errors}");
}
