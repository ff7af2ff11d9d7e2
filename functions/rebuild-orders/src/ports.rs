//! The ports to the rows and to what says which of them are live.

use aws_adapters::dynamodb_order_summaries::{DynamoDbOrderSummaries, SummaryError};
use aws_adapters::order_projection::{InMemoryOrderSummaries, OrderSummaries};
use aws_adapters::order_tables::{DynamoDbSwitch, Side, Switch};
use aws_adapters::written_tables::WrittenTables;
use std::future::Future;
use std::sync::{Mutex, PoisonError};

/// Rows that can be taken away, too.
pub trait Rows: OrderSummaries {
    /// Deletes a page of rows, the one after the row `after`, and answers which row it ended with;
    /// `None` after the last page.
    ///
    /// # Errors
    /// [`SummaryError`].
    fn delete_some(
        &self,
        after: Option<&str>,
    ) -> impl Future<Output = Result<Option<String>, SummaryError>> + Send;
}

/// Where it is said which rows are live and which are written.
pub trait Board: Send + Sync {
    /// The switch, up to date.
    ///
    /// # Errors
    /// [`SummaryError`].
    fn switch(&self) -> impl Future<Output = Result<Switch, SummaryError>> + Send;

    /// Changes the switch, if it still is at the revision before; whether it was.
    ///
    /// # Errors
    /// [`SummaryError`].
    fn change(&self, to: &Switch) -> impl Future<Output = Result<bool, SummaryError>> + Send;

    /// Says to `project-orders` which rows it is to write, in this order.
    ///
    /// # Errors
    /// [`SummaryError`].
    fn let_write(&self, sides: &[Side]) -> impl Future<Output = Result<(), SummaryError>> + Send;
}

impl Rows for DynamoDbOrderSummaries {
    async fn delete_some(&self, after: Option<&str>) -> Result<Option<String>, SummaryError> {
        Self::delete_some(self, after).await
    }
}

/// The item of the blue table, and the parameter.
#[derive(Debug)]
pub struct AwsBoard {
    /// For readers.
    pub switch: DynamoDbSwitch,
    /// For the projection.
    pub written: WrittenTables,
}

impl Board for AwsBoard {
    async fn switch(&self) -> Result<Switch, SummaryError> {
        self.switch.read(true).await
    }

    async fn change(&self, to: &Switch) -> Result<bool, SummaryError> {
        self.switch.write(to).await
    }

    async fn let_write(&self, sides: &[Side]) -> Result<(), SummaryError> {
        self.written.write(sides).await
    }
}

impl Rows for InMemoryOrderSummaries {
    async fn delete_some(&self, _after: Option<&str>) -> Result<Option<String>, SummaryError> {
        self.clear();
        Ok(None)
    }
}

/// A board in memory, for tests.
#[derive(Debug)]
pub struct InMemoryBoard {
    kept: Mutex<(Switch, Vec<Side>)>,
}

impl Default for InMemoryBoard {
    fn default() -> Self {
        Self {
            kept: Mutex::new((Switch::START, vec![Side::Blue])),
        }
    }
}

impl InMemoryBoard {
    /// The switch, and which rows are written.
    #[must_use]
    pub fn kept(&self) -> (Switch, Vec<Side>) {
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Board for InMemoryBoard {
    async fn switch(&self) -> Result<Switch, SummaryError> {
        Ok(self.kept().0)
    }

    async fn change(&self, to: &Switch) -> Result<bool, SummaryError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let follows = kept.0.revision + 1 == to.revision;
        if follows {
            kept.0 = *to;
        }
        Ok(follows)
    }

    async fn let_write(&self, sides: &[Side]) -> Result<(), SummaryError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.1 = sides.to_vec();
        Ok(())
    }
}
