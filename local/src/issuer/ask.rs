//! Asking a running system for a token.

use domain::access::Scope;
use serde_json::Value;

use crate::http_client::{HttpClient, HttpError};

/// Who operators are, where nobody says.
pub const OPERATOR: &str = "operator";
/// How long the tokens are good for by which the local run calls itself, in seconds: a load can
/// take long.
const OWN_SECONDS: u64 = 24 * 3600;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Nobody answered.
    #[error("no token was given: {0}")]
    NoAnswer(#[from] HttpError),
    /// The issuer refused.
    #[error("no token was given: {0}")]
    Refused(String),
}

/// What a token is wanted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Whose: its `sub`.
    pub subject: String,
    /// What it allows.
    pub scopes: Vec<String>,
    /// For whom it is; the system's own audience where nobody says.
    pub audience: Option<String>,
    /// How long it is good for, in seconds.
    pub seconds: u64,
}

impl Wanted {
    /// A customer's token.
    #[must_use]
    pub fn customer(user: &str) -> Self {
        Self::own(user, &[Scope::OrdersRead, Scope::OrdersWrite])
    }

    /// An operator's token.
    #[must_use]
    pub fn operator() -> Self {
        let scopes = [
            Scope::OrdersOperate,
            Scope::InventoryWrite,
            Scope::TelemetryWrite,
        ];
        Self::own(OPERATOR, &scopes)
    }

    fn own(subject: &str, scopes: &[Scope]) -> Self {
        Self {
            subject: subject.to_owned(),
            scopes: scopes
                .iter()
                .map(|scope| scope.as_str().to_owned())
                .collect(),
            audience: None,
            seconds: OWN_SECONDS,
        }
    }
}

/// A token of the system whose AWS endpoint this is.
///
/// # Errors
/// [`TokenError`]: nobody answers there, or the system takes the tokens of another issuer.
pub async fn token(client: &HttpClient, aws: &str, wanted: &Wanted) -> Result<String, TokenError> {
    let form = form(wanted);
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let url = format!("{aws}{}{}", super::PATH, super::TOKEN);
    let answer = client.send("POST", &url, &headers, form).await?;
    let document: Value = answer.json();
    let told = document["error_description"].as_str().map(str::to_owned);
    match document["access_token"].as_str() {
        Some(token) if answer.status == 200 => Ok(token.to_owned()),
        _ => Err(TokenError::Refused(told.unwrap_or_else(|| {
            format!("{url} answered {} {}", answer.status, answer.text())
        }))),
    }
}

fn form(wanted: &Wanted) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials")
        .append_pair("sub", &wanted.subject)
        .append_pair("scope", &wanted.scopes.join(" "))
        .append_pair("expires_in", &wanted.seconds.to_string());
    if let Some(audience) = &wanted.audience {
        form.append_pair("aud", audience);
    }
    form.finish()
}

/// The value of the `Authorization` header with a token of the system.
///
/// # Errors
/// As [`token`].
pub async fn bearer(client: &HttpClient, aws: &str, wanted: &Wanted) -> Result<String, TokenError> {
    let token = token(client, aws, wanted).await?;
    Ok(format!("Bearer {token}"))
}
