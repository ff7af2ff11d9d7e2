//! Requests of the HTTP API, who sends them, answers, and problems (RFC 9457).

use aws_lambda_events::event::apigw::ApiGatewayV2httpRequest;
use base64::Engine;
use domain::access::{Caller, Denied};
use domain::ids::IdempotencyKey;
use event_sourcing::failure::Failure;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// Largest body that is read, in bytes; 100 order lines take less than 20 KB.
pub const MAX_BODY_BYTES: usize = 128 * 1024;

/// A request, as the routes of the template let it through.
#[derive(Debug)]
pub struct HttpRequest {
    event: ApiGatewayV2httpRequest,
    traceparent: Option<String>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpResponse {
    status: u16,
    headers: Map<String, Value>,
    body: Body,
}

/// The body of an answer.
#[derive(Debug, Clone, PartialEq)]
enum Body {
    Json(Value),
    Text(String),
}

/// A refusal or failure as a problem document.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{status} {title}: {detail}")]
pub struct Problem {
    /// HTTP status.
    pub status: u16,
    /// Short name of the kind of problem, in kebab case; the end of its `type`.
    pub kind: &'static str,
    /// The kind in words.
    pub title: &'static str,
    /// What is wrong with this request, and what to do.
    pub detail: String,
    /// The field, parameter or header that is wrong, where one is.
    pub field: Option<String>,
}

impl Problem {
    /// A 400 for one field, parameter or header.
    #[must_use]
    pub fn invalid(field: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        let field = field.into();
        Self {
            status: 400,
            kind: "invalid-request",
            title: "The request is not valid",
            detail: format!("{field} {reason}"),
            field: Some(field),
        }
    }

    /// Another problem.
    #[must_use]
    pub fn new(
        status: u16,
        kind: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            status,
            kind,
            title,
            detail: detail.into(),
            field: None,
        }
    }

    /// The same problem of a named field.
    #[must_use]
    pub fn of(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// A 404.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(404, "not-found", "There is no such thing", what)
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Transient(reason) | Failure::Waiting(reason) => {
                tracing::warn!(reason, "answered 503");
                Self::new(
                    503,
                    "unavailable",
                    "The service cannot answer now",
                    "Send the same request again in a moment; with the same Idempotency-Key nothing is done twice.",
                )
            }
            Failure::Permanent(reason) => {
                tracing::error!(reason, "answered 500");
                Self::new(
                    500,
                    "internal",
                    "The service failed",
                    "The failure is logged with the request's id.",
                )
            }
        }
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        Self::new(
            403,
            "insufficient-scope",
            "The token does not allow this",
            denied.to_string(),
        )
        .of("Authorization")
    }
}

impl HttpRequest {
    /// Takes a request out of a Lambda payload (HTTP API, payload format 2.0).
    ///
    /// # Errors
    /// When the payload is not one.
    pub fn from_payload(payload: Value) -> Result<Self, Failure> {
        Self::of(ApiGatewayV2httpRequest::deserialize(payload))
    }

    /// The same out of the payload's JSON, without a value in between.
    ///
    /// # Errors
    /// When the payload is not one.
    pub fn from_text(payload: &str) -> Result<Self, Failure> {
        Self::of(serde_json::from_str(payload))
    }

    fn of(read: serde_json::Result<ApiGatewayV2httpRequest>) -> Result<Self, Failure> {
        read.map(|event| Self {
            event,
            traceparent: None,
        })
        .map_err(|error| Failure::Permanent(format!("not a request of the HTTP API: {error}")))
    }

    /// Method and path of the route that matched, such as `GET /orders/{id}`.
    #[must_use]
    pub fn route(&self) -> &str {
        self.event.route_key.as_deref().unwrap_or_default()
    }

    /// The id of this request, for logs and causation.
    #[must_use]
    pub fn id(&self) -> &str {
        self.event
            .request_context
            .request_id
            .as_deref()
            .unwrap_or("unknown")
    }

