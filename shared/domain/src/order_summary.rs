//! The read model of one order: a pure fold of its stream.

use crate::ids::{OrderId, UserId};
use crate::inventory::StockReason;
use crate::money::{Amount, Currency};
use crate::order::{CancelReason, OrderEvent, OrderLine};
use event_sourcing::decider::Event as _;
use serde::{Deserialize, Serialize};

/// Where an order stands, as customers see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// Accepted.
    Placed,
    /// Its stock is reserved.
    Reserved,
    /// Paid.
    Confirmed,
    /// It cannot be delivered or paid.
    Rejected,
    /// Called off.
    Cancelled,
    /// Called off by us because it was not paid in time.
    Expired,
}

/// One line of an order's timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineEntry {
    /// The event's position in the stream.
    pub version: u64,
    /// What happened.
    #[serde(rename = "type")]
    pub event_type: String,
    /// When, RFC 3339.
    pub at: String,
}

/// What is known about an order, with its history in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderSummary {
    /// Which order.
    pub order_id: OrderId,
    /// Whose order.
    pub user_id: UserId,
    /// Where it stands.
    pub status: OrderStatus,
    /// Why it was rejected, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Version of the last event that is in this row.
    pub version: u64,
    /// What it costs in all.
    pub total_amount: Amount,
    /// In which currency.
    pub currency: Currency,
    /// What was ordered.
    #[serde(default)]
    pub items: Vec<OrderLine>,
    /// When it was placed, RFC 3339.
    pub placed_at: String,
    /// Whether its charge was given back.
    #[serde(default)]
    pub refunded: bool,
    /// Every event, oldest first.
    pub timeline: Vec<TimelineEntry>,
}

/// What one event changes in a row; the adapters write it without reading the row.
#[derive(Debug, Clone, PartialEq)]
pub struct SummaryChange {
    /// The new status, where it changes.
    pub status: Option<OrderStatus>,
    /// The reason to note, where there is one.
    pub reason: Option<String>,
    /// Whether the charge was given back with this event.
    pub refunded: bool,
    /// The line to add.
    pub entry: TimelineEntry,
}

impl SummaryChange {
    /// What `event`, the `version`-th of its stream, changes.
    #[must_use]
    pub fn of(event: &OrderEvent, version: u64, at: &str) -> Self {
        let (status, reason) = match event {
            OrderEvent::Placed(_) => (Some(OrderStatus::Placed), None),
            OrderEvent::InventoryUpdated(updated) => match updated.reason {
                StockReason::Reserved => (Some(OrderStatus::Reserved), None),
                StockReason::Released | StockReason::Restocked => (None, None),
            },
            OrderEvent::InventoryRejected(rejected) => (
                Some(OrderStatus::Rejected),
                Some(rejected.shortages.iter().fold(
                    String::from("inventory:"),
                    |mut text, shortage| {
                        let reason = match shortage.reason {
                            crate::inventory::ShortageReason::OutOfStock => "out_of_stock",
                            crate::inventory::ShortageReason::UnknownSku => "unknown_sku",
                            crate::inventory::ShortageReason::PriceChanged => "price_changed",
                        };
                        text.push(' ');
                        text.push_str(shortage.sku.as_str());
                        text.push(' ');
                        text.push_str(reason);
                        text
                    },
                )),
            ),
            OrderEvent::PaymentProcessed(_) => (Some(OrderStatus::Confirmed), None),
            OrderEvent::PaymentFailed(failed) => (
                Some(OrderStatus::Rejected),
                Some(format!("payment: {}", failed.reason)),
            ),
            OrderEvent::Cancelled(cancelled) => (
                Some(match cancelled.reason {
                    CancelReason::Requested => OrderStatus::Cancelled,
                    CancelReason::Expired => OrderStatus::Expired,
                }),
                None,
            ),
            OrderEvent::PaymentRefunded(_) => (None, None),
        };
        Self {
            status,
            reason,
            refunded: matches!(event, OrderEvent::PaymentRefunded(_)),
            entry: TimelineEntry {
                version,
                event_type: event.event_type().to_owned(),
                at: at.to_owned(),
            },
        }
    }
}

impl OrderSummary {
    /// The row of a stream that begins with `event`; `None` unless that is an `OrderPlaced`.
    #[must_use]
    pub fn begin(event: &OrderEvent, version: u64, at: &str) -> Option<Self> {
        let OrderEvent::Placed(placed) = event else {
            return None;
        };
        Some(Self {
            order_id: placed.terms.order_id.clone(),
            user_id: placed.terms.user_id.clone(),
            status: OrderStatus::Placed,
            reason: None,
            version,
            total_amount: placed.terms.total_amount,
            currency: placed.terms.currency,
            items: placed.items.clone(),
            placed_at: at.to_owned(),
            refunded: false,
            timeline: vec![SummaryChange::of(event, version, at).entry],
        })
    }

    /// Adds a change to the row.
    pub fn apply(&mut self, change: SummaryChange) {
        if let Some(status) = change.status {
            self.status = status;
        }
        if change.reason.is_some() {
            self.reason = change.reason;
        }
        self.refunded |= change.refunded;
        self.version = change.entry.version;
        self.timeline.push(change.entry);
    }

    /// The row of a whole history, given as (event, version, time); `None` for an empty one.
    #[must_use]
    pub fn fold<'a>(
        history: impl IntoIterator<Item = (&'a OrderEvent, u64, &'a str)>,
    ) -> Option<Self> {
        let mut row: Option<Self> = None;
        for (event, version, at) in history {
            Self::advance(&mut row, event, version, at);
        }
        row
    }

    /// Adds the next event of a history to the row that it amounts to so far.
    pub fn advance(row: &mut Option<Self>, event: &OrderEvent, version: u64, at: &str) {
        match row {
            None => *row = Self::begin(event, version, at),
            Some(row) => row.apply(SummaryChange::of(event, version, at)),
        }
    }
}
