//! Order figures as they are shown.

use super::{OrderFigures, Revenue, TopSku};
use crate::exact::Exact;
use serde::Serialize;

/// The order figures of a window, ready for JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderInsights {
    /// Orders placed.
    pub placed: u64,
    /// Orders confirmed.
    pub confirmed: u64,
    /// Orders that could not be delivered.
    pub rejected: u64,
    /// Orders that could not be paid.
    pub failed: u64,
    /// Orders called off.
    pub cancelled: u64,
    /// Orders whose money was given back.
    pub refunded: u64,
    /// What confirmed orders paid, per currency.
    pub revenue: Revenue,
    /// What was given back, per currency.
    pub refunds: Revenue,
    /// Median of the time from placing to confirmation, in milliseconds; `null` where no order
    /// was measured.
    pub p50_ms: Option<u64>,
    /// What 95 % did not exceed, in milliseconds.
    pub p95_ms: Option<u64>,
    /// Confirmed orders that are not in the percentiles, because their event does not tell when
    /// they were placed.
    pub unmeasured: u64,
    /// About how many different customers placed orders.
    pub distinct_customers: u64,
    /// (rejected + failed) / (confirmed + rejected + failed); `null` where none was decided.
    pub failure_ratio: Option<Exact>,
    /// The SKUs that were ordered most.
    pub top_skus: Vec<TopSku>,
}

impl OrderFigures {
    /// The figures as they are shown, with the `most` SKUs that were ordered most.
    #[must_use]
    pub fn insights(&self, most: usize) -> OrderInsights {
        OrderInsights {
            placed: self.placed,
            confirmed: self.confirmed,
            rejected: self.rejected,
            failed: self.failed,
            cancelled: self.cancelled,
            refunded: self.refunded,
            revenue: self.revenue.clone(),
            refunds: self.refunds.clone(),
            p50_ms: self.latency.percentile(50),
            p95_ms: self.latency.percentile(95),
            unmeasured: self.unmeasured,
            distinct_customers: self.customers.estimate(),
            failure_ratio: self.failure_ratio(),
            top_skus: self.skus.top(most),
        }
    }
}
