//! Whether a world that came to rest is as it must be: the invariants of the design, and what
//! only somebody sees who sees everything.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::ids::Sku;
use domain::notification::Notification;
use domain::order_summary::OrderStatus;
use event_sourcing::dead_letter::{Act, DeadLetter};
use invariants::{Evidence, GivenUp, Published, StoreView, broken, check, decoded};

use crate::faults::Fault;
use crate::shop::Known;
use crate::world::{World, lock};

/// Mails that were sent, none, or more often than anything excuses.
pub const MAILS: &str = "every customer is told once";
/// Stock that was never below nothing.
pub const NEVER_BELOW_ZERO: &str = "available >= 0 at any time";
/// A delivery of the warehouse counts once.
pub const STOCKED_ONCE: &str = "a delivery counts once";
/// Without faults every letter can be redriven, but for poison.
pub const NOTHING_LEFT: &str = "every dead letter can be redriven";
/// No consumer is called for ever with what it does not take.
pub const ROUNDS_END: &str = "a letter's rounds end, and poison is parked";
/// What was not lost was published by the relay.
pub const RELAYED: &str = "only what was lost has to be published again";
/// No marker without an event.
pub const MARKED: &str = "what was published is found in the store";
/// Clients get the answers that they must.
pub const ANSWERS: &str = "requests are answered as they must";
/// Who can pay, and did not call off, and whose stock is there, is delivered.
pub const FAIR: &str = "an order ends for a reason";

/// How customers are reached is stored sealed only.
pub const SEALED: &str = "personal data is sealed";

/// Who publishes what is stored.
const RELAY: &str = "publish-events";

/// So many wrongs of a kind are said.
const SAID: usize = 5;

/// What is wrong, each as a line that begins with the invariant's name.
#[must_use]
pub fn judge(world: &Arc<World>, known: &Known, missing: u64) -> Vec<String> {
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
    say(ROUNDS_END, endless(world));
    say(RELAYED, not_relayed(world, missing));
    say(MARKED, unstored(world));
    say(ANSWERS, known.wrong.clone());
    say(SEALED, plain(&evidence.stored));
    say(FAIR, unfair(known, &evidence.stored));
    wrong
}

/// Events with a contact that anybody can read.
fn plain(stored: &StoreView) -> Vec<String> {
    let events = stored.streams.values().flatten();
    let plain = events.filter(|event| event.data.get("contact").is_some());
    plain.map(|event| event.event_id.clone()).collect()
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
    let letters = world.letters.all();
    let given_up = letters
        .iter()
        .filter(|letter| letter.status.is_open())
        .filter_map(|letter| {
            Some(GivenUp {
                consumer: letter.consumer.clone(),
                event_id: letter.event.as_ref()?.event_id.clone(),
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

/// Each event that customers hear of was told once; more often only as often as it was told in a
/// call of whose end nobody knew.
fn mails(world: &World, stored: &StoreView) -> Vec<String> {
    let mails = lock(&world.mails);
    let mut wrongs = Vec::new();
    for (_, events) in stored.orders() {
        for (event, _) in decoded(events).unwrap_or_default() {
            let Some(notification) = Notification::about(&event) else {
                continue;
            };
            let subject = &notification.subject;
            let excused = mails.excused.get(subject).copied().unwrap_or(0) as usize;
            match mails.sent.get(subject).copied().unwrap_or(0) as usize {
                0 => wrongs.push(format!("`{subject}` was never sent")),
                sent if sent > 1 + excused => wrongs.push(format!(
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
    let queues = lock(&world.queues);
    let in_queues = queues
        .left()
        .map(|(consumer, message)| format!("{consumer}: {} is in its queue", message.id));
    let letters = world.letters.all();
    let open = letters.iter().filter(|letter| letter.status.is_open());
    let open = open.map(|letter| format!("{}: {}", letter.letter_id, letter.cause));
    in_queues.chain(open).collect()
}

/// Letters that were redriven more often than their rounds allow, and poison that was not parked.
fn endless(world: &World) -> Vec<String> {
    let most = world.wiring.redrive_policy.rounds;
    let mut wrongs = Vec::new();
    let letters = world.letters.all();
    for letter in &letters {
        let mut failed = 0;
        for entry in &letter.history {
            match entry.act {
                Act::RoundFailed => failed += entry.times,
                Act::TakenIn | Act::Released | Act::Redriven | Act::Purged => failed = 0,
                _ => {}
            }
            if failed > most {
                wrongs.push(format!("{} had {failed} rounds", letter.letter_id));
                break;
            }
        }
    }
    for id in lock(&world.poison).iter() {
        let parked = |letter: &&DeadLetter| {
            let is_of = letter
                .event
                .as_ref()
                .is_some_and(|event| event.event_id == *id);
            is_of && letter.history.iter().any(|one| one.act == Act::Parked)
        };
        if !letters.iter().any(|letter| parked(&letter)) {
            wrongs.push(format!("nobody was told that {id} is poison"));
        }
    }
    wrongs
}

/// What reconciling found unpublished once there were no faults, where the stream lost nothing, the
/// relay gave nothing up, and the clocks were right: at the edge of its period, it goes by them.
fn not_relayed(world: &World, missing: u64) -> Vec<String> {
    let counts = world.faults.counts();
    let excused = counts.of(Fault::LostRecord) + counts.of(Fault::ClockJump);
    let letters = world.letters.all();
    let gave_up = letters.iter().any(|letter| letter.consumer == RELAY);
    if missing == 0 || excused > 0 || gave_up {
        return Vec::new();
    }
    vec![format!(
        "{missing} events were not published, and none was lost"
    )]
}

fn unstored(world: &World) -> Vec<String> {
    match world.reconciling().unstored {
        0 => Vec::new(),
        count => vec![format!("{count} events were published and not stored")],
    }
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
