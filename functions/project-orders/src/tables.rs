//! The port to the tables of rows, as this function writes them.

use aws_adapters::dynamodb_order_summaries::{DynamoDbOrderSummaries, SummaryError};
use aws_adapters::order_projection::{InMemoryOrderSummaries, OrderSummaries};
use aws_adapters::order_tables::{Remembered, Side, Sides};
use aws_adapters::written_tables::WrittenTables;
use event_sourcing::clock::{Clock, SystemClock};
use std::future::Future;

/// The tables of rows.
pub trait OrderTables: Send + Sync {
    /// One of them.
    type Rows: OrderSummaries;

    /// Those to write now, one after the other: while a rebuild makes a new one, that one first,
    /// so that it is never behind the live one.
    ///
    /// # Errors
    /// [`SummaryError`].
    fn to_write(&self) -> impl Future<Output = Result<Vec<&Self::Rows>, SummaryError>> + Send;
}

/// The rows in tables.
#[derive(Debug)]
pub struct DynamoDbOrderTables {
    /// The two tables.
    pub tables: Sides<DynamoDbOrderSummaries>,
    /// Which of them are to be written.
    pub written: WrittenTables,
    /// What this instance knows of that.
    pub remembered: Remembered<Vec<Side>>,
}

impl OrderTables for DynamoDbOrderTables {
    type Rows = DynamoDbOrderSummaries;

    async fn to_write(&self) -> Result<Vec<&Self::Rows>, SummaryError> {
        let now = SystemClock.now();
        let sides = self.remembered.get(now, self.written.read()).await?;
        Ok(sides.into_iter().map(|side| self.tables.of(side)).collect())
    }
}

/// Rows in memory, for tests: the blue ones are written.
pub type InMemoryOrderTables = Sides<InMemoryOrderSummaries>;

impl OrderTables for InMemoryOrderTables {
    type Rows = InMemoryOrderSummaries;

    async fn to_write(&self) -> Result<Vec<&Self::Rows>, SummaryError> {
        Ok(vec![&self.blue])
    }
}
