use super::*;
use aws_adapters::lambda::answer as answered;
use base64::Engine as _;
use domain::payment::ChargeOutcome;
use event_sourcing::chain::Head;
use event_sourcing::clock::SystemClock;
use event_sourcing::envelope::Envelope;
use event_sourcing::in_memory::InMemoryEventStore;
use jiff::Timestamp;
use process_payment::gateway::{Charge, GatewayError, Refund};
use ring::hmac;
use serde_json::Value;
use std::sync::Mutex;

const SECRET: &str = "whsec_test";

struct Secret(Option<&'static str>);

impl SigningSecret for Secret {
    async fn current(&self) -> Result<String, String> {
        self.0.map(str::to_owned).ok_or_else(|| "not there".into())
    }
}

/// Keeps what it refunds; down where the test says so.
#[derive(Default)]
struct Refunds {
    made: Mutex<Vec<String>>,
    down: Mutex<bool>,
}

impl PaymentGateway for Refunds {
    async fn charge(&self, _charge: &Charge) -> Result<ChargeOutcome, GatewayError> {
        panic!("a webhook charges nothing")
    }

    async fn look_up(&self, _charge: &Charge) -> Result<Option<ChargeOutcome>, GatewayError> {
        panic!("a webhook asks nothing")
    }

    async fn refund(&self, refund: &Refund) -> Result<(), GatewayError> {
        if *self.down.lock().unwrap() {
            return Err(GatewayError::Down("refused".into()));
        }
        self.made.lock().unwrap().push(refund.key.clone());
        Ok(())
    }
}

type Tested = Handler<InMemoryEventStore, Refunds, Secret, SystemClock>;

/// An order of 150.75 USD with these events after its placing.
async fn an_order(more: &[(&str, Value)]) -> Tested {
    let store = InMemoryEventStore::default();
    let events = std::iter::once(("OrderPlaced", json!({})))
        .chain(more.iter().cloned())
        .enumerate()
        .map(|(number, (name, mut data))| {
            data["orderId"] = json!("1");
            data["userId"] = json!("u");
            data["totalAmount"] = serde_json::from_str("150.75").unwrap();
            Envelope::new(&format!("e{number}"), name, Timestamp::now(), data)
        });
    store
        .append("order-1", &Head::after(None), events.collect())
        .await
        .unwrap();
    Handler {
        store,
        gateway: Refunds::default(),
        secret: Secret(Some(SECRET)),
        clock: SystemClock,
    }
}

fn reserved() -> (&'static str, Value) {
    ("InventoryUpdated", json!({"reason": "reserved"}))
}

fn cancelled() -> (&'static str, Value) {
    ("OrderCancelled", json!({"reason": "requested"}))
}

fn event(kind: &str, more: Value) -> String {
    let mut intent = json!({"id": "pi_1", "object": "payment_intent", "amount": 15075,
        "currency": "usd", "metadata": {"order_id": "1"}});
    for (name, value) in more.as_object().unwrap() {
        intent[name] = value.clone();
    }
    json!({"id": "evt_1", "object": "event", "type": format!("payment_intent.{kind}"),
        "data": {"object": intent}})
    .to_string()
}

fn succeeded() -> String {
    event(
        "succeeded",
        json!({"amount_received": 15075, "status": "succeeded"}),
    )
}

fn failed() -> String {
    let error = json!({"code": "card_declined", "decline_code": "insufficient_funds"});
    event("payment_failed", json!({"last_payment_error": error}))
}

fn header(body: &str, secret: &str, seconds_ago: i64) -> String {
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

fn request(body: &str, signature: Option<&str>, base64: bool) -> HttpRequest {
    let mut headers = json!({"content-type": "application/json"});
    if let Some(signature) = signature {
        headers["stripe-signature"] = json!(signature);
    }
    let body = if base64 {
        base64::engine::general_purpose::STANDARD.encode(body)
    } else {
        body.to_owned()
    };
    HttpRequest::from_payload(
        json!({"version": "2.0", "routeKey": "POST /payments/webhook",
        "rawPath": "/payments/webhook", "headers": headers,
        "requestContext": {"http": {"method": "POST"}, "requestId": "r"},
        "body": body, "isBase64Encoded": base64}),
    )
    .unwrap()
}

impl Tested {
    async fn answer(&self, request: &HttpRequest) -> (u64, Value) {
        let payload = answered(self.handle(request).await).into_payload();
        let body = serde_json::from_str(payload["body"].as_str().unwrap()).unwrap();
        (payload["statusCode"].as_u64().unwrap(), body)
    }

    /// The status and the result of a body that is signed as it should be.
    async fn told(&self, body: &str) -> (u64, String) {
        let signature = header(body, SECRET, 0);
        let (status, body) = self.answer(&request(body, Some(&signature), false)).await;
        (
            status,
            body["result"].as_str().unwrap_or_default().to_owned(),
        )
    }

    fn types(&self) -> Vec<String> {
        let events = self.store.arrivals();
        events.into_iter().map(|event| event.event_type).collect()
    }
}

fn ok(result: &str) -> (u64, String) {
    (200, result.to_owned())
}

#[tokio::test]
async fn a_payment_that_succeeded_confirms_the_order_once_and_says_who_told_it() {
    let order = an_order(&[reserved()]).await;
    assert_eq!(order.told(&succeeded()).await, ok("confirmed"));
    assert_eq!(order.told(&succeeded()).await, ok("settled before"));
    // A late word of an attempt before it changes nothing.
    assert_eq!(order.told(&failed()).await, ok("settled before"));
    assert_eq!(
        order.types(),
        ["OrderPlaced", "InventoryUpdated", "PaymentProcessed"]
    );
    let event = order.store.arrivals().pop().unwrap();
    assert_eq!(event.data["paymentId"], "pi_1");
    assert_eq!(event.causation_id.as_deref(), Some("evt_1"));
    assert_eq!(event.actor.as_deref(), Some("stripe"));
    assert_eq!(event.correlation_id.as_deref(), Some("e0"));
    assert!(order.gateway.made.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_payment_that_failed_or_was_canceled_rejects_the_order() {
    for (body, reason) in [
        (failed(), "insufficient_funds"),
        (
            event("canceled", json!({"cancellation_reason": "abandoned"})),
            "canceled",
        ),
    ] {
        let order = an_order(&[reserved()]).await;
        assert_eq!(order.told(&body).await, ok("rejected"));
        let event = order.store.arrivals().pop().unwrap();
        assert_eq!(event.event_type, "PaymentFailed");
        assert_eq!(event.data["reason"], reason);
    }
}

#[tokio::test]
async fn a_payment_of_an_order_that_ended_before_is_given_back_once() {
    let order = an_order(&[reserved(), cancelled()]).await;
    for _ in 0..3 {
        let (status, _) = order.told(&succeeded()).await;
        assert_eq!(status, 200);
    }
    assert_eq!(order.types()[2..], ["OrderCancelled", "PaymentRefunded"]);
    assert_eq!(*order.gateway.made.lock().unwrap(), ["refund-pi_1"]);
}

#[tokio::test]
async fn a_refund_that_cannot_be_made_now_is_asked_for_again() {
    let order = an_order(&[reserved(), cancelled()]).await;
    *order.gateway.down.lock().unwrap() = true;
    assert_eq!(order.told(&succeeded()).await.0, 503);
    *order.gateway.down.lock().unwrap() = false;
    assert_eq!(order.told(&succeeded()).await, ok("refunded"));
}

#[tokio::test]
async fn an_unsigned_forged_or_old_request_changes_nothing() {
    let order = an_order(&[reserved()]).await;
    let body = succeeded();
    let forged = header(&body, "whsec_other", 0);
    let old = header(&body, SECRET, 301);
    let of_another_body = header("{}", SECRET, 0);
    for signature in [
        None,
        Some(""),
        Some(&*forged),
        Some(&*old),
        Some(&*of_another_body),
    ] {
        let (status, problem) = order.answer(&request(&body, signature, false)).await;
        assert_eq!(status, 400, "{signature:?}");
        assert_eq!(problem["field"], HEADER);
        assert!(!problem.to_string().contains("whsec"), "{problem}");
    }
    assert_eq!(order.types(), ["OrderPlaced", "InventoryUpdated"]);
}

#[tokio::test]
async fn the_body_is_verified_as_it_was_sent_also_in_base64() {
    let order = an_order(&[reserved()]).await;
    let body = succeeded().replace(',', ",\n\t ");
    let signature = header(&body, SECRET, 0);
    let (status, answer) = order.answer(&request(&body, Some(&signature), true)).await;
    assert_eq!((status, &answer["result"]), (200, &json!("confirmed")));
}

#[tokio::test]
async fn a_payment_of_another_amount_or_currency_settles_nothing() {
    let order = an_order(&[reserved()]).await;
    for other in [
        json!({"amount_received": 15074}),
        json!({"amount_received": 0}),
        json!({"amount": 1}),
        json!({"currency": "eur"}),
    ] {
        assert_eq!(order.told(&event("succeeded", other)).await.0, 422);
    }
    assert_eq!(order.types().len(), 2);
}

#[tokio::test]
async fn what_is_of_no_order_is_acknowledged_and_ignored() {
    let order = an_order(&[reserved()]).await;
    let other = json!({"id": "evt_1", "type": "charge.updated", "data": {"object": {}}});
    assert_eq!(order.told(&other.to_string()).await, ok("ignored"));
    let no_order = event("succeeded", json!({"metadata": {}}));
    assert_eq!(order.told(&no_order).await, ok("ignored"));
    let unknown = event("succeeded", json!({"metadata": {"order_id": "2"}}));
    assert_eq!(order.told(&unknown).await, ok("unknown order"));
    assert_eq!(order.types().len(), 2);
}

#[tokio::test]
async fn a_payment_of_an_order_without_reserved_stock_is_told_to_come_again() {
    let order = an_order(&[]).await;
    assert_eq!(order.told(&succeeded()).await.0, 409);
    assert_eq!(order.types(), ["OrderPlaced"]);
}

#[tokio::test]
async fn what_is_signed_and_not_readable_is_a_bad_request() {
    let order = an_order(&[reserved()]).await;
    for body in [
        "",
        "{}",
        "[1]",
        r#"{"id": "", "type": "x", "data": {"object": {}}}"#,
        r#"{"id": "evt_1", "type": "payment_intent.succeeded", "data": {"object": {}}}"#,
    ] {
        assert_eq!(order.told(body).await.0, 400, "{body}");
    }
    let odd = event("succeeded", json!({"metadata": {"order_id": " "}}));
    assert_eq!(order.told(&odd).await.0, 400);
}

#[tokio::test]
async fn a_webhook_without_a_secret_says_what_to_do() {
    let mut order = an_order(&[reserved()]).await;
    order.secret = Secret(None);
    let body = succeeded();
    let signature = header(&body, SECRET, 0);
    let (status, problem) = order.answer(&request(&body, Some(&signature), false)).await;
    assert_eq!(status, 503);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("StripeWebhookSecretParameter"), "{detail}");
}
