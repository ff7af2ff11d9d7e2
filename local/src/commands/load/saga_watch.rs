//! Watches the event store while orders travel: when each order's fate was stored.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_endpoint::TableStream;
use serde_json::Value;
use tokio::task::JoinHandle;

use super::progress::Progress;
use crate::store_view::ORDER_STREAM;

/// Records that are looked at in one go.
const READ_LIMIT: usize = 1000;

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sagas {
    /// When the event that decided an order was committed, by order id, in milliseconds since
    /// 1970.
    pub decided: BTreeMap<String, u64>,
    /// Changes of the event store that were not new items.
    pub rewrites: u64,
}

/// The watch.
pub(super) struct SagaWatch {
    seen: Arc<Mutex<Sagas>>,
    task: Option<JoinHandle<()>>,
}

impl SagaWatch {
    /// Watches from now on.
    pub(super) fn start(stream: Option<TableStream>, progress: Progress) -> Self {
        let seen: Arc<Mutex<Sagas>> = Arc::default();
        let task = stream.map(|stream| {
            let seen = Arc::clone(&seen);
            let mut after = stream.last_sequence();
            tokio::spawn(async move {
                loop {
                    stream.changed(after).await;
                    for record in stream.read(after, READ_LIMIT) {
                        after = after.max(record.sequence);
                        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                        if seen.look(&record.record, record.at_millis) {
                            progress.one_more();
                        }
                    }
                }
            })
        });
        Self { seen, task }
    }

    /// What was seen until now. The system must be at rest.
    pub(super) fn finish(self) -> Sagas {
        if let Some(task) = self.task {
            task.abort();
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut seen)
    }
}

impl Sagas {
    /// Looks at a record of the event store's stream; whether it decided an order.
    fn look(&mut self, record: &Value, at_millis: u64) -> bool {
        if record["eventName"] != "INSERT" {
            self.rewrites += 1;
            return false;
        }
        let image = &record["dynamodb"]["NewImage"];
        let stream = image["streamId"]["S"].as_str().unwrap_or_default();
        let Some(order) = stream.strip_prefix(ORDER_STREAM) else {
            return false;
        };
        let decides = matches!(
            image["eventType"]["S"].as_str(),
            Some("PaymentProcessed" | "InventoryRejected" | "PaymentFailed" | "OrderCancelled")
        );
        if !decides || self.decided.contains_key(order) {
            return false;
        }
        self.decided.insert(order.to_owned(), at_millis);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn record(name: &str, stream: &str, event: &str) -> Value {
        json!({"eventName": name, "dynamodb": {"NewImage":
            {"streamId": {"S": stream}, "eventType": {"S": event}}}})
    }

    #[test]
    fn the_first_deciding_event_of_an_order_counts() {
        let mut seen = Sagas::default();
        assert!(!seen.look(&record("INSERT", "order-1", "OrderPlaced"), 5));
        assert!(seen.look(&record("INSERT", "order-1", "PaymentProcessed"), 7));
        assert!(!seen.look(&record("INSERT", "order-1", "OrderCancelled"), 9));
        assert!(!seen.look(&record("INSERT", "notification-1", "PaymentProcessed"), 9));
        assert_eq!(seen.decided["1"], 7);
        assert!(!seen.look(&record("MODIFY", "order-1", "PaymentProcessed"), 9));
        assert_eq!(seen.rewrites, 1);
    }
}
