//! Where payments are settled, whoever tells their outcome: the gateway in its answer to the
//! charge, the gateway's webhook, or an operator.
//!
//! All three come to the same event under the same id, derived from the order's one charge and
//! from what is told of it. So tellings may come late, twice, in any order and at the same time:
//! the first settles the payment, a repeat changes nothing, and a charge of an order that is not
//! to be paid any more is given back, once.

use crate::gateway::{PaymentGateway, Refund};
use aws_adapters::telemetry::correlation;
use domain::ids::OrderId;
use domain::order::{Order, OrderCommand, OrderRejection};
use domain::payment::{ChargeOutcome, PaymentId, charge_key, refund_key};
use event_sourcing::envelope::Envelope;
use event_sourcing::execute::{
    Cause, ExecuteError, Executed, Loaded, Start, execute, load, retrying,
};
use event_sourcing::failure::Failure;
use event_sourcing::store::EventStore;
use std::convert::Infallible;

/// Who appends what became of a charge: part of the event's derived id.
pub const SETTLE: &str = "process-payment";
const REFUND: &str = "process-payment/refund";

/// Settles payments in a store, and gives charges back through a gateway.
#[derive(Debug)]
pub struct Settlement<'a, S, G> {
    /// Where events are stored.
    pub store: &'a S,
    /// Who gives money back.
    pub gateway: &'a G,
}

/// What somebody tells of an order's charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Telling {
    /// The gateway tells.
    Gateway(ChargeOutcome),
    /// An operator decides, where the gateway does not tell.
    Operator {
        /// What became of the charge.
        outcome: ChargeOutcome,
        /// Why they are sure of it; stored with the event.
        decision: String,
    },
}

/// What became of the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// `confirmed`, `rejected` or `cancelled`.
    pub status: &'static str,
    /// Version of its stream.
    pub version: u64,
    /// Type of the event that was appended; none when all was settled before.
    pub appended: Option<String>,
    /// The charge that was given back, if one was now.
    pub refunded: Option<PaymentId>,
}

/// Why a payment was not settled.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SettleError {
    /// The order does not take it.
    #[error("order {order}: {rejection}")]
    Refused {
        /// Which order.
        order: OrderId,
        /// Why not.
        rejection: OrderRejection,
    },
    /// The store or the gateway failed.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<SettleError> for Failure {
    fn from(error: SettleError) -> Self {
        match error {
            SettleError::Refused {
                order,
                rejection: OrderRejection::Unknown,
            } => Self::Permanent(format!(
                "order {order} is not in the event store; put its OrderPlaced on the bus, it is recorded there first"
            )),
            SettleError::Refused { .. } => Self::Permanent(error.to_string()),
            SettleError::Failed(failure) => failure,
        }
    }
}

impl Telling {
    /// What became of the charge.
    #[must_use]
    pub fn outcome(&self) -> &ChargeOutcome {
        match self {
            Self::Gateway(outcome) | Self::Operator { outcome, .. } => outcome,
        }
    }

    fn command(&self) -> OrderCommand {
        match self.clone() {
            Self::Gateway(outcome) => OrderCommand::RecordPayment(outcome),
            Self::Operator { outcome, decision } => {
                OrderCommand::ResolvePayment { outcome, decision }
            }
        }
    }
}

