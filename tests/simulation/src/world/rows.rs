//! The read model: rows of orders, each write conditional on the version that is there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_adapters::dynamodb_order_summaries::{OpenOrder, Standing, SummaryError, Written};
use aws_adapters::order_projection::OrderSummaries;
use domain::ids::OrderId;
use domain::order_summary::{OrderSummary, SummaryChange};
use jiff::Timestamp;
use project_orders::tables::OrderTables;
use sweep_orders::open_orders::OpenOrders;

use super::{World, lock};
use crate::faults::Fault;
use crate::mutants::Mutant;

/// The rows.
pub type KeptRows = Mutex<BTreeMap<OrderId, Row>>;

/// A row, and what it says about the healing of its order.
#[derive(Debug, Clone)]
pub struct Row {
    /// What is known of the order.
    pub summary: OrderSummary,
    /// Since when a sweep would look at it, if something is left to do about it, and how often it
    /// was healed.
    pub open: Option<(Timestamp, u32)>,
}

impl Row {
    fn stand(&mut self, standing: Standing, now: Timestamp) {
        self.open = match standing {
            Standing::Open => self.open.or(Some((now, 0))),
            Standing::Settled => None,
        };
    }
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
        let now = in_millis(self.0.now());
        self.write(|rows| match rows.get(&row.order_id) {
            Some(stored) if stored.summary.version >= row.version && !unconditional => {
                Written::At {
                    version: Some(stored.summary.version),
                }
            }
            _ => {
                let mut new = Row {
                    summary: row.clone(),
                    open: None,
                };
                new.stand(standing, now);
                rows.insert(row.order_id.clone(), new);
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
        let now = in_millis(self.0.now());
        self.write(|rows| match rows.get_mut(order) {
            Some(row) if row.summary.version == from || unconditional => {
                for change in changes {
                    row.summary.apply(change.clone());
                }
                row.stand(standing, now);
                Written::Done
            }
            row => Written::At {
                version: row.map(|row| row.summary.version),
            },
        })
        .await
    }
}

/// As the table keeps times.
fn in_millis(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}

impl OpenOrders for Rows {
    /// All in the first partition.
    async fn open(
        &self,
        part: u8,
        until: Timestamp,
        limit: u16,
        after: Option<&OpenOrder>,
    ) -> Result<Vec<OpenOrder>, SummaryError> {
        let Self(world) = self;
        if part > 0 {
            return Ok(Vec::new());
        }
        world.step().await;
        if world.hits(Fault::Throttled) {
            return Err(SummaryError::Unavailable("throttled".to_owned()));
        }
        let key = |one: &OpenOrder| (one.since, one.order_id.clone());
        let mut found: Vec<_> = lock(&world.rows)
            .iter()
            .filter_map(|(order_id, row)| {
                let (since, healed) = row.open?;
                Some(OpenOrder {
                    order_id: order_id.clone(),
                    since,
                    healed,
                })
            })
            .filter(|one| one.since <= until && after.is_none_or(|after| key(one) > key(after)))
            .collect();
        found.sort_by_key(key);
        found.truncate(limit.into());
        world.step().await;
        Ok(found)
    }

    async fn put_off(
        &self,
        order: &OpenOrder,
        until: Timestamp,
        healed: u32,
    ) -> Result<bool, SummaryError> {
        self.write(|rows| {
            let row = rows.get_mut(&order.order_id);
            match row.and_then(|row| row.open.as_mut()) {
                Some(open) if open.0 == order.since => {
                    *open = (in_millis(until), healed);
                    Written::Done
                }
                _ => Written::At { version: None },
            }
        })
        .await
        .map(|written| matches!(written, Written::Done))
    }
}

impl World {
    /// Since when the order is open that is open for the longest.
    pub(crate) fn open_since(&self) -> Option<Timestamp> {
        let rows = lock(&self.rows);
        rows.values().filter_map(|row| Some(row.open?.0)).min()
    }
}
