//! Payments of which the gateway does not tell the outcome: settled by its webhook or by an
//! operator, never guessed, and only once.

use crate::system::{System, eventually, order};
use jiff::Timestamp;
use local::http_client::Answer;
use ring::hmac;
use serde_json::{Value, json};

const SECRET: &str = "whsec_test";

/// A system in whose parameter store Stripe's signing secret is.
async fn a_system() -> System {
    let system = System::start(&["--retry-delay", "20"]);
    let secret = json!({"Name": "/orderflow/stripe-webhook-secret", "Type": "SecureString",
        "Value": SECRET});
    system.aws("AmazonSSM.PutParameter", &secret).await;
    system.stock("tea", 10, "2").await;
    system
}

/// An order of 4 USD that waits for the outcome of its payment.
async fn an_unknown_payment(system: &System, key: &str) -> String {
    let mut body = order("u", "tea", 2, "2");
    body["payment"] = json!({"token": "tok_timeout"});
    let id = system.place(key, &body).await;
    system.order_at(&id, "reserved").await;
    id
}

fn payment(order: &str, kind: &str, amount: u64) -> String {
    let intent = json!({"id": format!("pi_{order}"), "amount": amount, "currency": "usd",
        "metadata": {"order_id": order}});
    json!({"id": "evt_1", "type": format!("payment_intent.{kind}"), "data": {"object": intent}})
        .to_string()
}

fn signature(body: &str, secret: &str, seconds_ago: i64) -> String {
    let time = Timestamp::now().as_second() - seconds_ago;
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{time}.{body}").as_bytes());
    let digits: Vec<_> = tag
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("t={time},v1={}", digits.concat())
}

async fn post(system: &System, body: &str, signature: &str) -> Answer {
    let headers = [("stripe-signature", signature)];
    system
        .anonymous("POST", "/payments/webhook", &headers, body.to_owned())
        .await
}

/// What a genuine request is answered with.
async fn told(system: &System, body: &str) -> Value {
    let answer = post(system, body, &signature(body, SECRET, 0)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["result"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_payment_is_settled_once_by_the_gateways_webhook() {
    let system = a_system().await;
    let id = an_unknown_payment(&system, "k").await;
    let paid = payment(&id, "succeeded", 400);
    for forged in [
        String::new(),
        signature(&paid, "whsec_other", 0),
        signature(&paid, SECRET, 600),
        signature("{}", SECRET, 0),
    ] {
        let refused = post(&system, &paid, &forged).await;
        assert_eq!(refused.status, 400, "{}", refused.text());
    }
    let cheaper = payment(&id, "succeeded", 399);
    let refused = post(&system, &cheaper, &signature(&cheaper, SECRET, 0)).await;
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert_eq!(
        system.events_of(&id).await,
        ["OrderPlaced", "InventoryUpdated"]
    );

    // Told three times at once, and a late word of an attempt before.
    let (first, second, third) = tokio::join!(
        told(&system, &paid),
        told(&system, &paid),
        told(&system, &paid)
    );
    for result in [first, second, third] {
        assert!(
            result == "confirmed" || result == "settled before",
            "{result}"
        );
    }
    let failed = payment(&id, "payment_failed", 400);
    assert_eq!(told(&system, &failed).await, "settled before");
    system.order_at(&id, "confirmed").await;
    assert_eq!(
        system.events_of(&id).await,
        ["OrderPlaced", "InventoryUpdated", "PaymentProcessed"]
    );
    system.invariants_hold(&[id]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_succeeded_after_the_cancellation_is_given_back_once() {
    let system = a_system().await;
    let id = an_unknown_payment(&system, "k").await;
    let cancelled = system
        .request("POST", &format!("/orders/{id}/cancel"), &[], "")
        .await;
    assert_eq!(cancelled.status, 202);
    let paid = payment(&id, "succeeded", 400);
    for _ in 0..3 {
        told(&system, &paid).await;
    }
    eventually("the order is cleaned up", async || {
        (system.events_of(&id).await.len() == 5).then_some(())
    })
    .await;
    let mut types = system.events_of(&id).await;
    types.sort();
    assert_eq!(
        types,
        [
            "InventoryUpdated",
            "InventoryUpdated",
            "OrderCancelled",
            "OrderPlaced",
            "PaymentRefunded"
        ]
    );
    system.invariants_hold(&[id]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_settles_an_unknown_payment_and_the_audit_trail_says_so() {
    let system = a_system().await;
    let paid = an_unknown_payment(&system, "paid").await;
    let failed = an_unknown_payment(&system, "failed").await;
    let decide = async |order: &str, what: Value| {
        let mut call = json!({"orderId": order, "reason": "seen in the dashboard", "by": "ada"});
        for (name, value) in what.as_object().unwrap() {
            call[name] = value.clone();
        }
        system.invoke("resolve-payment", &call).await
    };
    for _ in 0..2 {
        let resolved = decide(&paid, json!({"as": "paid", "paymentId": "pi_1"})).await;
        assert_eq!(resolved.unwrap()["status"], "confirmed");
    }
    let against = decide(&paid, json!({"as": "failed"})).await.unwrap_err();
    let reason = against["errorMessage"].as_str().unwrap();
    assert!(reason.contains("settled before (paid as pi_1)"), "{reason}");
    let resolved = decide(&failed, json!({"as": "failed"})).await.unwrap();
    assert_eq!(resolved["status"], "rejected");
    system.order_at(&paid, "confirmed").await;
    system.order_at(&failed, "rejected").await;
    let trail = system.get(&format!("/orders/{paid}/events")).await.json();
    let decided = &trail["events"][2];
    assert_eq!(decided["eventType"], "PaymentProcessed", "{trail}");
    assert_eq!(decided["actor"], "ada");
    assert_eq!(decided["data"]["decision"], "seen in the dashboard");
    system.invariants_hold(&[paid, failed]).await;
}
