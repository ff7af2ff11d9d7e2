//! The port to the rows of orders, as this function writes them.

use aws_adapters::dynamodb_order_summaries::{DynamoDbOrderSummaries, SummaryError, Written};
use domain::ids::OrderId;
use domain::order_summary::{OrderSummary, SummaryChange};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Mutex, PoisonError};

/// Writes rows of orders, each write conditional on the version that is there.
pub trait OrderSummaries: Send + Sync {
    /// Writes a row whose version is higher than that of the row that is there.
    ///
    /// # Errors
    /// [`SummaryError`].
    fn put_if_newer(
        &self,
        row: &OrderSummary,
    ) -> impl Future<Output = Result<Written, SummaryError>> + Send;

    /// Adds changes to the row at version `from` without reading it.
    ///
    /// # Errors
    /// [`SummaryError`].
    fn advance(
        &self,
        order: &OrderId,
        from: u64,
        changes: &[SummaryChange],
    ) -> impl Future<Output = Result<Written, SummaryError>> + Send;
}

impl OrderSummaries for DynamoDbOrderSummaries {
    async fn put_if_newer(&self, row: &OrderSummary) -> Result<Written, SummaryError> {
        Self::put_if_newer(self, row).await
    }

    async fn advance(
        &self,
        order: &OrderId,
        from: u64,
        changes: &[SummaryChange],
    ) -> Result<Written, SummaryError> {
        Self::advance(self, order, from, changes).await
    }
}

/// Rows in memory, for tests and the simulation.
#[derive(Debug, Default)]
pub struct InMemoryOrderSummaries {
    rows: Mutex<BTreeMap<OrderId, OrderSummary>>,
}

impl InMemoryOrderSummaries {
    /// A copy of all rows.
    #[must_use]
    pub fn rows(&self) -> BTreeMap<OrderId, OrderSummary> {
        self.rows
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl OrderSummaries for InMemoryOrderSummaries {
    async fn put_if_newer(&self, row: &OrderSummary) -> Result<Written, SummaryError> {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        match rows.get(&row.order_id) {
            Some(stored) if stored.version >= row.version => Ok(Written::At {
                version: Some(stored.version),
            }),
            _ => {
                rows.insert(row.order_id.clone(), row.clone());
                Ok(Written::Done)
            }
        }
    }

    async fn advance(
        &self,
        order: &OrderId,
        from: u64,
        changes: &[SummaryChange],
    ) -> Result<Written, SummaryError> {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        match rows.get_mut(order) {
            Some(row) if row.version == from => {
                for change in changes {
                    row.apply(change.clone());
                }
                Ok(Written::Done)
            }
            row => Ok(Written::At {
                version: row.map(|row| row.version),
            }),
        }
    }
}
