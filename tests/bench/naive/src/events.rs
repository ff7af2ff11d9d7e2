//! The dual write: an event is put into the table of events, and then on the bus.

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use event_sourcing::failure::Failure;

use crate::event::Event;
use crate::item::{failed, text};
use crate::tables::Tables;

/// Who publishes.
const SOURCE: &str = "naive-orders";

/// Stores an event and publishes it. Whoever dies between the two has stored an event that nobody
/// is told of.
///
/// # Errors
/// [`Failure::Transient`], when one of the two did not take it.
pub async fn record(tables: &Tables, event: &Event) -> Result<(), Failure> {
    let put = tables
        .dynamodb
        .put_item()
        .table_name(&tables.events)
        .item("orderId", text(&event.order_id))
        .item("eventId", text(&event.event_id))
        .item("eventType", text(&event.event_type))
        .item("timestamp", text(event.timestamp.to_string()))
        .item("data", text(event.data.to_string()));
    Box::pin(put.send()).await.map_err(failed)?;

    let detail = serde_json::to_string(event)
        .map_err(|error| Failure::Permanent(format!("not an event: {error}")))?;
    let entry = PutEventsRequestEntry::builder()
        .event_bus_name(&tables.bus)
        .source(SOURCE)
        .detail_type(&event.event_type)
        .detail(detail)
        .build();
    let publish = tables.eventbridge.put_events().entries(entry);
    let answer = Box::pin(publish.send()).await.map_err(failed)?;
    let refused = answer.entries().iter().find_map(|entry| entry.error_code());
    match refused {
        None => Ok(()),
        Some(code) => Err(Failure::Transient(format!("the bus refused it: {code}"))),
    }
}
