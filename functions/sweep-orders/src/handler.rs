//! A sweep: every order that is open for too long is looked up in the store, and what its history
//! calls for is done. It keeps nothing in mind between calls: what one sweep does not get to, the
//! next one finds.

use crate::call::{Answer, Request};
use crate::open_orders::OpenOrders;
use aws_adapters::dynamodb_order_summaries::{OpenOrder, PARTS};
use aws_adapters::metrics::Metrics;
use aws_adapters::publications::leave_marker;
use domain::order::{CancelReason, Order, OrderCommand, OrderEvent, Patience, Sweep};
use event_sourcing::chain::Head;
use event_sourcing::clock::Clock;
use event_sourcing::decider::Decider as _;
use event_sourcing::envelope::Envelope;
use event_sourcing::execute::{Cause, ExecuteError, Start, decode, execute, retrying};
use event_sourcing::failure::Failure;
use event_sourcing::publisher::EventPublisher;
use event_sourcing::store::EventStore;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// Who appends the expiry: part of the event's derived id.
const PURPOSE: &str = "sweep-orders";
/// So long a call works: what its time leaves, with time to end.
const WORK_FOR: SignedDuration = SignedDuration::from_secs(45);
/// Orders that are dealt with together.
const PAGE: u16 = 50;
/// An order that was healed so often and is still open needs an operator.
const IN_VAIN: u32 = 3;

/// Heals and expires orders.
#[derive(Debug)]
pub struct Handler<S, P, O, C> {
    /// Where events are stored.
    pub store: S,
    /// Where events are published again.
    pub publisher: P,
    /// Where open orders are found.
    pub open_orders: O,
    /// The time.
    pub clock: C,
    /// How long orders are left alone.
    pub patience: Patience,
    /// Where the figures go.
    pub metrics: Metrics,
}

/// An open order with its history.
struct Found {
    order: OpenOrder,
    history: Vec<Envelope>,
    events: Vec<(OrderEvent, Timestamp)>,
}

impl<S: EventStore, P: EventPublisher, O: OpenOrders, C: Clock> Handler<S, P, O, C> {
    /// Sweeps once.
    ///
    /// # Errors
    /// [`Failure::Transient`], when some open orders could not be found; the others were dealt
    /// with. [`Failure::Permanent`] for a payload that is no call.
    pub async fn handle(&self, payload: Value) -> Result<Value, Failure> {
        let Request { dry_run } = Request::parse(&payload)?;
        let began = self.clock.now();
        let mut answer = Answer {
            dry_run,
            done: true,
            ..Answer::default()
        };
        let mut failure = None;
        for part in parts_from(began) {
            if let Err(failed) = self.sweep_part(part, began, &mut answer).await {
                tracing::error!(part, reason = %failed, "not swept");
                answer.failed += 1;
                failure = Some(failed);
            }
        }
        if !dry_run {
            self.metrics.tell(self.clock.now(), &answer.metrics());
        }
        match failure {
            Some(failure) => Err(failure),
            None => {
                serde_json::to_value(answer).map_err(|error| Failure::Permanent(error.to_string()))
            }
        }
    }

    async fn sweep_part(
        &self,
        part: u8,
        began: Timestamp,
        answer: &mut Answer,
    ) -> Result<(), Failure> {
        let due = began
            .saturating_sub(self.patience.stuck_after)
            .unwrap_or(Timestamp::MIN);
        let mut after: Option<OpenOrder> = None;
        loop {
            if self.clock.now().duration_since(began) >= WORK_FOR {
                answer.done = false;
                return Ok(());
            }
            let page = retrying(|| self.open_orders.open(part, due, PAGE, after.as_ref()))
                .await
                .map_err(|error| Failure::from_error(&error))?;
            let is_last = page.len() < usize::from(PAGE);
            after = page.last().cloned();
            self.sweep_page(page, answer).await;
            if is_last {
                return Ok(());
            }
        }
    }

    async fn sweep_page(&self, page: Vec<OpenOrder>, answer: &mut Answer) {
        let now = self.clock.now();
        let (mut to_heal, mut triggers) = (Vec::new(), Vec::new());
        for order in page {
            answer.looked += 1;
            let found = match self.find(&order).await {
                Ok(found) => found,
                Err(failure) => {
                    self.not_read(&order, &failure, now, answer).await;
                    continue;
                }
            };
            match self.patience.sweep(&found.events, now) {
                // The row is behind the stream: its projection is late, or a dead letter.
                Sweep::Settled => {
                    answer.moving += 1;
                    self.put_off(&order, now, order.healed, answer.dry_run)
                        .await;
                }
                Sweep::Moving => answer.moving += 1,
                Sweep::Expire => {
                    answer.saw(&found, now);
                    self.expire(&found, now, answer).await;
                }
                Sweep::PublishAgain(index) => {
                    answer.saw(&found, now);
                    triggers.push(found.history[index].clone());
                    to_heal.push(found);
                }
                Sweep::Helpless => {
                    answer.saw(&found, now);
                    answer.is_stuck(&order, "no event would move it");
                    self.heal_later(&found, now, answer.dry_run).await;
                }
            }
        }
        self.publish_again(to_heal, &triggers, now, answer).await;
    }

