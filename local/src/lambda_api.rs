//! Lambda's Invoke API, so that a function of the running stack can be called directly, by the
//! AWS CLI, another function or a test: on an address of its own, which says which run of a system
//! answers, and behind the AWS endpoint.
//! <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_endpoint::{FunctionCall, FunctionCalls};
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use axum::middleware::map_response;
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use lambda_host::async_invoke::{AsyncInvoker, Origin, SubmitError};
use lambda_host::{Invoke, InvokeRequest};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::error::LocalError;
use crate::functions::Functions;
use crate::log_tail::LogTail;
use crate::server::Server;

/// Every answer says with it which run of a system it is from.
pub(crate) const INSTANCE_HEADER: &str = "x-orderflow-instance";
const INSTANCE: HeaderName = HeaderName::from_static(INSTANCE_HEADER);

/// The running API.
pub(crate) struct LambdaApiServer {
    server: Server,
}

/// What answers.
pub(crate) struct LambdaApi {
    functions: Functions,
    invoker: AsyncInvoker,
    log_tail: Arc<LogTail>,
    /// Name of each function by what it can be called.
    names: BTreeMap<String, String>,
}

impl LambdaApi {
    /// `names`: name of each function by what it can be called.
    pub(crate) fn new(
        functions: Functions,
        invoker: AsyncInvoker,
        log_tail: Arc<LogTail>,
        names: BTreeMap<String, String>,
    ) -> Self {
        Self {
            functions,
            invoker,
            log_tail,
            names,
        }
    }
}

impl LambdaApiServer {
    /// `instance` is in every answer.
    pub(crate) fn start(
        listener: TcpListener,
        api: Arc<LambdaApi>,
        instance: &str,
    ) -> Result<Self, LocalError> {
        let instance = HeaderValue::from_str(instance).ok();
        let router = Router::new()
            .route("/2015-03-31/functions/{function}/invocations", post(invoke))
            .layer(DefaultBodyLimit::disable())
            .layer(map_response(move |mut response: Response<Body>| {
                let headers = response.headers_mut();
                headers.extend(instance.clone().map(|instance| (INSTANCE, instance)));
                std::future::ready(response)
            }))
            .with_state(api);
        Ok(Self {
            server: Server::start(listener, router)?,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    pub(crate) async fn stop(self, grace: Duration) {
        self.server.stop(grace).await;
    }
}

async fn invoke(
    State(api): State<Arc<LambdaApi>>,
    Path(function): Path<String>,
    headers: HeaderMap,
    payload: Bytes,
) -> Response<Body> {
    let call = FunctionCall {
        function,
        headers,
        payload,
    };
    api.call(call).await.map(Body::from)
}

#[async_trait]
impl FunctionCalls for LambdaApi {
    async fn call(&self, call: FunctionCall) -> Response<Bytes> {
        let function = call.function.as_str();
        let named = function.rsplit_once(":function:");
        let name = named.map_or(function, |(_, name)| name);
        let name = name.split(':').next().unwrap_or(name);
        let Some(name) = self.names.get(name).map(String::as_str) else {
            let message = format!("Function not found: {name}");
            return refused(404, "ResourceNotFoundException", &message);
        };
        let header = |name: &str| {
            let value = call.headers.get(name);
            value.and_then(|value| value.to_str().ok())
        };
        match header("x-amz-invocation-type").unwrap_or("RequestResponse") {
            "DryRun" => answer(204, &[], Bytes::new()),
            "Event" => self.submitted(name, &call.payload),
            "RequestResponse" => {
                let wants_log = header("x-amz-log-type") == Some("Tail");
                let Ok(client_context) = context(header("x-amz-client-context")) else {
                    let message = "the client context is not JSON in base64";
                    return refused(400, "InvalidRequestContentException", message);
                };
                let request = InvokeRequest {
                    client_context,
                    ..InvokeRequest::new(name, call.payload)
                };
                self.called(request, wants_log).await
            }
            other => {
                let message = format!("{other} is not RequestResponse, Event or DryRun");
                refused(400, "InvalidParameterValueException", &message)
            }
        }
    }
}

/// What a caller tells the function beside the event: JSON, base64 on its way here.
fn context(header: Option<&str>) -> Result<Option<String>, ()> {
    let Some(header) = header else {
        return Ok(None);
    };
    let bytes = STANDARD.decode(header).map_err(|_| ())?;
    let document: Value = serde_json::from_slice(&bytes).map_err(|_| ())?;
    Ok(Some(document.to_string()))
}

impl LambdaApi {
    fn submitted(&self, name: &str, payload: &Bytes) -> Response<Bytes> {
        match self.invoker.submit(name, payload, None, Origin::Direct) {
            Ok(id) => answer(202, &[("x-amzn-requestid", &id)], Bytes::new()),
            Err(error @ SubmitError::RequestTooLarge { .. }) => {
                refused(413, "RequestTooLargeException", &error.to_string())
            }
            Err(error @ SubmitError::InvalidRequestContent(_)) => {
                refused(400, "InvalidRequestContentException", &error.to_string())
            }
            Err(error) => refused(500, "ServiceException", &error.to_string()),
        }
    }

    /// Calls the function and waits for its answer, and for the end of its log where that is
    /// wanted.
    async fn called(&self, mut request: InvokeRequest, wants_log: bool) -> Response<Bytes> {
        let id = Uuid::new_v4().to_string();
        request.request_id = Some(id.clone());
        if wants_log {
            self.log_tail.keep(&id);
        }
        let called = self.functions.invoke(request).await;
        let log = if wants_log {
            STANDARD.encode(self.log_tail.take(&id).await)
        } else {
            String::new()
        };
        match called {
            Ok(invocation) => {
                let mut headers = vec![
                    ("x-amzn-requestid", id.as_str()),
                    ("x-amz-executed-version", "$LATEST"),
                    ("content-type", "application/json"),
                ];
                if !invocation.succeeded() {
                    headers.push(("x-amz-function-error", "Unhandled"));
                }
                if wants_log {
                    headers.push(("x-amz-log-result", &log));
                }
                answer(200, &headers, invocation.response_payload())
            }
            Err(error) => refused(error.status(), error.code(), &error.to_string()),
        }
    }
}

fn refused(status: u16, code: &str, message: &str) -> Response<Bytes> {
    let kind = if status < 500 { "User" } else { "Service" };
    let body = json!({"Type": kind, "Message": message, "message": message}).to_string();
    let headers = [
        ("x-amzn-errortype", code),
        ("content-type", "application/json"),
    ];
    answer(status, &headers, body.into())
}

fn answer(status: u16, headers: &[(&'static str, &str)], body: Bytes) -> Response<Bytes> {
    let mut builder = Response::builder().status(status);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(body).unwrap_or_else(|_| {
        let mut plain = Response::new(Bytes::new());
        *plain.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        plain
    })
}
