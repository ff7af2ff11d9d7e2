//! The Lambda Runtime API of one process.
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::invocation::{Outcome, error_document};
use crate::limits::RESPONSE_PAYLOAD_BYTES;

/// More than this of a refused answer is not even read.
const DRAINED_BYTES: usize = 64 * 1024 * 1024;

/// An event on its way to the process.
#[derive(Debug)]
pub(crate) struct Work {
    pub request_id: Arc<str>,
    pub payload: Bytes,
    pub deadline_ms: u64,
    pub arn: String,
    pub trace: String,
    /// What the caller tells beside the event.
    pub client_context: Option<String>,
    /// Set once the process has got the event.
    pub taken: Arc<AtomicBool>,
    pub reply: oneshot::Sender<Outcome>,
}

#[derive(Debug, Default)]
struct Current {
    /// The invocation that the process has not answered yet.
    open: Option<(Arc<str>, oneshot::Sender<Outcome>)>,
    /// The invocation that the process has, or had last.
    last: Option<Arc<str>>,
    /// What the process reported instead of getting ready.
    init_error: Option<(String, String)>,
}

/// State of one process's runtime API.
#[derive(Debug)]
pub(crate) struct RuntimeApi {
    work: tokio::sync::Mutex<mpsc::UnboundedReceiver<Work>>,
    current: Mutex<Current>,
    started: Instant,
    ready: watch::Sender<Option<Duration>>,
}

impl RuntimeApi {
    pub(crate) fn new(
        work: mpsc::UnboundedReceiver<Work>,
        ready: watch::Sender<Option<Duration>>,
    ) -> Self {
        Self {
            work: tokio::sync::Mutex::new(work),
            current: Mutex::default(),
            started: Instant::now(),
            ready,
        }
    }

    pub(crate) fn last_request_id(&self) -> Option<Arc<str>> {
        self.current().last.clone()
    }

    pub(crate) fn init_error(&self) -> Option<(String, String)> {
        self.current().init_error.clone()
    }

    pub(crate) fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(answer))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(failure))
            .route("/2018-06-01/runtime/init/error", post(init_failure))
            .with_state(self)
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the open invocation; false when `id` is not the open one.
    fn settle(&self, id: &str, outcome: Outcome) -> bool {
        let open = {
            let mut current = self.current();
            match &current.open {
                Some((open, _)) if &**open == id => current.open.take(),
                _ => None,
            }
        };
        // Nobody waits any more when the invocation has just timed out.
        open.is_some_and(|(_, reply)| {
            let _ = reply.send(outcome);
            true
        })
    }
}

