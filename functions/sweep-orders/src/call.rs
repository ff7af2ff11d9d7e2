//! What the function is called with, and what it answers.

use aws_adapters::metrics::Metric;
use event_sourcing::failure::Failure;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// So many orders are named.
const MAX_NAMED: usize = 20;

/// A call, by the schedule or by an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {
    /// Look and tell, and change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

impl Request {
    /// Reads `{"dryRun"?: true}`.
    ///
    /// # Errors
    /// [`Failure::Permanent`] names what is wrong with it.
    pub fn parse(payload: &Value) -> Result<Self, Failure> {
        Self::deserialize(payload)
            .map_err(|error| Failure::Permanent(format!("not a call of this function: {error}")))
    }
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Named {
    /// Which one.
    pub order_id: String,
    /// What was done, or on a dry run would have been.
    pub act: String,
}

/// What a sweep found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// Orders that were open for long enough to be looked at.
    pub looked: u64,
    /// Those that moved meanwhile, or a short while ago.
    pub moving: u64,
    /// Those whose event was published again.
    pub healed: u64,
    /// Those that were cancelled because they were not paid in time.
    pub expired: u64,
    /// Those that earlier sweeps healed, in vain, and those that no event would move: an operator
    /// has to look at them.
    pub stuck: u64,
    /// Those that something stood in the way of, and partitions that were not searched; the next
    /// sweep looks at them again.
    pub failed: u64,
    /// How long the one of them did not move that did not for the longest, in seconds.
    pub oldest_seconds: i64,
    /// Some of those that something was done about.
    pub orders: Vec<Named>,
    /// Whether all were looked at; the next sweep goes on with the rest.
    pub done: bool,
}

impl Answer {
    /// Names an order, unless there are too many.
    pub fn name(&mut self, order_id: &str, act: String) {
        if self.orders.len() < MAX_NAMED {
            self.orders.push(Named {
                order_id: order_id.to_owned(),
                act,
            });
        }
    }

    /// The figures that alarms go by.
    #[must_use]
    pub fn metrics(&self) -> [Metric; 5] {
        [
            Metric::count("OrdersHealed", self.healed),
            Metric::count("OrdersExpired", self.expired),
            Metric::count("OrdersStuck", self.stuck),
            Metric::count("OrdersNotSwept", self.failed),
            Metric::seconds(
                "OldestOpenOrder",
                SignedDuration::from_secs(self.oldest_seconds),
            ),
        ]
    }
}
