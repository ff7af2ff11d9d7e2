//! A gateway that moves no money: for trying things out, and for tests.
//!
//! The token decides: `tok_declined` declines, `tok_timeout` never tells its outcome, `tok_flaky`
//! fails twice and then approves, `tok_outage` finds the gateway down; every other token, and
//! none, is approved.
//!
//! Its books are the log: one line for each charge and each refund, so that what it did can be
//! held against what was stored.

use crate::gateway::{Charge, GatewayError, PaymentGateway, Refund};
use domain::payment::{ChargeOutcome, PaymentId};
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How often `tok_flaky` fails per key.
const FLAKY_FAILURES: u32 = 2;

/// The simulated gateway; remembers failed attempts and charges per key while its process lives.
#[derive(Debug, Default)]
pub struct SimulatedGateway {
    failures: Mutex<HashMap<String, u32>>,
    charged: Mutex<HashSet<String>>,
}

fn payment_of(charge: &Charge) -> PaymentId {
    PaymentId(format!("sim_{}", charge.key))
}

impl PaymentGateway for SimulatedGateway {
    async fn charge(&self, charge: &Charge) -> Result<ChargeOutcome, GatewayError> {
        match charge.token.as_deref() {
            Some("tok_declined") => Ok(ChargeOutcome::Declined("card_declined".into())),
            Some("tok_timeout") => Err(GatewayError::Unknown("the gateway timed out".into())),
            Some("tok_outage") => Err(GatewayError::Down("the simulated outage".into())),
            Some("tok_flaky") if self.fails_now(&charge.key) => {
                Err(GatewayError::Unknown("the gateway failed".into()))
            }
            _ => {
                let payment = payment_of(charge);
                tracing::info!(order_id = %charge.order_id, charge_key = charge.key,
                    payment_id = payment.0, "charged");
                self.charged().insert(charge.key.clone());
                Ok(ChargeOutcome::Approved(Some(payment)))
            }
        }
    }

    async fn look_up(&self, charge: &Charge) -> Result<Option<ChargeOutcome>, GatewayError> {
        match charge.token.as_deref() {
            Some("tok_timeout") => Err(GatewayError::Unknown("the gateway timed out".into())),
            Some("tok_outage") => Err(GatewayError::Down("the simulated outage".into())),
            _ => Ok(self
                .charged()
                .contains(&charge.key)
                .then(|| ChargeOutcome::Approved(Some(payment_of(charge))))),
        }
    }

    async fn refund(&self, refund: &Refund) -> Result<(), GatewayError> {
        tracing::info!(
            refund_key = refund.key,
            payment_id = refund.payment_id.0,
            "refunded"
        );
        Ok(())
    }
}

impl SimulatedGateway {
    fn charged(&self) -> MutexGuard<'_, HashSet<String>> {
        self.charged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fails_now(&self, key: &str) -> bool {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = failures.entry(key.to_owned()).or_insert(0);
        *failures += 1;
        *failures <= FLAKY_FAILURES
    }
}
