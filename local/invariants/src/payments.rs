//! What holds of the money: what is stored of it, and what the gateway did.

use std::collections::{BTreeMap, BTreeSet};

use domain::order::OrderEvent;
use domain::order_summary::OrderStatus;
use event_sourcing::envelope::Envelope;

use super::parked::{PAYMENT, Parked};
use super::{Evidence, GatewayMove, ONE_CHARGE, Verdict, verdict};
use crate::stored::{decoded, summary};

/// The events at which money moves.
const MOVING: [&str; 2] = ["InventoryUpdated", "OrderCancelled"];

/// At most one charge; refunded exactly when charged and not delivered; and the gateway did what
/// is stored, nothing else.
pub(super) fn one_charge(evidence: &Evidence) -> Verdict {
    let parked = Parked::of(evidence);
    let mut wrongs = Vec::new();
    let mut stored = BTreeMap::new();
    for (order, events) in evidence.stored.orders() {
        match Money::stored(events) {
            Some(money) => {
                wrongs.extend(money.wrongs(order, events, &parked));
                stored.insert(order, (money, events));
            }
            None => wrongs.push(format!("order {order} has an event that cannot be read")),
        }
    }
    let count = |of: fn(&Money) -> usize| stored.values().map(|(money, _)| of(money)).sum();
    let charges: usize = count(|money| money.charges.len());
    let refunds: usize = count(|money| money.refunds.len());
    let mut counted = format!("{charges} charges, {refunds} refunds");
    // A gateway that told nothing of charges that there were is one that does not tell.
    let told = evidence.gateway.as_ref();
    if let Some(moves) = told.filter(|moves| charges == 0 || !moves.is_empty()) {
        let books = Books::of(moves);
        wrongs.extend(books.wrongs(&stored, &parked));
        if evidence.gateway_gaps {
            counted.push_str(", against what was noted of the gateway");
        } else {
            wrongs.extend(books.never_made(&stored));
            counted.push_str(", as the gateway has them");
        }
    }
    verdict(ONE_CHARGE, &wrongs, counted)
}

/// What an order's events say.
#[derive(Default)]
struct Money {
    paid: usize,
    charges: Vec<String>,
    refunds: Vec<String>,
}

impl Money {
    fn stored(events: &[Envelope]) -> Option<Self> {
        let mut money = Self::default();
        for (event, _) in decoded(events)? {
            match event {
                OrderEvent::PaymentProcessed(payment) => {
                    money.paid += 1;
                    money.charges.extend(payment.payment_id.map(|id| id.0));
                }
                OrderEvent::PaymentRefunded(refund) => money.refunds.push(refund.payment_id.0),
                _ => {}
            }
        }
        Some(money)
    }

    fn wrongs(&self, order: &str, events: &[Envelope], parked: &Parked<'_>) -> Vec<String> {
        let mut wrongs = Vec::new();
        let mut wrong = |what: &str| wrongs.push(format!("order {order} {what}"));
        let delivered = summary(events).is_some_and(|row| match row.status {
            OrderStatus::Placed | OrderStatus::Reserved | OrderStatus::Confirmed => true,
            OrderStatus::Rejected | OrderStatus::Cancelled | OrderStatus::Expired => false,
        });
        if self.paid > 1 {
            wrong(&format!("was paid {} times", self.paid));
        }
        if self.refunds.len() > 1 {
            wrong(&format!("was refunded {} times", self.refunds.len()));
        }
        if delivered && !self.refunds.is_empty() {
            wrong("was refunded and is delivered");
        }
        let kept = self.charges.iter().any(|one| !self.refunds.contains(one));
        if !delivered && kept && !parked.holds_one_of(events, &MOVING, PAYMENT) {
            wrong("was charged, is not delivered and not refunded");
        }
        // A refund without a stored charge is one that came after the end; another charge than
        // the stored one is a second charge.
        let other = self.refunds.iter().any(|one| !self.charges.contains(one));
        if !self.charges.is_empty() && other {
            wrong("has a second charge");
        }
        wrongs
    }
}

/// What the gateway did.
#[derive(Default)]
struct Books<'g> {
    /// Keys and payments of an order's charges; the same call again is the same charge.
    charges: BTreeMap<&'g str, BTreeSet<(&'g str, &'g str)>>,
    /// Keys of a payment's refunds.
    refunds: BTreeMap<&'g str, BTreeSet<&'g str>>,
}

type Stored<'e> = BTreeMap<&'e str, (Money, &'e [Envelope])>;

impl<'g> Books<'g> {
    fn of(moves: &'g [GatewayMove]) -> Self {
        let mut books = Self::default();
        for one in moves {
            match one {
                GatewayMove::Charged {
                    order,
                    key,
                    payment,
                } => {
                    let charges = books.charges.entry(order).or_default();
                    charges.insert((key, payment));
                }
                GatewayMove::Refunded { key, payment } => {
                    books.refunds.entry(payment).or_default().insert(key);
                }
            }
        }
        books
    }

    fn wrongs(&self, stored: &Stored<'_>, parked: &Parked<'_>) -> Vec<String> {
        let mut wrongs = Vec::new();
        for (order, charges) in &self.charges {
            if charges.len() > 1 {
                let count = charges.len();
                wrongs.push(format!("the gateway charged order {order} {count} times"));
            }
            match stored.get(order) {
                None => wrongs.push(format!(
                    "the gateway charged order {order}, which is not stored"
                )),
                Some((money, events)) if !parked.holds_one_of(events, &MOVING, PAYMENT) => {
                    wrongs.extend(self.unstored(order, charges, money));
                }
                Some(_) => {}
            }
        }
        for (payment, keys) in self.refunds.iter().filter(|(_, keys)| keys.len() > 1) {
            let count = keys.len();
            wrongs.push(format!("the gateway refunded {payment} {count} times"));
        }
        wrongs
    }

    /// What events say and the gateway did not do, of all orders.
    fn never_made(&self, stored: &Stored<'_>) -> Vec<String> {
        let orders = stored.iter();
        orders
            .flat_map(|(order, (money, _))| self.undone(order, money))
            .collect()
    }

    /// What the gateway did and no event says.
    fn unstored(
        &self,
        order: &str,
        charges: &BTreeSet<(&str, &str)>,
        money: &Money,
    ) -> Vec<String> {
        let mut wrongs = Vec::new();
        for (_, payment) in charges {
            let is = |stored: &[String]| stored.iter().any(|one| one == payment);
            if !is(&money.charges) && !is(&money.refunds) {
                wrongs.push(format!("no event says that order {order} was charged"));
            }
            if self.refunds.contains_key(payment) && !is(&money.refunds) {
                wrongs.push(format!("no event says that order {order} was refunded"));
            }
        }
        wrongs
    }

    /// What an event says and the gateway did not do.
    fn undone(&self, order: &str, money: &Money) -> Vec<String> {
        let charged = |payment: &String| {
            let charges = self.charges.get(order).into_iter().flatten();
            charges.into_iter().any(|(_, one)| one == payment)
        };
        let mut wrongs = Vec::new();
        if !money.charges.iter().all(charged) {
            wrongs.push(format!("the gateway never charged order {order}"));
        }
        let refunded = |payment: &String| self.refunds.contains_key(payment.as_str());
        if !money.refunds.iter().all(refunded) {
            wrongs.push(format!("the gateway never refunded order {order}"));
        }
        wrongs
    }
}
