//! What the gateway tells by itself: each outcome of a charge, signed, late, and more than once.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use domain::payment::ChargeOutcome;
use payment_webhook::signing_secret::SigningSecret;
use process_payment::gateway::Charge;
use process_payment::stripe_gateway::stripe_amount;
use ring::hmac;
use serde_json::{Value, json};

use super::World;
use crate::faults::Fault;
use crate::platform::invocation::Outcome;
use crate::scheduler::spawn;

/// What the gateway signs with.
const SECRET: &str = "whsec_simulated";
/// How long it usually takes at most until the gateway tells.
const USUAL: Duration = Duration::from_secs(5);
/// How late it is at most.
const LATE: Duration = Duration::from_hours(3);
/// How long the gateway waits at most before it tells again what was not taken.
const AGAIN: Duration = Duration::from_mins(30);
/// How often it tells at most.
const ATTEMPTS: u32 = 16;

/// The port to the secret.
pub struct Secret;

impl SigningSecret for Secret {
    async fn current(&self) -> Result<String, String> {
        Ok(SECRET.to_owned())
    }
}

impl World {
    /// The gateway tells what became of a charge; one in two it keeps to itself.
    pub(crate) fn tell_webhook(self: &Arc<Self>, charge: &Charge, outcome: &ChargeOutcome) {
        if self.draw(fastrand::Rng::bool) {
            return;
        }
        let Some(event) = event_of(charge, outcome) else {
            return;
        };
        let times = 1 + u32::from(self.hits(Fault::DuplicateWebhook));
        for _ in 0..times {
            let late = self.hits(Fault::LateWebhook);
            let (world, body) = (Arc::clone(self), event.to_string());
            spawn(async move {
                world.pause(if late { LATE } else { USUAL }).await;
                world.send_webhook(&body).await;
            });
        }
    }

    async fn send_webhook(self: &Arc<Self>, body: &str) {
        for _ in 0..ATTEMPTS {
            let request = self.platform.next_request();
            let payload = payload(body, &self.signature(body), &request);
            let outcome = self.invoke("payment-webhook", payload, &request).await;
            if matches!(&outcome, Outcome::Answered(answer) if answer["statusCode"] == 200) {
                return;
            }
            self.pause(AGAIN).await;
        }
    }

    /// Signed now: the gateway's clock is right.
    fn signature(&self, body: &str) -> String {
        let time = self.true_time().as_second();
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        let tag = hmac::sign(&key, format!("{time}.{body}").as_bytes());
        let mut signature = format!("t={time},v1=");
        for byte in tag.as_ref() {
            // Writing to a text cannot fail.
            let _ = write!(signature, "{byte:02x}");
        }
        signature
    }
}

fn event_of(charge: &Charge, outcome: &ChargeOutcome) -> Option<Value> {
    let amount = stripe_amount(charge.amount, charge.currency)?;
    let (kind, id, error) = match outcome {
        ChargeOutcome::Approved(payment) => ("succeeded", payment.as_ref()?.0.clone(), None),
        ChargeOutcome::Declined(reason) => (
            "payment_failed",
            format!("declined-{}", charge.key),
            Some(reason),
        ),
    };
    Some(json!({
        "id": format!("evt_{id}"),
        "type": format!("payment_intent.{kind}"),
        "data": {"object": {
            "id": id,
            "amount": amount,
            "currency": charge.currency.code().to_lowercase(),
            "metadata": {"order_id": charge.order_id},
            "last_payment_error": error.map(|reason| json!({"decline_code": reason})),
        }},
    }))
}

fn payload(body: &str, signature: &str, request: &str) -> Value {
    json!({
        "version": "2.0",
        "routeKey": "POST /payments/webhook",
        "rawPath": "/payments/webhook",
        "rawQueryString": "",
        "headers": {"content-type": "application/json", "stripe-signature": signature},
        "requestContext": {
            "requestId": request,
            "routeKey": "POST /payments/webhook",
            "stage": "$default",
            "http": {"method": "POST", "path": "/payments/webhook", "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1", "userAgent": "gateway"},
        },
        "body": body,
        "isBase64Encoded": false,
    })
}
