use super::*;
use domain::ids::OrderId;
use domain::money::{Amount, Currency};
use event_sourcing::execute::retrying;
use serde_json::json;
use std::collections::HashMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn charged(status: u16, body: Value) -> Result<ChargeOutcome, GatewayError> {
    charge_outcome(StatusCode::from_u16(status).unwrap(), &body)
}

#[test]
fn an_outcome_is_taken_only_where_stripe_tells_one() {
    assert_eq!(
        charged(200, json!({"id": "pi_1", "status": "succeeded"})),
        Ok(ChargeOutcome::Approved(Some(PaymentId("pi_1".into()))))
    );
    assert_eq!(
        charged(
            402,
            json!({"error": {"type": "card_error", "code": "card_declined",
                                      "decline_code": "insufficient_funds"}})
        ),
        Ok(ChargeOutcome::Declined("insufficient_funds".into()))
    );
    assert_eq!(
        charged(
            400,
            json!({"error": {"type": "invalid_request_error",
                                      "code": "resource_missing", "param": "payment_method"}})
        ),
        Ok(ChargeOutcome::Declined("resource_missing".into()))
    );
    for (status, body) in [
        (200, json!({"id": "pi_1", "status": "processing"})),
        (200, json!(null)),
        (409, json!({"error": {"type": "idempotency_error"}})),
        (500, json!({})),
        (502, json!("<html>")),
    ] {
        assert!(
            matches!(charged(status, body.clone()), Err(GatewayError::Unknown(_))),
            "{status} {body}"
        );
    }
    for status in [429, 503] {
        assert!(matches!(
            charged(status, json!({})),
            Err(GatewayError::Down(_))
        ));
    }
    for status in [400, 401, 403, 404] {
        assert!(matches!(
            charged(status, json!({})),
            Err(GatewayError::Refused(_))
        ));
    }
}

#[test]
fn an_amount_that_stripe_does_not_charge_is_a_declined_one() {
    let error = json!({"error": {"type": "invalid_request_error", "code": "amount_too_small",
        "param": "amount"}});
    assert_eq!(
        charged(400, error),
        Ok(ChargeOutcome::Declined("amount_too_small".into()))
    );
}

#[test]
fn an_amount_is_sent_in_the_units_that_stripe_takes_for_its_currency() {
    for (amount, currency, units) in [
        ("150.75", "USD", Some(15_075)),
        ("500", "JPY", Some(500)),
        ("5.12", "KWD", Some(5_120)),
        ("5.124", "KWD", None),
        ("5", "ISK", Some(500)),
        ("5", "UGX", Some(500)),
        ("5", "MGA", Some(5)),
        ("5.5", "MGA", None),
        ("10.45", "HUF", Some(1_045)),
    ] {
        let asked = Amount::parse(amount).unwrap();
        let currency = Currency::parse(currency).unwrap();
        assert_eq!(stripe_amount(asked, currency), units, "{amount} {currency}");
    }
}

#[test]
fn of_all_payment_intents_of_an_order_the_charged_one_counts() {
    let found = |intents: Value| found_outcome(StatusCode::OK, &json!({"data": intents}));
    let failed = json!({"id": "pi_0", "status": "requires_payment_method"});
    let running = json!({"id": "pi_1", "status": "processing"});
    let charged = json!({"id": "pi_2", "status": "succeeded"});
    assert_eq!(found(json!([])), Ok(None));
    assert_eq!(
        found(json!([failed])),
        Ok(Some(ChargeOutcome::Declined(
            "requires_payment_method".into()
        )))
    );
    assert!(matches!(
        found(json!([failed, running])),
        Err(GatewayError::Unknown(_))
    ));
    assert_eq!(
        found(json!([failed, running, charged])),
        Ok(Some(ChargeOutcome::Approved(Some(PaymentId(
            "pi_2".into()
        )))))
    );
    assert!(matches!(
        found_outcome(StatusCode::OK, &json!({})),
        Err(GatewayError::Unknown(_))
    ));
    assert!(matches!(
        found_outcome(StatusCode::SERVICE_UNAVAILABLE, &json!({})),
        Err(GatewayError::Down(_))
    ));
}

#[test]
fn a_refund_made_before_is_a_success() {
    let refunded =
        |status, body: Value| refund_outcome(StatusCode::from_u16(status).unwrap(), &body);
    assert_eq!(refunded(200, json!({"status": "pending"})), Ok(()));
    assert_eq!(
        refunded(400, json!({"error": {"code": "charge_already_refunded"}})),
        Ok(())
    );
    assert!(matches!(
        refunded(500, json!({})),
        Err(GatewayError::Unknown(_))
    ));
}

