//! What is done about an order that stands still.

use super::{Found, Handler, IN_VAIN, PURPOSE, ToHeal};
use crate::call::Answer;
use crate::open_orders::OpenOrders;
use aws_adapters::dynamodb_order_summaries::OpenOrder;
use aws_adapters::publications::leave_marker;
use aws_adapters::telemetry::correlation;
use domain::order::{CancelReason, Order, OrderCommand};
use event_sourcing::chain::Head;
use event_sourcing::clock::Clock;
use event_sourcing::decider::Decider as _;
use event_sourcing::execute::{Cause, ExecuteError, Start, execute};
use event_sourcing::failure::Failure;
use event_sourcing::publisher::EventPublisher;
use event_sourcing::store::EventStore;
use jiff::{SignedDuration, Timestamp};

impl<S: EventStore, P: EventPublisher, O: OpenOrders, C: Clock> Handler<S, P, O, C> {
    /// Publishes the events that should have moved these orders, as they were recorded: to their
    /// consumers they are duplicates.
    pub(super) async fn publish_again(
        &self,
        orders: Vec<ToHeal>,
        now: Timestamp,
        answer: &mut Answer,
    ) {
        let triggers: Vec<_> = orders.iter().map(|one| one.trigger.clone()).collect();
        let results = if answer.dry_run {
            vec![Ok(()); triggers.len()]
        } else {
            self.publisher.publish(&triggers).await
        };
        for (one, result) in orders.iter().zip(results) {
            match result {
                Ok(()) => self.healed(one, now, answer).await,
                Err(error) => {
                    answer.failed += 1;
                    let order_id = one.found.order.order_id.as_str();
                    tracing::error!(order_id, reason = %error, "not published again");
                }
            }
        }
    }

    async fn healed(&self, one: &ToHeal, now: Timestamp, answer: &mut Answer) {
        let ToHeal { found, trigger } = one;
        let order_id = found.order.order_id.as_str();
        answer.healed += 1;
        answer.name(order_id, format!("{} published again", trigger.event_type));
        if found.order.healed >= IN_VAIN {
            answer.is_stuck(&found.order, "it was healed in vain");
        }
        if !answer.dry_run {
            leave_marker([trigger]);
            tracing::warn!(
                order_id,
                event_id = trigger.event_id,
                event_type = trigger.event_type,
                healed = found.order.healed + 1,
                "healed"
            );
        }
        self.heal_later(found, now, answer.dry_run).await;
    }

    pub(super) async fn expire(&self, found: &Found, now: Timestamp, answer: &mut Answer) {
        let order_id = found.order.order_id.as_str();
        let expired = if answer.dry_run {
            Ok(true)
        } else {
            self.append_expiry(found, now).await
        };
        match expired {
            Ok(true) => {
                answer.expired += 1;
                answer.name(order_id, "expired".to_owned());
            }
            // It was paid, or it ended, in the meantime.
            Ok(false) => answer.moving += 1,
            Err(failure) => {
                answer.failed += 1;
                tracing::error!(order_id, reason = %failure, "not expired");
            }
        }
    }

    /// Whether the order expired now.
    async fn append_expiry(&self, found: &Found, now: Timestamp) -> Result<bool, Failure> {
        let Some(placed) = found.history.first() else {
            return Ok(false);
        };
        let command = OrderCommand::Cancel {
            reason: CancelReason::Expired,
            at: now,
            grace: SignedDuration::ZERO,
        };
        let start = Start::From {
            state: Order::fold(found.events.iter().map(|(event, at)| (event, *at))),
            head: Head::after(found.history.last()),
        };
        let cause = Cause {
            actor: None,
            ..Cause::event(placed, PURPOSE, now)
        };
        let order = &found.order.order_id;
        match execute::<Order>(&self.store, &order.stream(), start, &command, &cause).await {
            Ok(done) => {
                let expired = !done.events.is_empty();
                tracing::info!(order_id = %order, expired, version = done.version,
                    correlation_id = correlation(cause.correlation_id.as_deref(), order.as_str()),
                    "not paid in time");
                Ok(expired)
            }
            Err(ExecuteError::Rejected(_)) => Ok(false),
            Err(error) => Err(Failure::from_error(&error)),
        }
    }

    pub(super) async fn not_read(
        &self,
        order: &OpenOrder,
        failure: &Failure,
        now: Timestamp,
        answer: &mut Answer,
    ) {
        if matches!(failure, Failure::Permanent(_)) {
            answer.is_stuck(order, &failure.to_string());
            self.put_off(order, now, order.healed, answer.dry_run).await;
        } else {
            answer.failed += 1;
            tracing::error!(order_id = %order.order_id, reason = %failure, "not read");
        }
    }

    /// Counts a healing; the next one waits twice as long.
    pub(super) async fn heal_later(&self, found: &Found, now: Timestamp, dry_run: bool) {
        let order = &found.order;
        let next = self.patience.look_again(&found.events, order.healed, now);
        let since = next
            .saturating_sub(self.patience.stuck_after)
            .unwrap_or(Timestamp::MIN);
        self.put_off(order, since, order.healed.saturating_add(1), dry_run)
            .await;
    }

    /// A failure does no harm: the next sweep looks at the order once more.
    pub(super) async fn put_off(
        &self,
        order: &OpenOrder,
        until: Timestamp,
        healed: u32,
        dry_run: bool,
    ) {
        if dry_run {
            return;
        }
        if let Err(error) = self.open_orders.put_off(order, until, healed).await {
            tracing::warn!(order_id = %order.order_id, reason = %error, "not put off");
        }
    }
}
