//! What Stripe tells, verified and settled.
//!
//! Stripe sends again for three days what is not answered with 2xx. So 2xx is the answer where
//! sending again changes nothing; what can be settled later is answered otherwise, and so is what
//! somebody has to look at, for Stripe shows failed deliveries to the shop.

use crate::signature::Signature;
use crate::signing_secret::SigningSecret;
use crate::stripe_event::{StripeEvent, Told};
use aws_adapters::http_api::{HttpRequest, HttpResponse, Problem};
use domain::order::{Order, OrderRejection};
use event_sourcing::clock::Clock;
use event_sourcing::execute::{Cause, Loaded, Start};
use event_sourcing::store::EventStore;
use process_payment::gateway::PaymentGateway;
use process_payment::settlement::{
    SETTLE, SettleError, Settled, Settlement, Telling, correlation_of,
};
use serde_json::json;

/// The header with the signature, as it is named in problems.
const HEADER: &str = "Stripe-Signature";
/// Who wants what a verified request causes.
const ACTOR: &str = "stripe";

/// Takes Stripe's word.
#[derive(Debug)]
pub struct Handler<S, G, K, C> {
    /// Where events are stored.
    pub store: S,
    /// Who gives charges back.
    pub gateway: G,
    /// With what Stripe signs.
    pub secret: K,
    /// Tells when.
    pub clock: C,
}

impl<S: EventStore, G: PaymentGateway, K: SigningSecret, C: Clock> Handler<S, G, K, C> {
    /// Answers one request.
    ///
    /// # Errors
    /// The problem to answer with.
    pub async fn handle(&self, request: &HttpRequest) -> Result<HttpResponse, Problem> {
        let event = self.verified(request).await?;
        let told = event
            .told()
            .map_err(|reason| malformed(&event.id, &reason))?;
        let Some(told) = told else {
            tracing::debug!(
                event_id = event.id,
                kind = event.kind,
                "not of an order's payment"
            );
            return Ok(answer("ignored"));
        };
        let settlement = Settlement {
            store: &self.store,
            gateway: &self.gateway,
        };
        let order = match settlement.order(&told.order_id).await {
            Ok(order) => order,
            Err(SettleError::Refused { .. }) => return Ok(unknown_order(&event, &told)),
            Err(error) => return Err(problem(error)),
        };
        if let Some(terms) = order.state.terms() {
            told.pays(terms)
                .map_err(|reason| other_payment(&event, reason))?;
        }
        let cause = self.cause(&event, request, &order);
        let start = Start::From {
            state: order.state,
            head: order.head,
        };
        let telling = Telling::Gateway(told.outcome);
        let settled = settlement
            .settle(&told.order_id, start, &telling, &cause)
            .await
            .map_err(problem)?;
        Ok(answer(result(&settled)))
    }

    /// The event of a request, if Stripe signed it just now.
    async fn verified(&self, request: &HttpRequest) -> Result<StripeEvent, Problem> {
        let unsigned = |error| {
            tracing::warn!(%error, "not signed by Stripe");
            Problem::invalid(HEADER, error)
        };
        let body = request.raw_body()?;
        let signature = Signature::parse(request.header("stripe-signature")).map_err(unsigned)?;
        let secret = self.secret.current().await.map_err(|reason| {
            tracing::error!(reason, "there is no signing secret");
            not_configured()
        })?;
        signature
            .verify(&body, &secret, self.clock.now())
            .map_err(unsigned)?;
        StripeEvent::parse(&body).map_err(|reason| malformed(request.id(), &reason))
    }

    fn cause(&self, event: &StripeEvent, request: &HttpRequest, order: &Loaded<Order>) -> Cause {
        Cause {
            id: event.id.clone(),
            seed: event.id.clone(),
            purpose: SETTLE,
            correlation_id: correlation_of(&order.history),
            traceparent: request.traceparent(),
            actor: Some(ACTOR.to_owned()),
            now: self.clock.now(),
        }
    }
}

fn answer(result: &str) -> HttpResponse {
    HttpResponse::json(200, json!({"received": true, "result": result}))
}

fn result(settled: &Settled) -> &'static str {
    match (&settled.refunded, &settled.appended) {
        (Some(_), _) => "refunded",
        (None, Some(_)) => settled.status,
        (None, None) => "settled before",
    }
}

/// The order is stored before it is charged, so it will not be there later: a payment of another
/// stack with the same Stripe account, or one that somebody made by hand.
fn unknown_order(event: &StripeEvent, told: &Told) -> HttpResponse {
    tracing::warn!(event_id = event.id, kind = event.kind, order_id = %told.order_id,
        "a payment of an order that is not in this event store; if no other stack shares the \
         Stripe account, look at it in Stripe's dashboard");
    answer("unknown order")
}

/// Never settled by it, and loud on both sides: sending it again will not help, but Stripe tells
/// the shop that it fails.
fn other_payment(event: &StripeEvent, reason: String) -> Problem {
    tracing::error!(
        event_id = event.id,
        kind = event.kind,
        reason,
        "not this order's payment"
    );
    Problem::new(
        422,
        "not-this-orders-payment",
        "The payment is not that of the order",
        reason,
    )
    .of("data.object.amount")
}

fn malformed(id: &str, reason: &str) -> Problem {
    tracing::error!(id, reason, "signed by Stripe, and not readable");
    Problem::invalid("body", format!("is no event that can be read: {reason}"))
}

fn not_configured() -> Problem {
    Problem::new(
        503,
        "not-configured",
        "The webhook has no signing secret",
        "Store the endpoint's signing secret (whsec_…, from Stripe's dashboard) as a SecureString \
         in SSM Parameter Store, under the name in the stack's parameter \
         StripeWebhookSecretParameter; Stripe sends again by itself.",
    )
}

fn problem(error: SettleError) -> Problem {
    match error {
        SettleError::Refused {
            rejection: OrderRejection::OutOfTurn(_),
            ..
        } => {
            tracing::warn!(%error, "told before its turn");
            Problem::new(
                409,
                "out-of-turn",
                "The order is not ready for this payment",
                error.to_string(),
            )
        }
        error => event_sourcing::failure::Failure::from(error).into(),
    }
}

#[cfg(test)]
mod tests;
