//! The read model: rows of orders, each write conditional on the version that is there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_adapters::dynamodb_order_summaries::{Standing, SummaryError, Written};
use aws_adapters::order_projection::OrderSummaries;
use domain::ids::OrderId;
use domain::order_summary::{OrderSummary, SummaryChange};
use project_orders::tables::OrderTables;

use super::{World, lock};
use crate::faults::Fault;
use crate::mutants::Mutant;

/// The rows.
pub type KeptRows = Mutex<BTreeMap<OrderId, Row>>;

/// A row, and whether it says that something is left to do about its order.
#[derive(Debug, Clone)]
pub struct Row {
    /// What is known of the order.
    pub summary: OrderSummary,
    /// Whether a sweep would look at it.
    pub standing: Standing,
}

/// The port of the handler: one table.
pub struct Tables(pub Rows);

/// The rows of that table.
#[derive(Clone)]
pub struct Rows(pub Arc<World>);

impl OrderTables for Tables {
    type Rows = Rows;

    async fn to_write(&self) -> Result<Vec<&Rows>, SummaryError> {
        Ok(vec![&self.0])
    }
}

impl Rows {
    async fn write(
        &self,
        write: impl FnOnce(&mut BTreeMap<OrderId, Row>) -> Written,
    ) -> Result<Written, SummaryError> {
        let Self(world) = self;
        world.step().await;
        if world.hits(Fault::Throttled) {
            return Err(SummaryError::Unavailable("throttled".to_owned()));
        }
        let written = write(&mut lock(&world.rows));
        world.step().await;
        if world.hits(Fault::UnavailableButWritten) {
            return Err(SummaryError::Unavailable("no answer".to_owned()));
        }
        Ok(written)
    }
}

impl OrderSummaries for Rows {
    async fn put_if_newer(
        &self,
        row: &OrderSummary,
        standing: Standing,
    ) -> Result<Written, SummaryError> {
        let unconditional = self.0.has(Mutant::RowsUnconditional);
        self.write(|rows| match rows.get(&row.order_id) {
            Some(stored) if stored.summary.version >= row.version && !unconditional => {
                Written::At {
                    version: Some(stored.summary.version),
                }
            }
            _ => {
                let summary = row.clone();
                rows.insert(row.order_id.clone(), Row { summary, standing });
                Written::Done
            }
        })
        .await
    }

    async fn advance(
        &self,
        order: &OrderId,
        from: u64,
        changes: &[SummaryChange],
        standing: Standing,
    ) -> Result<Written, SummaryError> {
        let unconditional = self.0.has(Mutant::RowsUnconditional);
        self.write(|rows| match rows.get_mut(order) {
            Some(row) if row.summary.version == from || unconditional => {
                for change in changes {
                    row.summary.apply(change.clone());
                }
                row.standing = standing;
                Written::Done
            }
            row => Written::At {
                version: row.map(|row| row.summary.version),
            },
        })
        .await
    }
}
