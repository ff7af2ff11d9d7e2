//! A gateway behind a circuit breaker: while it is down it is not asked.
//!
//! The breaker is one of this process, kept while the process lives. A shared one would be a read
//! before every charge, and one more thing that can be down; a process learns by itself within
//! three orders, and each has to find out alone when the gateway is back, with one order.
//!
//! A redrive ([`redriven`]) always goes through, and its failure says nothing of other orders:
//! among dead letters are those whose outcome stays unknown for a reason of their own, several in
//! a row, and they must not keep the rest from being paid. Whoever redrives stops by himself when
//! nobody gets through.

use crate::circuit_breaker::{CircuitBreaker, Policy};
use crate::gateway::{Charge, GatewayError, PaymentGateway, Refund};
use domain::payment::ChargeOutcome;
use event_sourcing::clock::Clock;
use std::sync::{Mutex, MutexGuard, PoisonError};

tokio::task_local! {
    /// There, while a dead letter is redriven.
    static REDRIVEN: ();
}

/// Does `work` for a dead letter that is redriven.
pub async fn redriven<T>(work: impl Future<Output = T>) -> T {
    REDRIVEN.scope((), work).await
}

fn is_redriven() -> bool {
    REDRIVEN.try_with(|()| ()).is_ok()
}

/// A gateway that is not asked while it is known to be down.
#[derive(Debug)]
pub struct GuardedGateway<G, C> {
    gateway: G,
    clock: C,
    breaker: Mutex<CircuitBreaker>,
}

impl<G: PaymentGateway, C: Clock> GuardedGateway<G, C> {
    /// Guards a gateway.
    #[must_use]
    pub fn new(gateway: G, clock: C) -> Self {
        Self {
            gateway,
            clock,
            breaker: Mutex::new(CircuitBreaker::new(Policy::GATEWAY)),
        }
    }

    async fn guarded<T>(
        &self,
        subject: &str,
        call: impl Future<Output = Result<T, GatewayError>>,
    ) -> Result<T, GatewayError> {
        if !is_redriven() {
            let admitted = self.breaker().admit(subject, self.clock.now());
            admitted.map_err(|until| GatewayError::NotAsked { until })?;
        }
        let answer = call.await;
        match &answer {
            Ok(_) | Err(GatewayError::Refused(_)) => self.breaker().succeeded(),
            Err(GatewayError::Unknown(_) | GatewayError::Down(_)) if is_redriven() => {}
            Err(GatewayError::Unknown(reason) | GatewayError::Down(reason)) => {
                if self.breaker().failed(subject, self.clock.now()) {
                    tracing::warn!(
                        reason,
                        "the payment gateway is down; it is not asked for now"
                    );
                }
            }
            Err(GatewayError::NotAsked { .. }) => {}
        }
        answer
    }

    fn breaker(&self) -> MutexGuard<'_, CircuitBreaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<G: PaymentGateway, C: Clock> PaymentGateway for GuardedGateway<G, C> {
    async fn charge(&self, charge: &Charge) -> Result<ChargeOutcome, GatewayError> {
        self.guarded(charge.order_id.as_str(), self.gateway.charge(charge))
            .await
    }

    async fn look_up(&self, charge: &Charge) -> Result<Option<ChargeOutcome>, GatewayError> {
        self.guarded(charge.order_id.as_str(), self.gateway.look_up(charge))
            .await
    }

    async fn refund(&self, refund: &Refund) -> Result<(), GatewayError> {
        self.guarded(&refund.payment_id.0, self.gateway.refund(refund))
            .await
    }
}

#[cfg(test)]
mod tests;
