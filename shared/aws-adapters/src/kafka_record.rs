//! Records of a Kafka topic as Lambda brings them, one by one: a bad one fails alone.
//!
//! MSK and self-managed clusters come in the same form, but for `eventSource` and
//! `eventSourceArn`: <https://docs.aws.amazon.com/lambda/latest/dg/with-msk.html>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-kafka.html>. It is read here and not by the
//! `kafka` module of `aws_lambda_events`, which refuses the whole batch for one bad record, or for
//! one byte of a header above 127.

use crate::lambda::RecordsAnswer;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use event_sourcing::envelope::Envelope;
use event_sourcing::failure::Failure;
use serde_json::{Map, Value, json};

/// Most bytes of a payload that goes into a dead-letter queue whole; a message may have 1 MiB with
/// its attributes
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>).
const MAX_KEPT_BYTES: usize = 1_000_000;
/// Field of a record whose value was too large to be kept: how many bytes of base64 it had.
const LEFT_OUT: &str = "valueLeftOut";

/// Where a record is; how it is named in the answer to the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Topic and partition, as `order_events-0`.
    pub partition: String,
    /// Its offset.
    pub offset: i64,
}

/// One record of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct KafkaRecord {
    /// Where it is.
    pub position: Position,
    /// The key, whatever it is; none for a record without one.
    pub key: Option<Vec<u8>>,
    /// The record as it was delivered.
    record: Value,
}

/// Why a record has no value to read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// The platform's own form is broken.
    #[error("the record's value is not base64")]
    NotBase64,
    /// It was given up before, and was too large for the dead-letter queue.
    #[error(
        "the record's value ({bytes} bytes of base64) is too large to be kept here; read it in its topic, where its partition and offset say"
    )]
    LeftOut {
        /// How large it was.
        bytes: u64,
    },
}

impl KafkaRecord {
    /// The value; `None` for a tombstone.
    ///
    /// # Errors
    /// [`ValueError`].
    pub fn value(&self) -> Result<Option<Vec<u8>>, ValueError> {
        if let Some(bytes) = self.record.get(LEFT_OUT) {
            let bytes = bytes.as_u64().unwrap_or_default();
            return Err(ValueError::LeftOut { bytes });
        }
        match self.record.get("value") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => {
                let bytes = STANDARD.decode(text).map_err(|_| ValueError::NotBase64)?;
                Ok(Some(bytes))
            }
            Some(_) => Err(ValueError::NotBase64),
        }
    }

    /// The first header of this name as text; none where there is none, or it is no text. Lambda
    /// writes a header's bytes as a list of numbers, from -128 or to 255.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let headers = self.record.get("headers")?.as_array()?;
        let bytes = headers.iter().find_map(|header| header.get(name))?;
        let byte = |number: &Value| {
            let number = number.as_i64()?;
            let signed = || i8::try_from(number).ok().map(i8::cast_unsigned);
            u8::try_from(number).ok().or_else(signed)
        };
        let bytes = bytes.as_array()?.iter().map(byte).collect::<Option<_>>()?;
        String::from_utf8(bytes).ok()
    }
}

/// A record that will never be handled as it is.
#[derive(Debug, Clone, PartialEq)]
struct GivenUp {
    position: Position,
    payload: Value,
    failure: Failure,
}

/// Which records of a batch have to come again, and which are given up.
///
/// A mapping takes an answer for parts of a batch only in provisioned mode, where pollers are paid
/// by the hour; otherwise it looks at no answer, and a batch comes again as a whole when the
/// function fails. <https://docs.aws.amazon.com/lambda/latest/dg/kafka-retry-configurations.html>
#[derive(Debug)]
pub struct KafkaAnswer {
    /// What all records of the batch share: `eventSource` and the like.
    frame: Map<String, Value>,
    in_parts: bool,
    failures: Vec<(Position, String)>,
    given_up: Vec<GivenUp>,
}

impl KafkaAnswer {
    /// Reports a record that could not be handled this time.
    pub fn fail(&mut self, position: &Position, cause: impl Into<String>) {
        self.failures.push((position.clone(), cause.into()));
    }

