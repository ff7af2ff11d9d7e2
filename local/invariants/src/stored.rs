//! What is stored: events, stock and rows.

use std::collections::BTreeMap;

use domain::order::OrderEvent;
use domain::order_summary::OrderSummary;
use event_sourcing::envelope::Envelope;
use event_sourcing::upcaster::decode_optional;
use serde_json::Value;

/// Prefix of the streams of orders.
pub const ORDER_STREAM: &str = "order-";

/// Everything stored.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StoreView {
    /// Events by stream and version.
    pub streams: BTreeMap<String, Vec<Envelope>>,
    /// What in the event store is no event, and why.
    pub unreadable: Vec<String>,
    /// Available pieces by SKU.
    pub stock: BTreeMap<String, i64>,
    /// Rows of orders by order id, as stored: the live ones.
    pub rows: BTreeMap<String, Value>,
}

impl StoreView {
    /// Adds an item of the event store. When all are in, [`StoreView::sort`] puts them in order.
    pub fn add_event(&mut self, item: Value) {
        let place = format!("{}@{}", item["streamId"], item["version"]);
        match Envelope::from_value(item) {
            Ok(event) => {
                let stream = event.stream_id.clone().unwrap_or_default();
                self.streams.entry(stream).or_default().push(event);
            }
            Err(error) => self.unreadable.push(format!("{place}: {error}")),
        }
    }

    /// Puts each stream in the order of its versions.
    pub fn sort(&mut self) {
        for stream in self.streams.values_mut() {
            stream.sort_by_key(|event| event.version);
        }
    }

    /// Number of events.
    #[must_use]
    pub fn events(&self) -> usize {
        self.streams.values().map(Vec::len).sum()
    }

    /// The orders' streams, by order id.
    pub fn orders(&self) -> impl Iterator<Item = (&str, &[Envelope])> {
        self.streams.iter().filter_map(|(stream, events)| {
            let order = stream.strip_prefix(ORDER_STREAM)?;
            Some((order, events.as_slice()))
        })
    }

    /// The fold of each order's stream; none for a stream that does not begin with `OrderPlaced`
    /// or has an event that cannot be read.
    #[must_use]
    pub fn summaries(&self) -> BTreeMap<&str, Option<OrderSummary>> {
        self.orders()
            .map(|(order, events)| (order, summary(events)))
            .collect()
    }
}

/// The order events of a stream, each with its envelope; none when one cannot be read. Types that
/// are no order's are left out.
#[must_use]
pub fn decoded(events: &[Envelope]) -> Option<Vec<(OrderEvent, &Envelope)>> {
    let mut decoded = Vec::with_capacity(events.len());
    for envelope in events {
        if let Some(event) = decode_optional::<OrderEvent>(envelope).ok()? {
            decoded.push((event, envelope));
        }
    }
    Some(decoded)
}

/// The fold of an order's stream.
#[must_use]
pub fn summary(events: &[Envelope]) -> Option<OrderSummary> {
    let history = decoded(events)?;
    OrderSummary::fold(history.iter().map(|(event, envelope)| {
        let version = envelope.version.unwrap_or_default();
        (event, version, envelope.timestamp.as_str())
    }))
}
