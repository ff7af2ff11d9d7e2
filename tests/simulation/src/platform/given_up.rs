//! What the platform gives up goes into the dead-letter queue of its consumer, as a document or
//! with attributes that say how it came to that; what a batch of the stream had can be looked up.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_adapters::dead_letter_message::GivenUpBatch;
use aws_adapters::stream_history::Restored;
use event_sourcing::failure::Failure;
use sam_template::Mapping;
use serde_json::{Value, json};

use super::invocation::Outcome;
use super::lanes::shard_of;
use super::record::record;
use crate::world::{World, lock};

/// The stream of the event store.
const STREAM_ARN: &str = "arn:aws:dynamodb:us-east-1:000000000000:table/EventStore/stream/1";

/// An asynchronous invocation that was given up.
pub(super) struct GivenUpCall<'a> {
    pub consumer: &'a str,
    pub event: &'a Value,
    pub request: &'a str,
    pub attempts: u32,
    pub outcome: &'a Outcome,
}

impl World {
    /// Lambda gives an event to the on-failure destination of its function, if that has one.
    /// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>
    pub(super) fn give_up_call(&self, call: &GivenUpCall<'_>) {
        if !self.wiring.has_dead_letters(call.consumer) {
            return;
        }
        let response = match call.outcome {
            Outcome::Failed(failure) => {
                json!({"errorType": failure.class(), "errorMessage": failure.to_string()})
            }
            Outcome::Answered(_) | Outcome::Crashed => json!({"errorType": "Runtime.ExitError",
                "errorMessage": "RequestId: Error: Runtime exited without providing a reason"}),
        };
        let document = json!({
            "version": "1.0",
            "timestamp": self.true_time().to_string(),
            "requestContext": {
                "requestId": call.request,
                "functionArn": format!("{}:$LATEST", call.consumer),
                "condition": "RetriesExhausted",
                "approximateInvokeCount": call.attempts,
            },
            "requestPayload": call.event,
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST",
                "functionError": "Unhandled"},
            "responsePayload": response,
        });
        self.dead_letter(call.consumer, document.to_string(), BTreeMap::new());
    }

    /// A rule puts an event that it could not deliver into the queue of its target.
    /// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html>
    pub(super) fn give_up_delivery(&self, consumer: &str, event: &Value) {
        let attributes = [
            ("ERROR_CODE", "SDK_CLIENT_ERROR"),
            ("ERROR_MESSAGE", "Rate exceeded"),
            ("EXHAUSTED_RETRY_CONDITION", "MaximumRetryAttempts"),
            ("RETRY_ATTEMPTS", "20"),
        ];
        let attributes = attributes.map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.dead_letter(consumer, event.to_string(), BTreeMap::from(attributes));
    }

    /// A mapping tells where the records were that it gave up, and not what was in them.
    /// <https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html>
    pub(super) fn give_up_batch(&self, mapping: &Mapping, request: &str, batch: &[Arc<Value>]) {
        let (Some(first), Some(last)) = (batch.first(), batch.last()) else {
            return;
        };
        let stream = first["dynamodb"]["Keys"]["streamId"]["S"].as_str();
        let now = self.true_time().to_string();
        let document = json!({
            "version": "1.0",
            "timestamp": now,
            "requestContext": {
                "requestId": request,
                "functionArn": mapping.function,
                "condition": "RetryAttemptsExhausted",
                "approximateInvokeCount": mapping.maximum_retry_attempts.unwrap_or(0) + 1,
            },
            "DDBStreamBatchInfo": {
                "shardId": format!("shard-{}", shard_of(stream.unwrap_or_default())),
                "startSequenceNumber": first["dynamodb"]["SequenceNumber"],
                "endSequenceNumber": last["dynamodb"]["SequenceNumber"],
                "approximateArrivalOfFirstRecord": now,
                "approximateArrivalOfLastRecord": now,
                "batchSize": batch.len(),
                "streamArn": STREAM_ARN,
            },
        });
        if mapping.on_failure.is_some() {
            self.dead_letter(&mapping.function, document.to_string(), BTreeMap::new());
        }
    }

    /// The records of a batch, each by itself: where they were is known to the stream, what they
    /// are to the store.
    pub(crate) fn restored(&self, batch: &GivenUpBatch, prefix: &str) -> Vec<Restored> {
        let (Ok(first), Ok(last)) = (batch.first.parse::<usize>(), batch.last.parse::<usize>())
        else {
            return Vec::new();
        };
        let fed = lock(&self.platform.fed);
        let of_batch = fed.iter().enumerate().take(last + 1).skip(first);
        let kept = lock(&self.kept);
        of_batch
            .filter(|(_, (stream, _))| {
                let shard = format!("shard-{}", shard_of(stream));
                shard == batch.shard_id && stream.starts_with(prefix)
            })
            .filter_map(|(number, (stream, version))| {
                let history = kept.streams().get(stream)?;
                let event = history.iter().find(|one| one.version == Some(*version))?;
                Some(Restored {
                    position: format!("{stream}/{version}"),
                    payload: json!({"Records": [record(event, number)]}),
                })
            })
            .collect()
    }
}

/// What an outcome is for whoever called.
pub(super) fn reason_of(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answered(_) => "its acknowledgement was lost".to_owned(),
        Outcome::Failed(failure) => Failure::to_string(failure),
        Outcome::Crashed => "its process ended".to_owned(),
    }
}
