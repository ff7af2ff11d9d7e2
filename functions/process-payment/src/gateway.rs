//! The port to a payment gateway.

use domain::ids::OrderId;
use domain::money::{Amount, Currency};
use domain::payment::{ChargeOutcome, PaymentId};
use event_sourcing::retry::{Retry, Retryable};
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

/// A refund to make, of a whole charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// The same for every attempt: the gateway refunds once per key.
    pub key: String,
    /// Which charge.
    pub payment_id: PaymentId,
}

/// Why the gateway gave no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// It is not known whether the gateway did it: a timeout, or its own failure. Ask again with
    /// the same key; never guess.
    #[error("it is not known what became of the payment ({0}); ask again with the same key")]
    Unknown(String),
    /// The gateway will never do this: its key or the request is not good.
    #[error("the gateway refuses the request for good ({0}); check its key and settings")]
    Refused(String),
}

impl Retryable for GatewayError {
    fn retry(&self) -> Retry {
        match self {
            Self::Unknown(_) => Retry::Later,
            Self::Refused(_) => Retry::Never,
        }
    }
}

/// Moves money.
pub trait PaymentGateway: Send + Sync {
    /// Charges once per key and tells the outcome, also of an earlier call with the key.
    ///
    /// An adapter MUST map everything after which the charge may have been made, and its outcome
    /// is not told, to [`GatewayError::Unknown`].
    ///
    /// # Errors
    /// [`GatewayError`].
    fn charge(
        &self,
        charge: &Charge,
    ) -> impl Future<Output = Result<ChargeOutcome, GatewayError>> + Send;

    /// Gives a charge back, once per key; a charge that was given back already is a success.
    ///
    /// # Errors
    /// [`GatewayError`].
    fn refund(&self, refund: &Refund) -> impl Future<Output = Result<(), GatewayError>> + Send;
}
