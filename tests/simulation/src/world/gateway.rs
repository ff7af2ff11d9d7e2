//! The payment gateway, with books of its own: one charge per key, for as long as it remembers
//! the key.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::ids::OrderId;
use domain::payment::{ChargeOutcome, PaymentId};
use invariants::GatewayMove;
use process_payment::gateway::{Charge, GatewayError, PaymentGateway, Refund};

use super::{World, lock};
use crate::faults::Fault;
use crate::mutants::Mutant;

/// How long the gateway remembers a key: 24 hours, as Stripe says
/// (<https://docs.stripe.com/api/idempotent_requests>).
const KEY_MEMORY: Duration = Duration::from_hours(24);
/// How long the gateway is down at most.
const OUTAGE: Duration = Duration::from_mins(8);
/// The token of a card that is declined.
pub const DECLINED: &str = "tok_declined";

/// What the gateway did.
#[derive(Debug, Default)]
pub struct Books {
    charges: HashMap<String, (ChargeOutcome, Duration)>,
    refunds: HashMap<String, Duration>,
    by_order: HashMap<OrderId, ChargeOutcome>,
    /// Until when it is down.
    down_until: Duration,
    /// Every movement of money, in order.
    pub moves: Vec<GatewayMove>,
}

impl Books {
    fn charge(&mut self, charge: &Charge, now: Duration) -> ChargeOutcome {
        if let Some((outcome, at)) = self.charges.get(&charge.key)
            && now.saturating_sub(*at) < KEY_MEMORY
        {
            return outcome.clone();
        }
        let outcome = if charge.token.as_deref() == Some(DECLINED) {
            ChargeOutcome::Declined("card_declined".to_owned())
        } else {
            let payment = format!("charge-{}", self.moves.len());
            self.moves.push(GatewayMove::Charged {
                order: charge.order_id.to_string(),
                key: format!("{}#{}", charge.key, self.moves.len()),
                payment: payment.clone(),
            });
            ChargeOutcome::Approved(Some(PaymentId(payment)))
        };
        self.charges
            .insert(charge.key.clone(), (outcome.clone(), now));
        self.by_order
            .insert(charge.order_id.clone(), outcome.clone());
        outcome
    }

    fn refund(&mut self, refund: &Refund, now: Duration) {
        let known = self.refunds.get(&refund.key);
        if known.is_some_and(|at| now.saturating_sub(*at) < KEY_MEMORY) {
            return;
        }
        let payment = &refund.payment_id.0;
        // A charge is given back once, whatever the key.
        let before = self
            .moves
            .iter()
            .any(|one| matches!(one, GatewayMove::Refunded { payment: of, .. } if of == payment));
        if !before {
            self.moves.push(GatewayMove::Refunded {
                key: refund.key.clone(),
                payment: payment.clone(),
            });
        }
        self.refunds.insert(refund.key.clone(), now);
    }
}

/// The port of the handlers.
#[derive(Clone)]
pub struct Gateway(pub Arc<World>);

impl Gateway {
    async fn call<T>(
        &self,
        what: &str,
        order: &str,
        call: impl FnOnce(&mut Books, Duration) -> T,
    ) -> Result<T, GatewayError> {
        let Self(world) = self;
        world.step().await;
        if world.gateway_is_down() {
            return Err(GatewayError::Down("connection refused".to_owned()));
        }
        if world.hits(Fault::GatewayTimeoutBefore) {
            world.note(format_args!("gateway timed out before {what} {order}"));
            return Err(GatewayError::Unknown("timed out".to_owned()));
        }
        let done = call(&mut lock(&world.books), world.elapsed());
        world.note(format_args!("gateway {what} {order}"));
        if world.hits(Fault::GatewayTimeoutAfter) {
            world.step().await;
            return Err(GatewayError::Unknown("timed out".to_owned()));
        }
        world.step().await;
        Ok(done)
    }
}

impl World {
    fn gateway_is_down(&self) -> bool {
        let now = self.elapsed();
        if self.hits(Fault::GatewayOutage) {
            let lasts = OUTAGE.mul_f64(self.draw(fastrand::Rng::f64));
            lock(&self.books).down_until = now + lasts;
        }
        now < lock(&self.books).down_until
    }
}

impl PaymentGateway for Gateway {
    async fn charge(&self, charge: &Charge) -> Result<ChargeOutcome, GatewayError> {
        let Self(world) = self;
        let mut charge = charge.clone();
        if world.has(Mutant::NewKeyPerAttempt) {
            charge.key = format!("{}-{}", charge.key, world.draw(|rng| rng.u64(..)));
        }
        let order = charge.order_id.to_string();
        let answer = self.call("charges", &order, |books, now| {
            let outcome = books.charge(&charge, now);
            world.tell_webhook(&charge, &outcome);
            outcome
        });
        match answer.await {
            Err(GatewayError::Unknown(_)) if world.has(Mutant::UnknownTakenForDeclined) => {
                Ok(ChargeOutcome::Declined("timed out".to_owned()))
            }
            Err(GatewayError::Unknown(_)) if world.has(Mutant::UnknownTakenForApproved) => {
                let payment = PaymentId(format!("guessed-{order}"));
                Ok(ChargeOutcome::Approved(Some(payment)))
            }
            answer => answer,
        }
    }

    async fn look_up(&self, charge: &Charge) -> Result<Option<ChargeOutcome>, GatewayError> {
        let order = charge.order_id.to_string();
        self.call("looks up", &order, |books, _| {
            books.by_order.get(&charge.order_id).cloned()
        })
        .await
    }

    async fn refund(&self, refund: &Refund) -> Result<(), GatewayError> {
        if self.0.has(Mutant::RefundSkipped) {
            return Ok(());
        }
        self.call("refunds", &refund.key, |books, now| {
            books.refund(refund, now);
        })
        .await
    }
}
