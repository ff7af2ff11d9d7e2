//! Stripe: payment intents and refunds, each under an idempotency key
//! (<https://docs.stripe.com/api/payment_intents/create>, <https://docs.stripe.com/api/refunds>,
//! <https://docs.stripe.com/api/idempotent_requests>).

use crate::gateway::{Charge, GatewayError, PaymentGateway, Refund};
use domain::money::{Amount, Currency};
use domain::payment::{ChargeOutcome, PaymentId};
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

/// Longest wait for one answer. Stripe answers card charges within seconds; what takes longer is
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
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())
            .map_err(|_| StripeSetupError::Url(url.clone()))?
            .https_or_http()
            .enable_http1()
            .build();
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
        let unknown = |reason: String| GatewayError::Unknown(reason);
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}{path}", self.url))
            .header(AUTHORIZATION, self.authorization.clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("Idempotency-Key", key)
            .body(Full::from(encode(form)))
            .map_err(|error| GatewayError::Refused(error.to_string()))?;
        let exchange = async {
            let answer = self
                .client
                .request(request)
                .await
                .map_err(|error| unknown(error.to_string()))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES)
                .collect()
                .await
                .map_err(|error| unknown(error.to_string()))?
                .to_bytes();
            // A body that is no JSON (a proxy's page) tells as much as its status does.
            Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
        };
        tokio::time::timeout(ANSWER_TIMEOUT, exchange)
            .await
            .map_err(|_| unknown(format!("no answer within {ANSWER_TIMEOUT:?}")))?
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

    async fn refund(&self, refund: &Refund) -> Result<(), GatewayError> {
        let form = [("payment_intent", refund.payment_id.0.clone())];
        let (status, body) = self.post("/v1/refunds", &refund.key, &form).await?;
        refund_outcome(status, &body)
    }
}

/// An amount as Stripe takes it: mostly in the smallest unit of ISO 4217, with the exceptions of
/// <https://docs.stripe.com/currencies#special-cases>. `None` for an amount that Stripe cannot
/// charge to the digit; it is never rounded.
fn stripe_amount(amount: Amount, currency: Currency) -> Option<u64> {
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
        // 409: another request with this key is under way; 429: too many; 5xx: Stripe's own.
        _ => GatewayError::Unknown(text),
    }
}

fn encode(form: &[(&str, String)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish()
}

#[cfg(test)]
mod tests;
