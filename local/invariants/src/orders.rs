//! What holds of every order: it ends, its customer hears once of each step, and its row is the
//! fold of its stream.

use std::collections::BTreeMap;

use domain::notification::Notification;
use domain::order_summary::{OrderStatus, OrderSummary};
use serde::Deserialize as _;

use super::parked::{NOTIFICATION, Parked};
use super::{Evidence, NO_LOST_ORDER, ONE_NOTIFICATION, READ_MODEL, Verdict, verdict};
use crate::stored::decoded;

/// Prefix of the streams of notifications.
const NOTIFICATION_STREAM: &str = "notification-";

/// Whether an order has come to an end.
#[must_use]
fn has_ended(status: OrderStatus) -> bool {
    match status {
        OrderStatus::Confirmed
        | OrderStatus::Rejected
        | OrderStatus::Cancelled
        | OrderStatus::Expired => true,
        OrderStatus::Placed | OrderStatus::Reserved => false,
    }
}

/// Every accepted order, and every other one that is stored, ended, or was given up visibly.
pub(super) fn no_lost_order(evidence: &Evidence) -> Verdict {
    let summaries = evidence.stored.summaries();
    let letters = Parked::of(evidence);
    let last: BTreeMap<&str, &str> = evidence
        .stored
        .orders()
        .filter_map(|(order, events)| Some((order, events.last()?.event_id.as_str())))
        .collect();
    let mut wrongs = Vec::new();
    let mut parked = 0;
    for order in &evidence.accepted {
        if !summaries.contains_key(order.as_str()) {
            wrongs.push(format!("order {order} was accepted and is not stored"));
        }
    }
    for (order, row) in &summaries {
        match row {
            Some(row) if has_ended(row.status) => {}
            _ if last.get(order).is_some_and(|id| letters.holds_order(id)) => parked += 1,
            Some(row) => {
                wrongs.push(format!("order {order} stands at {:?} for ever", row.status));
            }
            None => wrongs.push(format!("order {order} does not begin with OrderPlaced")),
        }
    }
    let counted = format!("{} orders ended, {parked} parked", summaries.len() - parked);
    verdict(NO_LOST_ORDER, &wrongs, counted)
}

/// Each event that customers hear of has one notification, and each notification has one
/// `UserNotified` and such an event.
pub(super) fn one_notification(evidence: &Evidence) -> Verdict {
    let stored = &evidence.stored;
    let letters = Parked::of(evidence);
    let mut wrongs = Vec::new();
    let mut triggers = std::collections::BTreeSet::new();
    for (_, events) in stored.orders() {
        for (event, envelope) in decoded(events).unwrap_or_default() {
            if Notification::about(&event).is_some() {
                triggers.insert(envelope.event_id.as_str());
            }
        }
    }
    let mut notified = std::collections::BTreeSet::new();
    for (stream, events) in &stored.streams {
        let Some(trigger) = stream.strip_prefix(NOTIFICATION_STREAM) else {
            continue;
        };
        let told = events
            .iter()
            .filter(|event| event.event_type == "UserNotified");
        match told.count() {
            1 => {}
            count => wrongs.push(format!("event {trigger} has {count} UserNotified")),
        }
        if !triggers.contains(trigger) {
            wrongs.push(format!("{stream} is about no event that customers hear of"));
        }
        notified.insert(trigger);
    }
    for trigger in triggers.difference(&notified) {
        if !letters.is_given_up(trigger, NOTIFICATION) {
            wrongs.push(format!("nobody was notified of event {trigger}"));
        }
    }
    let counted = format!(
        "{} triggers, {} notifications",
        triggers.len(),
        notified.len()
    );
    verdict(ONE_NOTIFICATION, &wrongs, counted)
}

/// Every row is the fold of its order's stream, and every order has one.
pub(super) fn read_model(evidence: &Evidence) -> Verdict {
    let stored = &evidence.stored;
    let mut wrongs = Vec::new();
    let summaries = stored.summaries();
    for (order, fold) in &summaries {
        let Some(fold) = fold else {
            continue;
        };
        match stored.rows.get(*order).map(OrderSummary::deserialize) {
            None => wrongs.push(format!("order {order} has no row")),
            Some(Err(error)) => wrongs.push(format!("the row of {order} cannot be read: {error}")),
            Some(Ok(row)) if row != *fold => wrongs.push(format!(
                "the row of {order} is at version {} {:?}, its stream at {} {:?}, or they differ \
                 otherwise",
                row.version, row.status, fold.version, fold.status
            )),
            Some(Ok(_)) => {}
        }
    }
    for order in stored.rows.keys() {
        if !summaries.contains_key(order.as_str()) {
            wrongs.push(format!("the row of {order} has no stream"));
        }
    }
    verdict(READ_MODEL, &wrongs, format!("{} rows", stored.rows.len()))
}
