//! The order: the aggregate, and through its events the saga.
//!
//! `OrderPlaced` → `InventoryUpdated(reserved)` | `InventoryRejected` → `PaymentProcessed` |
//! `PaymentFailed` → (failed or cancelled) `InventoryUpdated(released)` → `PaymentRefunded`.

mod contact;
mod deciding;
mod events;
mod evolving;
mod placing;
mod sweeping;

pub use contact::{Contact, NoContact, NobodysContact, PlainContact, place_of};
pub use events::{
    CancelReason, InventoryRejected, InventoryUpdated, OrderCancelled, OrderEvent, OrderLine,
    OrderPlaced, PaymentFailed, PaymentProcessed, PaymentRefunded, Terms, fact_of,
};
pub use placing::{
    InvalidField, MAX_LINES, MAX_QUANTITY, MAX_SKUS, MAX_UNIT_PRICE, OrderRequest, check_price,
};
pub use sweeping::{Patience, Sweep};

use crate::inventory::{self, Shortage, StockChange, StockReason};
use crate::payment::{ChargeOutcome, PaymentId};
use event_sourcing::decider::Decider;
use jiff::{SignedDuration, Timestamp};

/// Who appends `OrderPlaced`: part of the event's derived id.
pub const PLACE_ORDER: &str = "place-order";
/// Who appends `InventoryUpdated` and `InventoryRejected`: part of the event's derived id.
pub const UPDATE_INVENTORY: &str = "update-inventory";

/// An order, as far as its next step needs it.
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    /// Nobody placed it.
    Absent,
    /// Accepted, at this time; its stock is not reserved yet.
    Placed(OrderPlaced, Timestamp),
    /// Its stock is reserved; the payment is open.
    Reserved {
        /// Who pays how much.
        terms: Terms,
        /// What was taken from stock.
        reserved: Vec<StockChange>,
        /// When it was placed, where events tell.
        placed_at: Option<Timestamp>,
    },
    /// Paid.
    Confirmed {
        /// Who paid how much.
        terms: Terms,
        /// What was taken from stock.
        reserved: Vec<StockChange>,
        /// The charge, unless there was nothing to charge.
        payment: Option<PaymentId>,
        /// When it was confirmed; the grace for cancelling starts here.
        at: Timestamp,
    },
    /// The shop cannot deliver it, or the customer could not pay it.
    Rejected {
        /// Who should have paid how much.
        terms: Terms,
        /// What has to be undone.
        aftermath: Aftermath,
    },
    /// Called off.
    Cancelled {
        /// Whose order over how much.
        terms: Terms,
        /// What has to be undone.
        aftermath: Aftermath,
    },
}

/// What an order that ends undelivered took, and whether that was given back.
#[derive(Debug, Clone, PartialEq)]
pub struct Aftermath {
    /// The stock.
    pub stock: HeldStock,
    /// The money.
    pub money: HeldMoney,
}

/// Stock of an order that ends undelivered.
#[derive(Debug, Clone, PartialEq)]
pub enum HeldStock {
    /// Nothing was taken, or all was given back.
    Free,
    /// These changes have to be undone.
    Held(Vec<StockChange>),
}

/// Money of an order that ends undelivered.
#[derive(Debug, Clone, PartialEq)]
pub enum HeldMoney {
    /// Nothing was charged, as far as the stream knows.
    Uncharged,
    /// This charge has to be refunded.
    Charged(PaymentId),
    /// This charge was refunded.
    Refunded(PaymentId),
}

