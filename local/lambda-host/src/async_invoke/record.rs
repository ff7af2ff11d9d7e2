//! The documents that destinations and dead-letter queues get.
//! <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde_json::{Value, json};

use super::pending::PendingInvocation;
use crate::clock::iso_millis;

/// Longest error message in a dead-letter queue's attribute: 1 KB.
const ERROR_MESSAGE_BYTES: usize = 1024;

/// Why an event is done with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// The function answered.
    Success,
    /// The function failed on every attempt it was granted.
    RetriesExhausted,
    /// The event, or its next attempt, is older than it may be.
    EventAgeExceeded,
    /// The function's reserved concurrency is 0.
    ZeroReservedConcurrency,
}

impl Condition {
    /// AWS's name of the condition.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::RetriesExhausted => "RetriesExhausted",
            Self::EventAgeExceeded => "EventAgeExceeded",
            Self::ZeroReservedConcurrency => "ZeroReservedConcurrency",
        }
    }
}

/// The record that an on-success or on-failure destination gets.
pub(crate) fn destination_record(
    pending: &PendingInvocation,
    function_arn: &str,
    condition: Condition,
    response: Option<&str>,
    now: SystemTime,
) -> Value {
    let invoked = match condition {
        Condition::Success => pending.attempts + 1,
        _ => pending.attempts,
    };
    let mut record = json!({
        "version": "1.0",
        "timestamp": iso_millis(now),
        "requestContext": {
            "requestId": pending.id,
            "functionArn": format!("{function_arn}:$LATEST"),
            "condition": condition.as_str(),
            "approximateInvokeCount": invoked,
        },
        "requestPayload": json_or_text(&pending.payload),
    });
    if let Some(response) = response {
        let mut context = json!({"statusCode": 200, "executedVersion": "$LATEST"});
        if condition != Condition::Success {
            context["functionError"] = json!("Unhandled");
        }
        record["responseContext"] = context;
        record["responsePayload"] = json_or_text(response);
    }
    record
}

/// Attributes of the message that a dead-letter queue gets; its body is the event itself.
pub(crate) fn dead_letter_attributes(
    pending: &PendingInvocation,
    error_code: u16,
    error_message: &str,
) -> BTreeMap<String, String> {
    let mut end = error_message.len().min(ERROR_MESSAGE_BYTES);
    while !error_message.is_char_boundary(end) {
        end -= 1;
    }
    BTreeMap::from([
        ("RequestID".to_owned(), pending.id.clone()),
        ("ErrorCode".to_owned(), error_code.to_string()),
        ("ErrorMessage".to_owned(), error_message[..end].to_owned()),
    ])
}

/// A JSON document as it is, anything else as a string.
fn json_or_text(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}
