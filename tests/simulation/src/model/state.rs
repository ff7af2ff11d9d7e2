//! What a state is: the order's history, what is on its way, who is at work, gateway and stock.

use std::collections::HashMap;

use domain::ids::IdempotencyKey;
use domain::order::{Order, OrderCommand, OrderEvent, OrderPlaced, OrderRequest};
use event_sourcing::decider::Decider;
use jiff::Timestamp;
use serde_json::json;

/// Pieces of the one SKU that the order wants.
pub const ORDERED: i64 = 2;

/// The events that there are, by number, and what histories of them come to.
#[derive(Default)]
pub struct Facts {
    events: Vec<OrderEvent>,
    folded: HashMap<Vec<u8>, Order>,
}

impl Facts {
    /// The number of an event.
    pub fn number(&mut self, event: &OrderEvent) -> u8 {
        let known = self.events.iter().position(|known| known == event);
        let number = known.unwrap_or_else(|| {
            self.events.push(event.clone());
            self.events.len() - 1
        });
        u8::try_from(number).unwrap_or(u8::MAX)
    }

    /// The event of a number.
    #[must_use]
    pub fn event(&self, number: u8) -> &OrderEvent {
        &self.events[usize::from(number)]
    }

    /// The state that a history comes to.
    pub fn order(&mut self, history: &[u8]) -> Order {
        if let Some(order) = self.folded.get(history) {
            return order.clone();
        }
        let events = history.iter().map(|number| self.event(*number));
        let order = events.fold(Order::initial(), |order, event| {
            Order::evolve(order, event, Timestamp::UNIX_EPOCH)
        });
        self.folded.insert(history.to_vec(), order.clone());
        order
    }
}

/// Who gets a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Consumer {
    /// `update-inventory`.
    Inventory,
    /// `process-payment`.
    Payment,
    /// `payment-webhook`: what the gateway tells.
    Webhook,
}

/// A message on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Message {
    /// To whom.
    pub to: Consumer,
    /// About which version of the order's stream; 0 for what the gateway tells.
    pub version: u8,
}

/// A process between asking the gateway and appending what it said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Worker {
    /// What it works on.
    pub message: Message,
    /// What the gateway said.
    pub heard: Heard,
    /// The version of the stream that it decides on, unless that has moved on; 0: it loads.
    pub head: u8,
}

/// What a process heard of the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Heard {
    /// Whether the order is charged.
    Charged(bool),
    /// The charge was given back.
    Refunded,
}

/// The gateway's books of the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Books {
    /// What it decided when it was asked first.
    pub outcome: Option<bool>,
    /// How often it took money.
    pub charges: u8,
    /// How often it gave money back.
    pub refunds: u8,
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// The order's events, by number.
    pub history: Vec<u8>,
    /// Messages on their way, in order, so that equal states are equal.
    pub in_flight: Vec<Message>,
    /// Messages that were dropped, and come again.
    pub dropped: Vec<Message>,
    /// Who is at work.
    pub workers: Vec<Worker>,
    /// The gateway's books.
    pub books: Books,
    /// Pieces that are available.
    pub available: i64,
    /// Pieces that there were at first.
    pub stocked: i64,
    /// Duplicates that there may still be.
    pub duplicates: u8,
    /// Drops that there may still be.
    pub drops: u8,
    /// Whether the customer may still call it off.
    pub can_cancel: bool,
    /// Whether the sweep may still expire it.
    pub can_expire: bool,
}

/// The order that is placed.
///
/// # Errors
/// When the domain takes it no more.
pub fn the_order() -> Result<OrderPlaced, String> {
    let body = json!({"userId": "u", "currency": "USD",
        "items": [{"sku": "tea", "quantity": ORDERED, "unitPrice": 1.5}]});
    let request: OrderRequest = serde_json::from_value(body).map_err(|error| error.to_string())?;
    let key = IdempotencyKey::parse("1").map_err(|error| error.to_string())?;
    request.accept(&key).map_err(|error| error.to_string())
}

impl State {
    /// The order was placed, and nothing else has happened.
    #[must_use]
    pub fn first(order: &OrderPlaced, available: i64, faults: u8, facts: &mut Facts) -> Self {
        let mut state = Self {
            history: Vec::new(),
            in_flight: Vec::new(),
            dropped: Vec::new(),
            workers: Vec::new(),
            books: Books::default(),
            available,
            stocked: available,
            duplicates: faults,
            drops: faults,
            can_cancel: true,
            can_expire: true,
        };
        let place = OrderCommand::Place(order.clone());
        for event in Order::decide(&place, &Order::initial()).unwrap_or_default() {
            state.append(&event, facts);
        }
        state
    }

    /// The version of the order's stream.
    #[must_use]
    pub fn version(&self) -> u8 {
        u8::try_from(self.history.len()).unwrap_or(u8::MAX)
    }

    /// Stores an event, and sends it to whom the rules of the template send it.
    pub fn append(&mut self, event: &OrderEvent, facts: &mut Facts) {
        self.history.push(facts.number(event));
        let to: &[Consumer] = match event {
            OrderEvent::Placed(_) | OrderEvent::PaymentFailed(_) => &[Consumer::Inventory],
            OrderEvent::InventoryUpdated(updated)
                if updated.reason == domain::inventory::StockReason::Reserved =>
            {
                &[Consumer::Payment]
            }
            OrderEvent::Cancelled(_) => &[Consumer::Inventory, Consumer::Payment],
            _ => &[],
        };
        for to in to {
            self.send(Message {
                to: *to,
                version: self.version(),
            });
        }
    }

    /// Puts a message on its way.
    pub fn send(&mut self, message: Message) {
        put(&mut self.in_flight, message);
    }

    /// Somebody begins to work.
    pub fn work(&mut self, worker: Worker) {
        put(&mut self.workers, worker);
    }
}

/// Adds to a multiset.
pub(super) fn put<T: Ord>(all: &mut Vec<T>, one: T) {
    let at = all.partition_point(|other| *other < one);
    all.insert(at, one);
}

/// Takes from a multiset.
pub(super) fn take<T: PartialEq>(all: &mut Vec<T>, one: &T) {
    if let Some(at) = all.iter().position(|other| other == one) {
        all.remove(at);
    }
}
