//! Watches the event store while orders travel: when each order's fate was stored.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_endpoint::TableStream;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::progress::Progress;
use invariants::{ORDER_STREAM, StoreView};

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
    watching: Option<Watching>,
}

struct Watching {
    stream: TableStream,
    /// The sequence up to which everything was looked at.
    looked_at: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

impl SagaWatch {
    /// Watches from now on.
    pub(super) fn start(stream: Option<TableStream>, progress: Progress) -> Self {
        let seen: Arc<Mutex<Sagas>> = Arc::default();
        let watching = stream.map(|stream| {
            let begin = stream.last_sequence();
            let (sender, looked_at) = watch::channel(begin);
            let task = look_on(stream.clone(), sender, Arc::clone(&seen), progress);
            Watching {
                stream,
                looked_at,
                task: tokio::spawn(task),
            }
        });
        Self { seen, watching }
    }

    /// What was seen of everything that is stored by now.
    pub(super) async fn finish(self) -> Sagas {
        if let Some(mut watching) = self.watching {
            let last = watching.stream.last_sequence();
            // An error means that the watch has ended, so that it sees no more.
            let _ = watching.looked_at.wait_for(|at| *at >= last).await;
            watching.task.abort();
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut seen)
    }
}

/// Looks at every record after the one that `looked_at` begins with.
async fn look_on(
    stream: TableStream,
    looked_at: watch::Sender<u64>,
    seen: Arc<Mutex<Sagas>>,
    progress: Progress,
) {
    let mut after = *looked_at.borrow();
    loop {
        stream.changed(after).await;
        for record in stream.read(after, READ_LIMIT) {
            after = after.max(record.sequence);
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.look(&record.record, record.at_millis) {
                progress.one_more();
            }
        }
        looked_at.send_replace(after);
    }
}

/// Whether an event of this type decides an order's fate.
fn decides(event_type: &str) -> bool {
    matches!(
        event_type,
        "PaymentProcessed" | "InventoryRejected" | "PaymentFailed" | "OrderCancelled"
    )
}

impl Sagas {
    /// What the events themselves say of when orders were decided.
    pub(super) fn of(stored: &StoreView) -> Self {
        let mut decided = BTreeMap::new();
        for (order, events) in stored.orders() {
            let mut events = events.iter();
            if let Some(event) = events.find(|event| decides(&event.event_type)) {
                let at = u64::try_from(event.at().as_millisecond()).unwrap_or(0);
                decided.insert(order.to_owned(), at);
            }
        }
        Self {
            decided,
            rewrites: 0,
        }
    }

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
        let event_type = image["eventType"]["S"].as_str();
        if !event_type.is_some_and(decides) || self.decided.contains_key(order) {
            return false;
        }
        self.decided.insert(order.to_owned(), at_millis);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_endpoint::{Endpoint, Options};
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

    #[tokio::test]
    async fn what_is_stored_by_the_end_was_seen_however_far_behind_the_watch_was() {
        let endpoint = Endpoint::start(Options::default()).await.unwrap();
        let table = json!({"TableName": "Events", "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "streamId", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "streamId", "KeyType": "HASH"}],
            "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_IMAGE"}});
        endpoint.create_table(&table).await.unwrap();
        let watch = SagaWatch::start(endpoint.stream("Events"), Progress::start(20));
        for number in 0..20 {
            let item = json!({"TableName": "Events", "Item": {
                "streamId": {"S": format!("order-{number}")},
                "eventType": {"S": "PaymentProcessed"}}});
            endpoint.call("dynamodb", "PutItem", item).await.unwrap();
        }
        assert_eq!(watch.finish().await.decided.len(), 20);
        endpoint.shutdown().await.unwrap();
    }
}
