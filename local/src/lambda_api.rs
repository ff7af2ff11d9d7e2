//! Lambda's Invoke API, so that a function of the running stack can be called directly, by the
//! AWS CLI or a test.
//! <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

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
use serde_json::json;
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

struct Shared {
    functions: Functions,
    invoker: AsyncInvoker,
    log_tail: Arc<LogTail>,
    /// Name of each function by what it can be called.
    names: BTreeMap<String, String>,
}

impl LambdaApiServer {
    /// `names`: name of each function by what it can be called; `instance` is in every answer.
    pub(crate) fn start(
        listener: TcpListener,
        functions: Functions,
        invoker: AsyncInvoker,
        log_tail: Arc<LogTail>,
        names: BTreeMap<String, String>,
        instance: &str,
    ) -> Result<Self, LocalError> {
        let instance = HeaderValue::from_str(instance).ok();
        let shared = Arc::new(Shared {
            functions,
            invoker,
            log_tail,
            names,
        });
        let router = Router::new()
            .route("/2015-03-31/functions/{function}/invocations", post(invoke))
            .layer(DefaultBodyLimit::disable())
            .layer(map_response(move |mut response: Response<Body>| {
                let headers = response.headers_mut();
                headers.extend(instance.clone().map(|instance| (INSTANCE, instance)));
                std::future::ready(response)
            }))
            .with_state(shared);
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
    State(shared): State<Arc<Shared>>,
    Path(function): Path<String>,
    headers: HeaderMap,
    payload: Bytes,
) -> Response<Body> {
    let named = function.rsplit_once(":function:");
    let name = named.map_or(function.as_str(), |(_, name)| name);
    let name = name.split(':').next().unwrap_or(name);
    let Some(name) = shared.names.get(name).map(String::as_str) else {
        let message = format!("Function not found: {name}");
        return refused(404, "ResourceNotFoundException", &message);
    };
    let kind = headers
        .get("x-amz-invocation-type")
        .and_then(|kind| kind.to_str().ok());
    match kind.unwrap_or("RequestResponse") {
        "DryRun" => answer(204, &[], Body::empty()),
        "Event" => match shared.invoker.submit(name, &payload, None, Origin::Direct) {
            Ok(id) => answer(202, &[("x-amzn-requestid", &id)], Body::empty()),
            Err(error @ SubmitError::RequestTooLarge { .. }) => {
                refused(413, "RequestTooLargeException", &error.to_string())
            }
            Err(error @ SubmitError::InvalidRequestContent(_)) => {
                refused(400, "InvalidRequestContentException", &error.to_string())
            }
            Err(error) => refused(500, "ServiceException", &error.to_string()),
        },
        "RequestResponse" => {
            let wants_log = headers
                .get("x-amz-log-type")
                .is_some_and(|kind| kind == "Tail");
            call(&shared, InvokeRequest::new(name, payload), wants_log).await
        }
        other => {
            let message = format!("{other} is not RequestResponse, Event or DryRun");
            refused(400, "InvalidParameterValueException", &message)
        }
    }
}

/// Calls the function and waits for its answer, and for the end of its log where that is wanted.
async fn call(shared: &Shared, mut request: InvokeRequest, wants_log: bool) -> Response<Body> {
    let id = Uuid::new_v4().to_string();
    request.request_id = Some(id.clone());
    if wants_log {
        shared.log_tail.keep(&id);
    }
    let called = shared.functions.invoke(request).await;
    let log = if wants_log {
        STANDARD.encode(shared.log_tail.take(&id).await)
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
            answer(200, &headers, Body::from(invocation.response_payload()))
        }
        Err(error) => refused(error.status(), error.code(), &error.to_string()),
    }
}

fn refused(status: u16, code: &str, message: &str) -> Response<Body> {
    let kind = if status < 500 { "User" } else { "Service" };
    let body = json!({"Type": kind, "Message": message, "message": message}).to_string();
    let headers = [
        ("x-amzn-errortype", code),
        ("content-type", "application/json"),
    ];
    answer(status, &headers, Body::from(body))
}

fn answer(status: u16, headers: &[(&'static str, &str)], body: Body) -> Response<Body> {
    let mut builder = Response::builder().status(status);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(body).unwrap_or_else(|_| {
        let mut plain = Response::new(Body::empty());
        *plain.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        plain
    })
}
