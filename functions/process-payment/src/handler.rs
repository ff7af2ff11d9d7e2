//! Charging an order once, and giving the charge back when the order is not delivered.

use crate::gateway::{Charge, GatewayError, PaymentGateway, Refund};
use domain::inventory::StockReason;
use domain::order::{Order, OrderCommand, OrderEvent, OrderRejection, Terms, UPDATE_INVENTORY};
use domain::payment::{ChargeOutcome, PaymentId, charge_key, refund_key};
use event_sourcing::chain::Head;
use event_sourcing::clock::Clock;
use event_sourcing::envelope::Envelope;
use event_sourcing::execute::{
    Cause, ExecuteError, Executed, Origin, Start, decode_optional, execute, load, retrying,
};
use event_sourcing::failure::Failure;
use event_sourcing::store::EventStore;
use std::convert::Infallible;

const PURPOSE: &str = "process-payment";

/// Settles payments.
#[derive(Debug)]
pub struct Handler<S, G, C> {
    /// Where events are stored.
    pub store: S,
    /// Who moves the money.
    pub gateway: G,
    /// Tells when.
    pub clock: C,
}

impl<S: EventStore, G: PaymentGateway, C: Clock> Handler<S, G, C> {
    /// Handles one event of an order.
    ///
    /// # Errors
    /// [`Failure`]; `Transient` while it is not known what became of the payment, `Permanent` for
    /// an order that the store does not know.
    pub async fn handle(&self, trigger: &Envelope) -> Result<(), Failure> {
        let event = decode_optional(trigger).map_err(|error| Failure::from_error(&error))?;
        match event {
            Some(OrderEvent::InventoryUpdated(ref updated))
                if updated.reason == StockReason::Reserved =>
            {
                self.charge(
                    trigger,
                    &updated.terms,
                    event.as_ref().and_then(Order::after),
                )
                .await
            }
            Some(OrderEvent::Cancelled(cancelled)) => {
                self.refund_cancelled(trigger, &cancelled.terms).await
            }
            _ => Err(Failure::Permanent(format!(
                "{} moves no money; the rule of this function lets through what it does not handle",
                trigger.event_type
            ))),
        }
    }

    async fn charge(
        &self,
        trigger: &Envelope,
        terms: &Terms,
        told: Option<Order>,
    ) -> Result<(), Failure> {
        let cause = Cause::event(trigger, PURPOSE, self.clock.now());
        let stream = terms.order_id.stream();
        let origin = Origin {
            stream: &stream,
            seed: trigger.causation_id.as_deref().unwrap_or_default(),
            purpose: UPDATE_INVENTORY,
        };
        let start = match Start::after(trigger, origin, told, cause.now) {
            // Not to be taken at its word: look before money moves.
            Start::Load | Start::At(_) => match self.current(terms).await? {
                (state @ Order::Reserved { .. }, head) => Start::From { state, head },
                (Order::Absent | Order::Placed(_), head) => {
                    return Err(Failure::Permanent(format!(
                        "order {} is at version {} and its stock is not reserved; \
                         the event that says so is not one of the event store",
                        terms.order_id, head.version
                    )));
                }
                (
                    Order::Confirmed { .. } | Order::Rejected { .. } | Order::Cancelled { .. },
                    head,
                ) => {
                    tracing::info!(order_id = %terms.order_id, version = head.version, "payment settled before");
                    return Ok(());
                }
            },
            fresh @ Start::From { .. } => fresh,
        };
        let outcome = self.ask_for_charge(terms).await?;
        let command = OrderCommand::RecordPayment(outcome);
        match execute::<Order>(&self.store, &stream, start, &command, &cause).await {
            Err(ExecuteError::Rejected(OrderRejection::RefundDue(payment))) => {
                self.refund(trigger, terms, payment).await
            }
            done => settled(trigger, terms, done),
        }
    }

    /// Asks the gateway until it tells an outcome, or the patience of this call is over.
    async fn ask_for_charge(&self, terms: &Terms) -> Result<ChargeOutcome, Failure> {
        if terms.total_amount.is_zero() {
            return Ok(ChargeOutcome::Approved(None));
        }
        let charge = Charge {
            key: charge_key(&terms.order_id),
            order_id: terms.order_id.clone(),
            amount: terms.total_amount,
            currency: terms.currency,
            token: terms.payment.as_ref().map(|payment| payment.token.clone()),
        };
        retrying(|| self.gateway.charge(&charge))
            .await
            .map_err(|error: GatewayError| Failure::from_error(&error))
    }

    async fn refund_cancelled(&self, trigger: &Envelope, terms: &Terms) -> Result<(), Failure> {
        let (state, _) = self.current(terms).await?;
        match state.refund_due() {
            Some(payment) => self.refund(trigger, terms, payment.clone()).await,
            None => Ok(()),
        }
    }

    async fn refund(
        &self,
        trigger: &Envelope,
        terms: &Terms,
        payment_id: PaymentId,
    ) -> Result<(), Failure> {
        let refund = Refund {
            key: refund_key(&terms.order_id),
            payment_id,
        };
        retrying(|| self.gateway.refund(&refund))
            .await
            .map_err(|error: GatewayError| Failure::from_error(&error))?;
        let cause = Cause::event(trigger, "process-payment/refund", self.clock.now());
        let command = OrderCommand::RecordRefund(refund.payment_id);
        let stream = terms.order_id.stream();
        let done = execute::<Order>(&self.store, &stream, Start::Load, &command, &cause).await;
        settled(trigger, terms, done)
    }

    async fn current(&self, terms: &Terms) -> Result<(Order, Head), Failure> {
        let loaded = load::<Order, Infallible>(&self.store, &terms.order_id.stream())
            .await
            .map_err(|error: ExecuteError<OrderRejection>| Failure::from_error(&error))?;
        match loaded.state {
            Order::Absent => Err(unknown_order(terms)),
            state => Ok((state, loaded.head)),
        }
    }
}

fn unknown_order(terms: &Terms) -> Failure {
    Failure::Permanent(format!(
        "order {} is not in the event store; put its OrderPlaced on the bus, it is recorded there first",
        terms.order_id
    ))
}

fn settled(
    trigger: &Envelope,
    terms: &Terms,
    done: Result<Executed<Order>, ExecuteError<OrderRejection>>,
) -> Result<(), Failure> {
    match done {
        Ok(done) => {
            tracing::info!(
                order_id = %terms.order_id,
                causation_id = trigger.event_id,
                correlation_id = trigger.correlation_id,
                appended = done.events.first().map(|event| event.event_type.as_str()),
                version = done.version,
                "payment settled"
            );
            Ok(())
        }
        Err(ExecuteError::Rejected(OrderRejection::Unknown)) => Err(unknown_order(terms)),
        Err(error) => Err(Failure::from_error(&error)),
    }
}

#[cfg(test)]
mod tests;
