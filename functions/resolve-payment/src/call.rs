//! What the function is called with, and what it answers.

use domain::ids::OrderId;
use domain::payment::{ChargeOutcome, PaymentId};
use event_sourcing::failure::Failure;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Longest text of a call, in bytes; the event keeps it.
pub const MAX_TEXT_BYTES: usize = 255;
/// What a failed payment's event has as the gateway's reason, where an operator decided it.
pub const NOT_CHARGED: &str = "not_charged";

/// A decision on a payment of which the gateway did not tell the outcome.
///
/// `{"orderId": "67890", "as": "paid", "paymentId": "pi_1", "reason": "succeeded in the
/// dashboard", "by": "ada"}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResolvePayment {
    /// Which order.
    pub order_id: OrderId,
    /// What became of its charge.
    #[serde(rename = "as")]
    pub resolution: Resolution,
    /// The gateway's name for the charge; with `paid` only, and there it is needed, for the
    /// charge may have to be given back one day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<String>,
    /// Why the operator is sure of it, in their words. Stored with the event.
    pub reason: String,
    /// Who decides. Stored as the event's actor.
    pub by: String,
}

/// What became of a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resolution {
    /// The money is ours.
    Paid,
    /// Nothing was charged.
    Failed,
}

/// What became of the order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedPayment {
    /// Which order.
    pub order_id: OrderId,
    /// `confirmed`, `rejected` or `cancelled`.
    pub status: String,
    /// Version of its stream.
    pub version: u64,
    /// Type of the event that was appended; absent when all was settled before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appended: Option<String>,
    /// The charge that was given back, because the order had ended before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refunded: Option<String>,
}

impl ResolvePayment {
    /// Reads a call and checks it.
    ///
    /// # Errors
    /// [`Failure::Permanent`] names what is wrong with it.
    pub fn parse(payload: &Value) -> Result<Self, Failure> {
        let call = Self::deserialize(payload).map_err(|error| {
            Failure::Permanent(format!(
                "not a call of this function: {error}; it is {{orderId, as: paid | failed, paymentId?, reason, by}}"
            ))
        })?;
        for (name, text) in [
            ("reason", Some(&call.reason)),
            ("by", Some(&call.by)),
            ("paymentId", call.payment_id.as_ref()),
        ] {
            check(name, text)?;
        }
        call.outcome()?;
        Ok(call)
    }

    /// What the call says of the charge.
    ///
    /// # Errors
    /// [`Failure::Permanent`], when the payment id is missing, or there although nothing was paid.
    pub fn outcome(&self) -> Result<ChargeOutcome, Failure> {
        let wrong = |what: &str| Err(Failure::Permanent(what.to_owned()));
        match (self.resolution, &self.payment_id) {
            (Resolution::Paid, Some(id)) => {
                Ok(ChargeOutcome::Approved(Some(PaymentId(id.clone()))))
            }
            (Resolution::Paid, None) => wrong(
                "paymentId is missing: a payment is resolved as paid under the gateway's id of it, \
                 by which it can be refunded",
            ),
            (Resolution::Failed, None) => Ok(ChargeOutcome::Declined(NOT_CHARGED.to_owned())),
            (Resolution::Failed, Some(_)) => {
                wrong("paymentId names a charge, and the payment is to be resolved as failed")
            }
        }
    }
}

fn check(name: &str, text: Option<&String>) -> Result<(), Failure> {
    match text {
        Some(text) if text.trim().is_empty() || text.len() > MAX_TEXT_BYTES => {
            Err(Failure::Permanent(format!(
                "{name} must have 1 to {MAX_TEXT_BYTES} bytes, and not white space only"
            )))
        }
        _ => Ok(()),
    }
}
