//! A sweep: every order that is open for too long is looked up in the store, and what its history
//! calls for is done. It keeps nothing in mind between calls: what one sweep does not get to, the
//! next one finds.

mod acts;

use crate::call::{Answer, Request};
use crate::open_orders::OpenOrders;
use aws_adapters::dynamodb_order_summaries::{OpenOrder, PARTS};
use aws_adapters::metrics::Metrics;
use domain::order::{OrderEvent, Patience, Sweep};
use event_sourcing::clock::Clock;
use event_sourcing::envelope::Envelope;
use event_sourcing::execute::{decode, retrying};
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

/// An order that an event of its history should have moved.
struct ToHeal {
    found: Found,
    trigger: Envelope,
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

    /// Deals with orders that are open for too long; what is to be published again is published
    /// together.
    async fn sweep_page(&self, page: Vec<OpenOrder>, answer: &mut Answer) {
        let now = self.clock.now();
        let mut to_heal = Vec::new();
        for order in page {
            answer.looked += 1;
            match self.find(&order).await {
                Ok(found) => to_heal.extend(self.sweep(found, now, answer).await),
                Err(failure) => self.not_read(&order, &failure, now, answer).await,
            }
        }
        self.publish_again(to_heal, now, answer).await;
    }

    /// Does what an order's history calls for; gives it back when an event of it is to be
    /// published again.
    async fn sweep(&self, found: Found, now: Timestamp, answer: &mut Answer) -> Option<ToHeal> {
        let verdict = self.patience.sweep(&found.events, now);
        if matches!(
            verdict,
            Sweep::Expire | Sweep::PublishAgain(_) | Sweep::Helpless
        ) {
            answer.saw(&found, now);
        }
        match verdict {
            // The row is behind the stream: its projection is late, or a dead letter.
            Sweep::Settled => {
                answer.moving += 1;
                let order = &found.order;
                self.put_off(order, now, order.healed, answer.dry_run).await;
            }
            Sweep::Moving => answer.moving += 1,
            Sweep::Expire => self.expire(&found, now, answer).await,
            Sweep::PublishAgain(index) => {
                let trigger = found.history.get(index)?.clone();
                return Some(ToHeal { found, trigger });
            }
            Sweep::Helpless => {
                answer.is_stuck(&found.order, "no event would move it");
                self.heal_later(&found, now, answer.dry_run).await;
            }
        }
        None
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
