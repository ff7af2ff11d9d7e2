//! The port to the orders about which something is left to do.

use aws_adapters::dynamodb_order_summaries::{OpenOrder, SummaryError};
use aws_adapters::order_tables::LiveOrderSummaries;
use domain::ids::OrderId;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Finds open orders. What it finds is a hint: the store tells how an order stands.
pub trait OpenOrders: Send + Sync {
    /// A page of a partition, the oldest first: orders that are open since `until` or longer,
    /// after the one that a page before ended with. A page that is not full is the last one.
    ///
    /// # Errors
    /// [`SummaryError`].
    fn open(
        &self,
        part: u8,
        until: Timestamp,
        limit: u16,
        after: Option<&OpenOrder>,
    ) -> impl Future<Output = Result<Vec<OpenOrder>, SummaryError>> + Send;

    /// Puts an order off, as healed so often: it counts as open since `until`. Whether it was
    /// still as it was found.
    ///
    /// # Errors
    /// [`SummaryError`].
    fn put_off(
        &self,
        order: &OpenOrder,
        until: Timestamp,
        healed: u32,
    ) -> impl Future<Output = Result<bool, SummaryError>> + Send;
}

impl OpenOrders for LiveOrderSummaries {
    async fn open(
        &self,
        part: u8,
        until: Timestamp,
        limit: u16,
        after: Option<&OpenOrder>,
    ) -> Result<Vec<OpenOrder>, SummaryError> {
        let rows = self.at(Timestamp::now()).await?;
        rows.open(part, until, limit, after).await
    }

    async fn put_off(
        &self,
        order: &OpenOrder,
        until: Timestamp,
        healed: u32,
    ) -> Result<bool, SummaryError> {
        let rows = self.at(Timestamp::now()).await?;
        rows.put_off(order, until, healed).await
    }
}

/// Open orders in memory, for tests and the simulation: all in one partition.
#[derive(Debug, Default)]
pub struct InMemoryOpenOrders {
    orders: Mutex<BTreeMap<OrderId, OpenOrder>>,
}

impl InMemoryOpenOrders {
    /// Notes that an order is open.
    pub fn note(&self, order_id: OrderId, since: Timestamp) {
        let order = OpenOrder {
            order_id: order_id.clone(),
            since,
            healed: 0,
        };
        self.orders().insert(order_id, order);
    }

    /// An order, where it is open.
    #[must_use]
    pub fn find(&self, order_id: &OrderId) -> Option<OpenOrder> {
        self.orders().get(order_id).cloned()
    }

    fn orders(&self) -> MutexGuard<'_, BTreeMap<OrderId, OpenOrder>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenOrders for InMemoryOpenOrders {
    async fn open(
        &self,
        part: u8,
        until: Timestamp,
        limit: u16,
        after: Option<&OpenOrder>,
    ) -> Result<Vec<OpenOrder>, SummaryError> {
        let key = |order: &OpenOrder| (order.since, order.order_id.clone());
        let mut orders: Vec<_> = self.orders().values().cloned().collect();
        orders.retain(|order| part == 0 && order.since <= until);
        orders.retain(|order| after.is_none_or(|after| key(order) > key(after)));
        orders.sort_by_key(key);
        orders.truncate(limit.into());
        Ok(orders)
    }

    async fn put_off(
        &self,
        order: &OpenOrder,
        until: Timestamp,
        healed: u32,
    ) -> Result<bool, SummaryError> {
        match self.orders().get_mut(&order.order_id) {
            Some(kept) if kept.since == order.since => {
                (kept.since, kept.healed) = (until, healed);
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}
