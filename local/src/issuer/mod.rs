//! The local issuer of tokens: what an `OpenID` provider is to a stack in AWS. It is served at the
//! AWS endpoint's address and gives anybody on this machine any token that they ask for.
//!
//! - `GET /issuer/.well-known/openid-configuration`, `GET /issuer/.well-known/jwks.json`: as every
//!   issuer has them (<https://openid.net/specs/openid-connect-discovery-1_0.html>).
//! - `POST /issuer/token`: a token, by a form with `grant_type=client_credentials` (RFC 6749,
//!   section 4.4), `scope`, and what no real issuer would take: whose (`sub`), for whom (`aud`) and
//!   for how long (`expires_in`).

pub mod ask;
mod key;

use std::collections::BTreeMap;

use aws_endpoint::{Site, async_trait};
use axum::http::{Method, Request, Response, StatusCode, header};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::guard;
pub use key::{KeyError, SigningKey};

/// Where it is served.
pub(crate) const PATH: &str = "/issuer";
/// Whom tokens are for, unless the template is given another `JwtAudience`.
pub(crate) const AUDIENCE: &str = "orderflow-local";
/// How long a token is good for where nobody says, in seconds.
pub const DEFAULT_SECONDS: u64 = 3600;
/// Longest that a token can be good for, in seconds: 30 days.
pub const MAX_SECONDS: u64 = 30 * 24 * 3600;

const DISCOVERY: &str = "/.well-known/openid-configuration";
const KEYS: &str = "/.well-known/jwks.json";
const TOKEN: &str = "/token";

/// The issuer.
pub(crate) struct Issuer {
    url: String,
    audience: String,
    key: SigningKey,
}

/// Stands where the issuer would, when the system takes the tokens of another one.
pub(crate) struct Elsewhere {
    /// That one.
    pub(crate) issuer: String,
}

/// Why there is no token: `error` and `error_description` of RFC 6749, section 5.2.
type Refusal = (&'static str, String);

impl Issuer {
    /// An issuer with this URL, whose tokens are for this audience.
    pub(crate) fn new(url: String, audience: String, key: SigningKey) -> Self {
        Self { url, audience, key }
    }

    fn discovery(&self) -> Value {
        json!({
            "issuer": self.url,
            "jwks_uri": format!("{}{KEYS}", self.url),
            "token_endpoint": format!("{}{TOKEN}", self.url),
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": ["token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        })
    }

    fn token(&self, form: &[u8], now: Timestamp) -> Result<Value, Refusal> {
        let form: BTreeMap<_, _> = form_urlencoded::parse(form).collect();
        let field = |name: &str| {
            form.get(name)
                .map(AsRef::as_ref)
                .filter(|text| !text.is_empty())
        };
        if field("grant_type") != Some("client_credentials") {
            let why = "grant_type must be client_credentials".to_owned();
            return Err(("unsupported_grant_type", why));
        }
        let invalid = |why: String| ("invalid_request", why);
        let subject = field("sub").ok_or_else(|| invalid("sub is missing".to_owned()))?;
        let seconds = match field("expires_in") {
            None => DEFAULT_SECONDS,
            Some(text) => text
                .parse()
                .ok()
                .filter(|seconds| (1..=MAX_SECONDS).contains(seconds))
                .ok_or_else(|| {
                    let why = format!("expires_in must be 1 to {MAX_SECONDS} seconds, is {text}");
                    invalid(why)
                })?,
        };
        let scope = field("scope").unwrap_or_default();
        let issued_at = now.as_second();
        let claims = json!({
            "iss": self.url,
            "sub": subject,
            "aud": field("aud").unwrap_or(&self.audience),
            "client_id": "cargo-local",
            "scope": scope,
            "iat": issued_at,
            "exp": issued_at.saturating_add_unsigned(seconds),
            "jti": Uuid::new_v4().to_string(),
        });
        let token = self.key.signed(&claims);
        let token = token.map_err(|error| ("server_error", error.to_string()))?;
        Ok(
            json!({"access_token": token, "token_type": "Bearer", "expires_in": seconds,
            "scope": scope}),
        )
    }
}

#[async_trait]
impl Site for Issuer {
    async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        let path = request.uri().path();
        let path = path.strip_prefix(PATH).unwrap_or(path);
        match (request.method(), path) {
            // A page in a browser that had its own name resolve to this machine gets nothing.
            _ if !is_asked_as_loopback(&request) => {
                refusal(403, ("access_denied", "ask at 127.0.0.1".to_owned()))
            }
            (&Method::GET, DISCOVERY) => document(200, &self.discovery()),
            (&Method::GET, KEYS) => document(200, &json!({"keys": [self.key.public()]})),
            (&Method::POST, TOKEN) => match self.token(request.body(), Timestamp::now()) {
                Ok(token) => document(200, &token),
                Err(why) => refusal(400, why),
            },
            (method, path) => {
                let known = format!("GET {DISCOVERY}, GET {KEYS}, POST {TOKEN}");
                let why = format!("there is no {method} {path} here; there is {known}");
                refusal(404, ("invalid_request", why))
            }
        }
    }
}

#[async_trait]
impl Site for Elsewhere {
    async fn answer(&self, _: Request<Bytes>) -> Response<Bytes> {
        let why = format!(
            "this system takes the tokens of {}; get one there",
            self.issuer
        );
        refusal(404, ("unauthorized_client", why))
    }
}

fn is_asked_as_loopback(request: &Request<Bytes>) -> bool {
    let host = request.headers().get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok());
    host.is_some_and(|host| guard::is_loopback(&format!("http://{host}")))
}

fn refusal(status: u16, (error, why): Refusal) -> Response<Bytes> {
    document(status, &json!({"error": error, "error_description": why}))
}

fn document(status: u16, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    let plain = header::HeaderValue::from_static;
    headers.insert(header::CONTENT_TYPE, plain("application/json"));
    headers.insert(header::CACHE_CONTROL, plain("no-store"));
    response
}

#[cfg(test)]
mod tests;
