//! What must hold in every state, and in those in which nothing more happens.

use domain::inventory::StockChange;
use domain::order::{HeldMoney, HeldStock, Order, OrderEvent};

use super::state::{Facts, State};

/// What is wrong in a state.
pub fn always(state: &State, facts: &mut Facts) -> Vec<&'static str> {
    let order = facts.order(&state.history);
    let held: i64 = state
        .history
        .iter()
        .map(|number| moved(facts.event(*number)))
        .sum();
    let books = state.books;
    let is_delivered = matches!(
        order,
        Order::Placed(..) | Order::Reserved { .. } | Order::Confirmed { .. }
    );
    let paid = count(state, facts, "paid");
    let refunded = count(state, facts, "refunded");
    let rules = [
        (state.available < 0, "less than nothing is available"),
        (
            state.available + held != state.stocked,
            "available and held are not what was stocked",
        ),
        (books.charges > 1, "charged twice"),
        (books.refunds > books.charges, "refunded without a charge"),
        (
            is_delivered && books.refunds > 0,
            "refunded and to be delivered",
        ),
        (paid > 1, "recorded as paid twice"),
        (refunded > 1, "recorded as refunded twice"),
        (
            paid > usize::from(books.charges),
            "recorded as paid without a charge",
        ),
        (
            refunded > usize::from(books.refunds),
            "recorded as refunded without a refund",
        ),
        (matches!(order, Order::Absent), "the order is gone"),
    ];
    let broken = rules.into_iter().filter(|(is_broken, _)| *is_broken);
    broken.map(|(_, what)| what).collect()
}

/// What is wrong in a state in which nothing more happens.
pub fn at_the_end(state: &State, facts: &mut Facts) -> Vec<&'static str> {
    let books = state.books;
    let gave_back = books.charges == books.refunds;
    match facts.order(&state.history) {
        Order::Absent | Order::Placed(..) | Order::Reserved { .. } => vec!["it ends unsettled"],
        Order::Confirmed { .. } if books.charges == 1 && books.refunds == 0 => vec![],
        Order::Confirmed { .. } => vec!["it is delivered, and not charged exactly once"],
        Order::Rejected { aftermath, .. } | Order::Cancelled { aftermath, .. } => {
            let mut wrong = Vec::new();
            if aftermath.stock != HeldStock::Free {
                wrong.push("it ends and holds stock");
            }
            if !gave_back || matches!(aftermath.money, HeldMoney::Charged(_)) {
                wrong.push("it ends charged and not refunded");
            }
            wrong
        }
    }
}

/// Pieces that an event takes from what is available.
fn moved(event: &OrderEvent) -> i64 {
    match event {
        OrderEvent::InventoryUpdated(updated) => {
            let quantity = |change: &StockChange| -change.quantity;
            updated.changes.iter().map(quantity).sum()
        }
        _ => 0,
    }
}

fn count(state: &State, facts: &Facts, what: &str) -> usize {
    let events = state.history.iter().map(|number| facts.event(*number));
    events
        .filter(|event| match event {
            OrderEvent::PaymentProcessed(_) => what == "paid",
            OrderEvent::PaymentRefunded(_) => what == "refunded",
            _ => false,
        })
        .count()
}