/// Waits for the next event. Dropped when the process hangs up: then the event stays.
async fn next(State(api): State<Arc<RuntimeApi>>) -> Response {
    let mut work = api.work.lock().await;
    api.ready.send_if_modified(|ready| {
        let first = ready.is_none();
        if first {
            *ready = Some(api.started.elapsed());
        }
        first
    });
    let Some(work) = work.recv().await else {
        return refusal(
            StatusCode::INTERNAL_SERVER_ERROR,
            "HostGone",
            "the host has ended",
        );
    };
    work.taken.store(true, Ordering::Release);
    let mut headers = HeaderMap::new();
    let deadline = work.deadline_ms.to_string();
    for (name, value) in [
        (
            "lambda-runtime-aws-request-id",
            work.request_id.as_ref() as &str,
        ),
        ("lambda-runtime-deadline-ms", deadline.as_str()),
        ("lambda-runtime-invoked-function-arn", work.arn.as_str()),
        ("lambda-runtime-trace-id", work.trace.as_str()),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    let context = work.client_context.as_deref();
    if let Some(context) = context.and_then(|context| HeaderValue::from_str(context).ok()) {
        let name = HeaderName::from_static("lambda-runtime-client-context");
        headers.insert(name, context);
    }
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    {
        let mut current = api.current();
        current.last = Some(Arc::clone(&work.request_id));
        current.open = Some((work.request_id, work.reply));
    }
    (headers, work.payload).into_response()
}

async fn answer(
    State(api): State<Arc<RuntimeApi>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match read(&headers, body).await {
        Ok(payload) => {
            if api.settle(&id, Outcome::Answer(payload)) {
                accepted()
            } else {
                unknown_request()
            }
        }
        Err(Unreadable::TooLarge) => {
            let message = format!(
                "Response payload size exceeded maximum allowed payload size \
                 ({RESPONSE_PAYLOAD_BYTES} bytes)."
            );
            let error_type = "Function.ResponseSizeTooLarge";
            let outcome = Outcome::FunctionError {
                error_type: error_type.to_owned(),
                payload: Bytes::from(error_document(error_type, &message).to_string()),
                message,
            };
            if !api.settle(&id, outcome) {
                return unknown_request();
            }
            refusal(
                StatusCode::PAYLOAD_TOO_LARGE,
                "RequestEntityTooLarge",
                &format!("Exceeded maximum allowed payload size ({RESPONSE_PAYLOAD_BYTES} bytes)."),
            )
        }
        Err(Unreadable::Broken) => broken_body(),
    }
}

async fn failure(
    State(api): State<Arc<RuntimeApi>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Ok(payload) = read(&headers, body).await else {
        return broken_body();
    };
    let (error_type, message) = report(&headers, &payload);
    let outcome = Outcome::FunctionError {
        error_type,
        message,
        payload,
    };
    if api.settle(&id, outcome) {
        accepted()
    } else {
        unknown_request()
    }
}

async fn init_failure(
    State(api): State<Arc<RuntimeApi>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Ok(payload) = read(&headers, body).await else {
        return broken_body();
    };
    api.current().init_error = Some(report(&headers, &payload));
    accepted()
}

enum Unreadable {
    TooLarge,
    Broken,
}

async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Unreadable> {
    let declared = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok())
        .and_then(|length| length.parse::<usize>().ok())
        .unwrap_or(0);
    // Read to the end even when it is too large, or the sender never sees the refusal.
    match to_bytes(body, DRAINED_BYTES).await {
        _ if declared > RESPONSE_PAYLOAD_BYTES => Err(Unreadable::TooLarge),
        Ok(bytes) if bytes.len() > RESPONSE_PAYLOAD_BYTES => Err(Unreadable::TooLarge),
        Ok(bytes) => Ok(bytes),
        Err(_) => Err(Unreadable::Broken),
    }
}

/// `errorType` and `errorMessage` of an error report; the type may be in a header only.
fn report(headers: &HeaderMap, payload: &Bytes) -> (String, String) {
    let document: Value = serde_json::from_slice(payload).unwrap_or_default();
    let field = |name: &str| {
        document
            .get(name)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let header_type = headers
        .get("lambda-runtime-function-error-type")
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    (
        field("errorType")
            .or(header_type)
            .unwrap_or_else(|| "Runtime.Unknown".to_owned()),
        field("errorMessage").unwrap_or_else(|| String::from_utf8_lossy(payload).into_owned()),
    )
}

fn accepted() -> Response {
    json_response(StatusCode::ACCEPTED, &serde_json::json!({"status": "OK"}))
}

fn unknown_request() -> Response {
    refusal(
        StatusCode::BAD_REQUEST,
        "InvalidRequestID",
        "Invalid request ID",
    )
}

fn broken_body() -> Response {
    refusal(
        StatusCode::BAD_REQUEST,
        "InvalidRequestBody",
        "the body could not be read",
    )
}

fn refusal(status: StatusCode, error_type: &str, message: &str) -> Response {
    json_response(status, &error_document(error_type, message))
}

fn json_response(status: StatusCode, document: &Value) -> Response {
    (
        status,
        [(header::CONTENT_TYPE, "application/json")],
        document.to_string(),
    )
        .into_response()
}