/// What somebody wants of an order.
#[derive(Debug, Clone, PartialEq)]
pub enum OrderCommand {
    /// Accept it.
    Place(OrderPlaced),
    /// Take its stock. The moves of [`Order::moves`] must be made in the same transaction.
    Reserve,
    /// Note that its stock cannot be had.
    RejectInventory(Vec<Shortage>),
    /// Note what the gateway said of its charge.
    RecordPayment(ChargeOutcome),
    /// Settle a payment of which the gateway did not tell the outcome, by an operator's decision.
    ResolvePayment {
        /// What became of the charge.
        outcome: ChargeOutcome,
        /// Why the operator is sure of it, in their words.
        decision: String,
    },
    /// Call it off.
    Cancel {
        /// Why.
        reason: CancelReason,
        /// When it is asked for.
        at: Timestamp,
        /// How long after the confirmation it is still allowed.
        grace: SignedDuration,
    },
    /// Give its stock back. The moves of [`Order::moves`] must be made in the same transaction.
    Release,
    /// Note that its charge was refunded.
    RecordRefund(PaymentId),
}

/// A business "no" about an order.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OrderRejection {
    /// No event of this order is stored.
    #[error("the order is not in the event store")]
    Unknown,
    /// The key was used for another order.
    #[error("the idempotency key was used for another order")]
    DifferentOrder,
    /// The grace after the confirmation is over.
    #[error("the order was confirmed at {confirmed_at} and can be cancelled until {until} only")]
    TooLateToCancel {
        /// When it was confirmed.
        confirmed_at: Timestamp,
        /// End of the grace.
        until: Timestamp,
    },
    /// The order ended before.
    #[error("the order was rejected before")]
    AlreadyRejected,
    /// The gateway charged an order that is not to be paid any more: refund it, then record that.
    #[error("the order ended before it was charged; refund the charge")]
    RefundDue(PaymentId),
    /// A decision says otherwise than what was settled before.
    #[error("the payment was settled before ({0}), and the decision says otherwise")]
    SettledOtherwise(String),
    /// The order has not come to this step.
    #[error("the order is not ready for this step: {0}")]
    OutOfTurn(&'static str),
}

impl Order {
    /// The state as far as `event`, which happened at `at`, alone tells it, for the step that the event triggers; `None`
    /// where the event does not say enough and the stream has to be loaded.
    ///
    /// Property (tested): the triggered command decides the same in this state as in the folded
    /// one.
    #[must_use]
    pub fn after(event: &OrderEvent, at: Timestamp) -> Option<Self> {
        match event {
            OrderEvent::Placed(placed) => Some(Self::Placed(placed.clone(), at)),
            OrderEvent::InventoryUpdated(updated) if updated.reason == StockReason::Reserved => {
                Some(Self::Reserved {
                    terms: updated.terms.clone(),
                    reserved: updated.changes.clone(),
                    placed_at: updated.placed_at,
                })
            }
            OrderEvent::InventoryUpdated(_)
            | OrderEvent::InventoryRejected(_)
            | OrderEvent::PaymentProcessed(_)
            | OrderEvent::PaymentFailed(_)
            | OrderEvent::PaymentRefunded(_)
            | OrderEvent::Cancelled(_) => None,
        }
    }

    /// The charge that has to be given back, if one has.
    #[must_use]
    pub fn refund_due(&self) -> Option<&PaymentId> {
        match self {
            Self::Rejected { aftermath, .. } | Self::Cancelled { aftermath, .. } => {
                match &aftermath.money {
                    HeldMoney::Charged(payment) => Some(payment),
                    HeldMoney::Uncharged | HeldMoney::Refunded(_) => None,
                }
            }
            Self::Absent | Self::Placed(..) | Self::Reserved { .. } | Self::Confirmed { .. } => {
                None
            }
        }
    }

    /// Who pays how much; `None` for an order that nobody placed.
    #[must_use]
    pub fn terms(&self) -> Option<&Terms> {
        match self {
            Self::Absent => None,
            Self::Placed(placed, _) => Some(&placed.terms),
            Self::Reserved { terms, .. }
            | Self::Confirmed { terms, .. }
            | Self::Rejected { terms, .. }
            | Self::Cancelled { terms, .. } => Some(terms),
        }
    }

