//! Records of the event store's stream, one by one: a bad one fails alone.

use aws_lambda_events::event::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use event_sourcing::envelope::Envelope;
use event_sourcing::failure::Failure;
use serde_json::{Map, Number, Value, json};
use std::str::FromStr;

/// One record of a batch.
#[derive(Debug, Clone, PartialEq)]
struct StreamRecord {
    /// Identifies the record in the answer to the platform.
    sequence_number: String,
    /// The event that was stored; `None` for a change that is no new event (a restore, a
    /// deletion by an operator).
    event: Option<Envelope>,
}

/// An event that was stored, with the record that tells of it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEvent {
    /// Identifies the record in the answer to the platform.
    pub sequence_number: String,
    /// The event.
    pub event: Envelope,
    /// The record as it was delivered.
    pub record: Value,
}

/// A record that will never be handled as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct GivenUpRecord {
    /// Identifies the record in the answer to the platform.
    pub sequence_number: String,
    /// The record as it was delivered.
    pub record: Value,
    /// Why.
    pub failure: Failure,
}

impl GivenUpRecord {
    /// What the function is called with to try this record alone again.
    #[must_use]
    pub fn payload(&self) -> Value {
        json!({ "Records": [self.record] })
    }
}

/// Which records of a batch have to come again, and which are given up; the platform goes on from
/// the first that has to come again.
#[derive(Debug, Default)]
pub struct BatchAnswer {
    failures: Vec<DynamoDbBatchItemFailure>,
    given_up: Vec<GivenUpRecord>,
}

impl BatchAnswer {
    /// Reports a record that could not be handled this time.
    pub fn fail(&mut self, sequence_number: &str) {
        let mut failure = DynamoDbBatchItemFailure::default();
        failure.item_identifier = Some(sequence_number.to_owned());
        self.failures.push(failure);
    }

    /// Gives a record up, so that it does not hold up what comes after it: it goes to the
    /// dead-letter queue at once.
    ///
    /// Going on with its stream is safe, because no consumer needs to have seen an event before it
    /// gets the next one: handlers decide from what the trigger tells or from the store, and a row
    /// that misses a version is folded anew.
    pub fn give_up(&mut self, sequence_number: &str, record: Value, failure: Failure) {
        self.given_up.push(GivenUpRecord {
            sequence_number: sequence_number.to_owned(),
            record,
            failure,
        });
    }

    /// What was given up.
    #[must_use]
    pub fn given_up(&self) -> &[GivenUpRecord] {
        &self.given_up
    }

    /// Settles what was given up: `kept` says whether the dead-letter queue has a record. What it
    /// has not comes again.
    pub fn settle(&mut self, kept: &[bool]) {
        let given_up = std::mem::take(&mut self.given_up);
        let mut kept = kept.iter().copied();
        for one in given_up {
            if !kept.next().unwrap_or(false) {
                self.fail(&one.sequence_number);
            }
        }
    }

    /// The payload that Lambda answers with (`ReportBatchItemFailures`). What was given up and is
    /// not settled comes again, too.
    #[must_use]
    pub fn into_payload(mut self) -> Value {
        self.settle(&[]);
        let mut response = DynamoDbEventResponse::default();
        response.batch_item_failures = self.failures;
        serde_json::to_value(response).unwrap_or_default()
    }
}

