//! What a payment can come to, and the key under which a gateway sees it.

use crate::ids::OrderId;
use serde::{Deserialize, Serialize};

/// How the customer pays: an opaque token of the gateway, never a card number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PaymentMethod {
    /// The gateway's token, for example `pm_card_visa`.
    pub token: String,
}

/// A charge as the gateway names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct PaymentId(pub String);

/// What the gateway said of a charge. A third outcome, *unknown*, is no decision and never
/// reaches the domain: it is retried under the same key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChargeOutcome {
    /// The money is ours. `None` when there was nothing to charge.
    Approved(Option<PaymentId>),
    /// The money stays where it was, and why.
    Declined(String),
}

/// The idempotency key of an order's one charge: a retry never charges twice.
#[must_use]
pub fn charge_key(order: &OrderId) -> String {
    format!("charge-{order}")
}

/// The idempotency key of a charge's one refund.
#[must_use]
pub fn refund_key(payment: &PaymentId) -> String {
    format!("refund-{}", payment.0)
}
