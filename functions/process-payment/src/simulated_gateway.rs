//! A gateway that moves no money: for trying things out, and for tests.
//!
//! The token decides: `tok_declined` declines, `tok_timeout` never tells its outcome, `tok_flaky`
//! fails twice and then approves; every other token, and none, is approved.

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
            _ => Ok(ChargeOutcome::Approved(Some(PaymentId(format!(
                "sim_{}",
                charge.key
            ))))),
        }
    }

    async fn refund(&self, _: &Refund) -> Result<(), GatewayError> {
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
