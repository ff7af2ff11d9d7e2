//! A small HTTP client for the local run's own use: loopback, no TLS, connections kept.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// An answer is waited for this long: more than any function may take behind the HTTP API.
const TIMEOUT: Duration = Duration::from_secs(40);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The request cannot be made from these parts.
    #[error("{method} {url} cannot be sent: {problem}; correct the URL or the headers")]
    Request {
        /// The method.
        method: String,
        /// The URL.
        url: String,
        /// What is wrong.
        problem: String,
    },
    /// Nobody answered. What was sent may have been done or not.
    #[error("{method} {url} got no answer ({problem}); it may or may not have been done")]
    NoAnswer {
        /// The method.
        method: String,
        /// The URL.
        url: String,
        /// What went wrong.
        problem: String,
    },
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON; null where it is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A header as text; empty where there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// The client. Clones share connections.
#[derive(Debug, Clone)]
pub struct HttpClient {
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Default for HttpClient {
    fn default() -> Self {
        Self::new()
    }
}

impl HttpClient {
    /// A client without connections yet.
    #[must_use]
    pub fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
        }
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// [`HttpError`]; an HTTP status of any kind is an answer.
    pub async fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer, HttpError> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Full::new(body.into()))
            .map_err(|error| HttpError::Request {
                method: method.to_owned(),
                url: url.to_owned(),
                problem: error.to_string(),
            })?;
        let no_answer = |problem: String| HttpError::NoAnswer {
            method: method.to_owned(),
            url: url.to_owned(),
            problem,
        };
        let exchange = async {
            let response = self
                .client
                .request(request)
                .await
                .map_err(|error| no_answer(error.to_string()))?;
            let (head, body) = response.into_parts();
            let body = body
                .collect()
                .await
                .map_err(|error| no_answer(error.to_string()))?;
            Ok(Answer {
                status: head.status.as_u16(),
                headers: head.headers,
                body: body.to_bytes(),
            })
        };
        tokio::time::timeout(TIMEOUT, exchange)
            .await
            .unwrap_or_else(|_| Err(no_answer(format!("after {} s", TIMEOUT.as_secs()))))
    }

    /// Calls an operation of an AWS endpoint by its JSON protocol. `target` is the value of
    /// `X-Amz-Target`, such as `DynamoDB_20120810.GetItem`.
    ///
    /// # Errors
    /// [`HttpError`]; an AWS error is an answer.
    pub async fn aws(
        &self,
        endpoint: &str,
        target: &str,
        request: &Value,
    ) -> Result<Answer, HttpError> {
        // Emulators find the service by its name in the scope, and check no signature.
        let service = match target.split(['_', '.']).next() {
            Some("DynamoDB") => "dynamodb",
            Some("AmazonSQS") => "sqs",
            Some("AWSEvents") => "events",
            _ => "local",
        };
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=local/20250101/us-east-1/{service}/aws4_request, \
             SignedHeaders=host, Signature=none"
        );
        let headers = [
            ("x-amz-target", target),
            ("content-type", "application/x-amz-json-1.0"),
            ("authorization", &authorization),
        ];
        self.send("POST", endpoint, &headers, request.to_string())
            .await
    }
}

/// A path segment with everything escaped that is not plainly safe.
#[must_use]
pub fn path_segment(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
        escaped
    })
}