    /// A header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.event
            .headers
            .get(name)
            .and_then(|value| std::str::from_utf8(value.as_bytes()).ok())
    }

    /// The client's own name for this request, where it gave one: visible ASCII and spaces, since
    /// what else a header may have is read in more than one way on its way here.
    ///
    /// # Errors
    /// A 400 that names the header.
    pub fn idempotency_key(&self) -> Result<Option<IdempotencyKey>, Problem> {
        const HEADER: &str = "Idempotency-Key";
        let Some(value) = self.event.headers.get("idempotency-key") else {
            return Ok(None);
        };
        let is_plain = value
            .as_bytes()
            .iter()
            .all(|byte| (b' '..=b'~').contains(byte));
        let text = value.to_str().ok().filter(|_| is_plain);
        let text = text.ok_or_else(|| {
            Problem::invalid(
                HEADER,
                "must be ASCII characters, without control characters",
            )
        })?;
        IdempotencyKey::parse(text)
            .map(Some)
            .map_err(|error| Problem::invalid(HEADER, error))
    }

    /// The same request in a trace of the platform, where there is one.
    #[must_use]
    pub fn traced(self, traceparent: Option<String>) -> Self {
        Self {
            traceparent,
            ..self
        }
    }

    /// The caller's W3C trace context, where it is one; else the platform's.
    #[must_use]
    pub fn traceparent(&self) -> Option<String> {
        self.header("traceparent")
            .filter(|text| {
                text.len() == 55 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
            })
            .map(str::to_owned)
            .or_else(|| self.traceparent.clone())
    }

    /// Who sent it: the subject and the scopes of the token that an authorizer verified.
    ///
    /// The scopes are those of the token's own claims, `scope` or `scp`. (`jwt.scopes` of the
    /// payload is what the route asked for and the token had, or null.)
    ///
    /// # Errors
    /// A 401, when no authorizer let it pass: then the route lacks one, and nobody may use it.
    pub fn caller(&self) -> Result<Caller, Problem> {
        let authorizer = self.event.request_context.authorizer.as_ref();
        let jwt = authorizer.and_then(|authorizer| authorizer.jwt.as_ref());
        let claims = &jwt
            .ok_or_else(|| unauthenticated("no authorizer verified a token of this request"))?
            .claims;
        let claim = |name: &str| claims.get(name).map_or("", String::as_str);
        let scopes = ["scope", "scp"]
            .into_iter()
            .flat_map(|name| claimed_words(claim(name)));
        Caller::new(claim("sub"), scopes).map_err(unauthenticated)
    }

    /// A parameter of the path, parsed by `parse`.
    ///
    /// # Errors
    /// A 400 that names it.
    pub fn path<T, E: std::fmt::Display>(
        &self,
        name: &str,
        parse: impl FnOnce(String) -> Result<T, E>,
    ) -> Result<T, Problem> {
        let text = self
            .event
            .path_parameters
            .get(name)
            .cloned()
            .unwrap_or_default();
        parse(text).map_err(|error| Problem::invalid(name, error))
    }

    /// A parameter of the query, parsed by `parse`; `None` where it is absent.
    ///
    /// # Errors
    /// A 400 that names it.
    pub fn query<T, E: std::fmt::Display>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Problem> {
        self.event
            .query_string_parameters
            .first(name)
            .map(|text| parse(text).map_err(|error| Problem::invalid(name, error)))
            .transpose()
    }

    /// The body exactly as it was sent.
    ///
    /// # Errors
    /// A 413 when it is too large.
    pub fn raw_body(&self) -> Result<Vec<u8>, Problem> {
        let text = self.event.body.as_deref().unwrap_or_default();
        let bytes = if self.event.is_base64_encoded {
            base64::engine::general_purpose::STANDARD
                .decode(text)
                .map_err(|_| Problem::invalid("body", "must be the base64 that API Gateway made"))?
        } else {
            text.as_bytes().to_vec()
        };
        if bytes.len() > MAX_BODY_BYTES {
            return Err(Problem::new(
                413,
                "too-large",
                "The body is too large",
                format!(
                    "body must have at most {MAX_BODY_BYTES} bytes, has {}",
                    bytes.len()
                ),
            )
            .of("body"));
        }
        Ok(bytes)
    }

    /// The JSON body.
    ///
    /// # Errors
    /// A 413 when it is too large, a 400 that names the field otherwise.
    pub fn body<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let bytes = self.raw_body()?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| Problem::invalid("body", "must be JSON in UTF-8"))?;
        Self::parsed(text)
    }

    /// The value that a text in JSON is.
    ///
    /// # Errors
    /// A 400 that names the field.
    pub fn parsed<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            let path = error.path().to_string();
            let inner = error.into_inner();
            if inner.is_syntax() || inner.is_eof() {
                Problem::invalid("body", format!("must be JSON: {inner}"))
            } else {
                let (field, reason) = name_field(&path, &inner.to_string());
                Problem::invalid(field, reason)
            }
        })?;
        deserializer.end().map_err(|error| {
            Problem::invalid("body", format!("must be one JSON object: {error}"))
        })?;
        Ok(value)
    }
}

