//! Reconciling: every event of a period that is in the store has a marker of its publication, and
//! every marker an event. What has none is published again.

use crate::call::{Answer, Limits, Place, Request};
use aws_adapters::metrics::Metrics;
use aws_adapters::publications::leave_marker;
use event_sourcing::clock::Clock;
use event_sourcing::envelope::Envelope;
use event_sourcing::execute::retrying;
use event_sourcing::failure::Failure;
use event_sourcing::publisher::EventPublisher;
use event_sourcing::reconciling::{Ledger, PublishedMarkers, StoredEvents};
use event_sourcing::retry::Retryable;
use event_sourcing::store::EventStore;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// The clocks of those who store and those who publish differ by less than this.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// Reconciles periods.
#[derive(Debug)]
pub struct Handler<E, S, M, P, C> {
    /// The events of a period.
    pub stored: E,
    /// Where single streams are looked up.
    pub store: S,
    /// What was published.
    pub markers: M,
    /// Where missing events are published.
    pub publisher: P,
    /// The time.
    pub clock: C,
    /// Which periods can be reconciled.
    pub limits: Limits,
    /// Where the figures go.
    pub metrics: Metrics,
}

impl<E, S, M, P, C> Handler<E, S, M, P, C>
where
    E: StoredEvents,
    S: EventStore,
    M: PublishedMarkers,
    P: EventPublisher,
    C: Clock,
{
    /// Works for a while, and answers how far it got.
    ///
    /// # Errors
    /// [`Failure::Transient`], when something does not answer: call again with the same position.
    /// [`Failure::Permanent`] for a payload that is no call, or a period that cannot be
    /// reconciled.
    pub async fn handle(&self, payload: Value) -> Result<Value, Failure> {
        let began = self.clock.now();
        let Request {
            place: before,
            dry_run,
            work_for,
        } = Request::parse(&payload, self.limits, began)?;
        let (mut ledger, published) = self.published(&before, began).await?;
        let mut place = before.clone();
        let mut done = false;
        while !done {
            done = self
                .reconcile_page(&mut ledger, &mut place, dry_run)
                .await?;
            if self.clock.now().duration_since(began) >= work_for {
                break;
            }
        }
        let mut answer = answer(&place, dry_run, published, done)?;
        if done {
            self.look_for_unstored(&ledger, &mut answer).await?;
        } else {
            let stored = answer.stored;
            tracing::warn!(stored, "not done; call again with the answer's position");
        }
        if !dry_run {
            self.metrics
                .tell(self.clock.now(), &answer.metrics(&before));
        }
        serde_json::to_value(answer).map_err(|error| Failure::Permanent(error.to_string()))
    }

    /// Everything that was published since the period began, and how much of it in the period.
    /// What was stored at its end may have been published later.
    async fn published(&self, place: &Place, now: Timestamp) -> Result<(Ledger, u64), Failure> {
        let from = place.from.saturating_sub(SKEW).unwrap_or(Timestamp::MIN);
        let until = now.saturating_add(SKEW).unwrap_or(Timestamp::MAX);
        let mut ledger = Ledger::default();
        let mut page = None;
        loop {
            let markers = asked(|| self.markers.published(from, until, page.as_deref())).await?;
            for marker in markers.found {
                let must_be_stored = (place.from..place.to).contains(&marker.at);
                ledger.publish(marker.position, must_be_stored);
            }
            page = markers.next;
            if page.is_none() {
                let streams = ledger.not_found().values();
                let published = streams.map(|versions| versions.len() as u64).sum();
                return Ok((ledger, published));
            }
        }
    }

    /// Whether it was the last page.
    async fn reconcile_page(
        &self,
        ledger: &mut Ledger,
        place: &mut Place,
        dry_run: bool,
    ) -> Result<bool, Failure> {
        let (from, to, at) = (place.from, place.to, place.page.clone());
        let page = asked(|| self.stored.stored(from, to, at.as_deref())).await?;
        place.stored += page.found.len() as u64;
        let mut missing = page.found;
        missing.retain(|event| !ledger.store(event));
        for (stream, version) in missing.iter().filter_map(Envelope::position) {
            tracing::error!(stream_id = stream, version, "stored and not published");
            place.miss(stream, version);
        }
        if !dry_run && !missing.is_empty() {
            place.repaired += self.publish(&missing).await;
        }
        place.page = page.next;
        Ok(place.page.is_none())
    }

    /// Publishes events as they were recorded; how many the bus took. The next run finds the
    /// others.
    async fn publish(&self, events: &[Envelope]) -> u64 {
        let results = self.publisher.publish(events).await;
        let mut taken = 0;
        for (event, result) in events.iter().zip(results) {
            match result {
                Ok(()) => {
                    leave_marker(event);
                    taken += 1;
                }
                Err(error) => tracing::error!(event_id = event.event_id,
                    stream_id = event.stream_id, version = event.version, reason = %error,
                    "not published"),
            }
        }
        taken
    }

    /// Looks up what was published in the period and was not among the events of the period: it
    /// may bear another time, or an earlier call came across it.
    async fn look_for_unstored(&self, ledger: &Ledger, answer: &mut Answer) -> Result<(), Failure> {
        for (stream, versions) in ledger.not_found() {
            let first = versions.first().copied().unwrap_or(1);
            let history = asked(|| self.store.read(stream, first)).await?;
            for version in versions {
                if !history.iter().any(|event| event.version == Some(*version)) {
                    tracing::error!(stream_id = stream, version, "published and not stored");
                    answer.unstored(stream, *version);
                }
            }
        }
        Ok(())
    }
}

fn answer(place: &Place, dry_run: bool, published: u64, done: bool) -> Result<Answer, Failure> {
    let position =
        serde_json::to_string(place).map_err(|error| Failure::Permanent(error.to_string()))?;
    Ok(Answer {
        from: place.from,
        to: place.to,
        dry_run,
        stored: place.stored,
        published,
        missing: place.missing,
        repaired: place.repaired,
        unstored: 0,
        named: place.named.clone(),
        done,
        position: (!done).then_some(position),
    })
}

async fn asked<T, E, F>(call: impl Fn() -> F) -> Result<T, Failure>
where
    E: std::error::Error + Retryable,
    F: Future<Output = Result<T, E>>,
{
    retrying(call)
        .await
        .map_err(|error| Failure::from_error(&error))
}

#[cfg(test)]
mod tests;
