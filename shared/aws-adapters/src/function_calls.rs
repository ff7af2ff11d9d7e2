//! Calling a function and waiting for its answer.

use crate::connection::Deferred;
use crate::dynamodb_event_store::describe;
use crate::lambda::REDRIVE_KEY;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::error::SdkError;
use aws_sdk_lambda::operation::invoke::InvokeError;
use aws_sdk_lambda::primitives::Blob;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// What a call came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Called {
    /// The function's answer.
    Answer(Value),
    /// The function failed.
    Failed {
        /// `errorType` of its error document: the failure's class, or what the platform calls it.
        error_type: String,
        /// Why.
        message: String,
    },
}

/// Why a function was not called, or nobody knows whether it was.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Too many calls at once; this one was not done.
    #[error("{function} is called too often at once; call it again later")]
    Throttled {
        /// The function.
        function: String,
    },
    /// Lambda did not answer; the function may or may not have run.
    #[error("{function} gave no answer ({reason}); it may or may not have run, so look first")]
    Unavailable {
        /// The function.
        function: String,
        /// What went wrong.
        reason: String,
    },
    /// Lambda refuses the call: no such function, no right to call it, too large an event.
    #[error("{function} cannot be called: {reason}")]
    Refused {
        /// The function.
        function: String,
        /// What Lambda says.
        reason: String,
    },
}

/// Calls functions.
#[derive(Debug, Clone)]
pub struct FunctionCalls {
    client: Deferred<Client>,
}

impl FunctionCalls {
    /// By a client of [`Connection::lambda`](crate::connection::Connection::lambda).
    #[must_use]
    pub fn new(client: Deferred<Client>) -> Self {
        Self { client }
    }

    /// Calls a function, by name or ARN, with an event.
    ///
    /// # Errors
    /// [`CallError`]; a failure of the function itself is [`Called::Failed`].
    pub async fn call(&self, function: &str, event: &Value) -> Result<Called, CallError> {
        self.send(function, event, None).await
    }

    /// Calls a consumer with what it gave up, as the redrive of the calls `ids`: it tells its
    /// failure then, and does not put the event into its dead-letter queue once more.
    ///
    /// # Errors
    /// As [`FunctionCalls::call`].
    pub async fn redrive(
        &self,
        function: &str,
        event: &Value,
        ids: &[String],
    ) -> Result<Called, CallError> {
        // They reach the function beside the event, in its context, whose values are texts.
        let ids = json!(ids).to_string();
        let context = json!({"custom": {REDRIVE_KEY: ids}}).to_string();
        self.send(function, event, Some(STANDARD.encode(context)))
            .await
    }

    async fn send(
        &self,
        function: &str,
        event: &Value,
        client_context: Option<String>,
    ) -> Result<Called, CallError> {
        let request = self
            .client
            .invoke()
            .function_name(function)
            .set_client_context(client_context)
            .payload(Blob::new(event.to_string()));
        let answer = Box::pin(request.send()).await;
        let answer = answer.map_err(|error| why_not(function, &error))?;
        let payload = answer.payload.map(Blob::into_inner).unwrap_or_default();
        let document: Value = serde_json::from_slice(&payload).unwrap_or_default();
        Ok(match answer.function_error {
            None => Called::Answer(document),
            Some(kind) => failed(&document, &kind),
        })
    }
}

fn failed(document: &Value, kind: &str) -> Called {
    let text = |name: &str| document[name].as_str().map(str::to_owned);
    Called::Failed {
        error_type: text("errorType").unwrap_or_else(|| kind.to_owned()),
        message: text("errorMessage").unwrap_or_else(|| document.to_string()),
    }
}

fn why_not(function: &str, error: &SdkError<InvokeError>) -> CallError {
    let function = function.to_owned();
    let reason = describe(error);
    match error {
        SdkError::ServiceError(context) => match context.err() {
            InvokeError::TooManyRequestsException(_) => CallError::Throttled { function },
            _ if context.raw().status().is_server_error() => {
                CallError::Unavailable { function, reason }
            }
            _ => CallError::Refused { function, reason },
        },
        SdkError::ConstructionFailure(_) => CallError::Refused { function, reason },
        _ => CallError::Unavailable { function, reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_its_class_and_one_without_a_document_says_what_the_platform_says() {
        let said = failed(
            &json!({"errorType": "Permanent", "errorMessage": "no such order"}),
            "Unhandled",
        );
        let expected = Called::Failed {
            error_type: "Permanent".to_owned(),
            message: "no such order".to_owned(),
        };
        assert_eq!(said, expected);
        let Called::Failed { error_type, .. } = failed(&Value::Null, "Unhandled") else {
            panic!("it failed");
        };
        assert_eq!(error_type, "Unhandled");
    }
}
