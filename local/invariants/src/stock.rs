//! What holds of the stock.

use std::collections::BTreeMap;

use domain::inventory::{Restocked, StockChange, StockReason, negated, reserved_changes};
use domain::order::OrderEvent;
use domain::order_summary::OrderStatus;
use event_sourcing::decider::Event as _;
use event_sourcing::envelope::Envelope;
use serde::Deserialize as _;

use super::parked::{INVENTORY, Parked};
use super::{Evidence, NO_OVERSELL, Verdict, verdict};
use crate::stored::{ORDER_STREAM, decoded, summary};

/// Prefix of the streams of SKUs.
const SKU_STREAM: &str = "inventory-";
/// The events at which an order's stock goes back.
const RELEASING: [&str; 2] = ["PaymentFailed", "OrderCancelled"];

/// `available >= 0`; available + reserved + sold = stocked, for every SKU; an order takes exactly
/// what it says, and one that ends undelivered holds nothing.
pub(super) fn no_oversell(evidence: &Evidence) -> Verdict {
    let stored = &evidence.stored;
    let parked = Parked::of(evidence);
    let mut wrongs = Vec::new();
    let mut stocked: BTreeMap<String, i64> = BTreeMap::new();
    let mut held: BTreeMap<String, i64> = BTreeMap::new();
    for (stream, events) in &stored.streams {
        if stream.starts_with(SKU_STREAM) {
            for event in events {
                match Restocked::deserialize(&event.data) {
                    Ok(restocked) => add(&mut stocked, &restocked.changes, 1),
                    Err(error) => wrongs.push(format!("{stream} cannot be read: {error}")),
                }
            }
        } else if let Some(order) = stream.strip_prefix(ORDER_STREAM) {
            wrongs.extend(order_takes(order, events, &mut held, &parked));
        }
    }
    let skus = stocked.keys().chain(held.keys()).chain(stored.stock.keys());
    let skus: std::collections::BTreeSet<&String> = skus.collect();
    for sku in &skus {
        let of = |levels: &BTreeMap<String, i64>| levels.get(*sku).copied().unwrap_or(0);
        let (stocked, held) = (of(&stocked), of(&held));
        let available = of(&stored.stock);
        if available < 0 {
            wrongs.push(format!("{sku}: {available} are available"));
        }
        if available + held != stocked {
            wrongs.push(format!(
                "{sku}: {available} available and {held} reserved or sold are not the {stocked} \
                 that were stocked"
            ));
        }
    }
    let pieces: i64 = held.values().sum();
    let counted = format!("{} SKUs, {pieces} pieces reserved or sold", skus.len());
    verdict(NO_OVERSELL, &wrongs, counted)
}

/// What an order does to the stock.
#[derive(Default)]
struct Takes {
    ordered: Vec<StockChange>,
    reserved: Option<Vec<StockChange>>,
    released: Option<Vec<StockChange>>,
}

/// Adds what the order holds, and says what is wrong with it.
fn order_takes(
    order: &str,
    events: &[Envelope],
    held: &mut BTreeMap<String, i64>,
    parked: &Parked<'_>,
) -> Option<String> {
    let Some(history) = decoded(events) else {
        return Some(format!("order {order} has an event that cannot be read"));
    };
    let mut takes = Takes::default();
    for (event, _) in &history {
        match event {
            OrderEvent::Placed(placed) => takes.ordered = reserved_changes(&placed.items),
            OrderEvent::InventoryUpdated(updated) => {
                add(held, &updated.changes, -1);
                let place = match updated.reason {
                    StockReason::Reserved => &mut takes.reserved,
                    StockReason::Released => &mut takes.released,
                    StockReason::Restocked => {
                        return Some(format!("order {order} restocks"));
                    }
                };
                if place.replace(updated.changes.clone()).is_some() {
                    let event = event.event_type();
                    return Some(format!("order {order} has a second {event} of one reason"));
                }
            }
            _ => {}
        }
    }
    let wrong = takes.wrong(events, parked)?;
    Some(format!("order {order} {wrong}"))
}

impl Takes {
    fn wrong(self, events: &[Envelope], parked: &Parked<'_>) -> Option<&'static str> {
        let reserved = self.reserved.as_ref();
        if reserved.is_some_and(|reserved| *reserved != self.ordered) {
            return Some("reserved other than what was ordered");
        }
        let taken = self.reserved.unwrap_or_default();
        let ended = summary(events).is_some_and(|row| {
            matches!(
                row.status,
                OrderStatus::Rejected | OrderStatus::Cancelled | OrderStatus::Expired
            )
        });
        match self.released {
            Some(released) if released != negated(&taken) => {
                Some("released other than what it had reserved")
            }
            Some(_) if !ended => Some("released what it is to deliver"),
            None if parked.holds_one_of(events, &RELEASING, INVENTORY) => None,
            None if ended && !taken.is_empty() => Some("ended and still holds stock"),
            _ => None,
        }
    }
}

fn add(levels: &mut BTreeMap<String, i64>, changes: &[StockChange], sign: i64) {
    for change in changes {
        let level = levels.entry(change.sku.to_string()).or_default();
        *level = level.saturating_add(sign.saturating_mul(change.quantity));
    }
}
