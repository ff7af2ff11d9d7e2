//! The event store as a caller may see it: an order out of reach has no events, exactly as one
//! that nobody placed. So nothing that is decided or answered from here tells that it exists.

use domain::access::Reach;
use domain::order::OrderEvent;
use event_sourcing::chain::Head;
use event_sourcing::envelope::Envelope;
use event_sourcing::execute::decode;
use event_sourcing::store::{AppendError, EventStore, ReadError};

/// A view of a store.
#[derive(Debug, Clone, Copy)]
pub struct VisibleOrders<'a, S> {
    /// The whole store.
    pub store: &'a S,
    /// Whose orders are seen.
    pub reach: Reach<'a>,
}

impl<S: EventStore> EventStore for VisibleOrders<'_, S> {
    async fn append(
        &self,
        stream: &str,
        head: &Head,
        events: Vec<Envelope>,
    ) -> Result<Vec<Envelope>, AppendError> {
        self.store.append(stream, head, events).await
    }

    /// Reads from the first event on, which says whose order it is; what is before `from` is left
    /// out then.
    async fn read(&self, stream: &str, from: u64) -> Result<Vec<Envelope>, ReadError> {
        let mut history = self.store.read(stream, 1).await?;
        if !is_within(self.reach, &history) {
            return Ok(Vec::new());
        }
        history.retain(|event| event.version.unwrap_or_default() >= from);
        Ok(history)
    }
}

fn is_within(reach: Reach<'_>, history: &[Envelope]) -> bool {
    let (Reach::Own(_), Some(first)) = (reach, history.first()) else {
        return true;
    };
    match decode(first) {
        Ok(OrderEvent::Placed(placed)) => reach.covers(&placed.terms.user_id),
        // A stream that begins otherwise, or cannot be read: nobody's, until it can.
        Ok(_) => false,
        Err(error) => {
            tracing::error!(%error, "whose order this is cannot be read");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use event_sourcing::in_memory::InMemoryEventStore;
    use jiff::Timestamp;
    use serde_json::json;

    async fn store() -> InMemoryEventStore {
        let store = InMemoryEventStore::default();
        let data = json!({"orderId": "1", "userId": "abc123", "totalAmount": 4.50});
        let event = |id: &str, kind: &str, data: serde_json::Value| {
            Envelope::new(id, kind, Timestamp::UNIX_EPOCH, data)
        };
        let mut cancelled = data.clone();
        cancelled["reason"] = json!("requested");
        let events = vec![
            event("a", "OrderPlaced", data),
            event("b", "OrderCancelled", cancelled),
        ];
        store.append("order-1", &Head::START, events).await.unwrap();
        let unknown = vec![event("c", "OrderTeleported", json!({"userId": "abc123"}))];
        store
            .append("order-2", &Head::START, unknown)
            .await
            .unwrap();
        store
    }

    async fn seen(reach: Reach<'_>, stream: &str, from: u64) -> Vec<String> {
        let store = store().await;
        let view = VisibleOrders {
            store: &store,
            reach,
        };
        let history = view.read(stream, from).await.unwrap();
        history.into_iter().map(|event| event.event_id).collect()
    }

    #[tokio::test]
    async fn an_order_is_seen_by_its_owner_and_by_operators() {
        for reach in [Reach::Own("abc123"), Reach::Everybodys] {
            assert_eq!(seen(reach, "order-1", 1).await, ["a", "b"]);
            assert_eq!(seen(reach, "order-1", 2).await, ["b"]);
            assert!(seen(reach, "order-1", 3).await.is_empty());
        }
    }

    #[tokio::test]
    async fn an_order_of_somebody_else_is_as_one_that_nobody_placed() {
        for from in 1..=3 {
            assert!(seen(Reach::Own("other"), "order-1", from).await.is_empty());
            assert!(seen(Reach::Own("other"), "order-9", from).await.is_empty());
        }
    }

    #[tokio::test]
    async fn a_stream_that_does_not_say_whose_it_is_is_nobodys() {
        assert!(seen(Reach::Own("abc123"), "order-2", 1).await.is_empty());
        assert_eq!(seen(Reach::Everybodys, "order-2", 1).await, ["c"]);
    }
}
