//! Charging an order once, and giving the charge back when the order is not delivered.

use crate::gateway::{Charge, GatewayError, PaymentGateway};
use crate::settlement::{SETTLE, Settlement, Telling};
use domain::inventory::StockReason;
use domain::order::{HeldMoney, Order, OrderEvent, Terms, UPDATE_INVENTORY};
use domain::payment::ChargeOutcome;
use event_sourcing::clock::Clock;
use event_sourcing::envelope::Envelope;
use event_sourcing::execute::{Cause, FRESH, Origin, Start, decode_optional, retrying};
use event_sourcing::failure::Failure;
use event_sourcing::store::EventStore;
use jiff::SignedDuration;

/// How long a gateway certainly knows an idempotency key. Stripe forgets keys that are at least
/// 24 hours old (<https://docs.stripe.com/api/idempotent_requests>).
const KEY_MEMORY: SignedDuration = SignedDuration::from_hours(20);

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
    /// [`Failure`]; `Transient` while it is not known what became of the payment, `Waiting` while
    /// the gateway is down, `Permanent` for an order that the store does not know.
    pub async fn handle(&self, trigger: &Envelope) -> Result<(), Failure> {
        let event = decode_optional(trigger).map_err(|error| Failure::from_error(&error))?;
        match event {
            Some(OrderEvent::InventoryUpdated(ref updated))
                if updated.reason == StockReason::Reserved =>
            {
                self.charge(
                    trigger,
                    &updated.terms,
                    event
                        .as_ref()
                        .and_then(|event| Order::after(event, trigger.at())),
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
        let cause = Cause::event(trigger, SETTLE, self.clock.now());
        let stream = terms.order_id.stream();
        let origin = Origin {
            stream: &stream,
            seed: trigger.causation_id.as_deref().unwrap_or_default(),
            purpose: UPDATE_INVENTORY,
        };
        let start = match Start::after(trigger, origin, told, cause.now) {
            // Not to be taken at its word: look before money moves.
            Start::Load | Start::At(_) => match self.start(terms, &cause).await? {
                Some(start) => start,
                None => return Ok(()),
            },
            fresh @ Start::From { .. } => fresh,
        };
        let outcome = self.ask_for_charge(trigger, terms).await?;
        self.settlement()
            .settle(&terms.order_id, start, &Telling::Gateway(outcome), &cause)
            .await?;
        Ok(())
    }

    /// Where to start with an order that is not taken at its trigger's word; `None` when nothing
    /// is to be charged.
    async fn start(&self, terms: &Terms, cause: &Cause) -> Result<Option<Start<Order>>, Failure> {
        let now = self.settlement().order(&terms.order_id).await?;
        let (state, head) = (now.state, now.head);
        match &state {
            Order::Reserved { .. } => Ok(Some(Start::From { state, head })),
            Order::Absent | Order::Placed(..) => Err(Failure::Permanent(format!(
                "order {} is at version {} and its stock is not reserved; \
                 the event that says so is not one of the event store",
                terms.order_id, head.version
            ))),
            // It may have been charged before it was cancelled, without an answer.
            Order::Cancelled { aftermath, .. }
                if aftermath.money == HeldMoney::Uncharged && !terms.total_amount.is_zero() =>
            {
                let charge = Charge::of(terms);
                let found = retrying(|| self.gateway.look_up(&charge)).await?;
                if let Some(outcome) = found {
                    let start = Start::From { state, head };
                    self.settlement()
                        .settle(&terms.order_id, start, &Telling::Gateway(outcome), cause)
                        .await?;
                }
                Ok(None)
            }
            Order::Confirmed { .. } | Order::Rejected { .. } | Order::Cancelled { .. } => {
                tracing::info!(order_id = %terms.order_id, version = head.version, "payment settled before");
                Ok(None)
            }
        }
    }

    /// Asks the gateway until it tells an outcome, or the patience of this call is over.
    async fn ask_for_charge(
        &self,
        trigger: &Envelope,
        terms: &Terms,
    ) -> Result<ChargeOutcome, Failure> {
        if terms.total_amount.is_zero() {
            return Ok(ChargeOutcome::Approved(None));
        }
        let charge = Charge::of(terms);
        let age = self.clock.now().duration_since(trigger.at());
        // The same key would charge anew.
        if age >= KEY_MEMORY
            && let Some(outcome) = retrying(|| self.gateway.look_up(&charge)).await?
        {
            return Ok(outcome);
        }
        match retrying(|| self.gateway.charge(&charge)).await {
            // A gateway repeats its own failure under the same key; its books may say more.
            Err(unknown @ GatewayError::Unknown(_)) if age > FRESH => {
                match self.gateway.look_up(&charge).await {
                    Ok(Some(outcome)) => Ok(outcome),
                    Ok(None) | Err(_) => Err(unknown.into()),
                }
            }
            told => Ok(told?),
        }
    }

    async fn refund_cancelled(&self, trigger: &Envelope, terms: &Terms) -> Result<(), Failure> {
        let cause = Cause::event(trigger, SETTLE, self.clock.now());
        let order = self.settlement().order(&terms.order_id).await?;
        if let Some(payment) = order.state.refund_due() {
            self.settlement()
                .give_back(&terms.order_id, payment.clone(), &cause)
                .await?;
        }
        Ok(())
    }

    fn settlement(&self) -> Settlement<'_, S, G> {
        Settlement {
            store: &self.store,
            gateway: &self.gateway,
        }
    }
}

#[cfg(test)]
mod tests;
