//! What each command does in each state: one table per command, without a catch-all, so that a new
//! state breaks the build until its rows are written.

use super::{
    CancelReason, HeldMoney, HeldStock, InventoryRejected, InventoryUpdated, Order, OrderCancelled,
    OrderEvent, OrderPlaced, OrderRejection, PaymentFailed, PaymentProcessed, PaymentRefunded,
    Terms,
};
use crate::inventory::{self, Shortage, StockReason};
use crate::payment::{ChargeOutcome, PaymentId};
use jiff::{SignedDuration, Timestamp};

pub(super) fn decide_place(
    order: &OrderPlaced,
    state: &Order,
) -> Result<Vec<OrderEvent>, OrderRejection> {
    match state {
        Order::Absent => Ok(vec![OrderEvent::Placed(order.clone())]),
        Order::Placed(placed, _) if placed == order => Ok(vec![]),
        Order::Placed(..) => Err(OrderRejection::DifferentOrder),
        Order::Reserved { terms, .. }
        | Order::Confirmed { terms, .. }
        | Order::Rejected { terms, .. }
        | Order::Cancelled { terms, .. }
            if terms.without_payment() == order.terms.without_payment() =>
        {
            Ok(vec![])
        }
        Order::Reserved { .. }
        | Order::Confirmed { .. }
        | Order::Rejected { .. }
        | Order::Cancelled { .. } => Err(OrderRejection::DifferentOrder),
    }
}

pub(super) fn decide_reserve(state: &Order) -> Result<Vec<OrderEvent>, OrderRejection> {
    match state {
        Order::Absent => Err(OrderRejection::Unknown),
        Order::Placed(placed, at) => Ok(vec![OrderEvent::InventoryUpdated(InventoryUpdated {
            terms: placed.terms.clone(),
            reason: StockReason::Reserved,
            changes: inventory::reserved_changes(&placed.items),
            placed_at: Some(*at),
        })]),
        Order::Reserved { .. }
        | Order::Confirmed { .. }
        | Order::Rejected { .. }
        | Order::Cancelled { .. } => Ok(vec![]),
    }
}

pub(super) fn decide_reject(
    shortages: &[Shortage],
    state: &Order,
) -> Result<Vec<OrderEvent>, OrderRejection> {
    match state {
        Order::Absent => Err(OrderRejection::Unknown),
        Order::Placed(placed, _) => Ok(vec![OrderEvent::InventoryRejected(InventoryRejected {
            terms: placed.terms.without_payment(),
            shortages: shortages.to_vec(),
        })]),
        Order::Reserved { .. }
        | Order::Confirmed { .. }
        | Order::Rejected { .. }
        | Order::Cancelled { .. } => Ok(vec![]),
    }
}

/// The event by which a payment is settled.
fn settling(
    terms: &Terms,
    placed_at: Option<Timestamp>,
    outcome: &ChargeOutcome,
    decision: Option<&str>,
) -> OrderEvent {
    let terms = terms.without_payment();
    let decision = decision.map(str::to_owned);
    match outcome {
        ChargeOutcome::Approved(payment) => OrderEvent::PaymentProcessed(PaymentProcessed {
            terms,
            payment_id: payment.clone(),
            decision,
            placed_at,
        }),
        ChargeOutcome::Declined(reason) => OrderEvent::PaymentFailed(PaymentFailed {
            terms,
            reason: reason.clone(),
            decision,
        }),
    }
}

pub(super) fn decide_payment(
    outcome: &ChargeOutcome,
    state: &Order,
) -> Result<Vec<OrderEvent>, OrderRejection> {
    match (outcome, state) {
        (ChargeOutcome::Approved(_) | ChargeOutcome::Declined(_), Order::Absent) => {
            Err(OrderRejection::Unknown)
        }
        (ChargeOutcome::Approved(_) | ChargeOutcome::Declined(_), Order::Placed(..)) => {
            Err(OrderRejection::OutOfTurn("its stock is not reserved"))
        }
        (
            outcome,
            Order::Reserved {
                terms, placed_at, ..
            },
        ) => Ok(vec![settling(terms, *placed_at, outcome, None)]),
        (ChargeOutcome::Approved(charged), Order::Confirmed { payment, .. }) => match charged {
            Some(other) if Some(other) != payment.as_ref() => {
                Err(OrderRejection::RefundDue(other.clone()))
            }
            Some(_) | None => Ok(vec![]),
        },
        (ChargeOutcome::Declined(_), Order::Confirmed { .. }) => Ok(vec![]),
        (
            ChargeOutcome::Approved(charged),
            Order::Rejected { aftermath, .. } | Order::Cancelled { aftermath, .. },
        ) => match (charged, &aftermath.money) {
            (None, _) => Ok(vec![]),
            (Some(charged), HeldMoney::Refunded(refunded)) if charged == refunded => Ok(vec![]),
            (Some(charged), _) => Err(OrderRejection::RefundDue(charged.clone())),
        },
        (ChargeOutcome::Declined(_), Order::Rejected { .. } | Order::Cancelled { .. }) => {
            Ok(vec![])
        }
    }
}

