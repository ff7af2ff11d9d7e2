//! What Stripe tells of a payment (<https://docs.stripe.com/api/events/object>,
//! <https://docs.stripe.com/api/payment_intents/object>).

use domain::ids::OrderId;
use domain::order::Terms;
use domain::payment::{ChargeOutcome, PaymentId};
use process_payment::stripe_gateway::stripe_amount;
use serde::Deserialize;
use serde_json::Value;

/// Longest id that is taken, in bytes; Stripe's have at most 255.
const MAX_ID_BYTES: usize = 255;

/// An event, as far as it is read.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct StripeEvent {
    /// Its name, such as `evt_1`; the same in every attempt.
    pub id: String,
    /// What happened, such as `payment_intent.succeeded`.
    #[serde(rename = "type")]
    pub kind: String,
    data: Data,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Data {
    object: Value,
}

/// What an event tells of the charge of an order.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// Which order, as the charge's metadata names it.
    pub order_id: OrderId,
    /// What became of the charge.
    pub outcome: ChargeOutcome,
    amount: u64,
    currency: String,
}

#[derive(Deserialize)]
struct PaymentIntent {
    id: String,
    amount: u64,
    amount_received: Option<u64>,
    currency: String,
    #[serde(default)]
    metadata: Metadata,
    last_payment_error: Option<PaymentError>,
}

#[derive(Default, Deserialize)]
struct Metadata {
    order_id: Option<String>,
}

#[derive(Deserialize)]
struct PaymentError {
    code: Option<String>,
    decline_code: Option<String>,
}

impl StripeEvent {
    /// Reads a body.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(body: &[u8]) -> Result<Self, String> {
        let event: Self = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        check_id(&event.id)?;
        Ok(event)
    }

    /// What the event tells of an order's charge; `None` for other events, and for payments that
    /// are not of orders.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn told(&self) -> Result<Option<Told>, String> {
        let succeeded = match self.kind.as_str() {
            "payment_intent.succeeded" => true,
            "payment_intent.payment_failed" | "payment_intent.canceled" => false,
            _ => return Ok(None),
        };
        let intent = PaymentIntent::deserialize(&self.data.object)
            .map_err(|error| format!("data.object is no payment intent: {error}"))?;
        check_id(&intent.id)?;
        let Some(order_id) = intent.metadata.order_id else {
            return Ok(None);
        };
        let order_id = OrderId::parse(order_id)
            .map_err(|error| format!("data.object.metadata.order_id {error}"))?;
        let (outcome, amount) = if succeeded {
            let amount = intent.amount_received.unwrap_or(intent.amount);
            (ChargeOutcome::Approved(Some(PaymentId(intent.id))), amount)
        } else {
            let error = intent.last_payment_error;
            let reason = error.and_then(|error| error.decline_code.or(error.code));
            let kind = self.kind.trim_start_matches("payment_intent.");
            let reason = reason.unwrap_or_else(|| kind.to_owned());
            (ChargeOutcome::Declined(reason), intent.amount)
        };
        Ok(Some(Told {
            order_id,
            outcome,
            amount,
            currency: intent.currency,
        }))
    }
}

impl Told {
    /// Whether this is a payment of exactly what the order costs.
    ///
    /// # Errors
    /// What it pays instead.
    pub fn pays(&self, terms: &Terms) -> Result<(), String> {
        let same = stripe_amount(terms.total_amount, terms.currency) == Some(self.amount)
            && self.currency.eq_ignore_ascii_case(terms.currency.code());
        if same {
            return Ok(());
        }
        Err(format!(
            "order {} costs {} {}, and the payment is of {} {} in Stripe's smallest units",
            terms.order_id, terms.total_amount, terms.currency, self.amount, self.currency
        ))
    }
}

fn check_id(id: &str) -> Result<(), String> {
    if id.is_empty() || id.len() > MAX_ID_BYTES || id.chars().any(char::is_control) {
        return Err(format!(
            "an id must have 1 to {MAX_ID_BYTES} printable bytes"
        ));
    }
    Ok(())
}
