//! What a message of a dead-letter queue says, whoever sent it.
//!
//! - A rule's target (`EventBridge`): the event, with attributes that say why.
//!   <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html>
//! - A failed asynchronous invocation (Lambda's on-failure destination): a record around the event.
//!   <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>
//! - A stream mapping: where the batch was in the stream, not what was in it.
//!   <https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html>
//! - The consumer itself: what it was called with, with attributes ([`attribute`]).
//! - Anything else: an event that somebody put there by hand can be redriven, the rest is parked.

use crate::kafka_record;
use crate::lambda::event_of;
use crate::sqs_dead_letter_queue::{Message, attribute};
use crate::stream_record;
use event_sourcing::dead_letter::{Class, EventRef, Received};
use event_sourcing::envelope::Envelope;
use jiff::Timestamp;
use serde_json::Value;

/// A batch of a table's stream that a mapping gave up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenUpBatch {
    /// Which stream.
    pub stream_arn: String,
    /// Which shard of it.
    pub shard_id: String,
    /// Its first record.
    pub first: String,
    /// Its last record.
    pub last: String,
    /// How many records it had.
    pub size: usize,
    /// When its first record arrived.
    pub first_arrived_at: Timestamp,
    /// When its last record arrived.
    pub last_arrived_at: Timestamp,
}

/// Reads a message in the queue of `consumer`. A batch comes with the letter that it becomes
/// should nothing of it be found any more.
#[must_use]
pub fn read(consumer: &str, message: &Message) -> (Received, Option<GivenUpBatch>) {
    let body = serde_json::from_str::<Value>(&message.body);
    let has = |name: &str| message.attributes.contains_key(name);
    let mut letter = Received {
        message_id: message.id.clone(),
        consumer: consumer.to_owned(),
        class: Class::Permanent,
        cause: "it says nothing of why it is here".to_owned(),
        payload: Value::Null,
        event: None,
        request_id: None,
        attempts: 0,
        first_failed_at: message.sent_at,
        last_failed_at: message.sent_at,
        callable: false,
    };
    let mut batch = None;
    match body {
        Ok(body) if has(attribute::CLASS) => by_the_consumer(&mut letter, message, body),
        Ok(body) if has("ERROR_CODE") => by_a_rule(&mut letter, message, body),
        Ok(body) if body.get("DDBStreamBatchInfo").is_some() => {
            batch = by_a_mapping(&mut letter, body);
        }
        Ok(body) if body.get("requestContext").is_some() => by_lambda(&mut letter, body),
        Ok(body) => set_payload(&mut letter, body),
        Err(_) => letter.payload = Value::String(message.body.clone()),
    }
    (letter, batch)
}

/// The event that a consumer is called about: of the bus, plain, or the record of a batch of one.
#[must_use]
pub fn event_in(payload: &Value) -> Option<Envelope> {
    if payload.get("Records").is_some() {
        return stream_record::single_event(payload);
    }
    if kafka_record::is_batch(payload) {
        return kafka_record::single_event(payload);
    }
    event_of(payload.clone()).ok()
}

/// By hand, or in a form that is known: callable if there is an event in it.
fn set_payload(letter: &mut Received, payload: Value) {
    letter.event = event_in(&payload).as_ref().map(EventRef::of);
    letter.callable = letter.event.is_some();
    letter.payload = payload;
}

fn by_the_consumer(letter: &mut Received, message: &Message, body: Value) {
    let said = |name: &str| message.attributes.get(name).map(String::as_str);
    set_payload(letter, body);
    // The consumer was called with it, so it can be called with it again.
    letter.callable = true;
    letter.class = Class::of_error_type(said(attribute::CLASS).unwrap_or_default());
    letter.cause = String::from(said(attribute::CAUSE).unwrap_or_default());
    letter.request_id = said(attribute::REQUEST_ID).map(str::to_owned);
    letter.attempts = number(said(attribute::ATTEMPTS)).unwrap_or(1);
    letter.first_failed_at = earlier(said(attribute::FIRST_FAILED_AT), message.sent_at);
}

