//! The port to a payment gateway.

use domain::ids::OrderId;
use domain::money::{Amount, Currency};
use domain::order::Terms;
use domain::payment::{ChargeOutcome, PaymentId, charge_key};
use event_sourcing::failure::Failure;
use event_sourcing::retry::{Retry, Retryable};
use jiff::Timestamp;
use std::future::Future;

/// A charge to make.
#[derive(Debug, Clone, PartialEq)]
pub struct Charge {
    /// The same for every attempt: the gateway charges once per key.
    pub key: String,
    /// For which order; shown in the gateway's books.
    pub order_id: OrderId,
    /// How much.
    pub amount: Amount,
    /// In which currency.
    pub currency: Currency,
    /// The customer's payment token, where one was given.
    pub token: Option<String>,
}

impl Charge {
    /// The one charge of an order.
    #[must_use]
    pub fn of(terms: &Terms) -> Self {
        Self {
            key: charge_key(&terms.order_id),
            order_id: terms.order_id.clone(),
            amount: terms.total_amount,
            currency: terms.currency,
            token: terms.payment.as_ref().map(|payment| payment.token.clone()),
        }
    }
}

/// A refund to make, of a whole charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// The same for every attempt: the gateway refunds once per key.
    pub key: String,
    /// Which charge.
    pub payment_id: PaymentId,
}

/// How every failure begins of which it is not known whether money moved. Dead letters keep the
/// text as their cause, so that `cargo local dlq list --cause "unknown payment outcome"` finds them.
pub const UNKNOWN_OUTCOME: &str = "unknown payment outcome";

/// Why the gateway gave no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// It is not known whether the gateway did it: a timeout, or its own failure. Ask again with
    /// the same key; never guess. What stays unknown is settled by the gateway's webhook or by an
    /// operator.
    #[error(
        "{prefix}: {0}; it is asked again under the same key, else decide it: \
         `cargo local dlq resolve`",
        prefix = UNKNOWN_OUTCOME
    )]
    Unknown(String),
    /// The request did not reach the gateway, or it says that it did nothing: a refused
    /// connection, 429, 503. Nothing is charged; ask later, with the same key.
    #[error("the payment gateway is down: {0}; it is asked again later")]
    Down(String),
    /// The gateway was not asked at all, because it is known to be down
    /// ([`crate::circuit_breaker`]).
    #[error("the payment gateway is down, and is not asked before {until}")]
    NotAsked {
        /// When it is asked again.
        until: Timestamp,
    },
    /// The gateway will never do this: its key or the request is not good.
    #[error("the gateway refuses the request for good ({0}); check its key and settings")]
    Refused(String),
}

impl Retryable for GatewayError {
    fn retry(&self) -> Retry {
        match self {
            Self::Unknown(_) | Self::Down(_) => Retry::Later,
            // Not within this invocation.
            Self::NotAsked { .. } => Retry::Never,
            Self::Refused(_) => Retry::Never,
        }
    }
}

impl From<GatewayError> for Failure {
    fn from(error: GatewayError) -> Self {
        let text = error.to_string();
        match error {
            GatewayError::Unknown(_) => Self::Transient(text),
            GatewayError::Down(_) | GatewayError::NotAsked { .. } => Self::Waiting(text),
            GatewayError::Refused(_) => Self::Permanent(text),
        }
    }
}

/// Moves money.
pub trait PaymentGateway: Send + Sync {
    /// Charges once per key and tells the outcome, also of an earlier call with the key.
    ///
    /// An adapter MUST map everything after which the charge may have been made, and its outcome
    /// is not told, to [`GatewayError::Unknown`]; only what certainly, or by the gateway's own
    /// word, did not happen is [`GatewayError::Down`].
    ///
    /// # Errors
    /// [`GatewayError`].
    fn charge(
        &self,
        charge: &Charge,
    ) -> impl Future<Output = Result<ChargeOutcome, GatewayError>> + Send;

    /// Tells what became of an earlier charge of the order, by the gateway's books and without
    /// moving money; `None` when it has none. Asked where asking under the key again would not
    /// do: for an order that is not to be paid any more, a key that the gateway has forgotten, an
    /// answer that stays unknown.
    ///
    /// An adapter may be behind by the five minutes of [`event_sourcing::execute::FRESH`]: nobody
    /// asks for younger charges.
    ///
    /// # Errors
    /// [`GatewayError`].
    fn look_up(
        &self,
        charge: &Charge,
    ) -> impl Future<Output = Result<Option<ChargeOutcome>, GatewayError>> + Send;

    /// Gives a charge back, once per key; a charge that was given back already is a success.
    ///
    /// # Errors
    /// [`GatewayError`].
    fn refund(&self, refund: &Refund) -> impl Future<Output = Result<(), GatewayError>> + Send;
}
