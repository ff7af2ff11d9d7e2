//! What stands still, and why: the events that a function gave up, visibly.

use std::collections::{BTreeMap, BTreeSet};

use event_sourcing::envelope::Envelope;

use super::Evidence;

/// Gives every stored event to the others: what it gives up, nobody gets.
const RELAY: &str = "publish-events";
/// Takes stock, and gives it back.
pub(super) const INVENTORY: &str = "update-inventory";
/// Takes money, and gives it back.
pub(super) const PAYMENT: &str = "process-payment";
/// Tells customers.
pub(super) const NOTIFICATION: &str = "notify-user";

/// Who gave up which event.
pub(super) struct Parked<'e> {
    by_event: BTreeMap<&'e str, BTreeSet<&'e str>>,
}

impl<'e> Parked<'e> {
    pub(super) fn of(evidence: &'e Evidence) -> Self {
        let mut by_event: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for one in &evidence.given_up {
            let consumers = by_event.entry(one.event_id.as_str()).or_default();
            consumers.insert(one.consumer.as_str());
        }
        Self { by_event }
    }

    /// Whether the function never gets, or never got done with, the event.
    pub(super) fn is_given_up(&self, event_id: &str, consumer: &str) -> bool {
        self.by_event
            .get(event_id)
            .is_some_and(|by| by.contains(consumer) || by.contains(RELAY))
    }

    /// Whether an order cannot go on from this event: one of those gave it up that move orders.
    pub(super) fn holds_order(&self, event_id: &str) -> bool {
        [INVENTORY, PAYMENT]
            .iter()
            .any(|consumer| self.is_given_up(event_id, consumer))
    }

    /// Whether the function gave up one of the events of these types.
    pub(super) fn holds_one_of(&self, events: &[Envelope], types: &[&str], consumer: &str) -> bool {
        events
            .iter()
            .filter(|event| types.contains(&event.event_type.as_str()))
            .any(|event| self.is_given_up(&event.event_id, consumer))
    }
}
