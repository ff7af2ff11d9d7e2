//! A consumer's dead-letter queue in SQS: the consumer puts in what it gives up itself,
//! `redrive-dlq` takes everything out.

use crate::connection::Deferred;
use crate::dynamodb_event_store::describe;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName};
use event_sourcing::dead_letter::{DeadLetterQueue, GivenUp, NotTaken};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Most messages of one receive
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>).
const MAX_MESSAGES: i32 = 10;
/// How long a message that was received is out of others' sight: as long as it takes to make
/// letters of it, and some more.
const OUT_OF_SIGHT_SECONDS: i32 = 120;
/// Longest text of an attribute that is sent, in bytes; the whole message may have 1 MiB.
const MAX_ATTRIBUTE_BYTES: usize = 2048;

/// Message attributes of what a consumer gives up itself.
pub mod attribute {
    /// How it failed: `Permanent`, `Waiting`, `Transient`.
    pub const CLASS: &str = "class";
    /// Why.
    pub const CAUSE: &str = "cause";
    /// How often it was tried.
    pub const ATTEMPTS: &str = "attempts";
    /// The call in which it was given up.
    pub const REQUEST_ID: &str = "requestId";
    /// When it failed first.
    pub const FIRST_FAILED_AT: &str = "firstFailedAt";
}

/// A message of a dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The queue's id of it; the same however often it is delivered.
    pub id: String,
    /// What it says.
    pub body: String,
    /// Its attributes that are texts or numbers.
    pub attributes: BTreeMap<String, String>,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// By which it is deleted.
    pub receipt: String,
}

/// The queue was not reached, or refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("queue {queue} did not answer as it should ({reason}); ask again later")]
pub struct QueueError {
    /// Which queue.
    pub queue: String,
    /// What went wrong.
    pub reason: String,
}

/// One dead-letter queue.
#[derive(Debug, Clone)]
pub struct SqsDeadLetterQueue {
    client: Deferred<Client>,
    url: String,
}

impl SqsDeadLetterQueue {
    pub(crate) fn new(client: Deferred<Client>, url: impl Into<String>) -> Self {
        Self {
            client,
            url: url.into(),
        }
    }

    fn error(&self, reason: impl Into<String>) -> QueueError {
        QueueError {
            queue: self.url.clone(),
            reason: reason.into(),
        }
    }

    /// Receives messages, ten at most; none when there are none in sight. One that is not deleted
    /// comes again.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn receive(&self) -> Result<Vec<Message>, QueueError> {
        let request = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(MAX_MESSAGES)
            .visibility_timeout(OUT_OF_SIGHT_SECONDS)
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp);
        let received = Box::pin(request.send())
            .await
            .map_err(|error| self.error(describe(&error)))?;
        received
            .messages
            .unwrap_or_default()
            .into_iter()
            .map(|message| read(message).ok_or_else(|| self.error("a message without its id")))
            .collect()
    }

    /// About how many messages lie in it; it may be some seconds behind.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn count(&self) -> Result<u64, QueueError> {
        let counts = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let request = self
            .client
            .get_queue_attributes()
            .queue_url(&self.url)
            .set_attribute_names(Some(counts.to_vec()));
        let answer = Box::pin(request.send())
            .await
            .map_err(|error| self.error(describe(&error)))?;
        let told = answer.attributes.unwrap_or_default();
        counts
            .iter()
            .map(|count| told.get(count).and_then(|count| count.parse::<u64>().ok()))
            .sum::<Option<u64>>()
            .ok_or_else(|| self.error("it does not tell how many messages it has"))
    }

    /// Deletes a message that was received.
    ///
    /// # Errors
    /// [`QueueError`]; the message comes again then.
    pub async fn delete(&self, receipt: &str) -> Result<(), QueueError> {
        let request = self
            .client
            .delete_message()
            .queue_url(&self.url)
            .receipt_handle(receipt);
        Box::pin(request.send())
            .await
            .map(|_| ())
            .map_err(|error| self.error(describe(&error)))
    }
}

fn read(message: aws_sdk_sqs::types::Message) -> Option<Message> {
    let sent_at = message
        .attributes
        .as_ref()
        .and_then(|attributes| attributes.get(&MessageSystemAttributeName::SentTimestamp))
        .and_then(|millis| millis.parse().ok())
        .and_then(|millis| Timestamp::from_millisecond(millis).ok())
        .unwrap_or_else(Timestamp::now);
    let attributes = message.message_attributes.unwrap_or_default();
    Some(Message {
        id: message.message_id?,
        body: message.body.unwrap_or_default(),
        attributes: attributes
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.string_value?)))
            .collect(),
        sent_at,
        receipt: message.receipt_handle?,
    })
}

impl DeadLetterQueue for SqsDeadLetterQueue {
    async fn give_up(&self, given_up: &GivenUp) -> Result<(), NotTaken> {
        let not_taken = |reason: String| NotTaken(self.error(reason).into());
        let attempts = given_up.attempts.to_string();
        let first = given_up.first_failed_at.to_string();
        let mut request = self
            .client
            .send_message()
            .queue_url(&self.url)
            .message_body(body(&given_up.payload));
        let told = [
            (attribute::CLASS, given_up.class.as_str()),
            (attribute::CAUSE, &given_up.cause),
            (attribute::ATTEMPTS, &attempts),
            (attribute::FIRST_FAILED_AT, &first),
        ];
        let call = given_up.request_id.as_deref();
        let call = call.map(|id| (attribute::REQUEST_ID, id));
        for (name, value) in told.into_iter().chain(call) {
            let value = MessageAttributeValue::builder()
                .data_type("String")
                .string_value(attribute_text(value))
                .build()
                .map_err(|error| not_taken(error.to_string()))?;
            request = request.message_attributes(name, value);
        }
        let sent = Box::pin(request.send()).await;
        sent.map(|_| ())
            .map_err(|error| not_taken(describe(&error)))
    }
}

/// JSON without the two characters that JSON may have and a message may not
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>).
fn body(payload: &serde_json::Value) -> String {
    payload
        .to_string()
        .replace('\u{fffe}', "\\ufffe")
        .replace('\u{ffff}', "\\uffff")
}

/// A text as an attribute: not empty, not too long, of characters that a message may have.
fn attribute_text(text: &str) -> String {
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    let mut kept = String::new();
    for c in text.chars() {
        let c = if allowed(c) { c } else { '\u{fffd}' };
        if kept.len() + c.len_utf8() > MAX_ATTRIBUTE_BYTES {
            break;
        }
        kept.push(c);
    }
    if kept.is_empty() {
        kept.push('-');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_body_and_its_attributes_have_only_what_a_queue_takes() {
        let payload = json!({"text": "a\u{ffff}b\u{1}c\u{fffe}"});
        let body = body(&payload);
        assert!(!body.contains(['\u{ffff}', '\u{fffe}', '\u{1}']), "{body}");
        let back: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(back, payload);
        assert_eq!(
            attribute_text("a\u{1}\u{ffff}\u{1f600}"),
            "a\u{fffd}\u{fffd}\u{1f600}"
        );
        assert_eq!(attribute_text(""), "-");
        assert!(attribute_text(&"\u{e4}".repeat(3000)).len() <= MAX_ATTRIBUTE_BYTES);
    }
}