/// Why a record is no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum RecordError {
    /// The payload is not a batch of a table's stream.
    #[error("the payload has no Records of a DynamoDB stream")]
    NoBatch,
    /// A record without its number cannot even be reported.
    #[error("record {0} of the batch has no SequenceNumber")]
    NoSequenceNumber(usize),
    /// The item is not an event.
    #[error("record {sequence_number} is not an event: {reason}")]
    NotAnEvent {
        /// Which record.
        sequence_number: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The events stored in a batch, in order, each with its record. Changes that are no new event are
/// passed over; a record that is no event is given up in the answer.
///
/// # Errors
/// [`Failure::Permanent`], when the payload is no batch, or a record cannot even be reported.
pub fn stored_events(payload: Value) -> Result<(Vec<StoredEvent>, BatchAnswer), Failure> {
    let permanent = |error: RecordError| Failure::Permanent(error.to_string());
    let mut answer = BatchAnswer::default();
    let mut events = Vec::new();
    for (index, record) in records(payload).map_err(permanent)?.into_iter().enumerate() {
        match read(index, &record) {
            Ok(StreamRecord {
                sequence_number,
                event,
            }) => events.extend(event.map(|event| StoredEvent {
                sequence_number,
                event,
                record,
            })),
            Err(RecordError::NotAnEvent {
                sequence_number,
                reason,
            }) => {
                let failure = Failure::Permanent(format!("the record is not an event: {reason}"));
                answer.give_up(&sequence_number, record, failure);
            }
            Err(error) => return Err(permanent(error)),
        }
    }
    Ok((events, answer))
}

/// The event in a batch of one record; `None` when it is another batch, or no event.
#[must_use]
pub fn single_event(payload: &Value) -> Option<Envelope> {
    match payload.get("Records")?.as_array()?.as_slice() {
        [record] => read(0, record).ok()?.event,
        _ => None,
    }
}

/// The records of a batch, in order.
fn records(payload: Value) -> Result<Vec<Value>, RecordError> {
    let Value::Object(mut payload) = payload else {
        return Err(RecordError::NoBatch);
    };
    match payload.remove("Records") {
        Some(Value::Array(records)) => Ok(records),
        _ => Err(RecordError::NoBatch),
    }
}

fn read(index: usize, record: &Value) -> Result<StreamRecord, RecordError> {
    let inserted = record.get("eventName").and_then(Value::as_str) == Some("INSERT");
    let change = &record["dynamodb"];
    let sequence_number = change
        .get("SequenceNumber")
        .and_then(Value::as_str)
        .ok_or(RecordError::NoSequenceNumber(index))?
        .to_owned();
    let not_an_event = |reason: String| RecordError::NotAnEvent {
        sequence_number: sequence_number.clone(),
        reason,
    };
    let event = if inserted {
        let image = change
            .get("NewImage")
            .and_then(Value::as_object)
            .ok_or_else(|| not_an_event("it has no NewImage".into()))?;
        let fields = attributes(image).map_err(not_an_event)?;
        Some(
            Envelope::from_value(Value::Object(fields))
                .map_err(|error| not_an_event(error.to_string()))?,
        )
    } else {
        None
    };
    Ok(StreamRecord {
        sequence_number,
        event,
    })
}

fn attributes(fields: &Map<String, Value>) -> Result<Map<String, Value>, String> {
    fields
        .iter()
        .map(|(name, value)| {
            attribute(value)
                .map(|value| (name.clone(), value))
                .ok_or_else(|| format!("attribute {name} is of a kind that events don't have"))
        })
        .collect()
}

/// An attribute in the table's JSON (`{"S": "text"}`) as plain JSON.
fn attribute(value: &Value) -> Option<Value> {
    let (kind, value) = value.as_object()?.iter().next()?;
    Some(match (kind.as_str(), value) {
        ("S", Value::String(text)) => Value::String(text.clone()),
        ("N", Value::String(number)) => Value::Number(Number::from_str(number).ok()?),
        ("BOOL", Value::Bool(value)) => Value::Bool(*value),
        ("NULL", _) => Value::Null,
        ("L", Value::Array(values)) => {
            Value::Array(values.iter().map(attribute).collect::<Option<_>>()?)
        }
        ("M", Value::Object(fields)) => Value::Object(attributes(fields).ok()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_record_fails_alone() {
        let good = json!({"eventName": "INSERT", "dynamodb": {"SequenceNumber": "1", "NewImage": {
            "streamId": {"S": "order-1"}, "version": {"N": "1"}, "eventId": {"S": "e"},
            "eventType": {"S": "OrderPlaced"}, "timestamp": {"S": "2025-01-01T12:00:00Z"},
            "data": {"M": {"totalAmount": {"N": "150.75"}, "items": {"L": [{"NULL": true}]}}}}}});
        let removed = json!({"eventName": "REMOVE", "dynamodb": {"SequenceNumber": "2"}});
        let bad = json!({"eventName": "INSERT", "dynamodb": {"SequenceNumber": "3",
            "NewImage": {"eventId": {"B": "AAAA"}}}});
        let (events, answer) =
            stored_events(json!({"Records": [good.clone(), removed, bad.clone()]})).unwrap();
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].event.position(), Some(("order-1", 1)));
        assert_eq!(events[0].event.data["totalAmount"].to_string(), "150.75");
        assert_eq!(events[0].record, good);
        let [given_up] = answer.given_up() else {
            panic!("one record is given up: {answer:?}");
        };
        assert_eq!(given_up.sequence_number, "3");
        assert_eq!(given_up.payload(), json!({"Records": [bad]}));
        for no_batch in [json!({}), json!([]), json!({"Records": [{}]})] {
            assert!(matches!(
                stored_events(no_batch),
                Err(Failure::Permanent(_))
            ));
        }
    }

    #[test]
    fn what_the_dead_letter_queue_does_not_have_comes_again() {
        let mut answer = BatchAnswer::default();
        for number in ["1", "2", "3"] {
            answer.give_up(number, Value::Null, Failure::Permanent("no".into()));
        }
        answer.settle(&[true, false, true]);
        assert_eq!(
            answer.into_payload()["batchItemFailures"],
            json!([{"itemIdentifier": "2"}])
        );
    }
}
