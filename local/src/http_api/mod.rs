//! The HTTP API: routes to functions, as API Gateway's HTTP APIs do with Lambda proxy
//! integrations of payload format 2.0.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>,
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>

mod answer;
mod authorizer;
mod request;
mod throttle;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::Response;
use bytes::Bytes;
use lambda_host::{Invoke, InvokeError, InvokeRequest, Outcome};
use sam_template::Route;
use sam_template::route;
use tokio::net::TcpListener;
use tokio::time::Instant;
use uuid::Uuid;

use crate::error::LocalError;
use crate::functions::Functions;
use crate::server::Server;
use authorizer::Authorizers;
use request::Arrival;
use throttle::Throttles;

/// Largest request body: 10 MB.
const MAX_BODY_BYTES: usize = 10 * 1024 * 1024;

/// The running API.
pub(crate) struct HttpApiServer {
    server: Server,
}

/// The API as requests see it.
pub(crate) struct Api {
    routes: Vec<Route>,
    /// Name of each function by its logical id.
    functions: BTreeMap<String, String>,
    id: String,
    stage: String,
    account: String,
}

struct Shared {
    api: Api,
    functions: Functions,
    throttles: Throttles,
    authorizers: Authorizers,
}

impl HttpApiServer {
    pub(crate) fn start(
        listener: TcpListener,
        stack: &sam_template::Stack,
        functions: Functions,
    ) -> Result<Self, LocalError> {
        let api = stack.apis.first();
        let names = stack.functions.iter();
        let throttles = Throttles::of(stack);
        let api = Api {
            routes: stack.routes.clone(),
            functions: names
                .map(|one| (one.logical_id.clone(), one.name.clone()))
                .collect(),
            id: api.map_or_else(|| "local".to_owned(), |api| api.id.clone()),
            stage: api.map_or_else(|| "$default".to_owned(), |api| api.stage.clone()),
            account: crate::stack::ACCOUNT.to_owned(),
        };
        let router = Router::new().fallback(serve).with_state(Arc::new(Shared {
            api,
            functions,
            throttles,
            authorizers: Authorizers::of(stack),
        }));
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

async fn serve(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let request_id = Uuid::new_v4().to_string();
    let mut response = shared.serve(from, request, &request_id).await;
    if let Ok(id) = request_id.parse() {
        response.headers_mut().insert("apigw-requestid", id);
    }
    response
}

impl Shared {
    async fn serve(&self, from: SocketAddr, request: Request, id: &str) -> Response<Body> {
        let (head, body) = request.into_parts();
        let Some(path) = self.api.path_in_stage(head.uri.path()) else {
            return answer::message(404, "Not Found");
        };
        let Some(found) = route::find(&self.api.routes, head.method.as_str(), path) else {
            return answer::message(404, "Not Found");
        };
        if !self.throttles.let_pass(found.route, Instant::now()) {
            return answer::message(429, "Too Many Requests");
        }
        let authorizer = match self.authorizers.authorize(found.route, &head).await {
            Ok(authorizer) => authorizer,
            Err(answer) => return *answer,
        };
        let Some(function) = self.api.functions.get(&found.route.function) else {
            return answer::message(500, "Internal Server Error");
        };
        let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
            return answer::message(413, "Request Entity Too Large");
        };
        let arrival = Arrival {
            head: &head,
            body: &body,
            from,
            id,
            found: &found,
            authorizer,
        };
        let event = Bytes::from(request::event(&self.api, &arrival).to_string());
        let invocation = self.functions.invoke(InvokeRequest::new(function, event));
        // The function runs on when its time here is over, as it does on AWS.
        match tokio::time::timeout(found.route.timeout, invocation).await {
            Err(_) => answer::message(503, "Service Unavailable"),
            Ok(Err(error)) => refusal(&error),
            Ok(Ok(invocation)) => match &invocation.outcome {
                Outcome::Answer(payload) => answer::response(payload)
                    .unwrap_or_else(|| answer::message(500, "Internal Server Error")),
                _ => answer::message(500, "Internal Server Error"),
            },
        }
    }
}

impl Api {
    /// The path that routes see: without the stage, which begins it unless it is `$default`.
    fn path_in_stage<'p>(&self, path: &'p str) -> Option<&'p str> {
        if self.stage == "$default" {
            return Some(path);
        }
        let rest = path.strip_prefix('/')?.strip_prefix(self.stage.as_str())?;
        match rest {
            "" => Some("/"),
            rest if rest.starts_with('/') => Some(rest),
            _ => None,
        }
    }
}

fn refusal(error: &InvokeError) -> Response<Body> {
    match error {
        InvokeError::RequestTooLarge { .. } => answer::message(413, "Request Entity Too Large"),
        InvokeError::TooManyRequests { .. } | InvokeError::ShuttingDown => {
            answer::message(503, "Service Unavailable")
        }
        InvokeError::NotFound { .. }
        | InvokeError::InvalidRequestContent(_)
        | InvokeError::Start { .. } => answer::message(500, "Internal Server Error"),
    }
}
