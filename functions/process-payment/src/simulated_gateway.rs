//! A gateway that moves no money: for trying things out, and for tests.
//!
//! The token decides: `tok_declined` declines, `tok_timeout` never tells its outcome, `tok_flaky`
//! fails twice and then approves; every other token, and none, is approved.
//!
//! Its books are the log: one line for each charge and each refund, so that what it did can be
//! held against what was stored.

use crate::gateway::{Charge, GatewayError, PaymentGateway, Refund};
use domain::payment::{ChargeOutcome, PaymentId};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// How often `tok_flaky` fails per key.
const FLAKY_FAILURES: u32 = 2;

/// The simulated gateway; remembers failed attempts per key while its process lives.
#[derive(Debug, Default)]
pub struct SimulatedGateway {
    failures: Mutex<HashMap<String, u32>>,
}

impl PaymentGateway for SimulatedGateway {
    async fn charge(&self, charge: &Charge) -> Result<ChargeOutcome, GatewayError> {
        match charge.token.as_deref() {
            Some("tok_declined") => Ok(ChargeOutcome::Declined("card_declined".into())),
            Some("tok_timeout") => Err(GatewayError::Unknown("the gateway timed out".into())),
            Some("tok_flaky") if self.fails_now(&charge.key) => {
                Err(GatewayError::Unknown("the gateway failed".into()))
            }
            _ => {
                let payment = PaymentId(format!("sim_{}", charge.key));
                tracing::info!(order_id = %charge.order_id, charge_key = charge.key,
                    payment_id = payment.0, "charged");
                Ok(ChargeOutcome::Approved(Some(payment)))
            }
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
    fn fails_now(&self, key: &str) -> bool {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = failures.entry(key.to_owned()).or_insert(0);
        *failures += 1;
        *failures <= FLAKY_FAILURES
    }
}
