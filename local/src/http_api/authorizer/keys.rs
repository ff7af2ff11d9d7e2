//! The keys of an issuer, found as `OpenID` says: its discovery document names where they are.
//! <https://openid.net/specs/openid-connect-discovery-1_0.html>

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use ring::signature::RsaPublicKeyComponents;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// So long keys are kept: as long as API Gateway may.
const KEPT: Duration = Duration::from_hours(2);
/// A key that is not known is asked for again, but not more often than this.
const ASKED_AGAIN: Duration = Duration::from_secs(2);
/// Longest wait for a document.
const PATIENCE: Duration = Duration::from_secs(10);
/// Largest document that is read.
const MAX_BYTES: usize = 1024 * 1024;

/// Where documents are fetched with.
type Web = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// A key that tokens are verified with.
pub(super) struct PublicKey {
    pub(super) components: RsaPublicKeyComponents<Vec<u8>>,
    /// The one algorithm that it is for, where the issuer says.
    pub(super) algorithm: Option<String>,
}

/// The keys of one issuer.
pub(super) struct Keys {
    issuer: String,
    fetched: Mutex<Option<Fetched>>,
}

struct Fetched {
    at: Instant,
    by_id: BTreeMap<String, Arc<PublicKey>>,
}

impl Keys {
    /// The keys of this issuer, none of which is known yet.
    pub(super) fn of(issuer: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            fetched: Mutex::new(None),
        }
    }

    /// The key with this id. One request at a time fetches; the others wait for what it finds.
    pub(super) async fn named(&self, id: &str) -> Result<Arc<PublicKey>, String> {
        let mut fetched = self.fetched.lock().await;
        if let Some(known) = fetched.as_ref().filter(|known| known.at.elapsed() < KEPT) {
            match known.by_id.get(id) {
                Some(key) => return Ok(Arc::clone(key)),
                None if known.at.elapsed() < ASKED_AGAIN => return Err(unknown(id)),
                None => {}
            }
        }
        let by_id = fetch(&self.issuer).await?;
        let key = by_id.get(id).cloned();
        let at = Instant::now();
        *fetched = Some(Fetched { at, by_id });
        key.ok_or_else(|| unknown(id))
    }
}

fn unknown(id: &str) -> String {
    format!("the issuer has no key {id}")
}

async fn fetch(issuer: &str) -> Result<BTreeMap<String, Arc<PublicKey>>, String> {
    let failed = |why: String| format!("OIDC discovery endpoint communication error: {why}");
    let web = web().map_err(failed)?;
    let base = issuer.trim_end_matches('/');
    let url = format!("{base}/.well-known/openid-configuration");
    let discovery = document(&web, &url).await.map_err(failed)?;
    if discovery["issuer"] != issuer {
        let named = discovery["issuer"].as_str().unwrap_or_default();
        return Err(failed(format!("{url} is of the issuer {named}")));
    }
    let keys = discovery["jwks_uri"].as_str();
    let keys = keys.ok_or_else(|| failed(format!("{url} has no jwks_uri")))?;
    let keys = document(&web, keys).await.map_err(failed)?;
    let keys = keys["keys"].as_array().into_iter().flatten();
    Ok(keys.filter_map(public_key).collect())
}

/// A key that signs tokens, with its id; none for one of another kind or use.
fn public_key(key: &Value) -> Option<(String, Arc<PublicKey>)> {
    let signs = key["kty"] == "RSA" && (key["use"].is_null() || key["use"] == "sig");
    let number = |name: &str| {
        let text = key[name].as_str()?.trim_end_matches('=');
        URL_SAFE_NO_PAD.decode(text).ok()
    };
    let components = RsaPublicKeyComponents {
        n: number("n")?,
        e: number("e")?,
    };
    let key_of = PublicKey {
        components,
        algorithm: key["alg"].as_str().map(str::to_owned),
    };
    let id = key["kid"].as_str()?.to_owned();
    signs.then(|| (id, Arc::new(key_of)))
}

fn web() -> Result<Web, String> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())
        .map_err(|error| error.to_string())?
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

async fn document(web: &Web, url: &str) -> Result<Value, String> {
    let failed = |why: String| format!("{url}: {why}");
    let request = Request::get(url)
        .header("accept", "application/json")
        .body(Full::default())
        .map_err(|error| failed(error.to_string()))?;
    let exchange = async {
        let answer = web.request(request).await;
        let answer = answer.map_err(|error| failed(causes(&error)))?;
        if answer.status() != StatusCode::OK {
            return Err(failed(format!("answered {}", answer.status())));
        }
        let body = Limited::new(answer.into_body(), MAX_BYTES).collect().await;
        let body = body.map_err(|error| failed(causes(error.as_ref())))?;
        serde_json::from_slice(&body.to_bytes()).map_err(|error| failed(error.to_string()))
    };
    let answered = tokio::time::timeout(PATIENCE, exchange).await;
    answered.unwrap_or_else(|_| Err(failed(format!("no answer within {PATIENCE:?}"))))
}

/// An error with what is behind it.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
