//! Folding stored events into rows, in every table that is to have them: one, or two while a
//! rebuild makes a new one.

use crate::tables::OrderTables;
use aws_adapters::order_projection::project;
use aws_adapters::stream_record::{BatchAnswer, StoredEvent, stored_events};
use event_sourcing::execute::retrying;
use event_sourcing::failure::Failure;
use event_sourcing::store::EventStore;
use serde_json::Value;

/// Projects batches of stored events.
#[derive(Debug)]
pub struct Handler<S, T> {
    /// Where the events are.
    pub store: S,
    /// Where the rows are.
    pub tables: T,
}

/// The events of one order in a batch, in order.
struct OrderBatch {
    stream: String,
    events: Vec<StoredEvent>,
}

impl<S: EventStore, T: OrderTables> Handler<S, T> {
    /// Projects one batch and answers which of its records have to come again, and which never
    /// can be projected.
    ///
    /// # Errors
    /// [`Failure::Permanent`], when the payload is no batch.
    pub async fn handle(&self, payload: Value) -> Result<BatchAnswer, Failure> {
        let (stored, mut answer) = stored_events(payload)?;
        let mut batches: Vec<OrderBatch> = Vec::new();
        for event in stored {
            collect(&mut batches, event);
        }
        for batch in batches {
            if let Err(failure) = self.project(&batch).await {
                tracing::error!(stream_id = batch.stream, reason = %failure, "not projected");
                report(&mut answer, batch, &failure);
            }
        }
        Ok(answer)
    }

    /// Asks anew for each order which tables there are: what is known of it grows old.
    async fn project(&self, batch: &OrderBatch) -> Result<(), Failure> {
        let tables = retrying(|| self.tables.to_write())
            .await
            .map_err(|error| Failure::from_error(&error))?;
        let events: Vec<_> = batch.events.iter().map(|one| one.event.clone()).collect();
        for rows in tables {
            project(&self.store, rows, &batch.stream, &events).await?;
        }
        Ok(())
    }
}

/// An order that may succeed later comes again from its first record on; one that never will is
/// given up, record by record.
fn report(answer: &mut BatchAnswer, batch: OrderBatch, failure: &Failure) {
    match failure {
        Failure::Transient(_) | Failure::Waiting(_) => {
            if let Some(first) = batch.events.first() {
                answer.fail(&first.sequence_number);
            }
        }
        Failure::Permanent(_) => {
            for one in batch.events {
                answer.give_up(&one.sequence_number, one.record, failure.clone());
            }
        }
    }
}