#[test]
fn the_key_is_never_shown() {
    let gateway = StripeGateway::new("https://api.stripe.com", "sk_test_secret").unwrap();
    assert!(!format!("{gateway:?}").contains("secret"));
    assert_eq!(
        StripeGateway::new("nowhere", "k").unwrap_err(),
        StripeSetupError::Url("nowhere".into())
    );
}

// Over HTTP, against what Stripe documents and against localstripe.

fn a_charge(token: &str) -> Charge {
    Charge {
        key: "charge-67890".into(),
        order_id: OrderId::parse("67890").unwrap(),
        amount: Amount::parse("150.75").unwrap(),
        currency: Currency::USD,
        token: Some(token.into()),
    }
}

/// A server that answers as Stripe documents: one outcome per idempotency key, the same to every
/// repeat. Gives its address and, per request, the head and the form.
async fn recorded_stripe(
    answers: Vec<(u16, Value)>,
) -> (
    String,
    tokio::sync::mpsc::UnboundedReceiver<(String, String)>,
) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (requests, received) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut answers = answers.into_iter();
        let mut told: HashMap<String, (u16, Value)> = HashMap::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            let (head, form) = read_request(&mut socket).await;
            let key = head
                .lines()
                .find_map(|line| line.strip_prefix("idempotency-key: "))
                .unwrap_or_default()
                .to_owned();
            let (status, body) = told
                .entry(key)
                .or_insert_with(|| answers.next().unwrap_or((500, json!({}))))
                .clone();
            let body = body.to_string();
            let answer = format!(
                "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            socket.write_all(answer.as_bytes()).await.unwrap();
            // The test may have ended.
            let _ = requests.send((head, form));
        }
    });
    (url, received)
}

async fn read_request(socket: &mut tokio::net::TcpStream) -> (String, String) {
    let mut bytes = Vec::new();
    loop {
        socket.read_buf(&mut bytes).await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, form)) = text.split_once("\r\n\r\n") {
            let length: usize = head
                .lines()
                .find_map(|line| {
                    line.to_ascii_lowercase()
                        .strip_prefix("content-length: ")
                        .map(str::to_owned)
                })
                .map_or(0, |length| length.parse().unwrap());
            if form.len() >= length {
                return (head.to_owned(), form.to_owned());
            }
        }
    }
}

#[tokio::test]
async fn a_charge_is_sent_in_cents_under_its_key_and_a_repeat_gets_the_same_outcome() {
    let succeeded = json!({"id": "pi_1", "object": "payment_intent", "status": "succeeded"});
    let (url, mut requests) = recorded_stripe(vec![(200, succeeded)]).await;
    let gateway = StripeGateway::new(url, "sk_test_1").unwrap();
    for _ in 0..2 {
        assert_eq!(
            gateway.charge(&a_charge("pm_card_visa")).await,
            Ok(ChargeOutcome::Approved(Some(PaymentId("pi_1".into()))))
        );
        let (head, form) = requests.recv().await.unwrap();
        assert!(
            head.starts_with("POST /v1/payment_intents HTTP/1.1"),
            "{head}"
        );
        assert!(head.contains("idempotency-key: charge-67890"), "{head}");
        assert!(head.contains("authorization: Bearer sk_test_1"), "{head}");
        for field in [
            "amount=15075",
            "currency=usd",
            "confirm=true",
            "payment_method=pm_card_visa",
        ] {
            assert!(
                form.split('&').any(|sent| sent == field),
                "{field} in {form}"
            );
        }
    }
}

#[tokio::test]
async fn a_gateway_that_fails_or_hangs_up_leaves_the_outcome_unknown() {
    let failure = json!({"error": {"type": "api_error"}});
    let (url, _requests) = recorded_stripe(vec![(500, failure)]).await;
    let failing = StripeGateway::new(url, "k").unwrap();
    assert!(matches!(
        failing.charge(&a_charge("pm_card_visa")).await,
        Err(GatewayError::Unknown(_))
    ));

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            drop(socket);
        }
    });
    let hanging_up = StripeGateway::new(url, "k").unwrap();
    assert!(matches!(
        hanging_up.charge(&a_charge("pm_card_visa")).await,
        Err(GatewayError::Unknown(_))
    ));
}

