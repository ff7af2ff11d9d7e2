//! What goes into a function and what comes out of it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::BoxFuture;

/// One event for one function.
#[derive(Debug, Clone)]
pub struct InvokeRequest {
    /// Name of the function.
    pub function: String,
    /// The event: a JSON document; empty means `{}`.
    pub payload: Bytes,
    /// X-Ray trace header to pass on; none lets the host make one.
    pub trace: Option<String>,
    /// Request id to use; none lets the host make one. An event that is retried keeps its id.
    pub request_id: Option<String>,
    /// What the caller tells the function beside the event: a JSON document, in its context.
    pub client_context: Option<String>,
}

impl InvokeRequest {
    /// A request with a request id and trace of the host's making.
    #[must_use]
    pub fn new(function: impl Into<String>, payload: Bytes) -> Self {
        Self {
            function: function.into(),
            payload,
            trace: None,
            request_id: None,
            client_context: None,
        }
    }
}

/// How an invocation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The function answered.
    Answer(Bytes),
    /// The function reported an error.
    FunctionError {
        /// `errorType` of the report.
        error_type: String,
        /// `errorMessage` of the report.
        message: String,
        /// The report as the function sent it.
        payload: Bytes,
    },
    /// The function was killed at its timeout.
    TimedOut {
        /// The function's timeout.
        after: Duration,
    },
    /// The process ended while it had the invocation.
    Crashed {
        /// How it ended: `exit status 3`, `signal: killed`; empty after a clean exit.
        status: String,
    },
    /// The process ended, or did not get ready, before it took an invocation.
    InitFailed {
        /// `errorType`, as reported by the function or `Runtime.ExitError`, `Sandbox.Timedout`.
        error_type: String,
        /// What went wrong.
        message: String,
    },
}

/// A finished invocation.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// Request id that the function saw.
    pub request_id: String,
    /// How it ended.
    pub outcome: Outcome,
    /// From the handing over of the event to its end, without initialisation.
    pub duration: Duration,
    /// From the start of the process until it asked for its first event; none when it was warm.
    pub init_duration: Option<Duration>,
    /// Largest memory that the process used so far, in bytes; none where not measured.
    pub max_memory_bytes: Option<u64>,
    /// Number of the process, unique within the host.
    pub process: u32,
}

impl Invocation {
    /// Whether the function answered.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        matches!(self.outcome, Outcome::Answer(_))
    }

    /// Milliseconds that AWS would bill: initialisation and run, rounded up.
    #[must_use]
    pub fn billed_ms(&self) -> u64 {
        let total = self.duration + self.init_duration.unwrap_or_default();
        u64::try_from(total.as_micros().div_ceil(1000)).unwrap_or(u64::MAX)
    }

    /// `errorType` and `errorMessage` in AWS's words; none when the function answered.
    #[must_use]
    pub fn failure(&self) -> Option<(String, String)> {
        match &self.outcome {
            Outcome::Answer(_) => None,
            Outcome::FunctionError {
                error_type,
                message,
                ..
            }
            | Outcome::InitFailed {
                error_type,
                message,
            } => Some((error_type.clone(), message.clone())),
            Outcome::TimedOut { after } => Some((
                "Sandbox.Timedout".to_owned(),
                format!(
                    "{} Task timed out after {:.2} seconds",
                    self.request_id,
                    after.as_secs_f64()
                ),
            )),
            Outcome::Crashed { status } => Some((
                "Runtime.ExitError".to_owned(),
                exit_message(&self.request_id, status),
            )),
        }
    }

    /// What a caller of the function gets: the answer, or the error document
    /// `{"errorType": …, "errorMessage": …}`.
    #[must_use]
    pub fn response_payload(&self) -> Bytes {
        match &self.outcome {
            Outcome::Answer(payload) | Outcome::FunctionError { payload, .. } => payload.clone(),
            _ => {
                let (error_type, message) = self.failure().unwrap_or_default();
                Bytes::from(error_document(&error_type, &message).to_string())
            }
        }
    }
}

