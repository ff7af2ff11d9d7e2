//! The port to the read models.

use aws_adapters::dynamodb_order_summaries::{PageStart, SummaryError, SummaryPage};
use aws_adapters::dynamodb_stock::DynamoDbStock;
use aws_adapters::order_tables::LiveOrderSummaries;
use domain::ids::{OrderId, Sku, UserId};
use domain::inventory::StockLevel;
use domain::order_summary::OrderSummary;
use event_sourcing::clock::{Clock, SystemClock};
use event_sourcing::store::ReadError;
use std::future::Future;

/// Reads rows.
pub trait ReadModels: Send + Sync {
    /// The row of an order; it may be some milliseconds old.
    ///
    /// # Errors
    /// [`SummaryError`].
    fn order(
        &self,
        order: &OrderId,
    ) -> impl Future<Output = Result<Option<OrderSummary>, SummaryError>> + Send;

    /// A page of a user's orders, the newest first.
    ///
    /// # Errors
    /// [`SummaryError`].
    fn orders_of(
        &self,
        user: &UserId,
        limit: u16,
        after: Option<&PageStart>,
    ) -> impl Future<Output = Result<SummaryPage, SummaryError>> + Send;

    /// The level of a SKU.
    ///
    /// # Errors
    /// [`ReadError`].
    fn stock(
        &self,
        sku: &Sku,
    ) -> impl Future<Output = Result<Option<StockLevel>, ReadError>> + Send;
}

/// The rows in tables.
#[derive(Debug)]
pub struct DynamoDbReadModels {
    /// Rows of orders: the live ones.
    pub summaries: LiveOrderSummaries,
    /// Levels of SKUs.
    pub stock: DynamoDbStock,
}

impl ReadModels for DynamoDbReadModels {
    async fn order(&self, order: &OrderId) -> Result<Option<OrderSummary>, SummaryError> {
        let live = self.summaries.at(SystemClock.now()).await?;
        live.get(order).await
    }

    async fn orders_of(
        &self,
        user: &UserId,
        limit: u16,
        after: Option<&PageStart>,
    ) -> Result<SummaryPage, SummaryError> {
        let live = self.summaries.at(SystemClock.now()).await?;
        live.by_user(user, limit, after).await
    }

    async fn stock(&self, sku: &Sku) -> Result<Option<StockLevel>, ReadError> {
        self.stock.level(sku).await
    }
}
