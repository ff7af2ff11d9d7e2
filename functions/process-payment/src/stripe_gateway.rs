//! Stripe: payment intents and refunds, each under an idempotency key
//! (<https://docs.stripe.com/api/payment_intents/create>, <https://docs.stripe.com/api/refunds>,
//! <https://docs.stripe.com/api/idempotent_requests>). What became of a charge is searched by the
//! order in its metadata; Stripe's index is behind by up to a minute
//! (<https://docs.stripe.com/search#data-freshness>).

use crate::gateway::{Charge, GatewayError, PaymentGateway, Refund};
use domain::money::{Amount, Currency};
use domain::payment::{ChargeOutcome, PaymentId};
use event_sourcing::retry::budget;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use std::time::Duration;

/// Longest wait for a connection; before there is one, nothing was asked.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest wait for one answer, where the invocation has the time. Stripe answers card charges within seconds; what takes longer is
/// unknown, and asked again under the same key.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(6);
/// Largest answer that is read.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// Why the gateway cannot be used at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StripeSetupError {
    /// The address is none.
    #[error("STRIPE_URL must be like https://api.stripe.com, is {0:?}")]
    Url(String),
    /// The key has characters that no header can carry.
    #[error("the Stripe key in the parameter store is not a key; store it without line breaks")]
    Key,
}

/// Charges and refunds through Stripe's API.
pub struct StripeGateway {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: String,
    authorization: HeaderValue,
}

impl std::fmt::Debug for StripeGateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StripeGateway")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl StripeGateway {
    /// A gateway at `url` (without a path) with a secret key.
    ///
    /// # Errors
    /// [`StripeSetupError`].
    pub fn new(url: impl Into<String>, key: impl AsRef<str>) -> Result<Self, StripeSetupError> {
        let url = url.into().trim_end_matches('/').to_owned();
        let parsed: Uri = url
            .parse()
            .map_err(|_| StripeSetupError::Url(url.clone()))?;
        if !matches!(parsed.scheme_str(), Some("https" | "http")) || parsed.authority().is_none() {
            return Err(StripeSetupError::Url(url));
        }
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", key.as_ref().trim()))
            .map_err(|_| StripeSetupError::Key)?;
        authorization.set_sensitive(true);
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())
            .map_err(|_| StripeSetupError::Url(url.clone()))?
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            url,
            authorization,
        })
    }

    /// Posts a form under an idempotency key.
    async fn post(
        &self,
        path: &str,
        key: &str,
        form: &[(&str, String)],
    ) -> Result<(StatusCode, Value), GatewayError> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}{path}", self.url))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("Idempotency-Key", key)
            .body(Full::from(encode(form)));
        self.exchange(request).await
    }

    async fn get(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<(StatusCode, Value), GatewayError> {
        let request = Request::builder()
            .uri(format!("{}{path}?{}", self.url, encode(query)))
            .body(Full::default());
        self.exchange(request).await
    }

    async fn exchange(
        &self,
        request: Result<Request<Full<Bytes>>, hyper::http::Error>,
    ) -> Result<(StatusCode, Value), GatewayError> {
        let unknown = |reason: String| GatewayError::Unknown(reason);
        let mut request = request.map_err(|error| GatewayError::Refused(error.to_string()))?;
        request
            .headers_mut()
            .insert(AUTHORIZATION, self.authorization.clone());
        let exchange = async {
            let answer = self.client.request(request).await.map_err(|error| {
                let reason = causes(&error);
                // No address, no connection, no TLS: nothing was sent.
                if error.is_connect() {
                    GatewayError::Down(reason)
                } else {
                    unknown(reason)
                }
            })?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES)
                .collect()
                .await
                .map_err(|error| unknown(causes(error.as_ref())))?
                .to_bytes();
            // A body that is no JSON (a proxy's page) tells as much as its status does.
            Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
        };
        let patience = budget::left().map_or(ANSWER_TIMEOUT, |left| left.min(ANSWER_TIMEOUT));
        tokio::time::timeout(patience, exchange)
            .await
            .map_err(|_| unknown(format!("no answer within {patience:?}")))?
    }
}

impl PaymentGateway for StripeGateway {
    async fn charge(&self, charge: &Charge) -> Result<ChargeOutcome, GatewayError> {
        let Some(token) = &charge.token else {
            return Ok(ChargeOutcome::Declined("no_payment_token".into()));
        };
        let Some(amount) = stripe_amount(charge.amount, charge.currency) else {
            return Ok(ChargeOutcome::Declined("amount_not_chargeable".into()));
        };
        let mut form = vec![
            ("amount", amount.to_string()),
            ("currency", charge.currency.code().to_ascii_lowercase()),
            ("confirm", "true".into()),
            // Cards never send the customer elsewhere; nobody is there to come back.
            ("payment_method_types[]", "card".into()),
            ("metadata[order_id]", charge.order_id.to_string()),
        ];
        if token.starts_with("tok_") {
            form.push(("payment_method_data[type]", "card".into()));
            form.push(("payment_method_data[card][token]", token.clone()));
        } else {
            form.push(("payment_method", token.clone()));
        }
        let (status, body) = self.post("/v1/payment_intents", &charge.key, &form).await?;
        charge_outcome(status, &body)
    }

