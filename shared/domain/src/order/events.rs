//! What can happen to an order. Stored format: add a version and an upcaster, never rename.

use super::contact::Contact;
use crate::ids::{OrderId, Sku, UserId};
use crate::inventory::{Shortage, StockChange, StockReason};
use crate::moment;
use crate::money::{Amount, Currency};
use crate::payment::{PaymentId, PaymentMethod};
use crate::stored_events::stored_events;
use event_sourcing::envelope::Envelope;
use event_sourcing::sealing::Sealed;
use event_sourcing::upcaster::{Unreadable, decode_optional};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OrderLine {
    /// What is bought.
    pub sku: Sku,
    /// How many pieces, at least 1.
    pub quantity: u32,
    /// What one piece costs, in the order's currency.
    pub unit_price: Amount,
}

/// What every event of an order repeats, so that a consumer can act on the event alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Terms {
    /// Which order.
    pub order_id: OrderId,
    /// Whose order.
    pub user_id: UserId,
    /// What it costs in all.
    pub total_amount: Amount,
    /// In which currency; USD where an event names none.
    #[serde(default)]
    pub currency: Currency,
    /// How to reach the customer, where known and not sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<Contact>,
    /// How to reach the customer, sealed under a key of theirs: opaque, and closed for good once
    /// the key is destroyed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub sealed_contact: Option<Sealed>,
    /// How the customer pays; gone from events after the payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<PaymentMethod>,
}

impl Terms {
    /// The terms with this contact instead of theirs, whether that is sealed or not.
    #[must_use]
    pub fn with_contact(self, contact: Option<Contact>) -> Self {
        Self {
            contact,
            sealed_contact: None,
            ..self
        }
    }

    /// The terms with a sealed contact, and no other.
    #[must_use]
    pub fn with_sealed_contact(self, sealed: Sealed) -> Self {
        Self {
            contact: None,
            sealed_contact: Some(sealed),
            ..self
        }
    }

    /// The terms without what only the payment needs.
    #[must_use]
    pub fn without_payment(&self) -> Self {
        Self {
            payment: None,
            ..self.clone()
        }
    }
}

/// Why an order was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CancelReason {
    /// The customer, or somebody for them, asked for it.
    Requested,
    /// It was not paid by its deadline.
    Expired,
}

/// One fact in the life of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderEvent {
    /// The order was accepted.
    Placed(OrderPlaced),
    /// Its stock was reserved, or released again.
    InventoryUpdated(InventoryUpdated),
    /// Its stock could not be reserved.
    InventoryRejected(InventoryRejected),
    /// It was paid, and is thereby confirmed.
    PaymentProcessed(PaymentProcessed),
    /// It could not be paid.
    PaymentFailed(PaymentFailed),
    /// What was paid was given back.
    PaymentRefunded(PaymentRefunded),
    /// It was called off.
    Cancelled(OrderCancelled),
}

/// Data of `OrderPlaced`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderPlaced {
    /// Who pays how much.
    #[serde(flatten)]
    pub terms: Terms,
    /// What was ordered; empty in the plain form of other producers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<OrderLine>,
}

/// Data of `InventoryUpdated` on an order's stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct InventoryUpdated {
    /// Who pays how much.
    #[serde(flatten)]
    pub terms: Terms,
    /// Reserved or released.
    pub reason: StockReason,
    /// By how much each SKU's available quantity changed.
    #[serde(default)]
    pub changes: Vec<StockChange>,
    /// When the order was placed; absent in events of before, and of other producers.
    #[serde(
        default,
        with = "moment::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub placed_at: Option<Timestamp>,
}

/// Data of `InventoryRejected`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InventoryRejected {
    /// Who would have paid how much.
    #[serde(flatten)]
    pub terms: Terms,
    /// Every SKU that fell short, and why.
    pub shortages: Vec<Shortage>,
}

/// Data of `PaymentProcessed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PaymentProcessed {
    /// Who paid how much.
    #[serde(flatten)]
    pub terms: Terms,
    /// The gateway's name for the charge; absent when there was nothing to charge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<PaymentId>,
    /// Why an operator settled the payment by hand, in their words; absent when the gateway told
    /// its outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
    /// When the order was placed; absent in events of before, and of other producers.
    #[serde(
        default,
        with = "moment::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub placed_at: Option<Timestamp>,
}

/// Data of `PaymentFailed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PaymentFailed {
    /// Who should have paid how much.
    #[serde(flatten)]
    pub terms: Terms,
    /// Why the gateway declined, in its words.
    pub reason: String,
    /// Why an operator settled the payment by hand, in their words; absent when the gateway told
    /// its outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
}

/// Data of `PaymentRefunded`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PaymentRefunded {
    /// Who got how much back.
    #[serde(flatten)]
    pub terms: Terms,
    /// The charge that was given back.
    pub payment_id: PaymentId,
}

/// Data of `OrderCancelled`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderCancelled {
    /// Whose order over how much.
    #[serde(flatten)]
    pub terms: Terms,
    /// Why.
    pub reason: CancelReason,
}

/// What a plain event of another producer says about an order; `None` for what is no matter of an
/// order's own stream: stock counted elsewhere, and types that we don't know.
///
/// # Errors
/// [`Unreadable`], when it is about an order and does not say what it must.
pub fn fact_of(event: &Envelope) -> Result<Option<OrderEvent>, Unreadable> {
    if event.event_type == "InventoryUpdated" {
        return Ok(None);
    }
    decode_optional(event)
}

impl OrderEvent {
    /// Who pays how much, which every event repeats.
    #[must_use]
    pub fn terms(&self) -> &Terms {
        match self {
            Self::Placed(event) => &event.terms,
            Self::InventoryUpdated(event) => &event.terms,
            Self::InventoryRejected(event) => &event.terms,
            Self::PaymentProcessed(event) => &event.terms,
            Self::PaymentFailed(event) => &event.terms,
            Self::PaymentRefunded(event) => &event.terms,
            Self::Cancelled(event) => &event.terms,
        }
    }
}

stored_events! {
    OrderEvent, upcasters: &[];
    "OrderPlaced" => Placed(OrderPlaced),
    "InventoryUpdated" => InventoryUpdated(InventoryUpdated),
    "InventoryRejected" => InventoryRejected(InventoryRejected),
    "PaymentProcessed" => PaymentProcessed(PaymentProcessed),
    "PaymentFailed" => PaymentFailed(PaymentFailed),
    "PaymentRefunded" => PaymentRefunded(PaymentRefunded),
    "OrderCancelled" => Cancelled(OrderCancelled),
}
