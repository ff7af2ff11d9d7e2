//! Order figures of a window, as a value that merges: in any order, in any grouping, to the same.

mod distinct;
mod insights;
mod latency;
mod revenue;
mod skus;

pub use distinct::Distinct;
pub use insights::OrderInsights;
pub use latency::{Latency, MAX_LATENCY_MS};
pub use revenue::Revenue;
pub use skus::{SkuCounts, TopSku};

use crate::exact::Exact;
use crate::record::OrderFact;
use serde::{Deserialize, Serialize};

/// What happened to orders in a window.
///
/// Each event counts in the window in which it happened: an order that was placed in one minute and
/// paid in the next is placed in the first and confirmed in the second.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct OrderFigures {
    /// `OrderPlaced`.
    pub placed: u64,
    /// `PaymentProcessed`.
    pub confirmed: u64,
    /// `InventoryRejected`.
    pub rejected: u64,
    /// `PaymentFailed`.
    pub failed: u64,
    /// `OrderCancelled`, expired ones included.
    pub cancelled: u64,
    /// `PaymentRefunded`.
    pub refunded: u64,
    /// Events that move no figure.
    pub other: u64,
    /// What confirmed orders paid.
    pub revenue: Revenue,
    /// What was given back; not taken off the revenue, which may be of another window.
    pub refunds: Revenue,
    /// How long confirmed orders took from placing to payment.
    pub latency: Latency,
    /// Confirmed orders whose event does not tell when they were placed.
    pub unmeasured: u64,
    /// How many pieces of which SKU were ordered.
    pub skus: SkuCounts,
    /// Who ordered.
    pub customers: Distinct,
}

impl OrderFigures {
    /// Adds a fact.
    pub fn add(&mut self, fact: &OrderFact) {
        let counter = match fact {
            OrderFact::Placed { customer, pieces } => {
                self.customers.add(*customer);
                for (sku, quantity) in pieces {
                    self.skus.add(sku, u64::from(*quantity));
                }
                &mut self.placed
            }
            OrderFact::Confirmed {
                amount,
                currency,
                took,
            } => {
                self.revenue.add(*currency, *amount);
                match took {
                    Some(took) => self.latency.add(*took),
                    None => self.unmeasured = self.unmeasured.saturating_add(1),
                }
                &mut self.confirmed
            }
            OrderFact::Refunded { amount, currency } => {
                self.refunds.add(*currency, *amount);
                &mut self.refunded
            }
            OrderFact::Rejected => &mut self.rejected,
            OrderFact::Failed => &mut self.failed,
            OrderFact::Cancelled => &mut self.cancelled,
        };
        *counter = counter.saturating_add(1);
    }

    /// Notes an event that moves no figure.
    pub fn add_other(&mut self) {
        self.other = self.other.saturating_add(1);
    }

    /// Adds what another part saw. Associative and commutative.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in [
            (&mut self.placed, other.placed),
            (&mut self.confirmed, other.confirmed),
            (&mut self.rejected, other.rejected),
            (&mut self.failed, other.failed),
            (&mut self.cancelled, other.cancelled),
            (&mut self.refunded, other.refunded),
            (&mut self.other, other.other),
            (&mut self.unmeasured, other.unmeasured),
        ] {
            *mine = mine.saturating_add(theirs);
        }
        self.revenue.merge(&other.revenue);
        self.refunds.merge(&other.refunds);
        self.latency.merge(&other.latency);
        self.skus.merge(&other.skus);
        self.customers.merge(&other.customers);
    }

    /// Of the orders that were decided in the window, the share that was not confirmed:
    /// (rejected + failed) / (confirmed + rejected + failed). `None` where none was decided.
    #[must_use]
    pub fn failure_ratio(&self) -> Option<Exact> {
        let failures = self.rejected.saturating_add(self.failed);
        Exact::from(failures).over(failures.saturating_add(self.confirmed))
    }

    /// At most how many bytes it takes in a state.
    pub(crate) fn weight(&self) -> usize {
        80 + self.revenue.weight()
            + self.refunds.weight()
            + self.latency.weight()
            + self.skus.weight()
            + self.customers.weight()
    }
}

#[cfg(test)]
mod tests;
