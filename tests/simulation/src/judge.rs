//! Whether a world that came to rest is as it must be: the invariants of the design, and what
//! only somebody sees who sees everything.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::ids::Sku;
use domain::notification::Notification;
use domain::order_summary::OrderStatus;
use invariants::{Evidence, GivenUp, Published, StoreView, broken, check, decoded};

use crate::shop::Known;
use crate::world::{World, lock};

/// Mails that were sent, none, or more often than anything excuses.
pub const MAILS: &str = "every customer is told once";
/// Stock that was never below nothing.
pub const NEVER_BELOW_ZERO: &str = "available >= 0 at any time";
/// A delivery of the warehouse counts once.
pub const STOCKED_ONCE: &str = "a delivery counts once";
/// Without faults every letter can be redriven.
pub const NOTHING_LEFT: &str = "every dead letter can be redriven";
/// Clients get the answers that they must.
pub const ANSWERS: &str = "requests are answered as they must";
/// Who can pay, and did not call off, and whose stock is there, is delivered.
pub const FAIR: &str = "an order ends for a reason";

/// So many wrongs of a kind are said.
const SAID: usize = 5;

/// What is wrong, each as a line that begins with the invariant's name.
#[must_use]
pub fn judge(world: &Arc<World>, known: &Known) -> Vec<String> {
    let evidence = evidence(world, known);
    let verdicts = check(&evidence);
    let mut wrong = broken(&verdicts);
    let mut say = |name: &str, wrongs: Vec<String>| {
        if !wrongs.is_empty() {
            let said: Vec<_> = wrongs.iter().take(SAID).cloned().collect();
            wrong.push(format!(
                "BROKEN {name}: {} ({} in all)",
                said.join("; "),
                wrongs.len()
            ));
        }
    };
    say(MAILS, mails(world, &evidence.stored));
    say(NEVER_BELOW_ZERO, below_zero(world));
    say(STOCKED_ONCE, stocked_once(world, known));
    say(NOTHING_LEFT, left(world));
    say(ANSWERS, known.wrong.clone());
    say(FAIR, unfair(known, &evidence.stored));
    wrong
}

fn evidence(world: &Arc<World>, known: &Known) -> Evidence {
    let (streams, rewrites) = {
        let kept = lock(&world.kept);
        (kept.streams().clone(), kept.rewrites)
    };
    let skus = streams
        .keys()
        .filter_map(|stream| stream.strip_prefix("inventory-"))
        .filter_map(|sku| Sku::parse(sku.to_owned()).ok());
    let stock = skus
        .map(|sku| (sku.to_string(), lock(&world.kept).stock.available(&sku)))
        .collect();
    let rows = lock(&world.rows);
    let rows = rows.iter().filter_map(|(order, row)| {
        let row = serde_json::to_value(&row.summary).ok()?;
        Some((order.to_string(), row))
    });
    let stored = StoreView {
        rows: rows.collect(),
        streams,
        stock,
        unreadable: Vec::new(),
    };
    let published = lock(&world.published)
        .iter()
        .map(|one| Published {
            bus: "orders".to_owned(),
            source: one.source.clone(),
            detail: one.event["detail"].clone(),
        })
        .collect();
    let given_up = world
        .letters()
        .iter()
        .flat_map(|letter| {
            letter.event_ids().map(|id| GivenUp {
                consumer: letter.consumer.clone(),
                event_id: id.to_owned(),
            })
        })
        .collect();
    Evidence {
        stored,
        published: Some(published),
        accepted: known.accepted.keys().cloned().collect(),
        given_up,
        rewrites: Some(rewrites),
        gateway: Some(lock(&world.books).moves.clone()),
        gateway_gaps: false,
    }
}

/// Each event that customers hear of was told once; more often only where nobody could know of the
/// time before.
fn mails(world: &World, stored: &StoreView) -> Vec<String> {
    let mails = lock(&world.mails);
    let mut wrongs = Vec::new();
    for (_, events) in stored.orders() {
        for (event, envelope) in decoded(events).unwrap_or_default() {
            let Some(notification) = Notification::about(&event) else {
                continue;
            };
            let subject = &notification.subject;
            let claims = format!("notification-{}", envelope.event_id);
            let claims = stored.streams.get(&claims).map_or(&[][..], Vec::as_slice);
            let retried = claims
                .iter()
                .filter(|one| one.event_type == "NotificationRetried")
                .count();
            let excused = mails.excused.get(subject).copied().unwrap_or(0) as usize;
            match mails.sent.get(subject).copied().unwrap_or(0) as usize {
                0 => wrongs.push(format!("`{subject}` was never sent")),
                sent if sent > 1 + retried + excused => wrongs.push(format!(
                    "`{subject}` was sent {sent} times, and {excused} repeats are excused"
                )),
                _ => {}
            }
        }
    }
    wrongs
}

fn below_zero(world: &World) -> Vec<String> {
    let kept = lock(&world.kept);
    let lowest = kept.stock.lowest().iter();
    lowest
        .filter(|(_, lowest)| **lowest < 0)
        .map(|(sku, lowest)| format!("of {sku} there were {lowest}"))
        .collect()
}

fn stocked_once(world: &World, known: &Known) -> Vec<String> {
    let kept = lock(&world.kept);
    let mut stocked: BTreeMap<String, i64> = BTreeMap::new();
    for (stream, events) in kept.streams() {
        let Some(sku) = stream.strip_prefix("inventory-") else {
            continue;
        };
        for event in events {
            let pieces = event.data["changes"][0]["quantity"].as_i64();
            *stocked.entry(sku.to_owned()).or_default() += pieces.unwrap_or_default();
        }
    }
    if stocked == known.stocked {
        return Vec::new();
    }
    vec![format!(
        "{stocked:?} were stocked, the warehouse brought {:?}",
        known.stocked
    )]
}

fn left(world: &World) -> Vec<String> {
    let letters = world.letters();
    letters
        .iter()
        .map(|letter| format!("{}: {}", letter.consumer, letter.reason))
        .collect()
}

/// An order that was rejected or cancelled although nobody called it off and nothing was amiss,
/// or confirmed although its card is not good.
fn unfair(known: &Known, stored: &StoreView) -> Vec<String> {
    let rows = stored.summaries();
    let mut wrongs = Vec::new();
    for (order, ordered) in &known.accepted {
        let Some(Some(row)) = rows.get(order.as_str()) else {
            continue;
        };
        let free = row.total_amount.is_zero();
        let unpaid = row
            .reason
            .as_deref()
            .is_some_and(|why| why.starts_with("payment"));
        let wrong = match row.status {
            OrderStatus::Cancelled => !ordered.regretted,
            OrderStatus::Confirmed => !ordered.can_pay && !free,
            OrderStatus::Rejected => unpaid && (ordered.can_pay || free),
            OrderStatus::Placed | OrderStatus::Reserved | OrderStatus::Expired => false,
        };
        if wrong {
            let (status, reason) = (row.status, &row.reason);
            wrongs.push(format!("{order} is {status:?} {reason:?}: {ordered:?}"));
        }
    }
    wrongs
}
