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

/// What an answer counts as: one of these, and none of the others, so that each has a value
/// whenever one has, and a ratio of them is always known. A gateway that was not asked gave none.
fn counted(answer: &Result<ChargeOutcome, GatewayError>) -> Option<[Metric; 4]> {
    use ChargeOutcome::{Approved, Declined};
    use GatewayError::{Down, NotAsked, Refused, Unknown};
    let one_if = |is: bool| u64::from(is);
    (!matches!(answer, Err(NotAsked { .. }))).then(|| {
        [
            Metric::count(
                "PaymentsApproved",
                one_if(matches!(answer, Ok(Approved(_)))),
            ),
            Metric::count(
                "PaymentsDeclined",
                one_if(matches!(answer, Ok(Declined(_)))),
            ),
            Metric::count("PaymentsUnknown", one_if(matches!(answer, Err(Unknown(_))))),
            Metric::count(
                "PaymentsNotTaken",
                one_if(matches!(answer, Err(Down(_) | Refused(_)))),
            ),
        ]
    })
}

impl<G: PaymentGateway, C: Clock> PaymentGateway for MeteredGateway<G, C> {
    async fn charge(&self, charge: &Charge) -> Result<ChargeOutcome, GatewayError> {
        let answer = self.gateway.charge(charge).await;
        if let Some(counts) = counted(&answer) {
            self.metrics.tell(self.clock.now(), &counts);
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
        for (answer, [approved, declined, unknown, not_taken]) in [
            (Ok(paid), [1, 0, 0, 0]),
            (Ok(ChargeOutcome::Declined("no".into())), [0, 1, 0, 0]),
            (Err(GatewayError::Unknown("timeout".into())), [0, 0, 1, 0]),
            (Err(GatewayError::Down("429".into())), [0, 0, 0, 1]),
            (Err(GatewayError::Refused("its key".into())), [0, 0, 0, 1]),
        ] {
            let expected = [
                Metric::count("PaymentsApproved", approved),
                Metric::count("PaymentsDeclined", declined),
                Metric::count("PaymentsUnknown", unknown),
                Metric::count("PaymentsNotTaken", not_taken),
            ];
            assert_eq!(counted(&answer), Some(expected), "{answer:?}");
        }
        assert_eq!(counted(&Err(GatewayError::NotAsked { until })), None);
    }
}
