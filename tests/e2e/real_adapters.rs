//! The functions as they are deployed with a real gateway and a real mailer: the template's own
//! switches, over the wire, against stand-ins for Stripe and SES.

use crate::system::{System, eventually, order};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use local::http_client::HttpClient;
use local::issuer::ask::{self, Wanted};
use local::programs::Programs;
use local::stack::{Stack, StackOptions};
use serde_json::json;
use std::sync::{Arc, Mutex};

/// What Stripe was asked: path, idempotency key, form.
type Asked = Arc<Mutex<Vec<(String, String, String)>>>;

async fn charge(
    State(asked): State<Asked>,
    headers: HeaderMap,
    form: String,
) -> (StatusCode, String) {
    note(&asked, "charge", &headers, &form);
    if headers["authorization"] != "Bearer sk_test_local" {
        return (StatusCode::UNAUTHORIZED, json!({"error": {}}).to_string());
    }
    let answer = if form.contains("payment_method=pm_card_chargeDeclined") {
        let error = json!({"type": "card_error", "code": "card_declined"});
        (StatusCode::PAYMENT_REQUIRED, json!({"error": error}))
    } else {
        (StatusCode::OK, json!({"id": "pi_1", "status": "succeeded"}))
    };
    (answer.0, answer.1.to_string())
}

async fn refund(State(asked): State<Asked>, headers: HeaderMap, form: String) -> String {
    note(&asked, "refund", &headers, &form);
    json!({"id": "re_1", "status": "succeeded"}).to_string()
}

fn note(asked: &Asked, what: &str, headers: &HeaderMap, form: &str) {
    let key = headers["idempotency-key"].to_str().unwrap().to_owned();
    asked
        .lock()
        .unwrap()
        .push((what.to_owned(), key, form.to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_charged_and_refunded_through_stripe_under_keys_of_its_own() {
    let asked = Asked::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("StripeUrl=http://{}", listener.local_addr().unwrap());
    let stripe = Router::new()
        .route("/v1/payment_intents", post(charge))
        .route("/v1/refunds", post(refund))
        .with_state(Arc::clone(&asked));
    tokio::spawn(async move { axum::serve(listener, stripe).await });

    let system = System::start(&["--parameter", "PaymentGateway=stripe", "--parameter", &url]);
    let key =
        json!({"Name": "/orderflow/stripe-key", "Type": "SecureString", "Value": "sk_test_local"});
    system.aws("AmazonSSM.PutParameter", &key).await;
    system.stock("tea", 5, "12.50").await;
    let paid_with = |token: &str| {
        let mut order = order("u", "tea", 2, "12.50");
        order["payment"] = json!({"token": token});
        order
    };
    let declined = system
        .place("d", &paid_with("pm_card_chargeDeclined"))
        .await;
    assert_eq!(
        system.order_at(&declined, "rejected").await["reason"],
        "payment: card_declined"
    );
    let id = system.place("k", &paid_with("pm_card_visa")).await;
    system.order_at(&id, "confirmed").await;
    let cancelled = system
        .request("POST", &format!("/orders/{id}/cancel"), &[], "")
        .await;
    assert_eq!(cancelled.status, 202);
    eventually("the charge is refunded", async || {
        let row = system.order_at(&id, "cancelled").await;
        (row["refunded"] == true).then_some(())
    })
    .await;

    let asked: Vec<_> = asked
        .lock()
        .unwrap()
        .iter()
        .filter(|(what, key, _)| what == "refund" || key.ends_with(&id))
        .cloned()
        .collect();
    let keys: Vec<_> = asked
        .iter()
        .map(|(what, key, _)| (what.as_str(), key.clone()))
        .collect();
    assert_eq!(
        keys,
        [
            ("charge", format!("charge-{id}")),
            ("refund", "refund-pi_1".to_owned())
        ]
    );
    assert!(
        asked[0].2.contains("amount=2500&currency=usd"),
        "{}",
        asked[0].2
    );
    assert_eq!(asked[1].2, "payment_intent=pi_1");
    system.invariants_hold(&[id, declined]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn customers_get_a_mail_for_each_step_they_care_about() {
    let template = crate::system::workspace().join("template.yaml");
    let program = Programs::One(env!("CARGO_BIN_EXE_orderflow-local").into());
    let mut options = StackOptions::new(template, program);
    options.permissions_asked = Some(crate::system::permissions_folder());
    options.parameters.insert("Notifier".into(), "ses".into());
    options
        .parameters
        .insert("SenderAddress".into(), "shop@example.com".into());
    let stack = Stack::start(options).await.unwrap();
    let client = HttpClient::new();
    let aws = stack.endpoint().url();
    let operator = ask::bearer(&client, &aws, &Wanted::operator()).await;
    let operator = operator.unwrap();
    let send = async |method: &str, path: &str, body: serde_json::Value| {
        let url = format!("{}{path}", stack.api_url());
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", "k"),
            ("authorization", operator.as_str()),
        ];
        client
            .send(method, &url, &headers, body.to_string())
            .await
            .unwrap()
    };
    send("PUT", "/inventory/tea", json!({"restock": 5})).await;
    let mut body = order("u", "tea", 1, "1");
    body["contact"] = json!({"email": "customer@example.com"});
    let id = send("POST", "/orders", body).await.json()["orderId"].clone();
    let mails = eventually("two mails are sent", async || {
        let mails = stack.endpoint().sent_emails();
        (mails.len() == 2).then_some(mails)
    })
    .await;
    let told = format!("{mails:?}");
    for part in [
        "customer@example.com",
        "shop@example.com",
        "We have your order",
        "is confirmed",
        id.as_str().unwrap(),
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    stack
        .shutdown(std::time::Duration::from_secs(5))
        .await
        .unwrap();
}
