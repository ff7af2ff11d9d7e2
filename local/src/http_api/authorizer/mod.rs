//! JWT authorizers, as API Gateway's HTTP APIs have them: before a request comes to its function,
//! its token is verified against the keys of the issuer, its claims and its scopes are checked.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html>,
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-troubleshooting-jwt.html>

mod claims;
mod jwt;
mod keys;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{HeaderValue, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderName, Response};
use jiff::Timestamp;
use sam_template::{IdentitySource, JwtAuthorizer, Route};
use serde_json::{Value, json};

use super::answer;
use jwt::Jwt;
use keys::Keys;

/// Why a request does not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Refusal {
    /// It has no token.
    NoToken,
    /// Its token does not count; why, as API Gateway tells it in a header.
    BadToken(String),
    /// Its token has none of these scopes.
    NoScope(Vec<String>),
}

/// The authorizers of all routes that have one, by route key.
pub(super) struct Authorizers(BTreeMap<String, Needed>);

/// What a route asks for.
struct Needed {
    verifier: Arc<Verifier>,
    scopes: Vec<String>,
}

/// One authorizer of the template.
struct Verifier {
    authorizer: JwtAuthorizer,
    keys: Keys,
}

impl Authorizers {
    /// Those of the template. No key is fetched before the first token comes.
    pub(super) fn of(stack: &sam_template::Stack) -> Self {
        let mut verifiers: Vec<Arc<Verifier>> = Vec::new();
        let mut by_route = BTreeMap::new();
        for route in &stack.routes {
            let Some(authorization) = stack.authorization(route) else {
                continue;
            };
            let authorizer = authorization.authorizer;
            let known = verifiers.iter().find(|one| one.authorizer == *authorizer);
            let verifier = known.cloned().unwrap_or_else(|| {
                let new = Arc::new(Verifier {
                    authorizer: authorizer.clone(),
                    keys: Keys::of(&authorizer.issuer),
                });
                verifiers.push(Arc::clone(&new));
                new
            });
            let scopes = authorization.scopes.to_vec();
            by_route.insert(route.key(), Needed { verifier, scopes });
        }
        Self(by_route)
    }

    /// Lets a request pass, with what its function is told of the token (`null` where the route
    /// has no authorizer); or the answer to a request that does not pass.
    pub(super) async fn authorize(
        &self,
        route: &Route,
        head: &Parts,
    ) -> Result<Value, Box<Response<Body>>> {
        let Some(needed) = self.0.get(&route.key()) else {
            return Ok(Value::Null);
        };
        let passed = needed.let_pass(head, Timestamp::now()).await;
        passed.map_err(|refusal| Box::new(refusal.into_answer()))
    }
}

impl Needed {
    async fn let_pass(&self, head: &Parts, now: Timestamp) -> Result<Value, Refusal> {
        let authorizer = &self.verifier.authorizer;
        let token = token(head, &authorizer.identity_source).ok_or(Refusal::NoToken)?;
        let jwt = Jwt::parse(&token).map_err(Refusal::BadToken)?;
        let key = self.verifier.keys.named(&jwt.key_id).await;
        let key = key.map_err(Refusal::BadToken)?;
        jwt.verify(&key).map_err(Refusal::BadToken)?;
        claims::check(&jwt.claims, authorizer, now.as_second()).map_err(Refusal::BadToken)?;
        let scopes = claims::scopes(&jwt.claims);
        let may = self.scopes.is_empty() || self.scopes.iter().any(|one| scopes.contains(one));
        if !may {
            return Err(Refusal::NoScope(self.scopes.clone()));
        }
        // A function is told of scopes only where its route asks for some.
        let told = if self.scopes.is_empty() {
            Value::Null
        } else {
            json!(scopes)
        };
        Ok(json!({"jwt": {"claims": claims::told(&jwt.claims), "scopes": told}}))
    }
}

/// The token: alone, or after `Bearer`.
fn token(head: &Parts, source: &IdentitySource) -> Option<String> {
    let text = match source {
        IdentitySource::Header(name) => {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            head.headers.get(name)?.to_str().ok()?.to_owned()
        }
        IdentitySource::Query(name) => {
            let query = head.uri.query().unwrap_or_default();
            let mut pairs = form_urlencoded::parse(query.as_bytes());
            pairs.find(|(one, _)| one == name)?.1.into_owned()
        }
    };
    let text = text.trim();
    let token = match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => text,
    };
    Some(token.to_owned()).filter(|token| !token.is_empty())
}

impl Refusal {
    fn into_answer(self) -> Response<Body> {
        let (status, message, challenge) = match self {
            Self::NoToken => (401, "Unauthorized", "Bearer".to_owned()),
            Self::BadToken(why) => {
                let why = format!(
                    "Bearer scope=\"\" error=\"invalid_token\" error_description=\"{}\"",
                    quotable(&why)
                );
                (401, "Unauthorized", why)
            }
            Self::NoScope(scopes) => {
                let scopes = quotable(&scopes.join(" "));
                let why = format!("Bearer scope=\"{scopes}\" error=\"insufficient_scope\"");
                (403, "Forbidden", why)
            }
        };
        let mut response = answer::message(status, message);
        if let Ok(challenge) = HeaderValue::from_str(&challenge) {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// A text without what would end it between quotes or cannot be in a header.
fn quotable(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_ascii_graphic() || *c == ' ')
        .map(|c| if matches!(c, '"' | '\\') { '\'' } else { c })
        .collect()
}

#[cfg(test)]
mod tests;
