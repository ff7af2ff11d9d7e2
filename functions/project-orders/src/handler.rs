//! Folding stored events into rows: one conditional write per order and batch, nothing read. A
//! row that is behind, because a record came out of turn, is folded anew from the store.

use crate::summaries::OrderSummaries;
use aws_adapters::dynamodb_order_summaries::Written;
use aws_adapters::stream_record::stored_events;
use domain::ids::OrderId;
use domain::order::OrderEvent;
use domain::order_summary::{OrderSummary, SummaryChange};
use event_sourcing::envelope::Envelope;
use event_sourcing::execute::{decode, retrying};
use event_sourcing::failure::Failure;
use event_sourcing::store::EventStore;
use serde_json::Value;

/// Projects batches of stored events.
#[derive(Debug)]
pub struct Handler<S, R> {
    /// Where the events are.
    pub store: S,
    /// Where the rows are.
    pub summaries: R,
}

/// The events of one order in a batch, in order, with the first record's number.
struct OrderBatch {
    stream: String,
    sequence_number: String,
    events: Vec<Envelope>,
}

impl<S: EventStore, R: OrderSummaries> Handler<S, R> {
    /// Projects one batch and answers which of its records have to come again.
    ///
    /// # Errors
    /// [`Failure::Permanent`], when the payload is no batch.
    pub async fn handle(&self, payload: Value) -> Result<Value, Failure> {
        let (stored, mut answer) = stored_events(payload)?;
        let mut batches: Vec<OrderBatch> = Vec::new();
        for (sequence_number, event) in stored {
            collect(&mut batches, sequence_number, event);
        }
        for batch in batches {
            if let Err(failure) = self.project(&batch).await {
                tracing::error!(stream_id = batch.stream, reason = %failure, "not projected");
                answer.fail(&batch.sequence_number);
            }
        }
        Ok(answer.into_payload())
    }

    async fn project(&self, batch: &OrderBatch) -> Result<(), Failure> {
        let (Some(first), Some(last)) =
            (version(batch.events.first()), version(batch.events.last()))
        else {
            return Err(Failure::Permanent(
                "a stored event without a version".into(),
            ));
        };
        let gap_free = batch
            .events
            .iter()
            .zip(first..)
            .all(|(event, expected)| event.version == Some(expected));
        if !gap_free {
            return self.rebuild(&batch.stream).await;
        }
        let events = read(&batch.events)?;
        let written = if first == 1 {
            self.put(fold(&batch.events, &events).as_ref()).await?
        } else {
            self.advance(first - 1, &batch.events, &events).await?
        };
        match written {
            Written::Done => Ok(()),
            // Delivered before.
            Written::At {
                version: Some(version),
            } if version >= last => Ok(()),
            Written::At { .. } => self.rebuild(&batch.stream).await,
        }
    }

    /// Writes the row that the whole stream amounts to.
    async fn rebuild(&self, stream: &str) -> Result<(), Failure> {
        let history = retrying(|| self.store.read(stream, 1))
            .await
            .map_err(|error| Failure::from_error(&error))?;
        let events = read(&history)?;
        // A row that is newer by now is as good.
        self.put(fold(&history, &events).as_ref()).await.map(|_| ())
    }

    async fn put(&self, row: Option<&OrderSummary>) -> Result<Written, Failure> {
        let Some(row) = row else {
            return Err(Failure::Permanent(
                "the stream does not begin with OrderPlaced".into(),
            ));
        };
        retrying(|| self.summaries.put_if_newer(row))
            .await
            .map_err(|error| Failure::from_error(&error))
    }

    async fn advance(
        &self,
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
            .map(|((envelope, event), version)| {
                SummaryChange::of(event, version, &envelope.timestamp)
            })
            .collect();
        retrying(|| self.summaries.advance(order, from, &changes))
            .await
            .map_err(|error| Failure::from_error(&error))
    }
}

fn collect(batches: &mut Vec<OrderBatch>, sequence_number: String, event: Envelope) {
    let Some((stream, _)) = event.position() else {
        return;
    };
    match batches.iter_mut().find(|batch| batch.stream == stream) {
        Some(batch) => batch.events.push(event),
        None => batches.push(OrderBatch {
            stream: stream.to_owned(),
            sequence_number,
            events: vec![event],
        }),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summaries::InMemoryOrderSummaries;
    use domain::order_summary::OrderStatus;
    use event_sourcing::chain::Head;
    use event_sourcing::in_memory::InMemoryEventStore;
    use serde_json::json;

    type Tested = Handler<InMemoryEventStore, InMemoryOrderSummaries>;

    /// A handler whose store holds a confirmed order, and the order's stream records.
    async fn a_confirmed_order() -> (Tested, Vec<Value>) {
        let handler = Tested {
            store: InMemoryEventStore::default(),
            summaries: InMemoryOrderSummaries::default(),
        };
        let mut records = Vec::new();
        for (version, event_type, more) in [
            (1, "OrderPlaced", json!({})),
            (
                2,
                "InventoryUpdated",
                json!({"reason": "reserved", "changes": []}),
            ),
            (3, "PaymentProcessed", json!({})),
        ] {
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
        handler.handle(json!({"Records": records})).await.unwrap()
    }

    #[tokio::test]
    async fn a_row_is_the_same_however_its_events_are_batched_repeated_and_reordered() {
        let (reference, records) = a_confirmed_order().await;
        deliver(&reference, &records).await;
        let expected = reference.summaries.rows();
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
            assert_eq!(handler.summaries.rows(), expected, "{order:?}");
        }
    }

    #[tokio::test]
    async fn a_bad_record_is_reported_and_the_others_are_projected() {
        let (handler, records) = a_confirmed_order().await;
        let bad = json!({"eventName": "INSERT", "dynamodb": {"SequenceNumber": "9",
            "NewImage": {"eventId": {"S": "x"}}}});
        let answer = deliver(&handler, &[bad, records[0].clone()]).await;
        assert_eq!(
            answer["batchItemFailures"],
            json!([{"itemIdentifier": "9"}])
        );
        assert_eq!(handler.summaries.rows().len(), 1);
    }
}
