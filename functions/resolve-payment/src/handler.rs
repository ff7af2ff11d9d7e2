//! Settling a payment by an operator's decision.

use crate::call::{ResolvePayment, ResolvedPayment};
use domain::order::Order;
use domain::payment::ChargeOutcome;
use event_sourcing::clock::Clock;
use event_sourcing::execute::{Cause, Loaded, Start};
use event_sourcing::failure::Failure;
use event_sourcing::store::EventStore;
use process_payment::gateway::{Charge, PaymentGateway};
use process_payment::settlement::{SETTLE, Settlement, Telling, correlation_of};

/// Takes decisions.
#[derive(Debug)]
pub struct Handler<S, G, C> {
    /// Where events are stored.
    pub store: S,
    /// Who may know better, and gives charges back.
    pub gateway: G,
    /// Tells when.
    pub clock: C,
}

impl<S: EventStore, G: PaymentGateway, C: Clock> Handler<S, G, C> {
    /// Settles the payment as the call says. The same call again changes nothing.
    ///
    /// # Errors
    /// [`Failure::Permanent`] for an order that is not stored or not reserved, and for a decision
    /// against what was settled before or against the gateway's books.
    pub async fn handle(
        &self,
        call: &ResolvePayment,
        request_id: &str,
    ) -> Result<ResolvedPayment, Failure> {
        let telling = Telling::Operator {
            outcome: call.outcome()?,
            decision: call.reason.clone(),
        };
        let settlement = Settlement {
            store: &self.store,
            gateway: &self.gateway,
        };
        let order = settlement.order(&call.order_id).await?;
        self.agrees(&order.state, &telling).await?;
        let cause = self.cause(call, request_id, &order);
        let start = Start::From {
            state: order.state,
            head: order.head,
        };
        let settled = settlement
            .settle(&call.order_id, start, &telling, &cause)
            .await?;
        tracing::info!(order_id = %call.order_id, by = call.by, reason = call.reason,
            status = settled.status, "payment resolved by an operator");
        Ok(ResolvedPayment {
            order_id: call.order_id.clone(),
            status: settled.status.to_owned(),
            version: settled.version,
            appended: settled.appended,
            refunded: settled.refunded.map(|payment| payment.0),
        })
    }

    /// Holds the decision against the gateway's books, as far as it shows them: where they tell
    /// an outcome, there is nothing to decide.
    async fn agrees(&self, order: &Order, telling: &Telling) -> Result<(), Failure> {
        let Order::Reserved { terms, .. } = order else {
            return Ok(());
        };
        // Down or still unknown: that is why somebody decides.
        let Ok(Some(books)) = self.gateway.look_up(&Charge::of(terms)).await else {
            return Ok(());
        };
        let told = match &books {
            ChargeOutcome::Approved(Some(payment)) => format!("paid as {}", payment.0),
            ChargeOutcome::Approved(None) => "paid".to_owned(),
            ChargeOutcome::Declined(reason) => format!("failed ({reason})"),
        };
        let agree = match (&books, telling.outcome()) {
            (ChargeOutcome::Declined(_), ChargeOutcome::Declined(_)) => true,
            (books, decided) => books == decided,
        };
        if agree {
            Ok(())
        } else {
            Err(Failure::Permanent(format!(
                "the gateway's books say that order {} was {told}; resolve it as that",
                terms.order_id
            )))
        }
    }

    fn cause(&self, call: &ResolvePayment, request_id: &str, order: &Loaded<Order>) -> Cause {
        Cause {
            id: request_id.to_owned(),
            seed: request_id.to_owned(),
            purpose: SETTLE,
            correlation_id: correlation_of(&order.history),
            traceparent: None,
            actor: Some(call.by.clone()),
            now: self.clock.now(),
        }
    }
}

#[cfg(test)]
mod tests;
