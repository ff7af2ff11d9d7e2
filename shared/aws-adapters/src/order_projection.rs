//! Folding stored events into rows of orders: one conditional write per order and batch, nothing
//! read. A row that is behind, because an event came out of turn, is folded anew from the store; so
//! is that of an order that ends undelivered, since its last event alone does not tell whether
//! something is left to do about it.
//!
//! `project-orders` does it with what the stream delivers, `rebuild-orders` with what the feed
//! does; so a row does not tell which of them wrote it.

use crate::dynamodb_order_summaries::{DynamoDbOrderSummaries, Standing, SummaryError, Written};
use domain::ids::OrderId;
use domain::order::{Order, OrderEvent};
use domain::order_summary::{OrderSummary, SummaryChange};
use event_sourcing::decider::Decider as _;
use event_sourcing::envelope::Envelope;
use event_sourcing::execute::{decode, retrying};
use event_sourcing::failure::Failure;
use event_sourcing::store::EventStore;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Writes rows of orders, each write conditional on the version that is there.
pub trait OrderSummaries: Send + Sync {
    /// Writes a row whose version is higher than that of the row that is there.
    ///
    /// # Errors
    /// [`SummaryError`].
    fn put_if_newer(
        &self,
        row: &OrderSummary,
        standing: Standing,
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
        standing: Standing,
    ) -> impl Future<Output = Result<Written, SummaryError>> + Send;
}

/// Brings an order's row to the last of `events`, which are of its stream and in order.
///
/// # Errors
/// [`Failure::Permanent`] for a stream that is no order's, [`Failure::Transient`] when store or
/// rows do not answer.
pub async fn project(
    store: &impl EventStore,
    rows: &impl OrderSummaries,
    stream: &str,
    events: &[Envelope],
) -> Result<(), Failure> {
    let (Some(first), Some(last)) = (version(events.first()), version(events.last())) else {
        return Err(Failure::Permanent(
            "a stored event without a version".into(),
        ));
    };
    let gap_free = events
        .iter()
        .zip(first..)
        .all(|(event, expected)| event.version == Some(expected));
    if !gap_free {
        return fold_anew(store, rows, stream).await;
    }
    let decoded = read(events)?;
    let settled = decoded.last().and_then(Order::is_settled_after);
    let written = match settled {
        _ if first == 1 => put(rows, events, &decoded).await?,
        Some(settled) => advance(rows, first - 1, events, &decoded, Standing::of(settled)).await?,
        None => return fold_anew(store, rows, stream).await,
    };
    match written {
        Written::Done => Ok(()),
        // Delivered before.
        Written::At {
            version: Some(version),
        } if version >= last => Ok(()),
        Written::At { .. } => fold_anew(store, rows, stream).await,
    }
}

/// Writes the row that the whole stream amounts to.
async fn fold_anew(
    store: &impl EventStore,
    rows: &impl OrderSummaries,
    stream: &str,
) -> Result<(), Failure> {
    let history = retrying(|| store.read(stream, 1))
        .await
        .map_err(|error| Failure::from_error(&error))?;
    let events = read(&history)?;
    // A row that is newer by now is as good.
    put(rows, &history, &events).await.map(drop)
}

/// Writes the row that a whole history amounts to.
async fn put(
    rows: &impl OrderSummaries,
    history: &[Envelope],
    events: &[OrderEvent],
) -> Result<Written, Failure> {
    let Some(row) = fold(history, events) else {
        return Err(Failure::Permanent(
            "the stream does not begin with OrderPlaced".into(),
        ));
    };
    let times = history.iter().map(Envelope::at);
    let standing = Standing::of(Order::fold(events.iter().zip(times)).is_settled());
    retrying(|| rows.put_if_newer(&row, standing))
        .await
        .map_err(|error| Failure::from_error(&error))
}

async fn advance(
    rows: &impl OrderSummaries,
    from: u64,
    envelopes: &[Envelope],
    events: &[OrderEvent],
    standing: Standing,
) -> Result<Written, Failure> {
    let Some(order) = events.first().map(order_of) else {
        return Ok(Written::Done);
    };
    let changes: Vec<_> = envelopes
        .iter()
        .zip(events)
        .zip(from + 1..)
        .map(|((envelope, event), version)| SummaryChange::of(event, version, &envelope.timestamp))
        .collect();
    retrying(|| rows.advance(order, from, &changes, standing))
        .await
        .map_err(|error| Failure::from_error(&error))
}

fn version(event: Option<&Envelope>) -> Option<u64> {
    event.and_then(|event| event.version)
}

fn read(history: &[Envelope]) -> Result<Vec<OrderEvent>, Failure> {
    history
        .iter()
        .map(|envelope| decode(envelope).map_err(|error| Failure::from_error(&error)))
        .collect()
}

fn fold(history: &[Envelope], events: &[OrderEvent]) -> Option<OrderSummary> {
    OrderSummary::fold(
        history
            .iter()
            .zip(events)
            .zip(1..)
            .map(|((envelope, event), version)| (event, version, envelope.timestamp.as_str())),
    )
}

fn order_of(event: &OrderEvent) -> &OrderId {
    &event.terms().order_id
}

impl OrderSummaries for DynamoDbOrderSummaries {
    async fn put_if_newer(
        &self,
        row: &OrderSummary,
        standing: Standing,
    ) -> Result<Written, SummaryError> {
        Self::put_if_newer(self, row, standing).await
    }

    async fn advance(
        &self,
        order: &OrderId,
        from: u64,
        changes: &[SummaryChange],
        standing: Standing,
    ) -> Result<Written, SummaryError> {
        Self::advance(self, order, from, changes, standing).await
    }
}

/// Rows in memory, for tests and the simulation.
#[derive(Debug, Default)]
pub struct InMemoryOrderSummaries {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    rows: BTreeMap<OrderId, OrderSummary>,
    open: BTreeSet<OrderId>,
}

impl Kept {
    fn stands(&mut self, order: &OrderId, standing: Standing) {
        match standing {
            Standing::Open => self.open.insert(order.clone()),
            Standing::Settled => self.open.remove(order),
        };
    }
}

impl InMemoryOrderSummaries {
    /// A copy of all rows.
    #[must_use]
    pub fn rows(&self) -> BTreeMap<OrderId, OrderSummary> {
        self.kept().rows.clone()
    }

    /// The orders about which something is left to do.
    #[must_use]
    pub fn open(&self) -> BTreeSet<OrderId> {
        self.kept().open.clone()
    }

    /// Takes all rows away.
    pub fn clear(&self) {
        *self.kept() = Kept::default();
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OrderSummaries for InMemoryOrderSummaries {
    async fn put_if_newer(
        &self,
        row: &OrderSummary,
        standing: Standing,
    ) -> Result<Written, SummaryError> {
        let mut kept = self.kept();
        match kept.rows.get(&row.order_id) {
            Some(stored) if stored.version >= row.version => Ok(Written::At {
                version: Some(stored.version),
            }),
            _ => {
                kept.rows.insert(row.order_id.clone(), row.clone());
                kept.stands(&row.order_id, standing);
                Ok(Written::Done)
            }
        }
    }

    async fn advance(
        &self,
        order: &OrderId,
        from: u64,
        changes: &[SummaryChange],
        standing: Standing,
    ) -> Result<Written, SummaryError> {
        let mut kept = self.kept();
        match kept.rows.get_mut(order) {
            Some(row) if row.version == from => {
                for change in changes {
                    row.apply(change.clone());
                }
                kept.stands(order, standing);
                Ok(Written::Done)
            }
            row => Ok(Written::At {
                version: row.map(|row| row.version),
            }),
        }
    }
}