fn by_a_rule(letter: &mut Received, message: &Message, body: Value) {
    let said = |name: &str| message.attributes.get(name).map(String::as_str);
    let first = body.get("time").and_then(Value::as_str);
    // The bus tries at once, so the event's own time is about when it failed first.
    letter.first_failed_at = earlier(first, message.sent_at);
    set_payload(letter, body);
    letter.callable = true;
    let exhausted = said("EXHAUSTED_RETRY_CONDITION");
    letter.class = match exhausted {
        Some(_) => Class::Transient,
        None => Class::Permanent,
    };
    letter.cause = format!(
        "the rule could not deliver it: {}: {}",
        said("ERROR_CODE").unwrap_or_default(),
        said("ERROR_MESSAGE").unwrap_or_default(),
    );
    letter.attempts = number(said("RETRY_ATTEMPTS")).map_or(1, |retries| retries.saturating_add(1));
}

fn by_lambda(letter: &mut Received, mut body: Value) {
    let context = body["requestContext"].take();
    let response = body["responsePayload"].take();
    letter.last_failed_at = earlier(body["timestamp"].as_str(), letter.last_failed_at);
    let payload = body["requestPayload"].take();
    let first = payload.get("time").and_then(Value::as_str);
    letter.first_failed_at = earlier(first, letter.last_failed_at);
    set_payload(letter, payload);
    letter.callable = !letter.payload.is_null();
    letter.attempts = count(&context["approximateInvokeCount"]);
    letter.request_id = context["requestId"].as_str().map(str::to_owned);
    let error_type = response["errorType"].as_str().unwrap_or_default();
    letter.class = Class::of_error_type(error_type);
    let condition = context["condition"].as_str().unwrap_or_default();
    let message = response["errorMessage"].as_str();
    letter.cause = match (message, letter.class.as_str() == error_type) {
        // What our own failures say is the whole of it.
        (Some(message), true) => message.to_owned(),
        (Some(message), false) => format!("{error_type}: {message}"),
        (None, _) => format!("the platform gave it up: {condition}"),
    };
}

fn by_a_mapping(letter: &mut Received, body: Value) -> Option<GivenUpBatch> {
    let context = &body["requestContext"];
    let info = &body["DDBStreamBatchInfo"];
    let condition = context["condition"].as_str().unwrap_or_default();
    letter.class = Class::Transient;
    letter.cause = format!("the stream mapping gave its batch up: {condition}");
    letter.attempts = count(&context["approximateInvokeCount"]);
    letter.last_failed_at = earlier(body["timestamp"].as_str(), letter.last_failed_at);
    let text = |name: &str| info[name].as_str().map(str::to_owned);
    let time = |name: &str| info[name].as_str()?.parse::<Timestamp>().ok();
    let read = || {
        Some(GivenUpBatch {
            stream_arn: text("streamArn")?,
            shard_id: text("shardId")?,
            first: text("startSequenceNumber")?,
            last: text("endSequenceNumber")?,
            size: usize::try_from(info["batchSize"].as_u64()?).ok()?,
            first_arrived_at: time("approximateArrivalOfFirstRecord")?,
            last_arrived_at: time("approximateArrivalOfLastRecord")?,
        })
    };
    let batch = read();
    if let Some(batch) = &batch {
        letter.first_failed_at = letter.first_failed_at.min(batch.first_arrived_at);
    }
    letter.payload = body;
    batch
}

fn number(text: Option<&str>) -> Option<u32> {
    text?.parse().ok()
}

fn count(value: &Value) -> u32 {
    let count = value.as_u64().and_then(|count| u32::try_from(count).ok());
    count.unwrap_or(0)
}

/// A time that is told, if it is none of the future.
fn earlier(told: Option<&str>, than: Timestamp) -> Timestamp {
    told.and_then(|text| text.parse().ok())
        .map_or(than, |told: Timestamp| told.min(than))
}

#[cfg(test)]
mod tests;