    async fn find(&self, order: &OpenOrder) -> Result<Found, Failure> {
        let stream = order.order_id.stream();
        let history = retrying(|| self.store.read(&stream, 1))
            .await
            .map_err(|error| Failure::from_error(&error))?;
        let events = history
            .iter()
            .map(|envelope| Ok((decode::<OrderEvent>(envelope)?, envelope.at())))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error: event_sourcing::execute::Unreadable| Failure::from_error(&error))?;
        Ok(Found {
            order: order.clone(),
            history,
            events,
        })
    }

    /// Publishes the events that should have moved these orders, as they were recorded: to their
    /// consumers they are duplicates.
    async fn publish_again(
        &self,
        orders: Vec<Found>,
        triggers: &[Envelope],
        now: Timestamp,
        answer: &mut Answer,
    ) {
        let results = if answer.dry_run {
            vec![Ok(()); triggers.len()]
        } else {
            self.publisher.publish(triggers).await
        };
        for ((found, trigger), result) in orders.iter().zip(triggers).zip(results) {
            let order_id = found.order.order_id.as_str();
            match result {
                Ok(()) => {
                    answer.healed += 1;
                    answer.name(order_id, format!("{} published again", trigger.event_type));
                    if found.order.healed >= IN_VAIN {
                        answer.is_stuck(&found.order, "it was healed in vain");
                    }
                    if !answer.dry_run {
                        leave_marker(trigger);
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
                Err(error) => {
                    answer.failed += 1;
                    tracing::error!(order_id, reason = %error, "not published again");
                }
            }
        }
    }

    async fn expire(&self, found: &Found, now: Timestamp, answer: &mut Answer) {
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
        let stream = found.order.order_id.stream();
        match execute::<Order>(&self.store, &stream, start, &command, &cause).await {
            Ok(done) => {
                let expired = !done.events.is_empty();
                tracing::info!(order_id = %found.order.order_id, expired, version = done.version,
                    correlation_id = cause.correlation_id, "not paid in time");
                Ok(expired)
            }
            Err(ExecuteError::Rejected(_)) => Ok(false),
            Err(error) => Err(Failure::from_error(&error)),
        }
    }

    async fn not_read(
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
    async fn heal_later(&self, found: &Found, now: Timestamp, dry_run: bool) {
        let order = &found.order;
        let next = self.patience.look_again(&found.events, order.healed, now);
        let since = next
            .saturating_sub(self.patience.stuck_after)
            .unwrap_or(Timestamp::MIN);
        self.put_off(order, since, order.healed.saturating_add(1), dry_run)
            .await;
    }

    /// A failure does no harm: the next sweep looks at the order once more.
    async fn put_off(&self, order: &OpenOrder, until: Timestamp, healed: u32, dry_run: bool) {
        if dry_run {
            return;
        }
        if let Err(error) = self.open_orders.put_off(order, until, healed).await {
            tracing::warn!(order_id = %order.order_id, reason = %error, "not put off");
        }
    }
}

impl Answer {
    fn is_stuck(&mut self, order: &OpenOrder, reason: &str) {
        self.stuck += 1;
        self.name(order.order_id.as_str(), format!("stuck: {reason}"));
        tracing::error!(order_id = %order.order_id, healed = order.healed, reason,
            "stuck; look at its events and at the dead letters of those who act on them");
    }

    fn saw(&mut self, found: &Found, now: Timestamp) {
        if let Some((_, moved_at)) = found.events.last() {
            let age = now.duration_since(*moved_at).as_secs();
            self.oldest_seconds = self.oldest_seconds.max(age);
        }
    }
}

/// All partitions, each minute from another one on: a sweep that does not get to all of them
/// leaves out others than the one before.
fn parts_from(now: Timestamp) -> impl Iterator<Item = u8> {
    let minute = now.as_second().div_euclid(60).rem_euclid(PARTS.into());
    let first = u8::try_from(minute).unwrap_or_default();
    (0..PARTS).map(move |number| (first + number) % PARTS)
}

#[cfg(test)]
mod tests;
