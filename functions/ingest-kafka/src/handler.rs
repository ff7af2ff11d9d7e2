//! From the topic to the bus: each event once per batch, in the order of its key.

use crate::plain_event;
use aws_adapters::eventbridge_publisher::{EventBridgePublisher, PutEvents};
use aws_adapters::kafka_record::{KafkaAnswer, KafkaRecord, records};
use event_sourcing::envelope::Envelope;
use event_sourcing::failure::Failure;
use event_sourcing::publisher::PublishError;
use serde_json::Value;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Write as _;

/// Hands records on to the bus.
#[derive(Debug)]
pub struct Handler<B> {
    /// Where they go.
    pub publisher: EventBridgePublisher<B>,
    /// Whether the mapping takes answers for parts of a batch.
    pub answers_in_parts: bool,
}

/// An event on its way, with the record that brought it.
struct Inbound {
    record: KafkaRecord,
    event: Envelope,
    /// Its order is kept among the events of the same lane: partition and key.
    lane: String,
}

/// What became of the records of a batch.
#[derive(Debug, Default)]
struct Counts {
    taken: usize,
    duplicates: usize,
    tombstones: usize,
    given_up: usize,
}

impl<B: PutEvents> Handler<B> {
    /// Hands one batch on, and answers which of its records have to come again, and which will
    /// never be taken.
    ///
    /// # Errors
    /// [`Failure::Permanent`], when the payload is no batch.
    pub async fn handle(&self, payload: Value) -> Result<KafkaAnswer, Failure> {
        let (records, mut answer) = records(payload, self.answers_in_parts)?;
        let mut counts = Counts::default();
        let mut open = inbound(records, &mut answer, &mut counts);
        while !open.is_empty() {
            open = self.publish(open, &mut answer, &mut counts).await;
        }
        tracing::info!(
            taken = counts.taken,
            duplicates = counts.duplicates,
            tombstones = counts.tombstones,
            given_up = counts.given_up,
            failed = answer.failed(),
            "batch handed on"
        );
        Ok(answer)
    }

    /// Publishes what is open, and gives back what was held behind an event that the bus refused
    /// for good: that one is given up, and the others are not to wait for it.
    async fn publish(
        &self,
        open: Vec<Inbound>,
        answer: &mut KafkaAnswer,
        counts: &mut Counts,
    ) -> Vec<Inbound> {
        let events: Vec<_> = open.iter().map(|one| one.event.clone()).collect();
        let lanes: Vec<_> = open.iter().map(|one| one.lane.as_str()).collect();
        let results = self.publisher.publish_in_lanes(&events, &lanes).await;
        let mut held = Vec::new();
        let mut refused = false;
        for (one, result) in open.into_iter().zip(results) {
            match result {
                Ok(()) => counts.taken += 1,
                Err(error @ PublishError::Refused(_)) => {
                    refused = true;
                    counts.given_up += 1;
                    note(&one, &error);
                    answer.give_up(one.record, Failure::from_error(&error));
                }
                Err(error) => held.push((one, error)),
            }
        }
        if refused {
            return held.into_iter().map(|(one, _)| one).collect();
        }
        for (one, error) in held {
            note(&one, &error);
            answer.fail(&one.record.position, error.to_string());
        }
        Vec::new()
    }
}

fn note(one: &Inbound, error: &PublishError) {
    tracing::error!(
        event_id = one.event.event_id,
        event_type = one.event.event_type,
        partition = one.record.position.partition,
        offset = one.record.position.offset,
        reason = %error,
        "not handed on"
    );
}

/// What a record is among those before it.
enum Admitted {
    Event(Box<Envelope>),
    Duplicate,
    Tombstone,
    Malformed(String),
}

/// The events of a batch, once per id; what is none is given up.
fn inbound(
    records: Vec<KafkaRecord>,
    answer: &mut KafkaAnswer,
    counts: &mut Counts,
) -> Vec<Inbound> {
    let mut seen = HashMap::new();
    let mut open = Vec::new();
    for record in records {
        match admitted(&record, &mut seen) {
            Admitted::Event(event) => {
                let lane = lane(&record);
                open.push(Inbound {
                    record,
                    event: *event,
                    lane,
                });
            }
            Admitted::Duplicate => counts.duplicates += 1,
            Admitted::Tombstone => counts.tombstones += 1,
            Admitted::Malformed(cause) => {
                counts.given_up += 1;
                answer.give_up(record, Failure::Permanent(cause));
            }
        }
    }
    open
}

/// `seen` has the events of the batch so far, by their ids.
fn admitted(record: &KafkaRecord, seen: &mut HashMap<String, Envelope>) -> Admitted {
    let event = match plain_event::read(record) {
        Ok(Some(event)) => event,
        Ok(None) => return Admitted::Tombstone,
        Err(malformed) => return Admitted::Malformed(malformed.to_string()),
    };
    match seen.entry(event.event_id.clone()) {
        Entry::Occupied(first) if is_same(first.get(), &event) => Admitted::Duplicate,
        Entry::Occupied(_) => Admitted::Malformed(
            "another event of the batch has the same eventId and says otherwise".to_owned(),
        ),
        Entry::Vacant(free) => {
            free.insert(event.clone());
            Admitted::Event(Box::new(event))
        }
    }
}

/// Whether two events say the same; they may have come on different traces.
fn is_same(one: &Envelope, other: &Envelope) -> bool {
    let untraced = |event: &Envelope| Envelope {
        traceparent: None,
        ..event.clone()
    };
    untraced(one) == untraced(other)
}

fn lane(record: &KafkaRecord) -> String {
    let mut lane = record.position.partition.clone();
    for byte in record.key.iter().flatten() {
        // Writing into a String cannot fail.
        let _ = write!(lane, "/{byte:02x}");
    }
    lane
}

#[cfg(test)]
mod tests;