impl<S: EventStore, G: PaymentGateway> Settlement<'_, S, G> {
    /// The order as it is stored.
    ///
    /// # Errors
    /// [`SettleError`]; `Refused` with [`OrderRejection::Unknown`] when it is not stored.
    pub async fn order(&self, order: &OrderId) -> Result<Loaded<Order>, SettleError> {
        let loaded = load::<Order, Infallible>(self.store, &order.stream())
            .await
            .map_err(|error| failed(order, error))?;
        match loaded.state {
            Order::Absent => Err(refused(order, OrderRejection::Unknown)),
            _ => Ok(loaded),
        }
    }

    /// Notes what is told of an order's charge; a charge that comes after the order's end is
    /// given back. `cause` says who tells it and why; ids are derived from the charge itself.
    ///
    /// # Errors
    /// [`SettleError`].
    pub async fn settle(
        &self,
        order: &OrderId,
        start: Start<Order>,
        telling: &Telling,
        cause: &Cause,
    ) -> Result<Settled, SettleError> {
        let outcome = telling.outcome();
        let as_charge = Cause {
            seed: seed(order, outcome),
            purpose: SETTLE,
            ..cause.clone()
        };
        let stream = order.stream();
        match execute::<Order>(self.store, &stream, start, &telling.command(), &as_charge).await {
            Ok(done) => Ok(settled(order, outcome, &as_charge, &done)),
            Err(ExecuteError::Rejected(OrderRejection::RefundDue(payment))) => {
                self.give_back(order, payment, cause).await
            }
            Err(error) => Err(failed(order, error)),
        }
    }

    /// Gives a charge back and records that.
    ///
    /// # Errors
    /// [`SettleError`].
    pub async fn give_back(
        &self,
        order: &OrderId,
        payment_id: PaymentId,
        cause: &Cause,
    ) -> Result<Settled, SettleError> {
        let refund = Refund {
            key: refund_key(&payment_id),
            payment_id,
        };
        retrying(|| self.gateway.refund(&refund))
            .await
            .map_err(Failure::from)?;
        let cause = Cause {
            seed: refund.key,
            purpose: REFUND,
            ..cause.clone()
        };
        let command = OrderCommand::RecordRefund(refund.payment_id.clone());
        let stream = order.stream();
        match execute::<Order>(self.store, &stream, Start::Load, &command, &cause).await {
            Ok(done) => Ok(refunded(order, refund.payment_id, &cause, &done)),
            // The order keeps the charge that it was confirmed by, if only to give it back itself.
            Err(ExecuteError::Rejected(OrderRejection::OutOfTurn(_))) => {
                tracing::error!(order_id = %order, payment_id = refund.payment_id.0,
                    "a second charge of an order was given back");
                let now = self.order(order).await?;
                Ok(Settled {
                    status: status(&now.state),
                    version: now.head.version,
                    appended: None,
                    refunded: Some(refund.payment_id),
                })
            }
            Err(error) => Err(failed(order, error)),
        }
    }
}

/// The correlation of an order's history, for a cause from outside of it.
#[must_use]
pub fn correlation_of(history: &[Envelope]) -> Option<String> {
    let first = history.first()?;
    Some(
        first
            .correlation_id
            .clone()
            .unwrap_or_else(|| first.event_id.clone()),
    )
}

/// What the id of the settling event is derived from: the charge and what became of it, so that
/// the same telling is recognised on every way, and another one is not taken for it.
fn seed(order: &OrderId, outcome: &ChargeOutcome) -> String {
    let key = charge_key(order);
    match outcome {
        ChargeOutcome::Approved(Some(payment)) => format!("{key}/paid/{}", payment.0),
        ChargeOutcome::Approved(None) => format!("{key}/free"),
        ChargeOutcome::Declined(_) => format!("{key}/declined"),
    }
}

fn settled(
    order: &OrderId,
    outcome: &ChargeOutcome,
    cause: &Cause,
    done: &Executed<Order>,
) -> Settled {
    // The state is that before the event.
    let status = match (&done.state, outcome) {
        (Order::Reserved { .. }, ChargeOutcome::Approved(_)) => "confirmed",
        (Order::Reserved { .. }, ChargeOutcome::Declined(_)) => "rejected",
        (state, _) => status(state),
    };
    let settled = Settled {
        status,
        version: done.version,
        appended: appended(done),
        refunded: None,
    };
    log(order, cause, &settled);
    settled
}

fn refunded(order: &OrderId, payment: PaymentId, cause: &Cause, done: &Executed<Order>) -> Settled {
    let settled = Settled {
        status: status(&done.state),
        version: done.version,
        appended: appended(done),
        refunded: Some(payment),
    };
    log(order, cause, &settled);
    settled
}

fn appended(done: &Executed<Order>) -> Option<String> {
    done.events.first().map(|event| event.event_type.clone())
}

fn log(order: &OrderId, cause: &Cause, settled: &Settled) {
    tracing::info!(
        order_id = %order,
        causation_id = cause.id,
        correlation_id = correlation(cause.correlation_id.as_deref(), order.as_str()),
        appended = settled.appended,
        version = settled.version,
        "payment settled"
    );
}

/// The state in one word.
#[must_use]
pub fn status(order: &Order) -> &'static str {
    match order {
        Order::Absent => "absent",
        Order::Placed(..) => "placed",
        Order::Reserved { .. } => "reserved",
        Order::Confirmed { .. } => "confirmed",
        Order::Rejected { .. } => "rejected",
        Order::Cancelled { .. } => "cancelled",
    }
}

fn refused(order: &OrderId, rejection: OrderRejection) -> SettleError {
    SettleError::Refused {
        order: order.clone(),
        rejection,
    }
}

fn failed(order: &OrderId, error: ExecuteError<OrderRejection>) -> SettleError {
    match error {
        ExecuteError::Rejected(rejection) => refused(order, rejection),
        error => SettleError::Failed(Failure::from_error(&error)),
    }
}

#[cfg(test)]
mod tests;
