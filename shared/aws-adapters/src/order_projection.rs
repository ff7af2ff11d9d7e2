//! Folding stored events into rows of orders: one conditional write per order and batch, nothing
//! read. A row that is behind, because an event came out of turn, is folded anew from the store.
//!
//! `project-orders` does it with what the stream delivers, `rebuild-orders` with what the feed
//! does; so a row does not tell which of them wrote it.

use crate::dynamodb_order_summaries::{DynamoDbOrderSummaries, SummaryError, Written};
use domain::ids::OrderId;
use domain::order::OrderEvent;
use domain::order_summary::{OrderSummary, SummaryChange};
use event_sourcing::envelope::Envelope;
use event_sourcing::execute::{decode, retrying};
use event_sourcing::failure::Failure;
use event_sourcing::store::EventStore;
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
    let written = if first == 1 {
        put(rows, fold(events, &decoded).as_ref()).await?
    } else {
        advance(rows, first - 1, events, &decoded).await?
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
    put(rows, fold(&history, &events).as_ref())
        .await
        .map(|_| ())
}

async fn put(rows: &impl OrderSummaries, row: Option<&OrderSummary>) -> Result<Written, Failure> {
    let Some(row) = row else {
        return Err(Failure::Permanent(
            "the stream does not begin with OrderPlaced".into(),
        ));
    };
    retrying(|| rows.put_if_newer(row))
        .await
        .map_err(|error| Failure::from_error(&error))
}

async fn advance(
    rows: &impl OrderSummaries,
    from: u64,
    envelopes: &[Envelope],
    events: &[OrderEvent],
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
    retrying(|| rows.advance(order, from, &changes))
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

    /// Takes all rows away.
    pub fn clear(&self) {
        self.rows
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
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
