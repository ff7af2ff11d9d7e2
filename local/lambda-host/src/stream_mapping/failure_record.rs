//! The document that an on-failure destination gets of a batch: where it is, not what is in it.
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html>

use std::time::SystemTime;

use serde_json::{Value, json};

use super::StreamKind;
use super::batch::Batch;
use crate::clock::{iso_millis, iso_seconds};

/// Why a batch was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropCondition {
    /// It failed on every attempt it was granted.
    RetryAttemptsExhausted,
    /// It is older than it may be.
    RecordAgeExceeded,
}

impl DropCondition {
    /// AWS's name of the condition.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RetryAttemptsExhausted => "RetryAttemptsExhausted",
            Self::RecordAgeExceeded => "RecordAgeExceeded",
        }
    }
}

/// What is known of the mapping that gives the batch up.
pub(crate) struct DropContext<'a> {
    pub kind: StreamKind,
    pub stream_arn: &'a str,
    pub function_arn: &'a str,
    pub shard_id: &'a str,
    pub condition: DropCondition,
    pub now: SystemTime,
}

/// The document.
pub(crate) fn failure_record(batch: &Batch, context: &DropContext<'_>) -> Value {
    let at = |record: Option<&super::batch::Prepared>| {
        record.map_or_else(String::new, |record| iso_seconds(record.created))
    };
    let mut document = json!({
        "requestContext": {
            "requestId": batch.last_request_id.clone().unwrap_or_default(),
            "functionArn": context.function_arn,
            "condition": context.condition.as_str(),
            "approximateInvokeCount": batch.invocations,
        },
        "version": "1.0",
        "timestamp": iso_millis(context.now),
        context.kind.batch_info_key(): {
            "shardId": context.shard_id,
            "startSequenceNumber": batch.first(),
            "endSequenceNumber": batch.last(),
            "approximateArrivalOfFirstRecord": at(batch.records.first()),
            "approximateArrivalOfLastRecord": at(batch.records.last()),
            "batchSize": batch.records.len(),
            "streamArn": context.stream_arn,
        },
    });
    // A batch that was too old from the start was never answered.
    if batch.invocations > 0 {
        let mut response = json!({"statusCode": 200, "executedVersion": "$LATEST"});
        // Records that the function reported in its answer are no error of the function.
        if batch.last_was_error {
            response["functionError"] = json!("Unhandled");
        }
        document["responseContext"] = response;
    }
    document
}
