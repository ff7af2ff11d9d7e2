//! Folding what the feed delivers: one conditional write per order and batch.

use aws_adapters::order_projection::{OrderSummaries, project};
use event_sourcing::envelope::Envelope;
use event_sourcing::failure::Failure;
use event_sourcing::store::EventStore;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Prefix of the streams of orders; the feed delivers the others, too.
const ORDER_STREAM: &str = "order-";
/// Rows that are written at the same time.
const AT_ONCE: usize = 16;

/// What came of a batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// Events of orders in it.
    pub events: u64,
    /// Rows that they were folded into.
    pub rows: u64,
    /// Streams that cannot be folded, and why.
    pub skipped: Vec<String>,
}

/// Folds a batch. A stream that cannot be folded is told of and passed over: `project-orders`
/// could not fold it either.
///
/// # Errors
/// [`Failure::Transient`], when store or rows do not answer; the batch can be folded again.
pub async fn fold<S, R>(
    store: &Arc<S>,
    rows: &Arc<R>,
    events: Vec<Envelope>,
) -> Result<Folded, Failure>
where
    S: EventStore + 'static,
    R: OrderSummaries + 'static,
{
    let mut folded = Folded::default();
    let mut streams: BTreeMap<String, Vec<Envelope>> = BTreeMap::new();
    for event in events {
        let stream = event.stream_id.clone().unwrap_or_default();
        if stream.starts_with(ORDER_STREAM) {
            folded.events += 1;
            streams.entry(stream).or_default().push(event);
        }
    }
    let mut waiting = streams.into_iter();
    let mut running = JoinSet::new();
    loop {
        while running.len() < AT_ONCE
            && let Some((stream, events)) = waiting.next()
        {
            let (store, rows) = (Arc::clone(store), Arc::clone(rows));
            running.spawn(async move {
                let projected = project(&*store, &*rows, &stream, &events).await;
                (stream, projected)
            });
        }
        let Some(ended) = running.join_next().await else {
            return Ok(folded);
        };
        match ended.map_err(|error| Failure::Transient(error.to_string()))? {
            (_, Ok(())) => folded.rows += 1,
            (stream, Err(Failure::Permanent(reason))) => {
                tracing::error!(stream_id = stream, reason, "cannot be folded");
                folded.skipped.push(format!("{stream}: {reason}"));
            }
            (_, Err(failure)) => return Err(failure),
        }
    }
}
