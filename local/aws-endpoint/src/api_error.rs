//! The error every emulated operation answers with.

use awsim_core::AwsError;
use serde_json::{Map, Value};

use crate::access::Access;

/// An AWS error answer: what a caller sees as status, `__type` and message.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// HTTP status, 400 for nearly all of them.
    pub status: u16,
    /// Error code without its namespace, e.g. `ConditionalCheckFailedException`.
    pub code: String,
    /// Text for people.
    pub message: String,
    /// Further members of the body, e.g. `CancellationReasons` or `Item`.
    pub details: Option<Box<Map<String, Value>>>,
}

impl ApiError {
    pub(crate) fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            status: 400,
            code: code.into(),
            message: message.into(),
            details: None,
        }
    }

    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationException", message)
    }

    pub(crate) fn serialization(message: impl Into<String>) -> Self {
        Self::new("SerializationException", message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self {
            status: 500,
            ..Self::new("InternalServerError", message)
        }
    }

    /// IAM's answer to who may not do something.
    pub(crate) fn access_denied(caller: &str, service: &str, access: &Access) -> Self {
        let status = match service {
            "lambda" | "s3" | "ses" | "sns" | "sqs" => 403,
            _ => 400,
        };
        let Access {
            action, resource, ..
        } = access;
        Self {
            status,
            ..Self::new(
                "AccessDeniedException",
                format!(
                    "User: {caller} is not authorized to perform: {action} on resource: {resource} \
                     because no identity-based policy allows the {action} action"
                ),
            )
        }
    }

    pub(crate) fn unknown_operation(service: &str, operation: &str) -> Self {
        Self::new(
            "UnknownOperationException",
            format!("the local AWS endpoint does not serve {service}:{operation}"),
        )
    }

    /// A request member that AWS knows and this endpoint does not.
    pub(crate) fn unsupported(what: impl AsRef<str>) -> Self {
        Self::validation(format!(
            "the local AWS endpoint does not support {}",
            what.as_ref()
        ))
    }

    pub(crate) fn with_detail(mut self, name: &str, value: Value) -> Self {
        self.details
            .get_or_insert_default()
            .insert(name.to_owned(), value);
        self
    }

    /// A member of [`details`](Self::details).
    #[must_use]
    pub fn detail(&self, name: &str) -> Option<&Value> {
        self.details.as_ref()?.get(name)
    }

    /// True for the codes that mean "slow down".
    #[must_use]
    pub fn is_throttle(&self) -> bool {
        matches!(
            self.code.as_str(),
            "ThrottlingException"
                | "ProvisionedThroughputExceededException"
                | "RequestThrottled"
                | "TooManyRequestsException"
                | "RequestLimitExceeded"
                | "ServiceUnavailableException"
                | "SlowDown"
        )
    }
}

impl From<AwsError> for ApiError {
    fn from(error: AwsError) -> Self {
        Self {
            status: error.status.as_u16(),
            code: error.code,
            message: error.message,
            details: error.extras,
        }
    }
}