/// The words of a claim. API Gateway hands on `"a b"` as it is, and a list as `"[a b]"`.
fn claimed_words(claim: &str) -> impl Iterator<Item = &str> {
    let list = claim
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    list.unwrap_or(claim).split_ascii_whitespace()
}

fn unauthenticated(reason: impl std::fmt::Display) -> Problem {
    let detail = format!("{reason}; send a valid access token: Authorization: Bearer <token>");
    Problem::new(
        401,
        "unauthenticated",
        "The request has no authenticated caller",
        detail,
    )
    .of("Authorization")
}

/// The field and the reason in a deserialization error: a missing field's own name stands in the
/// message, not in the path.
fn name_field(path: &str, message: &str) -> (String, String) {
    let message = message.split(" at line ").next().unwrap_or(message);
    let parent = if path == "." { "" } else { path };
    let quoted = |message: &str| message.split('`').nth(1).map(str::to_owned);
    if message.starts_with("missing field")
        && let Some(name) = quoted(message)
    {
        let field = if parent.is_empty() {
            name
        } else {
            format!("{parent}.{name}")
        };
        return (field, "is missing".into());
    }
    if message.starts_with("unknown field") {
        let known = message
            .split_once("expected")
            .map_or("", |(_, known)| known.trim());
        let field = if parent.is_empty() {
            quoted(message).unwrap_or_else(|| "body".into())
        } else {
            parent.to_owned()
        };
        return (field, format!("is not known here, expected {known}"));
    }
    let field = if parent.is_empty() { "body" } else { parent };
    (field.to_owned(), format!("is not right: {message}"))
}

impl HttpResponse {
    /// An answer with a JSON body.
    #[must_use]
    pub fn json(status: u16, body: Value) -> Self {
        let headers = Map::from_iter([("content-type".into(), json!("application/json"))]);
        Self {
            status,
            headers,
            body: Body::Json(body),
        }
    }

    /// An answer with a text of some type.
    #[must_use]
    pub fn text(status: u16, content_type: &str, text: String) -> Self {
        let headers = Map::from_iter([("content-type".into(), json!(content_type))]);
        Self {
            status,
            headers,
            body: Body::Text(text),
        }
    }

    /// The same answer with a header more.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers
            .insert(name.to_owned(), Value::String(value.into()));
        self
    }

    /// The payload that Lambda answers with (format 2.0).
    #[must_use]
    pub fn into_payload(self) -> Value {
        let body = match self.body {
            _ if self.status == 304 => String::new(),
            Body::Json(body) => body.to_string(),
            Body::Text(text) => text,
        };
        json!({"statusCode": self.status, "headers": self.headers, "body": body,
               "isBase64Encoded": false})
    }
}

impl From<Problem> for HttpResponse {
    fn from(problem: Problem) -> Self {
        let mut body = json!({
            "type": format!("https://orderflow.dev/problems/{}", problem.kind),
            "title": problem.title,
            "status": problem.status,
            "detail": problem.detail,
        });
        if let Some(field) = &problem.field {
            body["field"] = json!(field);
        }
        let response =
            Self::json(problem.status, body).header("content-type", "application/problem+json");
        match problem.status {
            401 => response.header("www-authenticate", "Bearer"),
            503 => response.header("retry-after", "1"),
            _ => response,
        }
    }
}

#[cfg(test)]
mod tests;
