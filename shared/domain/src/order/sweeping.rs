//! What a sweep does about an order that does not move: the message that should have moved it was
//! lost, or nobody paid.

use super::{HeldMoney, HeldStock, Order, OrderEvent};
use crate::inventory::StockReason;
use event_sourcing::decider::Decider as _;
use jiff::{SignedDuration, Timestamp};

/// Longest wait before an order that healing does not help is healed again.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(6);
/// More doublings than the longest wait has room for.
const MAX_DOUBLINGS: u32 = 20;

/// How long sweeps leave an order alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// An order that did not move for so long is stuck.
    pub stuck_after: SignedDuration,
    /// An order that is not paid so long after it was placed expires.
    pub payment_deadline: SignedDuration,
}

/// What a sweep does about an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sweep {
    /// Nothing: there is nothing left to do about it.
    Settled,
    /// Nothing: it moved a short while ago.
    Moving,
    /// Publish this event of its history (by index) again: whoever acts on it has not, or not to
    /// the end. All consumers know duplicates, so that is right also where the message was not
    /// lost.
    PublishAgain(usize),
    /// Cancel it, because it was not paid in time.
    Expire,
    /// No event would move it: somebody has to look at it.
    Helpless,
}

impl Order {
    /// Whether nothing is left to do about it: it is paid, or it ended undelivered and everything
    /// that it took was given back.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        match self {
            Self::Absent | Self::Confirmed { .. } => true,
            Self::Placed(..) | Self::Reserved { .. } => false,
            Self::Rejected { aftermath, .. } | Self::Cancelled { aftermath, .. } => {
                let money_is_back = match aftermath.money {
                    HeldMoney::Uncharged | HeldMoney::Refunded(_) => true,
                    HeldMoney::Charged(_) => false,
                };
                aftermath.stock == HeldStock::Free && money_is_back
            }
        }
    }

    /// Whether an order is settled after `event`, as far as that event alone tells it; `None`
    /// where it depends on what the order had taken.
    ///
    /// Property (tested): it is the same as [`Order::is_settled`] of the folded stream.
    #[must_use]
    pub fn is_settled_after(event: &OrderEvent) -> Option<bool> {
        match event {
            OrderEvent::Placed(_) => Some(false),
            OrderEvent::InventoryUpdated(updated) => match updated.reason {
                StockReason::Reserved => Some(false),
                StockReason::Released | StockReason::Restocked => None,
            },
            OrderEvent::PaymentProcessed(_) | OrderEvent::InventoryRejected(_) => Some(true),
            OrderEvent::PaymentFailed(_)
            | OrderEvent::PaymentRefunded(_)
            | OrderEvent::Cancelled(_) => None,
        }
    }

    fn awaits_payment(&self) -> bool {
        matches!(self, Self::Placed(..) | Self::Reserved { .. })
    }
}

impl Patience {
    /// What to do about the order that this is the whole history of, oldest event first.
    #[must_use]
    pub fn sweep(&self, history: &[(OrderEvent, Timestamp)], now: Timestamp) -> Sweep {
        let order = fold(history);
        if order.is_settled() {
            return Sweep::Settled;
        }
        // Other producers' times can be far off, in both directions.
        let moved = history
            .last()
            .is_some_and(|(_, at)| now.duration_since(*at).abs() < self.stuck_after);
        if moved {
            return Sweep::Moving;
        }
        if self
            .deadline(&order, history)
            .is_some_and(|deadline| now >= deadline)
        {
            return Sweep::Expire;
        }
        history
            .iter()
            .rposition(|(event, _)| acted_on_in(event, &order))
            .map_or(Sweep::Helpless, Sweep::PublishAgain)
    }

    /// When to look again at an order that sweeps healed so often: at twice the wait each time,
    /// and in time for its deadline.
    #[must_use]
    pub fn look_again(
        &self,
        history: &[(OrderEvent, Timestamp)],
        healed: u32,
        now: Timestamp,
    ) -> Timestamp {
        let wait = self
            .stuck_after
            .saturating_mul(1 << healed.min(MAX_DOUBLINGS))
            .min(LONGEST_WAIT.max(self.stuck_after));
        let later = now.saturating_add(wait).unwrap_or(Timestamp::MAX);
        match self.deadline(&fold(history), history) {
            Some(deadline) if deadline > now => later.min(deadline),
            _ => later,
        }
    }

    /// By when the order has to be paid, if it still is to be.
    fn deadline(&self, order: &Order, history: &[(OrderEvent, Timestamp)]) -> Option<Timestamp> {
        let (_, placed_at) = history.first().filter(|_| order.awaits_payment())?;
        Some(
            placed_at
                .saturating_add(self.payment_deadline)
                .unwrap_or(Timestamp::MAX),
        )
    }
}

fn fold(history: &[(OrderEvent, Timestamp)]) -> Order {
    Order::fold(history.iter().map(|(event, at)| (event, *at)))
}

/// Whether somebody has to act on `event` before an order in this state is settled.
fn acted_on_in(event: &OrderEvent, order: &Order) -> bool {
    match (order, event) {
        // update-inventory reserves.
        (Order::Placed(..), OrderEvent::Placed(_)) => true,
        // process-payment charges.
        (Order::Reserved { .. }, OrderEvent::InventoryUpdated(updated)) => {
            updated.reason == StockReason::Reserved
        }
        // update-inventory gives the stock back; process-payment the money, if it has not.
        (Order::Cancelled { .. }, OrderEvent::Cancelled(_)) => true,
        // update-inventory gives the stock back.
        (Order::Rejected { aftermath, .. }, OrderEvent::PaymentFailed(_)) => {
            aftermath.stock != HeldStock::Free
        }
        (
            Order::Absent
            | Order::Placed(..)
            | Order::Reserved { .. }
            | Order::Confirmed { .. }
            | Order::Rejected { .. }
            | Order::Cancelled { .. },
            _,
        ) => false,
    }
}
