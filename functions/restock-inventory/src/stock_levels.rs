//! The port to what is known about stock, and how it is kept.

use aws_adapters::dynamodb_stock::{DynamoDbStock, SplitError};
use domain::ids::Sku;
use domain::inventory::{StockLevel, StockTable};
use event_sourcing::in_memory::InMemoryEventStore;
use event_sourcing::store::ReadError;
use std::future::Future;

/// Tells the level of a SKU, and splits its stock into buckets.
pub trait StockLevels: Send + Sync {
    /// The level of a SKU; `None` for one that nobody stocked.
    ///
    /// An adapter MUST read consistently: the level of every move made before.
    ///
    /// # Errors
    /// [`ReadError`].
    fn level(
        &self,
        sku: &Sku,
    ) -> impl Future<Output = Result<Option<StockLevel>, ReadError>> + Send;

    /// Keeps the stock of a SKU in so many buckets.
    ///
    /// An adapter MUST move all pieces or none, and give each bucket an even share.
    ///
    /// # Errors
    /// [`SplitError`].
    fn split(&self, sku: &Sku, buckets: u16)
    -> impl Future<Output = Result<(), SplitError>> + Send;
}

impl StockLevels for DynamoDbStock {
    async fn level(&self, sku: &Sku) -> Result<Option<StockLevel>, ReadError> {
        Self::level(self, sku).await
    }

    async fn split(&self, sku: &Sku, buckets: u16) -> Result<(), SplitError> {
        Self::split(self, sku, buckets).await
    }
}

impl StockLevels for &InMemoryEventStore<StockTable> {
    async fn level(&self, sku: &Sku) -> Result<Option<StockLevel>, ReadError> {
        Ok(self.companion().level(sku).cloned())
    }

    async fn split(&self, sku: &Sku, buckets: u16) -> Result<(), SplitError> {
        if self.companion().split(sku, buckets) {
            Ok(())
        } else {
            Err(SplitError::Unknown(sku.clone()))
        }
    }
}
