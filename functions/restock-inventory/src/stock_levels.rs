//! The port to what is known about stock.

use aws_adapters::dynamodb_stock::DynamoDbStock;
use domain::ids::Sku;
use domain::inventory::{StockLevel, StockTable};
use event_sourcing::in_memory::InMemoryEventStore;
use event_sourcing::store::ReadError;
use std::future::Future;

/// Tells the level of a SKU.
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
}

impl StockLevels for DynamoDbStock {
    async fn level(&self, sku: &Sku) -> Result<Option<StockLevel>, ReadError> {
        Self::level(self, sku).await
    }
}

impl StockLevels for &InMemoryEventStore<StockTable> {
    async fn level(&self, sku: &Sku) -> Result<Option<StockLevel>, ReadError> {
        Ok(self.companion().level(sku).cloned())
    }
}
