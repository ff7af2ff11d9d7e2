//! Requests that cannot be accepted: each a 4xx problem document that names the field, nothing
//! stored, nothing failing.

use crate::system::System;
use serde_json::{Value, json};

fn good() -> Value {
    json!({"userId": "u", "currency": "USD", "contact": {"email": "u@example.com"},
        "payment": {"token": "tok_visa"},
        "items": [{"sku": "tea", "quantity": 1, "unitPrice": 2.5}]})
}

fn with(path: &str, value: Value) -> Value {
    let mut body = good();
    *body.pointer_mut(path).unwrap() = value;
    body
}

fn without(parent: &str, field: &str) -> Value {
    let mut body = good();
    body.pointer_mut(parent)
        .unwrap()
        .as_object_mut()
        .unwrap()
        .remove(field);
    body
}

async fn refused(system: &System, body: impl Into<bytes::Bytes>, field: &str, what: &str) {
    let headers = [
        ("idempotency-key", "k"),
        ("content-type", "application/json"),
    ];
    let answer = system.request("POST", "/orders", &headers, body).await;
    assert!(
        (400..500).contains(&answer.status),
        "{what}: {} {}",
        answer.status,
        answer.text()
    );
    assert_eq!(
        answer.header("content-type"),
        "application/problem+json",
        "{what}"
    );
    let problem = answer.json();
    assert_eq!(problem["field"], field, "{what}: {problem}");
    assert_eq!(problem["status"], answer.status, "{what}");
    for text in ["type", "title", "detail"] {
        assert!(
            problem[text].as_str().is_some_and(|text| !text.is_empty()),
            "{what}"
        );
    }
}

/// Bodies that are JSON, each with the field that is wrong in it.
fn bad_orders() -> Vec<(Value, &'static str)> {
    let line = |number: usize| json!({"sku": format!("s{number}"), "quantity": 1, "unitPrice": 1});
    let lines = |count: usize| Value::Array((0..count).map(line).collect());
    vec![
        (without("", "userId"), "userId"),
        (without("", "items"), "items"),
        (without("", "currency"), "currency"),
        (without("/items/0", "sku"), "items[0].sku"),
        (without("/items/0", "quantity"), "items[0].quantity"),
        (without("/items/0", "unitPrice"), "items[0].unitPrice"),
        (without("/contact", "email"), "contact.email"),
        (without("/payment", "token"), "payment.token"),
        (with("/userId", json!(1)), "userId"),
        (with("/userId", json!("")), "userId"),
        (with("/userId", json!("x".repeat(200))), "userId"),
        (with("/userId", json!("a\u{0}b")), "userId"),
        (with("/currency", json!("DOLLARS")), "currency"),
        (with("/currency", json!("usd")), "currency"),
        (with("/currency", Value::Null), "currency"),
        (with("/items", json!({})), "items"),
        (with("/items", json!([])), "items"),
        (with("/items", lines(101)), "items"),
        (with("/items", lines(100)), "items"),
        (with("/items/0", json!("tea")), "items[0]"),
        (with("/items/0/sku", json!(7)), "items[0].sku"),
        (with("/items/0/sku", json!(" ")), "items[0].sku"),
        (with("/contact/email", json!("nobody")), "contact.email"),
        (
            with("/contact/email", json!("a b@example.com")),
            "contact.email",
        ),
        (with("/payment/token", json!("")), "payment.token"),
        (with("/payment", json!("tok_visa")), "payment"),
        (json!([]), "body"),
        (json!("order"), "body"),
        (json!(null), "body"),
    ]
}