    /// Whether a fact that another producer tells about this order can follow on this state.
    #[must_use]
    pub fn can_be_followed_by(&self, event: &OrderEvent) -> bool {
        match (event, self) {
            (OrderEvent::Placed(_), Self::Absent)
            | (OrderEvent::InventoryRejected(_), Self::Placed(..))
            | (
                OrderEvent::PaymentProcessed(_) | OrderEvent::PaymentFailed(_),
                Self::Reserved { .. },
            )
            | (
                OrderEvent::Cancelled(_),
                Self::Placed(..) | Self::Reserved { .. } | Self::Confirmed { .. },
            ) => true,
            (OrderEvent::PaymentRefunded(refund), _) => {
                self.refund_due() == Some(&refund.payment_id)
            }
            (
                OrderEvent::Placed(_)
                | OrderEvent::InventoryUpdated(_)
                | OrderEvent::InventoryRejected(_)
                | OrderEvent::PaymentProcessed(_)
                | OrderEvent::PaymentFailed(_)
                | OrderEvent::Cancelled(_),
                _,
            ) => false,
        }
    }

    /// The stock moves that `command` makes in this state, with the event it causes.
    #[must_use]
    pub fn moves(&self, command: &OrderCommand) -> Vec<inventory::StockMove> {
        match (command, self) {
            (OrderCommand::Reserve, Self::Placed(placed, _)) => {
                inventory::reserve(&placed.items, placed.terms.currency)
            }
            (
                OrderCommand::Release,
                Self::Rejected { aftermath, .. } | Self::Cancelled { aftermath, .. },
            ) => match &aftermath.stock {
                HeldStock::Held(changes) => inventory::release(&inventory::negated(changes)),
                HeldStock::Free => Vec::new(),
            },
            _ => Vec::new(),
        }
    }
}

impl Decider for Order {
    type State = Self;
    type Command = OrderCommand;
    type Event = OrderEvent;
    type Rejection = OrderRejection;

    fn initial() -> Self {
        Self::Absent
    }

    fn decide(command: &OrderCommand, state: &Self) -> Result<Vec<OrderEvent>, OrderRejection> {
        match command {
            OrderCommand::Place(order) => deciding::decide_place(order, state),
            OrderCommand::Reserve => deciding::decide_reserve(state),
            OrderCommand::RejectInventory(shortages) => deciding::decide_reject(shortages, state),
            OrderCommand::RecordPayment(outcome) => deciding::decide_payment(outcome, state),
            OrderCommand::ResolvePayment { outcome, decision } => {
                deciding::decide_resolution(outcome, decision, state)
            }
            OrderCommand::Cancel { reason, at, grace } => {
                deciding::decide_cancel(*reason, *at, *grace, state)
            }
            OrderCommand::Release => deciding::decide_release(state),
            OrderCommand::RecordRefund(payment) => deciding::decide_refund(payment, state),
        }
    }

    fn evolve(state: Self, event: &OrderEvent, at: Timestamp) -> Self {
        match event {
            OrderEvent::Placed(placed) => Self::Placed(placed.clone(), at),
            OrderEvent::InventoryUpdated(updated) => match updated.reason {
                StockReason::Reserved => Self::Reserved {
                    terms: updated.terms.clone(),
                    reserved: updated.changes.clone(),
                    placed_at: updated.placed_at,
                },
                StockReason::Released => state.with_stock_free(),
                StockReason::Restocked => state,
            },
            OrderEvent::InventoryRejected(rejected) => Self::Rejected {
                terms: rejected.terms.clone(),
                aftermath: state.aftermath(),
            },
            OrderEvent::PaymentProcessed(paid) => Self::Confirmed {
                terms: paid.terms.clone(),
                reserved: state.into_reserved(),
                payment: paid.payment_id.clone(),
                at,
            },
            OrderEvent::PaymentFailed(failed) => Self::Rejected {
                terms: failed.terms.clone(),
                aftermath: state.aftermath(),
            },
            OrderEvent::Cancelled(cancelled) => Self::Cancelled {
                terms: cancelled.terms.clone(),
                aftermath: state.aftermath(),
            },
            OrderEvent::PaymentRefunded(refunded) => state.with_refund(&refunded.payment_id),
        }
    }
}

#[cfg(test)]
mod sweeping_tests;
#[cfg(test)]
mod tests;
