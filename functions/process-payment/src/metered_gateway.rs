//! A gateway whose answers are counted.
//!
//! One line for each charge that is asked for. A charge that is asked for again, because its
//! outcome is unknown or an event was delivered twice, counts again: figures to watch a gateway
//! by, no books.

use crate::gateway::{Charge, GatewayError, PaymentGateway, Refund};
use aws_adapters::metrics::{Metric, Metrics};
use domain::payment::ChargeOutcome;
use event_sourcing::clock::Clock;

/// Counts what a gateway answers to charges.
#[derive(Debug)]
pub struct MeteredGateway<G, C> {
    gateway: G,
    metrics: Metrics,
    clock: C,
}

impl<G, C> MeteredGateway<G, C> {
    /// Counts the answers of a gateway.
    #[must_use]
    pub fn new(gateway: G, metrics: Metrics, clock: C) -> Self {
        Self {
            gateway,
            metrics,
            clock,
        }
    }
}

/// What an answer counts as. A gateway that was not asked gave none.
fn counted(answer: &Result<ChargeOutcome, GatewayError>) -> Option<Metric> {
    let name = match answer {
        Ok(ChargeOutcome::Approved(_)) => "PaymentsApproved",
        Ok(ChargeOutcome::Declined(_)) => "PaymentsDeclined",
        Err(GatewayError::Unknown(_)) => "PaymentsUnknown",
        Err(GatewayError::Down(_) | GatewayError::Refused(_)) => "PaymentsNotTaken",
        Err(GatewayError::NotAsked { .. }) => return None,
    };
    Some(Metric::count(name, 1))
}

impl<G: PaymentGateway, C: Clock> PaymentGateway for MeteredGateway<G, C> {
    async fn charge(&self, charge: &Charge) -> Result<ChargeOutcome, GatewayError> {
        let answer = self.gateway.charge(charge).await;
        if let Some(count) = counted(&answer) {
            self.metrics.tell(self.clock.now(), &[count]);
        }
        answer
    }

    async fn look_up(&self, charge: &Charge) -> Result<Option<ChargeOutcome>, GatewayError> {
        self.gateway.look_up(charge).await
    }

    async fn refund(&self, refund: &Refund) -> Result<(), GatewayError> {
        self.gateway.refund(refund).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::payment::PaymentId;
    use jiff::Timestamp;

    #[test]
    fn every_answer_of_a_gateway_counts_as_what_it_is() {
        let paid = ChargeOutcome::Approved(Some(PaymentId("ch_1".into())));
        let until = Timestamp::UNIX_EPOCH;
        for (answer, name) in [
            (Ok(paid), "PaymentsApproved"),
            (Ok(ChargeOutcome::Declined("no".into())), "PaymentsDeclined"),
            (
                Err(GatewayError::Unknown("timeout".into())),
                "PaymentsUnknown",
            ),
            (Err(GatewayError::Down("429".into())), "PaymentsNotTaken"),
            (
                Err(GatewayError::Refused("its key".into())),
                "PaymentsNotTaken",
            ),
        ] {
            assert_eq!(counted(&answer), Some(Metric::count(name, 1)), "{answer:?}");
        }
        assert_eq!(counted(&Err(GatewayError::NotAsked { until })), None);
    }
}
