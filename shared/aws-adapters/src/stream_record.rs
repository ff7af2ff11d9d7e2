//! Records of the event store's stream, one by one: a bad one fails alone.

use aws_lambda_events::event::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use event_sourcing::envelope::Envelope;
use event_sourcing::failure::Failure;
use serde_json::{Map, Number, Value};
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

/// Which records of a batch have to come again; the platform goes on from the first of them.
#[derive(Debug, Default)]
pub struct BatchAnswer {
    failures: Vec<DynamoDbBatchItemFailure>,
}

impl BatchAnswer {
    /// Reports a record that could not be handled this time.
    pub fn fail(&mut self, sequence_number: &str) {
        let mut failure = DynamoDbBatchItemFailure::default();
        failure.item_identifier = Some(sequence_number.to_owned());
        self.failures.push(failure);
    }

    /// Reports a record that is no event: it goes its way to the dead-letter queue.
    fn refuse(&mut self, error: &RecordError) {
        tracing::error!(reason = %error, "record refused");
        if let RecordError::NotAnEvent {
            sequence_number, ..
        } = error
        {
            self.fail(sequence_number);
        }
    }

    /// The payload that Lambda answers with (`ReportBatchItemFailures`).
    #[must_use]
    pub fn into_payload(self) -> Value {
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

/// The events stored in a batch, in order, each with its record's number. Changes that are no new
/// event are passed over; a record that is no event is reported in the answer.
///
/// # Errors
/// [`Failure::Permanent`], when the payload is no batch, or a record cannot even be reported.
pub fn stored_events(payload: Value) -> Result<(Vec<(String, Envelope)>, BatchAnswer), Failure> {
    let permanent = |error: RecordError| Failure::Permanent(error.to_string());
    let mut answer = BatchAnswer::default();
    let mut events = Vec::new();
    for record in records(payload).map_err(permanent)? {
        match record {
            Ok(StreamRecord {
                sequence_number,
                event,
            }) => events.extend(event.map(|event| (sequence_number, event))),
            Err(error @ RecordError::NotAnEvent { .. }) => answer.refuse(&error),
            Err(error) => return Err(permanent(error)),
        }
    }
    Ok((events, answer))
}

/// The records of a batch, in order, each read or refused by itself.
///
/// # Errors
/// [`RecordError::NoBatch`] for the whole payload; the others for one record.
fn records(payload: Value) -> Result<Vec<Result<StreamRecord, RecordError>>, RecordError> {
    let Value::Object(mut payload) = payload else {
        return Err(RecordError::NoBatch);
    };
    let Some(Value::Array(records)) = payload.remove("Records") else {
        return Err(RecordError::NoBatch);
    };
    Ok(records.into_iter().enumerate().map(record).collect())
}

fn record((index, mut record): (usize, Value)) -> Result<StreamRecord, RecordError> {
    let inserted = record.get("eventName").and_then(Value::as_str) == Some("INSERT");
    let change = record
        .get_mut("dynamodb")
        .map(Value::take)
        .unwrap_or_default();
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
    use serde_json::json;

    #[test]
    fn a_bad_record_fails_alone() {
        let good = json!({"eventName": "INSERT", "dynamodb": {"SequenceNumber": "1", "NewImage": {
            "streamId": {"S": "order-1"}, "version": {"N": "1"}, "eventId": {"S": "e"},
            "eventType": {"S": "OrderPlaced"}, "timestamp": {"S": "2025-01-01T12:00:00Z"},
            "data": {"M": {"totalAmount": {"N": "150.75"}, "items": {"L": [{"NULL": true}]}}}}}});
        let removed = json!({"eventName": "REMOVE", "dynamodb": {"SequenceNumber": "2"}});
        let bad = json!({"eventName": "INSERT", "dynamodb": {"SequenceNumber": "3",
            "NewImage": {"eventId": {"B": "AAAA"}}}});
        let batch = records(json!({"Records": [good, removed, bad, {}]})).unwrap();
        let event = batch[0].clone().unwrap().event.unwrap();
        assert_eq!(event.position(), Some(("order-1", 1)));
        assert_eq!(event.data["totalAmount"].to_string(), "150.75");
        assert_eq!(batch[1].clone().unwrap().event, None);
        assert!(matches!(&batch[2],
            Err(RecordError::NotAnEvent { sequence_number, .. }) if sequence_number == "3"));
        assert_eq!(batch[3], Err(RecordError::NoSequenceNumber(3)));
        assert_eq!(records(json!({})), Err(RecordError::NoBatch));
    }
}