    /// Gives a record up, so that it does not hold up its partition: it goes to the dead-letter
    /// queue at once, in a batch of its own with which the function can be called again. A value
    /// that is too large for the queue is left out there; it is in its topic.
    pub fn give_up(&mut self, record: KafkaRecord, failure: Failure) {
        let KafkaRecord {
            position,
            mut record,
            ..
        } = record;
        let mut payload = self.payload(&position, record.clone());
        if payload.to_string().len() > MAX_KEPT_BYTES {
            if let Some(fields) = record.as_object_mut() {
                let value = fields.remove("value");
                let bytes = value.as_ref().and_then(Value::as_str).map_or(0, str::len);
                // Whatever else is there may be as large.
                fields.retain(|name, _| ["topic", "partition", "offset"].contains(&name.as_str()));
                fields.insert(LEFT_OUT.to_owned(), json!(bytes));
            }
            payload = self.payload(&position, record);
        }
        self.given_up.push(GivenUp {
            position,
            payload,
            failure,
        });
    }

    fn payload(&self, position: &Position, record: Value) -> Value {
        let mut payload = self.frame.clone();
        payload.insert(
            "records".to_owned(),
            json!({ position.partition.as_str(): [record] }),
        );
        Value::Object(payload)
    }

    /// How many records have to come again.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.failures.len()
    }
}

impl RecordsAnswer for KafkaAnswer {
    fn given_up(&self) -> Vec<(Value, Failure)> {
        let given_up = self.given_up.iter();
        given_up
            .map(|one| (one.payload.clone(), one.failure.clone()))
            .collect()
    }

    fn settle(&mut self, kept: &[bool]) {
        let mut kept = kept.iter().copied();
        for one in std::mem::take(&mut self.given_up) {
            if !kept.next().unwrap_or(false) {
                self.failures
                    .push((one.position, "the dead-letter queue did not take it".into()));
            }
        }
    }

    fn into_answer(mut self, is_redrive: bool) -> Result<Value, Failure> {
        self.settle(&[]);
        match self.failures.first() {
            Some((position, cause)) if is_redrive || !self.in_parts => {
                Err(Failure::Transient(format!(
                    "{} of the batch did not get through, the first at offset {} of {}: {cause}",
                    self.failures.len(),
                    position.offset,
                    position.partition
                )))
            }
            _ => {
                let failures = self.failures.iter().map(|(position, _)| {
                    json!({"itemIdentifier":
                        {"partition": position.partition, "offset": position.offset}})
                });
                Ok(json!({"batchItemFailures": failures.collect::<Vec<_>>()}))
            }
        }
    }
}

/// Whether a payload is a batch of a Kafka mapping.
#[must_use]
pub fn is_batch(payload: &Value) -> bool {
    let source = payload.get("eventSource").and_then(Value::as_str);
    matches!(source, Some("aws:kafka" | "SelfManagedKafka"))
}

/// The records of a batch, partition by partition and in order, and the answer to it, which is
/// given in parts if the mapping takes that.
///
/// # Errors
/// [`Failure::Permanent`], when the payload is no batch, or a record cannot even be named.
pub fn records(payload: Value, in_parts: bool) -> Result<(Vec<KafkaRecord>, KafkaAnswer), Failure> {
    let no_batch = || Failure::Permanent("the payload has no records of a Kafka topic".into());
    if !is_batch(&payload) {
        return Err(no_batch());
    }
    let Value::Object(mut frame) = payload else {
        return Err(no_batch());
    };
    let Some(Value::Object(partitions)) = frame.remove("records") else {
        return Err(no_batch());
    };
    let mut records = Vec::new();
    for (partition, batch) in partitions {
        let Value::Array(batch) = batch else {
            return Err(no_batch());
        };
        for record in batch {
            let Some(offset) = record.get("offset").and_then(Value::as_i64) else {
                return Err(Failure::Permanent(format!(
                    "a record of {partition} has no offset"
                )));
            };
            let key = record.get("key").and_then(Value::as_str);
            records.push(KafkaRecord {
                position: Position {
                    partition: partition.clone(),
                    offset,
                },
                key: key.map(|key| STANDARD.decode(key).unwrap_or_else(|_| key.into())),
                record,
            });
        }
    }
    let answer = KafkaAnswer {
        frame,
        in_parts,
        failures: Vec::new(),
        given_up: Vec::new(),
    };
    Ok((records, answer))
}

/// The event in a batch of one record; `None` when it is another batch, or no event.
#[must_use]
pub fn single_event(payload: &Value) -> Option<Envelope> {
    let (records, _) = records(payload.clone(), false).ok()?;
    let [record] = records.as_slice() else {
        return None;
    };
    serde_json::from_slice(&record.value().ok()??).ok()
}

#[cfg(test)]
mod tests;
