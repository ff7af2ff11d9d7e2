//! Sending, receiving and deleting messages.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{MAX_MESSAGE_BYTES, Sqs, queue_of};
use crate::ApiError;
use crate::meter::Usage;

const MAX_BATCH: usize = 10;
const MAX_WAIT_SECONDS: u64 = 20;
const MAX_DELAY_SECONDS: u64 = 900;
const MAX_VISIBILITY_SECONDS: u64 = 43_200;
/// How often a long poll looks for messages that became visible by time.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

impl Sqs {
    /// Checks a message and returns its size: body and attributes.
    pub(super) fn check_message(
        &self,
        message: &Value,
        queue: Option<&str>,
    ) -> Result<usize, ApiError> {
        let body = message["MessageBody"].as_str().unwrap_or_default();
        if body.is_empty() {
            return Err(ApiError::new(
                "MissingParameter",
                "The request must contain the parameter MessageBody.",
            ));
        }
        let forbidden = |c: char| matches!(c, '\u{0}'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
        if body.contains(forbidden) {
            return Err(ApiError::new(
                "InvalidMessageContents",
                "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 \
                 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF",
            ));
        }
        check_range(message, "DelaySeconds", 0, MAX_DELAY_SECONDS)?;
        let size = message_size(message);
        let limit = queue.map_or(MAX_MESSAGE_BYTES, |queue| self.message_limit(queue));
        if size > limit {
            return Err(ApiError::new(
                "InvalidParameterValue",
                format!(
                    "One or more parameters are invalid. Reason: Message must be shorter than \
                     {limit} bytes."
                ),
            ));
        }
        Ok(size)
    }

    fn message_limit(&self, queue: &str) -> usize {
        let store = self.service.store();
        let state = store.get(&self.context.account_id, &self.context.region);
        let limit = state.queues.get(queue).and_then(|queue| {
            let limit = queue.attributes.get("MaximumMessageSize")?;
            limit.parse().ok()
        });
        limit.unwrap_or(MAX_MESSAGE_BYTES)
    }

    /// A batch, entry by entry: one that fails does not touch the others.
    pub(super) async fn batch(
        &self,
        operation: &str,
        mut request: Value,
        usage: &mut Usage,
    ) -> Result<Value, ApiError> {
        let entries = match request.get_mut("Entries").map(Value::take) {
            Some(Value::Array(entries)) => entries,
            _ => Vec::new(),
        };
        check_batch(&entries)?;
        let total: usize = entries.iter().map(message_size).sum();
        if total > MAX_MESSAGE_BYTES {
            return Err(ApiError::new(
                "AWS.SimpleQueueService.BatchRequestTooLong",
                format!(
                    "Batch requests cannot be longer than {MAX_MESSAGE_BYTES} bytes. You have \
                     sent {total} bytes."
                ),
            ));
        }
        let queue = queue_of(&request).unwrap_or_default().to_owned();
        self.check_exists(&queue)?;
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for mut entry in entries {
            let id = entry["Id"].take();
            entry["QueueUrl"] = request["QueueUrl"].clone();
            let result = match operation {
                "SendMessageBatch" => match self.check_message(&entry, Some(&queue)) {
                    Ok(size) => {
                        usage.add_entry(&queue, size);
                        self.engine("SendMessage", entry).await
                    }
                    Err(error) => Err(error),
                },
                "DeleteMessageBatch" => self.delete(entry).await,
                _ => self.change_visibility(entry).await,
            };
            match result {
                Ok(mut answer) => {
                    answer["Id"] = id;
                    successful.push(answer);
                }
                Err(error) => failed.push(json!({
                    "Id": id,
                    "SenderFault": true,
                    "Code": error.code,
                    "Message": error.message,
                })),
            }
        }
        self.keep().await?;
        self.sent.notify_waiters();
        Ok(json!({"Successful": successful, "Failed": failed}))
    }

    pub(super) fn check_exists(&self, queue: &str) -> Result<(), ApiError> {
        if self.depth(queue).is_some() {
            return Ok(());
        }
        Err(ApiError::new(
            "AWS.SimpleQueueService.NonExistentQueue",
            "The specified queue does not exist.",
        ))
    }

    /// Receives, waiting up to the request's or the queue's wait time.
    pub(super) async fn receive(
        &self,
        mut request: Value,
        queue: Option<&str>,
        usage: &mut Usage,
    ) -> Result<Value, ApiError> {
        let queue = queue.unwrap_or_default();
        self.check_exists(queue)?;
        check_range(&request, "MaxNumberOfMessages", 1, MAX_BATCH as u64)?;
        check_range(&request, "WaitTimeSeconds", 0, MAX_WAIT_SECONDS)?;
        check_range(&request, "VisibilityTimeout", 0, MAX_VISIBILITY_SECONDS)?;
        let wait = match request["WaitTimeSeconds"].as_u64() {
            Some(wait) => wait,
            None => self.default_wait(queue),
        };
        request["WaitTimeSeconds"] = json!(0);
        let deadline = Instant::now() + Duration::from_secs(wait);
        loop {
            // Listen before looking: a message sent in between wakes the wait.
            let sent = self.sent.notified();
            tokio::pin!(sent);
            sent.as_mut().enable();
            let mut answer = self.take_messages(queue, &request).await?;
            let received = answer["Messages"].as_array().map_or(0, Vec::len);
            if received > 0 {
                self.correct_receive_counts(queue, &answer);
                for message in answer["Messages"].as_array().into_iter().flatten() {
                    usage.add_entry(queue, message["Body"].as_str().map_or(0, str::len));
                }
                return Ok(answer);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                if let Value::Object(members) = &mut answer {
                    members.remove("Messages");
                }
                return Ok(answer);
            }
            tokio::select! {
                () = sent => {}
                () = tokio::time::sleep(left.min(LOOK_AGAIN)) => {}
            }
        }
    }

    /// Takes what is there. Exhausted messages move to the dead-letter queue,
    /// or stay when there is none.
    async fn take_messages(&self, queue: &str, request: &Value) -> Result<Value, ApiError> {
        let _redrive = self.redrive.lock().await;
        let suspended = self.has_lost_target(queue);
        if suspended {
            self.suspend_redrive(queue, true);
        }
        let answer = self.engine("ReceiveMessage", request.clone()).await;
        if suspended {
            self.suspend_redrive(queue, false);
        }
        answer
    }

    fn default_wait(&self, queue: &str) -> u64 {
        let store = self.service.store();
        let state = store.get(&self.context.account_id, &self.context.region);
        let wait = state.queues.get(queue).and_then(|queue| {
            let wait = queue.attributes.get("ReceiveMessageWaitTimeSeconds")?;
            wait.parse().ok()
        });
        wait.unwrap_or(0)
    }

    /// The engine counts a receive twice: when it hands a message out, and
    /// when its visibility timeout ends. Taking the first one back here leaves
    /// one in all; what the receiver was told stays right.
    fn correct_receive_counts(&self, queue: &str, answer: &Value) {
        let store = self.service.store();
        let state = store.get(&self.context.account_id, &self.context.region);
        let Some(mut queue) = state.queues.get_mut(queue) else {
            return;
        };
        for message in answer["Messages"].as_array().into_iter().flatten() {
            let handle = message["ReceiptHandle"].as_str().unwrap_or_default();
            if let Some(in_flight) = queue.inflight.get_mut(handle) {
                let count = &mut in_flight.message.receive_count;
                *count = count.saturating_sub(1);
            }
        }
    }

    /// Deletes; a receipt handle that is no longer current is no error on AWS.
    pub(super) async fn delete(&self, request: Value) -> Result<Value, ApiError> {
        let well_formed = has_receipt_handle(&request);
        match self.engine("DeleteMessage", request).await {
            Err(error) if error.code == "ReceiptHandleIsInvalid" && well_formed => Ok(json!({})),
            other => other,
        }
    }

    pub(super) async fn change_visibility(&self, request: Value) -> Result<Value, ApiError> {
        check_range(&request, "VisibilityTimeout", 0, MAX_VISIBILITY_SECONDS)?;
        let well_formed = has_receipt_handle(&request);
        let result = self.engine("ChangeMessageVisibility", request).await;
        self.sent.notify_waiters();
        match result {
            Err(error) if error.code == "ReceiptHandleIsInvalid" && well_formed => {
                Err(ApiError::new(
                    "AWS.SimpleQueueService.MessageNotInflight",
                    "The specified message isn't in flight.",
                ))
            }
            other => other,
        }
    }
}

/// Receipt handles are UUIDs here.
fn has_receipt_handle(request: &Value) -> bool {
    let handle = request["ReceiptHandle"].as_str().unwrap_or_default();
    uuid::Uuid::parse_str(handle).is_ok()
}

fn message_size(message: &Value) -> usize {
    let body = message["MessageBody"].as_str().map_or(0, str::len);
    let attributes = message["MessageAttributes"].as_object();
    let attributes: usize = attributes
        .into_iter()
        .flatten()
        .map(|(name, value)| {
            let text = |member: &str| value[member].as_str().map_or(0, str::len);
            name.len() + text("DataType") + text("StringValue") + text("BinaryValue") * 3 / 4
        })
        .sum();
    body + attributes
}

fn check_batch(entries: &[Value]) -> Result<(), ApiError> {
    let refuse = |code: &str, message: &str| {
        Err(ApiError::new(
            format!("AWS.SimpleQueueService.{code}"),
            message,
        ))
    };
    if entries.is_empty() {
        return refuse(
            "EmptyBatchRequest",
            "There should be at least one entry in the request.",
        );
    }
    if entries.len() > MAX_BATCH {
        return refuse(
            "TooManyEntriesInBatchRequest",
            "Maximum number of entries per request are 10.",
        );
    }
    let mut ids = BTreeSet::new();
    for entry in entries {
        let id = entry["Id"].as_str().unwrap_or_default();
        let valid = (1..=80).contains(&id.len())
            && id
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        if !valid {
            return refuse(
                "InvalidBatchEntryId",
                "A batch entry id can only contain alphanumeric characters, hyphens and \
                 underscores. It can be at most 80 letters long.",
            );
        }
        if !ids.insert(id) {
            return refuse("BatchEntryIdsNotDistinct", &format!("Id {id} repeated."));
        }
    }
    Ok(())
}

fn check_range(request: &Value, name: &str, low: u64, high: u64) -> Result<(), ApiError> {
    let Some(value) = request.get(name).filter(|value| !value.is_null()) else {
        return Ok(());
    };
    if value.as_u64().is_some_and(|v| (low..=high).contains(&v)) {
        return Ok(());
    }
    Err(ApiError::new(
        "InvalidParameterValue",
        format!(
            "Value {value} for parameter {name} is invalid. Reason: Must be between {low} and \
             {high}, if provided."
        ),
    ))
}
