//! Reserving and releasing an order's stock.

use aws_adapters::telemetry::correlation;
use domain::inventory::{Shortage, StockMove};
use domain::order::{
    Order, OrderCommand, OrderEvent, OrderRejection, PLACE_ORDER, UPDATE_INVENTORY,
};
use event_sourcing::clock::Clock;
use event_sourcing::envelope::Envelope;
use event_sourcing::execute::{
    Cause, ExecuteError, Executed, Origin, Start, decode_optional, execute, execute_with,
};
use event_sourcing::failure::Failure;
use event_sourcing::store::{AppendError, AppendWith};

/// Moves stock for orders.
#[derive(Debug)]
pub struct Handler<S, C> {
    /// Where events are stored, with the stock.
    pub store: S,
    /// Tells when.
    pub clock: C,
}

impl<S, C> Handler<S, C>
where
    S: AppendWith<StockMove, Refusal = Shortage>,
    C: Clock,
{
    /// Handles one event of an order.
    ///
    /// # Errors
    /// [`Failure`]; `Permanent` for an order that the store does not know.
    pub async fn handle(&self, trigger: &Envelope) -> Result<(), Failure> {
        let event = decode_optional(trigger).map_err(|error| Failure::from_error(&error))?;
        match event {
            Some(event @ OrderEvent::Placed(_)) => self.reserve(trigger, &event).await,
            Some(event @ (OrderEvent::PaymentFailed(_) | OrderEvent::Cancelled(_))) => {
                self.release(trigger, &event).await
            }
            _ => Err(Failure::Permanent(format!(
                "{} moves no stock; the rule of this function lets through what it does not handle",
                trigger.event_type
            ))),
        }
    }

    async fn reserve(&self, trigger: &Envelope, event: &OrderEvent) -> Result<(), Failure> {
        let cause = Cause::event(trigger, UPDATE_INVENTORY, self.clock.now());
        let stream = event.terms().order_id.stream();
        let origin = Origin {
            stream: &stream,
            seed: event.terms().order_id.as_str(),
            purpose: PLACE_ORDER,
        };
        let start = || {
            Start::after(
                trigger,
                origin,
                Order::after(event, trigger.at()),
                cause.now,
            )
        };
        match self
            .execute(event, start(), &OrderCommand::Reserve, &cause)
            .await
        {
            Err(ExecuteError::Append(AppendError::Refused(shortages))) => {
                let command = OrderCommand::RejectInventory(shortages);
                let done = execute::<Order>(&self.store, &stream, start(), &command, &cause).await;
                settled(trigger, event, done)
            }
            done => settled(trigger, event, done),
        }
    }

    async fn release(&self, trigger: &Envelope, event: &OrderEvent) -> Result<(), Failure> {
        let cause = Cause::event(trigger, UPDATE_INVENTORY, self.clock.now());
        let done = self
            .execute(event, Start::Load, &OrderCommand::Release, &cause)
            .await;
        settled(trigger, event, done)
    }

    async fn execute(
        &self,
        event: &OrderEvent,
        start: Start<Order>,
        command: &OrderCommand,
        cause: &Cause,
    ) -> Result<Executed<Order>, ExecuteError<OrderRejection, Shortage>> {
        let stream = event.terms().order_id.stream();
        execute_with::<Order, StockMove, _>(&self.store, &stream, start, command, cause, |state| {
            state.moves(command)
        })
        .await
    }
}

fn settled<R: std::fmt::Debug>(
    trigger: &Envelope,
    event: &OrderEvent,
    done: Result<Executed<Order>, ExecuteError<OrderRejection, R>>,
) -> Result<(), Failure> {
    let order = &event.terms().order_id;
    match done {
        Ok(done) => {
            tracing::info!(
                order_id = %order,
                causation_id = trigger.event_id,
                correlation_id = correlation(trigger.correlation_id.as_deref(), order.as_str()),
                appended = done.events.first().map(|event| event.event_type.as_str()),
                version = done.version,
                "stock settled"
            );
            Ok(())
        }
        Err(ExecuteError::Rejected(OrderRejection::Unknown)) => Err(Failure::Permanent(format!(
            "order {order} is not in the event store; put its OrderPlaced on the bus, it is recorded there first"
        ))),
        Err(error) => Err(Failure::from_error(&error)),
    }
}

#[cfg(test)]
mod tests;