fn collect(batches: &mut Vec<OrderBatch>, stored: StoredEvent) {
    let Some((stream, _)) = stored.event.position() else {
        return;
    };
    match batches.iter_mut().find(|batch| batch.stream == stream) {
        Some(batch) => batch.events.push(stored),
        None => batches.push(OrderBatch {
            stream: stream.to_owned(),
            events: vec![stored],
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::InMemoryOrderTables;
    use domain::order_summary::OrderStatus;
    use event_sourcing::chain::Head;
    use event_sourcing::envelope::Envelope;
    use event_sourcing::in_memory::InMemoryEventStore;
    use event_sourcing::store::{AppendError, ReadError};
    use serde_json::json;

    type Tested = Handler<InMemoryEventStore, InMemoryOrderTables>;

    /// A handler whose store holds a confirmed order, and the order's stream records.
    async fn a_confirmed_order() -> (Tested, Vec<Value>) {
        an_order(&[
            ("OrderPlaced", json!({})),
            ("InventoryUpdated", json!({"reason": "reserved"})),
            ("PaymentProcessed", json!({})),
        ])
        .await
    }

    /// A handler whose store holds an order of these events, and the order's stream records.
    async fn an_order(events: &[(&str, Value)]) -> (Tested, Vec<Value>) {
        let handler = Tested {
            store: InMemoryEventStore::default(),
            tables: InMemoryOrderTables::default(),
        };
        let mut records = Vec::new();
        for ((event_type, more), version) in events.iter().zip(1..) {
            let mut data = json!({"orderId": "1", "userId": "u", "totalAmount": 1});
            for (name, value) in more.as_object().unwrap() {
                data[name] = value.clone();
            }
            let event = json!({"eventId": format!("e{version}"), "eventType": event_type,
                "timestamp": "2025-01-01T12:00:00Z", "data": data});
            let event = Envelope::from_value(event).unwrap();
            let stored = handler
                .store
                .append(
                    "order-1",
                    &Head {
                        version: version - 1,
                        hash: None,
                    },
                    vec![event],
                )
                .await
                .unwrap();
            records.push(record(version, &stored[0]));
        }
        (handler, records)
    }

    fn record(sequence: u64, event: &Envelope) -> Value {
        fn attribute(value: &Value) -> Value {
            match value {
                Value::String(text) => json!({"S": text}),
                Value::Number(number) => json!({"N": number.to_string()}),
                Value::Array(values) => {
                    json!({"L": values.iter().map(attribute).collect::<Vec<_>>()})
                }
                Value::Object(fields) => json!({"M": attributes(fields)}),
                other => panic!("not in these tests: {other}"),
            }
        }
        fn attributes(fields: &serde_json::Map<String, Value>) -> Value {
            fields
                .iter()
                .map(|(name, value)| (name.clone(), attribute(value)))
                .collect()
        }
        let event = serde_json::to_value(event).unwrap();
        json!({"eventName": "INSERT", "dynamodb": {"SequenceNumber": sequence.to_string(),
            "NewImage": attributes(event.as_object().unwrap())}})
    }

    async fn deliver(handler: &Tested, records: &[Value]) -> Value {
        let answer = handler.handle(json!({"Records": records})).await.unwrap();
        answer.into_payload()
    }

    #[tokio::test]
    async fn a_row_is_the_same_however_its_events_are_batched_repeated_and_reordered() {
        let (reference, records) = a_confirmed_order().await;
        deliver(&reference, &records).await;
        let expected = reference.tables.blue.rows();
        let row = expected.values().next().unwrap();
        assert_eq!((row.version, row.status), (3, OrderStatus::Confirmed));

        for order in [
            vec![vec![0], vec![1], vec![2]],
            vec![vec![0, 1], vec![2]],
            vec![vec![0], vec![1, 2]],
            vec![vec![0, 1, 2], vec![0, 1, 2]],
            vec![vec![2], vec![0], vec![1]],
            vec![vec![1], vec![1], vec![0, 1, 2]],
            vec![vec![0, 2], vec![1]],
        ] {
            let (handler, records) = a_confirmed_order().await;
            for batch in &order {
                let batch: Vec<_> = batch.iter().map(|at| records[*at].clone()).collect();
                let answer = deliver(&handler, &batch).await;
                assert_eq!(answer["batchItemFailures"], json!([]));
            }
            assert_eq!(handler.tables.blue.rows(), expected, "{order:?}");
            assert!(handler.tables.blue.open().is_empty(), "{order:?}");
        }
    }

    #[tokio::test]
    async fn an_order_is_open_until_nothing_is_left_to_do_about_it() {
        let moved = |reason: &str, quantity: i64| {
            let changes = json!([{"sku": "tea", "quantity": quantity}]);
            let data = json!({"reason": reason, "changes": changes});
            ("InventoryUpdated", data)
        };
        let history = [
            ("OrderPlaced", json!({})),
            moved("reserved", -1),
            ("PaymentProcessed", json!({"paymentId": "ch_1"})),
            ("OrderCancelled", json!({"reason": "requested"})),
            moved("released", 1),
            ("PaymentRefunded", json!({"paymentId": "ch_1"})),
        ];
        let open = [1, 1, 0, 1, 1, 0];
        for count in 1..=history.len() {
            let (handler, records) = an_order(&history[..count]).await;
            for record in &records {
                deliver(&handler, std::slice::from_ref(record)).await;
            }
            let found = handler.tables.blue.open().len();
            assert_eq!(found, open[count - 1], "after {count} events");
            let (together, records) = an_order(&history[..count]).await;
            deliver(&together, &records).await;
            assert_eq!(together.tables.blue.open(), handler.tables.blue.open());
        }
    }

    #[tokio::test]
    async fn a_bad_record_is_given_up_and_the_others_are_projected() {
        let (handler, records) = a_confirmed_order().await;
        let bad = json!({"eventName": "INSERT", "dynamodb": {"SequenceNumber": "9",
            "NewImage": {"eventId": {"S": "x"}}}});
        let batch = json!({"Records": [bad, records[0]]});
        let answer = handler.handle(batch).await.unwrap();
        let [given_up] = answer.given_up() else {
            panic!("one record is given up: {answer:?}");
        };
        assert_eq!(given_up.sequence_number, "9");
        assert_eq!(handler.tables.blue.rows().len(), 1);
    }

    /// A store that tells nothing.
    struct Mute(fn() -> ReadError);

    impl EventStore for Mute {
        async fn append(
            &self,
            _: &str,
            _: &Head,
            _: Vec<Envelope>,
        ) -> Result<Vec<Envelope>, AppendError> {
            Err(AppendError::Unavailable("mute".into()))
        }

        async fn read(&self, _: &str, _: u64) -> Result<Vec<Envelope>, ReadError> {
            Err((self.0)())
        }
    }

    /// Versions 2 and 3 of an order whose row is not there, so that the store is asked, around an
    /// order of which the record tells all.
    async fn a_batch_of_two_orders() -> Vec<Value> {
        let (_, records) = a_confirmed_order().await;
        let other = json!({"eventId": "o1", "eventType": "OrderPlaced",
            "timestamp": "2025-01-01T12:00:00Z",
            "data": {"orderId": "2", "userId": "u", "totalAmount": 1}});
        let other = Envelope::from_value(other).unwrap().recorded("order-2", 1);
        vec![records[1].clone(), record(9, &other), records[2].clone()]
    }

    #[tokio::test(start_paused = true)]
    async fn an_order_that_fails_comes_again_from_its_first_record_on_and_others_go_on() {
        let handler = Handler {
            store: Mute(|| ReadError::Unavailable("mute".into())),
            tables: InMemoryOrderTables::default(),
        };
        let batch = json!({"Records": a_batch_of_two_orders().await});
        let answer = handler.handle(batch).await.unwrap();
        assert!(answer.given_up().is_empty());
        assert_eq!(
            answer.into_payload()["batchItemFailures"],
            json!([{"itemIdentifier": "2"}])
        );
        assert_eq!(handler.tables.blue.rows().len(), 1);
    }

    #[tokio::test]
    async fn an_order_that_can_never_be_projected_is_given_up_and_holds_up_no_other() {
        let handler = Handler {
            store: Mute(|| ReadError::Corrupt {
                stream: "order-1".into(),
                version: 1,
                reason: "no event".into(),
            }),
            tables: InMemoryOrderTables::default(),
        };
        let batch = json!({"Records": a_batch_of_two_orders().await});
        let mut answer = handler.handle(batch).await.unwrap();
        let given_up = answer.given_up().iter();
        let given_up: Vec<_> = given_up.map(|one| one.sequence_number.clone()).collect();
        assert_eq!(given_up, ["2", "3"]);
        // Once the dead-letter queue has them, nothing has to come again.
        answer.settle(&[true, true]);
        assert_eq!(answer.into_payload()["batchItemFailures"], json!([]));
        assert_eq!(handler.tables.blue.rows().len(), 1);
    }
}