/// Quantities and prices that are none.
fn bad_numbers() -> Vec<(Value, &'static str)> {
    vec![
        (with("/items/0/quantity", json!(0)), "items[0].quantity"),
        (with("/items/0/quantity", json!(-1)), "items[0].quantity"),
        (with("/items/0/quantity", json!(1.5)), "items[0].quantity"),
        (with("/items/0/quantity", json!("1")), "items[0].quantity"),
        (
            with("/items/0/quantity", json!(100_001)),
            "items[0].quantity",
        ),
        (
            with("/items/0/quantity", json!(u64::MAX)),
            "items[0].quantity",
        ),
        (
            with("/items/0/unitPrice", json!(-0.01)),
            "items[0].unitPrice",
        ),
        (
            with("/items/0/unitPrice", json!("2.50")),
            "items[0].unitPrice",
        ),
        (with("/items/0/unitPrice", json!(0.001)), "items"),
        (
            with("/items/0/unitPrice", json!(0.000_000_1)),
            "items[0].unitPrice",
        ),
        (
            with("/items/0/unitPrice", json!(1e300)),
            "items[0].unitPrice",
        ),
        (
            with("/items/0/unitPrice", json!(10_000_000.01)),
            "items[0].unitPrice",
        ),
        (
            with("/items/0/unitPrice", Value::Null),
            "items[0].unitPrice",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_order_is_refused_with_the_name_of_its_field() {
    let system = System::start(&[]);
    for (body, field) in bad_orders().into_iter().chain(bad_numbers()) {
        refused(
            &system,
            body.to_string(),
            field,
            &body.to_string()[..body.to_string().len().min(200)],
        )
        .await;
    }
    for (body, what) in [
        (&b""[..], "an empty body"),
        (b"{", "half a body"),
        (b"{\"userId\": \"\xff\xfe\"}", "invalid UTF-8"),
        (b"userId=u", "a form"),
    ] {
        refused(&system, body, "body", what).await;
    }
    refused(&system, vec![b' '; 1024 * 1024], "body", "a body of 1 MB").await;
    let typo = r#"{"userId": "u", "currency": "USD", "contcat": {"email": "u@example.com"}}"#;
    refused(&system, typo, "contcat", "a field that nobody knows").await;
    let huge = good().to_string().replace("2.5", "1e999999999999");
    refused(
        &system,
        huge,
        "items[0].unitPrice",
        "a price beyond all numbers",
    )
    .await;

    assert!(
        system.stored().await.streams.is_empty(),
        "nothing is stored"
    );
    assert!(system.dead_letters().await.is_empty());
    let accepted = system.post_order("k", &good()).await;
    assert_eq!(
        accepted.status,
        202,
        "the good one is good: {}",
        accepted.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_key_is_refused() {
    let system = System::start(&[]);
    let long = "x".repeat(129);
    for key in ["", &long] {
        let answer = system.post_order(key, &good()).await;
        assert_eq!(answer.status, 400, "{key:?}");
        assert_eq!(answer.json()["field"], "Idempotency-Key");
    }
    let headers = [("content-type", "application/json")];
    let missing = system
        .request("POST", "/orders", &headers, good().to_string())
        .await;
    assert_eq!(missing.status, 400);
    assert_eq!(missing.json()["field"], "Idempotency-Key");
    assert!(system.stored().await.streams.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_restock_is_refused() {
    let system = System::start(&[]);
    for (body, field) in [
        (json!({}), "restock"),
        (json!({"restock": -1}), "restock"),
        (json!({"restock": "1"}), "restock"),
        (json!({"restock": 2_000_000_000}), "restock"),
        (json!({"restock": 1, "available": 1}), "available"),
        (json!({"available": 1.5}), "available"),
        (json!({"unitPrice": -1}), "unitPrice"),
        (json!({"unitPrice": 0.000_000_1}), "unitPrice"),
        (json!({"restock": 1, "currency": "USD"}), "unitPrice"),
        (
            json!({"restock": 1, "unitPrice": 1, "currency": "ABC"}),
            "currency",
        ),
        (json!({"buckets": 0}), "buckets"),
        (json!({"restock": 1, "buckets": 65}), "buckets"),
        (json!({"pieces": 1}), "pieces"),
    ] {
        let answer = system
            .request("PUT", "/inventory/tea", &[], body.to_string())
            .await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
        assert_eq!(answer.json()["field"], field, "{body}");
    }
    let sku = format!("/inventory/{}", "x".repeat(129));
    let answer = system.request("PUT", &sku, &[], r#"{"restock": 1}"#).await;
    assert_eq!(
        (answer.status, answer.json()["field"].clone()),
        (400, json!("sku"))
    );
    assert!(system.stored().await.streams.is_empty());
}
