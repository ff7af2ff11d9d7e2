//! The invariants of the design, checked over what was stored and published: pure functions.
//!
//! [`Evidence`] is what is known of a system that came to rest, whoever gathered it: `cargo local`
//! from its tables and logs, the simulation from its world. [`check`] judges it.

mod orders;
mod parked;
mod payments;
mod stock;
pub mod stored;
mod streams;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use stored::{ORDER_STREAM, StoreView, decoded, summary};

/// What is known after the system came to rest.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evidence {
    /// What is stored.
    pub stored: StoreView,
    /// What was put on the buses; none where nobody looked.
    pub published: Option<Vec<Published>>,
    /// Ids of the orders that the API accepted.
    pub accepted: Vec<String>,
    /// The events that lie in dead-letter queues, and whose they were.
    pub given_up: Vec<GivenUp>,
    /// Changes of the event store that were not new items; none where nobody looked.
    pub rewrites: Option<u64>,
    /// What the payment gateway did; none where nobody looked, or where it does not tell.
    pub gateway: Option<Vec<GatewayMove>>,
    /// Whether the gateway did more than was noted: then only what was noted is judged.
    pub gateway_gaps: bool,
}

/// An event that a bus accepted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Published {
    /// Name of the bus.
    pub bus: String,
    /// `source` of the entry.
    pub source: String,
    /// `detail` of the entry.
    pub detail: Value,
}

/// An event that a function was to get, and that lies in a queue now, or waits as a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GivenUp {
    /// The function, by its program: `update-inventory`.
    pub consumer: String,
    /// The event.
    pub event_id: String,
}

/// A movement of money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum GatewayMove {
    /// A charge.
    Charged {
        /// For which order.
        order: String,
        /// The idempotency key: two calls with one key are one charge.
        key: String,
        /// The gateway's name of it.
        payment: String,
    },
    /// A charge was given back.
    Refunded {
        /// The idempotency key.
        key: String,
        /// Which charge.
        payment: String,
    },
}

/// Whether an invariant holds, and what was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The invariant, in the design's words.
    pub name: &'static str,
    /// Whether it holds.
    pub held: bool,
    /// What was counted, or the first things that are wrong.
    pub detail: String,
}

/// Stored ⇔ published.
pub const STORED_IS_PUBLISHED: &str = "stored ⇔ published";
/// No lost order.
pub const NO_LOST_ORDER: &str = "no lost order";
/// No oversell.
pub const NO_OVERSELL: &str = "no oversell";
/// One charge at most per order.
pub const ONE_CHARGE: &str = "one charge at most per order";
/// Exactly one `UserNotified` per trigger.
pub const ONE_NOTIFICATION: &str = "exactly one UserNotified per trigger";
/// Versions are gap-free, events never change.
pub const GAP_FREE: &str = "versions are gap-free";
/// A read model equals the fold of its streams.
pub const READ_MODEL: &str = "a read model equals the fold of its streams";

/// Checks every invariant that the evidence tells of, one by one, in the design's order.
#[must_use]
pub fn check(evidence: &Evidence) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    verdicts.extend(streams::stored_is_published(evidence));
    verdicts.push(orders::no_lost_order(evidence));
    verdicts.push(stock::no_oversell(evidence));
    verdicts.push(payments::one_charge(evidence));
    verdicts.push(orders::one_notification(evidence));
    verdicts.push(streams::gap_free(evidence));
    verdicts.push(orders::read_model(evidence));
    verdicts
}

/// The verdicts that are broken, as lines.
#[must_use]
pub fn broken(verdicts: &[Verdict]) -> Vec<String> {
    let broken = verdicts.iter().filter(|verdict| !verdict.held);
    broken.map(ToString::to_string).collect()
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.held { "held  " } else { "BROKEN" };
        write!(f, "{mark} {}: {}", self.name, self.detail)
    }
}

/// So many wrongs are said in full.
const SAID: usize = 5;

/// The verdict over a list of what is wrong.
fn verdict(name: &'static str, wrongs: &[String], counted: impl Into<String>) -> Verdict {
    let detail = if wrongs.is_empty() {
        counted.into()
    } else {
        let mut said: Vec<String> = wrongs.iter().take(SAID).cloned().collect();
        if wrongs.len() > SAID {
            said.push(format!("and {} more", wrongs.len() - SAID));
        }
        said.join("; ")
    };
    Verdict {
        name,
        held: wrongs.is_empty(),
        detail,
    }
}

#[cfg(test)]
mod tests;
