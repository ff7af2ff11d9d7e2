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

/// What an answer counts as that is none. What was paid and what was declined is in the events, and
/// counted by the minute from there: a line of log per payment would cost more than the payment.
fn counted(answer: &Result<ChargeOutcome, GatewayError>) -> Option<Metric> {
    Some(match answer {
        Err(GatewayError::Unknown(_)) => Metric::count("PaymentsUnknown", 1),
        Err(GatewayError::Down(_) | GatewayError::Refused(_)) => {
            Metric::count("PaymentsNotTaken", 1)
        }
        Ok(_) | Err(GatewayError::NotAsked { .. }) => return None,
    })
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
        let unknown = Metric::count("PaymentsUnknown", 1);
        let not_taken = Metric::count("PaymentsNotTaken", 1);
        for (answer, counted_as) in [
            (Err(GatewayError::Unknown("timeout".into())), &unknown),
            (Err(GatewayError::Down("429".into())), &not_taken),
            (Err(GatewayError::Refused("its key".into())), &not_taken),
        ] {
            assert_eq!(counted(&answer).as_ref(), Some(counted_as), "{answer:?}");
        }
        for answer in [
            Ok(paid),
            Ok(ChargeOutcome::Declined("no".into())),
            Err(GatewayError::NotAsked { until }),
        ] {
            assert_eq!(counted(&answer), None, "{answer:?}");
        }
    }
}
