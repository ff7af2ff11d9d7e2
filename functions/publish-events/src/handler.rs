//! The outbox relay: what was stored is published, in the order of each stream.

use aws_adapters::publications::leave_marker;
use aws_adapters::stream_record::{BatchAnswer, stored_events};
use event_sourcing::envelope::Envelope;
use event_sourcing::failure::Failure;
use event_sourcing::publisher::EventPublisher;
use serde_json::Value;
use std::collections::HashSet;

/// Publishes batches of stored events.
#[derive(Debug)]
pub struct Handler<P> {
    /// Where they go.
    pub publisher: P,
}

impl<P: EventPublisher> Handler<P> {
    /// Publishes one batch and answers which of its records have to come again.
    ///
    /// # Errors
    /// [`Failure::Permanent`], when the payload is no batch.
    pub async fn handle(&self, payload: Value) -> Result<Value, Failure> {
        let (stored, mut answer) = stored_events(payload)?;
        let (sequence_numbers, events): (Vec<_>, Vec<_>) = stored.into_iter().unzip();
        self.publish(&events, &sequence_numbers, &mut answer).await;
        Ok(answer.into_payload())
    }

    async fn publish(
        &self,
        events: &[Envelope],
        sequence_numbers: &[String],
        answer: &mut BatchAnswer,
    ) {
        let results = self.publisher.publish(events).await;
        let mut failed_streams = HashSet::new();
        for ((event, sequence_number), result) in events.iter().zip(sequence_numbers).zip(results) {
            match result {
                Ok(()) => leave_marker(event),
                Err(error) => {
                    tracing::error!(
                        event_id = event.event_id,
                        event_type = event.event_type,
                        stream_id = event.stream_id,
                        version = event.version,
                        correlation_id = event.correlation_id,
                        reason = %error,
                        "not published"
                    );
                    // The first of a stream is enough: it comes again with all that follows.
                    if failed_streams.insert(event.stream_id.as_deref()) {
                        answer.fail(sequence_number);
                    }
                }
            }
        }
    }
}