/// Like [`decide_payment`], but the word of an operator does not stand against what is stored.
pub(super) fn decide_resolution(
    outcome: &ChargeOutcome,
    decision: &str,
    state: &Order,
) -> Result<Vec<OrderEvent>, OrderRejection> {
    let otherwise = |payment: Option<&PaymentId>| {
        let paid = payment.map_or("paid".to_owned(), |payment| {
            format!("paid as {}", payment.0)
        });
        Err(OrderRejection::SettledOtherwise(paid))
    };
    match (outcome, state) {
        (outcome, Order::Absent | Order::Placed(..)) => decide_payment(outcome, state),
        (
            outcome,
            Order::Reserved {
                terms, placed_at, ..
            },
        ) => Ok(vec![settling(terms, *placed_at, outcome, Some(decision))]),
        (ChargeOutcome::Approved(charged), Order::Confirmed { payment, .. })
            if charged == payment =>
        {
            Ok(vec![])
        }
        (
            ChargeOutcome::Approved(_) | ChargeOutcome::Declined(_),
            Order::Confirmed { payment, .. },
        ) => otherwise(payment.as_ref()),
        (outcome, Order::Rejected { aftermath, .. } | Order::Cancelled { aftermath, .. }) => {
            match (outcome, &aftermath.money) {
                (
                    ChargeOutcome::Approved(Some(charged)),
                    HeldMoney::Charged(payment) | HeldMoney::Refunded(payment),
                ) if charged != payment => otherwise(Some(payment)),
                (
                    ChargeOutcome::Declined(_),
                    HeldMoney::Charged(payment) | HeldMoney::Refunded(payment),
                ) => otherwise(Some(payment)),
                (ChargeOutcome::Approved(_) | ChargeOutcome::Declined(_), _) => {
                    decide_payment(outcome, state)
                }
            }
        }
    }
}

pub(super) fn decide_cancel(
    reason: CancelReason,
    at: Timestamp,
    grace: SignedDuration,
    state: &Order,
) -> Result<Vec<OrderEvent>, OrderRejection> {
    let cancelled = |terms: &Terms| {
        Ok(vec![OrderEvent::Cancelled(OrderCancelled {
            terms: terms.without_payment(),
            reason,
        })])
    };
    match state {
        Order::Absent => Err(OrderRejection::Unknown),
        Order::Placed(placed, _) => cancelled(&placed.terms),
        Order::Reserved { terms, .. } => cancelled(terms),
        // Paid after all, at the last moment.
        Order::Confirmed { .. } if reason == CancelReason::Expired => Ok(vec![]),
        Order::Confirmed {
            terms,
            at: confirmed_at,
            ..
        } => {
            let until = confirmed_at.saturating_add(grace).unwrap_or(Timestamp::MAX);
            if at <= until {
                cancelled(terms)
            } else {
                Err(OrderRejection::TooLateToCancel {
                    confirmed_at: *confirmed_at,
                    until,
                })
            }
        }
        Order::Rejected { .. } => Err(OrderRejection::AlreadyRejected),
        Order::Cancelled { .. } => Ok(vec![]),
    }
}

pub(super) fn decide_release(state: &Order) -> Result<Vec<OrderEvent>, OrderRejection> {
    match state {
        Order::Absent => Err(OrderRejection::Unknown),
        Order::Placed(..) | Order::Reserved { .. } | Order::Confirmed { .. } => Err(
            OrderRejection::OutOfTurn("it is still to be delivered, its stock stays reserved"),
        ),
        Order::Rejected { terms, aftermath } | Order::Cancelled { terms, aftermath } => {
            match &aftermath.stock {
                HeldStock::Free => Ok(vec![]),
                HeldStock::Held(changes) => {
                    Ok(vec![OrderEvent::InventoryUpdated(InventoryUpdated {
                        terms: terms.clone(),
                        reason: StockReason::Released,
                        changes: inventory::negated(changes),
                        placed_at: None,
                    })])
                }
            }
        }
    }
}

pub(super) fn decide_refund(
    payment: &PaymentId,
    state: &Order,
) -> Result<Vec<OrderEvent>, OrderRejection> {
    match state {
        Order::Absent => Err(OrderRejection::Unknown),
        Order::Placed(..) | Order::Reserved { .. } | Order::Confirmed { .. } => Err(
            OrderRejection::OutOfTurn("it is still to be delivered, its charge stands"),
        ),
        Order::Rejected { terms, aftermath } | Order::Cancelled { terms, aftermath } => {
            match &aftermath.money {
                HeldMoney::Refunded(refunded) if refunded == payment => Ok(vec![]),
                HeldMoney::Charged(other) | HeldMoney::Refunded(other) if other != payment => Err(
                    OrderRejection::OutOfTurn("another charge than this one is on record"),
                ),
                HeldMoney::Uncharged | HeldMoney::Charged(_) | HeldMoney::Refunded(_) => {
                    Ok(vec![OrderEvent::PaymentRefunded(PaymentRefunded {
                        terms: terms.clone(),
                        payment_id: payment.clone(),
                    })])
                }
            }
        }
    }
}