    async fn look_up(&self, charge: &Charge) -> Result<Option<ChargeOutcome>, GatewayError> {
        let order = charge.order_id.as_str();
        let order = order.replace('\\', "\\\\").replace('"', "\\\"");
        let query = [("query", format!("metadata[\"order_id\"]:\"{order}\""))];
        let (status, body) = self.get("/v1/payment_intents/search", &query).await?;
        found_outcome(status, &body)
    }

    async fn refund(&self, refund: &Refund) -> Result<(), GatewayError> {
        let form = [("payment_intent", refund.payment_id.0.clone())];
        let (status, body) = self.post("/v1/refunds", &refund.key, &form).await?;
        refund_outcome(status, &body)
    }
}

/// An amount as Stripe takes it: mostly in the smallest unit of ISO 4217, with the exceptions of
/// <https://docs.stripe.com/currencies#special-cases>. `None` for an amount that Stripe cannot
/// charge to the digit; it is never rounded.
#[must_use]
pub fn stripe_amount(amount: Amount, currency: Currency) -> Option<u64> {
    // (decimal places, what the amount must be divisible by)
    let (places, step) = match currency.code() {
        "MGA" => (0, 1),
        // Whole units only, nevertheless sent in hundredths.
        "ISK" | "UGX" => (2, 100),
        _ => match currency.decimal_places() {
            // The last digit must be 0.
            3 => (3, 10),
            places => (places, 1),
        },
    };
    let amount = amount.in_units_of(places).ok()?;
    (amount % step == 0).then_some(amount)
}

/// What an answer to a charge says.
fn charge_outcome(status: StatusCode, body: &Value) -> Result<ChargeOutcome, GatewayError> {
    if status.is_success() {
        let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
        return match text("status").as_str() {
            "succeeded" if !text("id").is_empty() => {
                Ok(ChargeOutcome::Approved(Some(PaymentId(text("id")))))
            }
            // The customer would have to do something, and is not there to do it.
            state @ ("requires_payment_method"
            | "requires_action"
            | "requires_confirmation"
            | "canceled") => Ok(ChargeOutcome::Declined(state.to_owned())),
            state => Err(GatewayError::Unknown(format!(
                "the payment intent is {state:?}"
            ))),
        };
    }
    let error = &body["error"];
    let kind = error["type"].as_str().unwrap_or_default();
    let code = error["decline_code"]
        .as_str()
        .or_else(|| error["code"].as_str())
        .unwrap_or("declined");
    match status {
        StatusCode::PAYMENT_REQUIRED => Ok(ChargeOutcome::Declined(code.to_owned())),
        _ if kind == "card_error" => Ok(ChargeOutcome::Declined(code.to_owned())),
        // The customer's token does not exist, was used up, or cannot be used this way; or the
        // amount is below the least that is charged in this currency, or the currency is none.
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND
            if error["param"].as_str().is_some_and(|param| {
                param.starts_with("payment_method") || matches!(param, "amount" | "currency")
            }) =>
        {
            Ok(ChargeOutcome::Declined(code.to_owned()))
        }
        _ => Err(failure(status, error)),
    }
}

/// What an answer to a search says, of all payment intents of one order: one that was charged
/// counts before one that may still be, and that before one that was not.
fn found_outcome(status: StatusCode, body: &Value) -> Result<Option<ChargeOutcome>, GatewayError> {
    if !status.is_success() {
        return Err(failure(status, &body["error"]));
    }
    let Some(found) = body["data"].as_array() else {
        return Err(GatewayError::Unknown("the search has no data".into()));
    };
    let mut outcomes: Vec<_> = found
        .iter()
        .map(|intent| charge_outcome(StatusCode::OK, intent))
        .collect();
    outcomes.sort_by_key(|outcome| match outcome {
        Ok(ChargeOutcome::Approved(_)) => 0,
        Err(_) => 1,
        Ok(ChargeOutcome::Declined(_)) => 2,
    });
    outcomes.into_iter().next().transpose()
}

/// What an answer to a refund says.
fn refund_outcome(status: StatusCode, body: &Value) -> Result<(), GatewayError> {
    let error = &body["error"];
    if status.is_success() {
        return match body["status"].as_str() {
            Some("succeeded" | "pending") => Ok(()),
            state => Err(GatewayError::Refused(format!("the refund is {state:?}"))),
        };
    }
    if error["code"] == "charge_already_refunded" {
        return Ok(());
    }
    Err(failure(status, error))
}

fn failure(status: StatusCode, error: &Value) -> GatewayError {
    let text = format!(
        "{status} {} {}",
        error["type"].as_str().unwrap_or_default(),
        error["code"].as_str().unwrap_or_default()
    );
    match status {
        StatusCode::BAD_REQUEST
        | StatusCode::UNAUTHORIZED
        | StatusCode::FORBIDDEN
        | StatusCode::NOT_FOUND => GatewayError::Refused(text),
        // Too many, or none at all for now: nothing was done.
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => GatewayError::Down(text),
        // 409: another request with this key is under way; 5xx: Stripe's own.
        _ => GatewayError::Unknown(text),
    }
}

/// An error and its causes, joined by colons.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn encode(form: &[(&str, String)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish()
}

#[cfg(test)]
mod tests;
