//! An event of the bus, as far as order figures need it.

use super::{Malformed, Record, RecordId, What, to_millisecond};
use crate::exact::Exact;
use crate::stable_hash::stable_hash;
use domain::ids::{Sku, UserId};
use domain::money::{Amount, Currency};
use domain::order::{MAX_LINES, OrderEvent, OrderLine, PaymentProcessed};
use event_sourcing::envelope::{Envelope, EnvelopeError};
use event_sourcing::upcaster::decode_optional;
use jiff::SignedDuration;
use serde_json::Value;

/// A fact that order figures are made of.
#[derive(Debug, Clone, PartialEq)]
pub enum OrderFact {
    /// `OrderPlaced`.
    Placed {
        /// A stable hash of the customer's id.
        customer: u64,
        /// How many pieces of which SKU; empty for plain events, which name none.
        pieces: Vec<(Sku, u32)>,
    },
    /// `PaymentProcessed`: the order is confirmed.
    Confirmed {
        /// What was paid.
        amount: Exact,
        /// In which currency.
        currency: Currency,
        /// How long after the order was placed, where the event tells (`placedAt`).
        took: Option<SignedDuration>,
    },
    /// `InventoryRejected`: the shop cannot deliver it.
    Rejected,
    /// `PaymentFailed`: the customer could not pay it.
    Failed,
    /// `OrderCancelled`.
    Cancelled,
    /// `PaymentRefunded`.
    Refunded {
        /// What was given back.
        amount: Exact,
        /// In which currency.
        currency: Currency,
    },
}

/// Reads `detail` of an `EventBridge` event; `detail_type` is what its `detail-type` says.
pub(super) fn parse(detail: Value, detail_type: Option<&Value>) -> Result<Record, Malformed> {
    let envelope = Envelope::from_value(detail).map_err(|error| match error {
        EnvelopeError::NotAnObject => Malformed::new("detail", "must be an object"),
        EnvelopeError::Field { field, reason } => Malformed::new(format!("detail.{field}"), reason),
    })?;
    if detail_type.is_some_and(|name| name.as_str() != Some(&envelope.event_type)) {
        return Err(Malformed::new("detail-type", "must be the event's type"));
    }
    let at =
        to_millisecond(envelope.at()).map_err(|error| Malformed::new("detail.timestamp", error))?;
    let what = match of_order(&envelope)? {
        Some(event) => fact(event, &envelope)?.map_or(What::Other, What::Order),
        None => What::Other,
    };
    Ok(Record {
        id: RecordId(stable_hash("event", &[envelope.event_id.as_bytes()])),
        at,
        what,
    })
}

/// The order's event; `None` for one of another aggregate, restocked SKUs included.
fn of_order(envelope: &Envelope) -> Result<Option<OrderEvent>, Malformed> {
    if envelope.event_type == "InventoryUpdated" {
        return Ok(None);
    }
    decode_optional::<OrderEvent>(envelope)
        .map_err(|error| Malformed::new("detail.data", error.reason))
}

fn fact(event: OrderEvent, envelope: &Envelope) -> Result<Option<OrderFact>, Malformed> {
    Ok(Some(match event {
        OrderEvent::Placed(placed) if placed.items.len() > MAX_LINES => {
            let reason = format!("must have at most {MAX_LINES} lines");
            return Err(Malformed::new("detail.data.items", reason));
        }
        OrderEvent::Placed(placed) => OrderFact::Placed {
            customer: customer(&placed.terms.user_id),
            pieces: placed.items.into_iter().map(pieces).collect(),
        },
        OrderEvent::PaymentProcessed(PaymentProcessed {
            terms, placed_at, ..
        }) => OrderFact::Confirmed {
            amount: exact(terms.total_amount)?,
            currency: terms.currency,
            took: placed_at.map(|placed| envelope.at().duration_since(placed)),
        },
        OrderEvent::PaymentRefunded(refunded) => OrderFact::Refunded {
            amount: exact(refunded.terms.total_amount)?,
            currency: refunded.terms.currency,
        },
        OrderEvent::InventoryRejected(_) => OrderFact::Rejected,
        OrderEvent::PaymentFailed(_) => OrderFact::Failed,
        OrderEvent::Cancelled(_) => OrderFact::Cancelled,
        OrderEvent::InventoryUpdated(_) => return Ok(None),
    }))
}

/// The hash under which a customer is counted.
fn customer(user: &UserId) -> u64 {
    stable_hash("customer", &[user.as_str().as_bytes()])
}

fn pieces(line: OrderLine) -> (Sku, u32) {
    (line.sku, line.quantity)
}

fn exact(amount: Amount) -> Result<Exact, Malformed> {
    Exact::parse(&amount.to_string())
        .map_err(|error| Malformed::new("detail.data.totalAmount", error))
}
