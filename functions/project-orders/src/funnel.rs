//! How far orders get, and how long that takes: the figures of a batch.
//!
//! An event counts when its row is written, so one that is delivered again does not. Where a row
//! is folded anew because events came out of turn, or a function ended between writing a row and
//! telling its figures, a count can be off by some: figures to watch a shop by, no books.

use aws_adapters::metrics::Metric;
use aws_adapters::order_projection::Projected;
use event_sourcing::envelope::Envelope;
use jiff::{SignedDuration, Timestamp};

/// The figures of a batch.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Funnel {
    placed: u64,
    confirmed: u64,
    rejected: u64,
    cancelled: u64,
    place_to_confirm: Vec<SignedDuration>,
}

impl Funnel {
    /// Counts an order's events, unless its row had them before.
    pub(crate) fn count<'e>(
        &mut self,
        events: impl Iterator<Item = &'e Envelope>,
        projected: Projected,
    ) {
        let Projected::Now { placed_at } = projected else {
            return;
        };
        for event in events {
            match event.event_type.as_str() {
                "OrderPlaced" => self.placed += 1,
                "PaymentProcessed" => self.confirm(event, placed_at),
                "InventoryRejected" | "PaymentFailed" => self.rejected += 1,
                "OrderCancelled" => self.cancelled += 1,
                _ => {}
            }
        }
    }

    fn confirm(&mut self, event: &Envelope, placed_at: Option<Timestamp>) {
        self.confirmed += 1;
        let took = placed_at.map(|placed_at| event.at().duration_since(placed_at));
        self.place_to_confirm.extend(took);
    }

    /// The figures, without those of which there is nothing to tell.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        let mut metrics = vec![
            Metric::count("OrdersPlaced", self.placed),
            Metric::count("OrdersConfirmed", self.confirmed),
            Metric::count("OrdersRejected", self.rejected),
            Metric::count("OrdersCancelled", self.cancelled),
            Metric::milliseconds("PlaceToConfirm", &self.place_to_confirm),
        ];
        // Most batches tell of one or two.
        metrics.retain(|metric| !metric.is_nothing());
        metrics
    }
}
