//! An HTTP client for the SDK that sends nothing: each request is answered at once, from memory.
//! What is left is the work of the caller: from its arguments to the finished request, signed and
//! written, and from the answer's bytes back.

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const TARGET: &str = "x-amz-target";

/// Answers from memory; copies of it share what they know.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    requests: AtomicU64,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// By operation; each is used in turn.
    answers: HashMap<&'static str, (usize, Vec<&'static str>)>,
    /// The requests, where they are kept: operation and body.
    kept: Option<Vec<(String, Value)>>,
}

impl Memory {
    /// Answers an operation such as `Query` with these bodies, in turn. Without, it is `{}`.
    pub fn answer(&self, operation: &'static str, bodies: Vec<&'static str>) {
        self.known().answers.insert(operation, (0, bodies));
    }

    /// Keeps requests from now on.
    pub fn keep(&self) {
        self.known().kept = Some(Vec::new());
    }

    /// The requests that were kept, in their order: operation and body. None is kept any more.
    #[must_use]
    pub fn kept(&self) -> Vec<(String, Value)> {
        self.known().kept.take().unwrap_or_default()
    }

    /// How many requests there were so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.inner.requests.load(Ordering::Relaxed)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        let known = &self.inner.known;
        known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answered(&self, request: &HttpRequest) -> Result<HttpResponse, ConnectorError> {
        self.inner.requests.fetch_add(1, Ordering::Relaxed);
        let target = request.headers().get(TARGET).unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default();
        let mut known = self.known();
        if let Some(kept) = &mut known.kept {
            let body = request.body().bytes().unwrap_or_default();
            let body = serde_json::from_slice(body).unwrap_or_default();
            kept.push((operation.to_owned(), body));
        }
        let body = known.answers.get_mut(operation).map(|(turn, bodies)| {
            let body = bodies[*turn % bodies.len()];
            *turn += 1;
            body
        });
        let status = StatusCode::try_from(200)
            .map_err(|error| ConnectorError::user(error.to_string().into()))?;
        let body = SdkBody::from(body.unwrap_or("{}"));
        Ok(HttpResponse::new(status, body))
    }
}

impl HttpConnector for Memory {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::ready(self.answered(&request))
    }
}

impl HttpClient for Memory {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