/// The whole time of an invocation, with a gateway that takes every request and answers none: each
/// attempt waits at most for what is left, and the outcome is told as unknown before the end.
#[tokio::test(start_paused = true)]
async fn no_request_and_no_retry_outlives_the_invocation() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let held: Vec<_> = listener.incoming().collect();
        drop(held);
    });
    let gateway = StripeGateway::new(url, "k").unwrap();
    let (charge, refund) = (
        a_charge("pm_card_visa"),
        Refund {
            key: "refund-1".into(),
            payment_id: PaymentId("pi_1".into()),
        },
    );
    for time in [Duration::from_secs(30), Duration::from_millis(800)] {
        let charged = budget::within(time, retrying(|| gateway.charge(&charge))).await;
        assert!(
            matches!(charged, Ok(Err(GatewayError::Unknown(_)))),
            "{charged:?}"
        );
        let found = budget::within(time, retrying(|| gateway.look_up(&charge))).await;
        assert!(
            matches!(found, Ok(Err(GatewayError::Unknown(_)))),
            "{found:?}"
        );
        let refunded = budget::within(time, retrying(|| gateway.refund(&refund))).await;
        assert!(
            matches!(refunded, Ok(Err(GatewayError::Unknown(_)))),
            "{refunded:?}"
        );
    }
}

#[tokio::test]
async fn a_charge_is_looked_up_by_its_order_without_a_key() {
    let found = json!({"data": [{"id": "pi_1", "status": "succeeded"}]});
    let (url, mut requests) = recorded_stripe(vec![(200, found)]).await;
    let gateway = StripeGateway::new(url, "sk_test_1").unwrap();
    let mut charge = a_charge("pm_card_visa");
    charge.order_id = OrderId::parse("a\"b").unwrap();
    assert_eq!(
        gateway.look_up(&charge).await,
        Ok(Some(ChargeOutcome::Approved(Some(PaymentId(
            "pi_1".into()
        )))))
    );
    let (head, _) = requests.recv().await.unwrap();
    let line = head.lines().next().unwrap();
    assert_eq!(
        line,
        "GET /v1/payment_intents/search?query=metadata%5B%22order_id%22%5D%3A%22a%5C%22b%22 HTTP/1.1"
    );
    assert!(!head.contains("idempotency-key"), "{head}");
}

#[tokio::test]
async fn a_gateway_that_cannot_be_reached_is_down_and_nothing_is_unknown() {
    // Bound and closed again: nobody listens there.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    for url in [refused.as_str(), "http://no-such-host.invalid"] {
        let gateway = StripeGateway::new(url, "k").unwrap();
        let answer = gateway.charge(&a_charge("pm_card_visa")).await;
        assert!(matches!(answer, Err(GatewayError::Down(_))), "{answer:?}");
    }
}

/// localstripe (`PyPI`) knows payment intents and refunds, not idempotency keys; those are held
/// by the recorded contract above.
#[tokio::test]
async fn localstripe_charges_declines_and_refunds() {
    let Some(program) = std::env::var_os("LOCALSTRIPE") else {
        eprintln!("skipped: set LOCALSTRIPE to the program of `pip install localstripe`");
        return;
    };
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut server = tokio::process::Command::new(program)
        .args(["--port", &free.to_string(), "--from-scratch"])
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while tokio::net::TcpStream::connect(("127.0.0.1", free))
        .await
        .is_err()
    {
        assert!(tokio::time::Instant::now() < deadline, "localstripe starts");
        assert!(server.try_wait().unwrap().is_none(), "localstripe runs");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let gateway = StripeGateway::new(format!("http://127.0.0.1:{free}"), "sk_test_12345").unwrap();

    let approved = gateway.charge(&a_charge("pm_card_visa")).await.unwrap();
    let ChargeOutcome::Approved(Some(payment_id)) = approved else {
        panic!("approved, not {approved:?}");
    };
    assert!(payment_id.0.starts_with("pi_"), "{payment_id:?}");
    let declined = gateway
        .charge(&a_charge("pm_card_chargeCustomerFail"))
        .await;
    assert_eq!(
        declined,
        Ok(ChargeOutcome::Declined("card_declined".into()))
    );
    let refund = Refund {
        key: "refund-67890".into(),
        payment_id,
    };
    assert_eq!(gateway.refund(&refund).await, Ok(()));
    server.kill().await.unwrap();
}
