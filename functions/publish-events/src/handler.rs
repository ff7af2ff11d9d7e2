//! The outbox relay: what was stored is published, in the order of each stream.

use aws_adapters::publications::leave_marker;
use aws_adapters::stream_record::{BatchAnswer, stored_events};
use event_sourcing::envelope::Envelope;
use event_sourcing::failure::Failure;
use event_sourcing::publisher::{EventPublisher, PublishError};
use serde_json::Value;
use std::collections::HashSet;

/// Publishes batches of stored events.
#[derive(Debug)]
pub struct Handler<P> {
    /// Where they go.
    pub publisher: P,
}

impl<P: EventPublisher> Handler<P> {
    /// Publishes one batch and answers which of its records have to come again, and which the bus
    /// will never take.
    ///
    /// # Errors
    /// [`Failure::Permanent`], when the payload is no batch.
    pub async fn handle(&self, payload: Value) -> Result<BatchAnswer, Failure> {
        let (stored, mut answer) = stored_events(payload)?;
        let events: Vec<_> = stored.iter().map(|one| one.event.clone()).collect();
        let results = self.publisher.publish(&events).await;
        let mut failed_streams = HashSet::new();
        let taken = events.iter().zip(&results);
        leave_marker(
            taken
                .filter(|(_, taken)| taken.is_ok())
                .map(|(event, _)| event),
        );
        for (one, result) in stored.into_iter().zip(results) {
            let Err(error) = result else { continue };
            note(&one.event, &error);
            match error {
                PublishError::Refused(_) => {
                    let failure = Failure::from_error(&error);
                    answer.give_up(&one.sequence_number, one.record, failure);
                }
                // The first of a stream is enough: it comes again with all that follows.
                PublishError::Unavailable(_) => {
                    if failed_streams.insert(one.event.stream_id) {
                        answer.fail(&one.sequence_number);
                    }
                }
            }
        }
        Ok(answer)
    }
}

fn note(event: &Envelope, error: &PublishError) {
    tracing::error!(
        event_id = event.event_id,
        event_type = event.event_type,
        stream_id = event.stream_id,
        version = event.version,
        correlation_id = event.correlation_id,
        reason = %error,
        "not published"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Refuses events of the type `Poison`, does not take those of the type `Busy`, and takes no
    /// event after one of its stream that it did not take.
    struct Bus;

    impl EventPublisher for Bus {
        async fn publish(&self, events: &[Envelope]) -> Vec<Result<(), PublishError>> {
            let mut held = HashSet::new();
            let answer = |event: &Envelope| {
                let result = match event.event_type.as_str() {
                    _ if held.contains(&event.stream_id) => {
                        Err(PublishError::Unavailable("not sent".into()))
                    }
                    "Poison" => Err(PublishError::Refused("too large".into())),
                    "Busy" => Err(PublishError::Unavailable("busy".into())),
                    _ => Ok(()),
                };
                if result.is_err() {
                    held.insert(event.stream_id.clone());
                }
                result
            };
            events.iter().map(answer).collect()
        }
    }

    fn record(stream: &str, version: u64, event_type: &str) -> Value {
        json!({"eventName": "INSERT", "dynamodb": {
            "SequenceNumber": format!("{stream}{version}"),
            "NewImage": {
                "eventId": {"S": "e"}, "eventType": {"S": event_type},
                "timestamp": {"S": "2025-01-01T12:00:00Z"}, "data": {"M": {}},
                "streamId": {"S": stream}, "version": {"N": version.to_string()}}}})
    }

    async fn answered(records: &[Value]) -> (Vec<String>, Value) {
        let handler = Handler { publisher: Bus };
        let answer = handler.handle(json!({"Records": records})).await.unwrap();
        let given_up = answer.given_up().iter();
        let given_up = given_up.map(|one| one.sequence_number.clone()).collect();
        let mut answer = answer;
        answer.settle(&[true, true, true]);
        (given_up, answer.into_payload()["batchItemFailures"].clone())
    }

    #[tokio::test]
    async fn a_stream_stops_at_its_first_failing_record_and_others_go_on() {
        let (given_up, failed) = answered(&[
            record("a", 1, "Busy"),
            record("b", 1, "Fine"),
            record("a", 2, "Fine"),
            record("c", 1, "Busy"),
        ])
        .await;
        assert!(given_up.is_empty());
        assert_eq!(
            failed,
            json!([{"itemIdentifier": "a1"}, {"itemIdentifier": "c1"}])
        );
    }

    #[tokio::test]
    async fn what_the_bus_will_never_take_is_given_up_and_its_stream_goes_on_with_the_next_batch() {
        let records = [
            record("a", 1, "Poison"),
            record("a", 2, "Fine"),
            record("b", 1, "Fine"),
        ];
        let (given_up, failed) = answered(&records).await;
        assert_eq!(given_up, ["a1"]);
        assert_eq!(failed, json!([{"itemIdentifier": "a2"}]));
        // The platform goes on from what has to come again.
        let (given_up, failed) = answered(&records[1..]).await;
        assert!(given_up.is_empty());
        assert_eq!(failed, json!([]));
    }
}