/// `Runtime.ExitError` as Lambda words it.
pub(crate) fn exit_message(request_id: &str, status: &str) -> String {
    if status.is_empty() {
        format!("RequestId: {request_id} Error: Runtime exited without providing a reason")
    } else {
        format!("RequestId: {request_id} Error: Runtime exited with error: {status}")
    }
}

/// AWS's error document.
pub(crate) fn error_document(error_type: &str, message: &str) -> Value {
    json!({"errorType": error_type, "errorMessage": message})
}

/// Why an invocation did not reach the function.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// No such function (`ResourceNotFoundException`). Register it, or correct the name.
    #[error("function not found: {function}; register it first")]
    NotFound {
        /// The name asked for.
        function: String,
    },
    /// Throttled (`TooManyRequestsException`). Retry later; with a limit of 0, raise the reserved
    /// concurrency first.
    #[error("rate exceeded for {function}: at most {limit} invocations at a time")]
    TooManyRequests {
        /// The function.
        function: String,
        /// Its limit.
        limit: u32,
    },
    /// The payload is over the quota (`RequestTooLargeException`). Send less.
    #[error(
        "{bytes} byte payload is too large for the {function} invoke operation (limit {limit} bytes)"
    )]
    RequestTooLarge {
        /// The function.
        function: String,
        /// Size of the payload.
        bytes: usize,
        /// The quota.
        limit: usize,
    },
    /// The payload is not JSON (`InvalidRequestContentException`). Send JSON.
    #[error("could not parse request body into JSON: {0}")]
    InvalidRequestContent(#[source] serde_json::Error),
    /// The process or its runtime API could not be started. Retry later; check that the program
    /// can be run.
    #[error("cannot start a process of {function}; check that its program can be run")]
    Start {
        /// The function.
        function: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The host is shutting down, and may have ended the function in the middle of the event: it
    /// counts as not tried. Start another host.
    #[error("the host is shutting down")]
    ShuttingDown,
}

impl InvokeError {
    /// AWS's name of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "ResourceNotFoundException",
            Self::TooManyRequests { .. } => "TooManyRequestsException",
            Self::RequestTooLarge { .. } => "RequestTooLargeException",
            Self::InvalidRequestContent(_) => "InvalidRequestContentException",
            Self::Start { .. } | Self::ShuttingDown => "ServiceException",
        }
    }

    /// AWS's HTTP status of the error.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::NotFound { .. } => 404,
            Self::TooManyRequests { .. } => 429,
            Self::RequestTooLarge { .. } => 413,
            Self::InvalidRequestContent(_) => 400,
            Self::Start { .. } | Self::ShuttingDown => 500,
        }
    }

    /// Whether the same request can succeed later (throttles and system errors).
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::TooManyRequests { .. } | Self::Start { .. } | Self::ShuttingDown
        )
    }
}

/// Invokes functions and waits for the outcome. The host implements it; tests fake it.
pub trait Invoke: Send + Sync + 'static {
    /// Invokes a function once. Must run the invocation to its end even when the returned future
    /// is dropped.
    ///
    /// # Errors
    /// [`InvokeError`] when the event did not reach the function, or the host ended both; a
    /// failing function is an [`Outcome`].
    fn invoke(
        &self,
        request: InvokeRequest,
    ) -> impl Future<Output = Result<Invocation, InvokeError>> + Send;
}

/// [`Invoke`] as a trait object.
pub(crate) trait ErasedInvoke: Send + Sync + 'static {
    fn invoke_boxed(
        &self,
        request: InvokeRequest,
    ) -> BoxFuture<'_, Result<Invocation, InvokeError>>;
}

impl<T: Invoke> ErasedInvoke for T {
    fn invoke_boxed(
        &self,
        request: InvokeRequest,
    ) -> BoxFuture<'_, Result<Invocation, InvokeError>> {
        Box::pin(self.invoke(request))
    }
}

/// Any [`Invoke`].
pub(crate) type AnyInvoke = Arc<dyn ErasedInvoke>;
