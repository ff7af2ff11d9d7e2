//! Reconciling: every event of a period that is in the store has a marker of its publication, and
//! every marker an event. What has none is published again.

use crate::call::{Answer, Limits, Place, Request, What};
use crate::progress::{KeptProgress, Progress};
use aws_adapters::metrics::{Metric, Metrics};
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
use std::ops::Bound;

/// The clocks of those who store and those who publish differ by less than this.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// So many streams are looked up between two looks at the clock.
const LOOKED_UP: usize = 100;

/// Reconciles periods.
#[derive(Debug)]
pub struct Handler<E, S, M, P, K, C> {
    /// The events of a period.
    pub stored: E,
    /// Where single streams are looked up.
    pub store: S,
    /// What was published.
    pub markers: M,
    /// Where missing events are published.
    pub publisher: P,
    /// How far the calls that go on are.
    pub progress: K,
    /// The time.
    pub clock: C,
    /// Which periods can be reconciled.
    pub limits: Limits,
    /// Where the figures go.
    pub metrics: Metrics,
}

impl<E, S, M, P, K, C> Handler<E, S, M, P, K, C>
where
    E: StoredEvents,
    S: EventStore,
    M: PublishedMarkers,
    P: EventPublisher,
    K: KeptProgress,
    C: Clock,
{
    /// Works for a while, and answers how far it got.
    ///
    /// # Errors
    /// [`Failure::Transient`], when something does not answer: call again, with the same position.
    /// [`Failure::Permanent`] for a payload that is no call, or a period that cannot be
    /// reconciled.
    pub async fn handle(&self, payload: Value) -> Result<Value, Failure> {
        let began = self.clock.now();
        let Request { what, work_for } = Request::parse(&payload, self.limits, began)?;
        let until = began.saturating_add(work_for).unwrap_or(Timestamp::MAX);
        let answer = match what {
            What::Period { mut place, dry_run } => {
                Some(self.reconcile(&mut place, dry_run, until).await?)
            }
            What::GoOn => self.go_on(began, until).await?,
        };
        serde_json::to_value(answer).map_err(|error| Failure::Permanent(error.to_string()))
    }

    /// Goes on where the last call of this kind stopped; `None` when it is too early for the next
    /// period. How far it got is kept whatever stopped it, so the next call goes on from there.
    async fn go_on(&self, now: Timestamp, until: Timestamp) -> Result<Option<Answer>, Failure> {
        let progress = asked(|| self.progress.read()).await?;
        let (progress, answer) = match progress.next(self.limits, now) {
            None => (progress, Ok(None)),
            Some(mut place) => {
                let answer = self.reconcile(&mut place, false, until).await;
                let done = answer.as_ref().is_ok_and(|answer| answer.done);
                let progress = progress.after(place, done);
                asked(|| self.progress.keep(&progress)).await?;
                (progress, answer.map(Some))
            }
        };
        self.tell_behind(&progress);
        answer
    }

    fn tell_behind(&self, progress: &Progress) {
        let now = self.clock.now();
        let behind = Metric::seconds("ReconciledSecondsAgo", progress.behind(now));
        self.metrics.tell(now, &[behind]);
    }

    /// Works on a period up to its end, or until it is time to stop; `place` says how far it got,
    /// also after a failure.
    async fn reconcile(
        &self,
        place: &mut Place,
        dry_run: bool,
        until: Timestamp,
    ) -> Result<Answer, Failure> {
        let before = place.clone();
        let (mut ledger, published) = self.published(place, self.clock.now()).await?;
        let done = self.work(&mut ledger, place, dry_run, until).await?;
        let answer = answer(place, dry_run, published, done)?;
        if !done {
            let stored = answer.stored;
            tracing::warn!(stored, "not done; the next call goes on from here");
        }
        if !dry_run {
            self.metrics
                .tell(self.clock.now(), &answer.metrics(&before));
        }
        Ok(answer)
    }

    /// Whether it came to the end of the period.
    async fn work(
        &self,
        ledger: &mut Ledger,
        place: &mut Place,
        dry_run: bool,
        until: Timestamp,
    ) -> Result<bool, Failure> {
        let is_over = || self.clock.now() >= until;
        while !place.scanned {
            self.reconcile_page(ledger, place, dry_run).await?;
            if !place.scanned && is_over() {
                return Ok(false);
            }
        }
        while self.look_up_some(ledger, place).await? {
            if is_over() {
                return Ok(false);
            }
        }
        Ok(true)
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

    async fn reconcile_page(
        &self,
        ledger: &mut Ledger,
        place: &mut Place,
        dry_run: bool,
    ) -> Result<(), Failure> {
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
        place.scanned = place.page.is_none();
        Ok(())
    }

    /// Publishes events as they were recorded; how many the bus took. The next run finds the
    /// others.
    async fn publish(&self, events: &[Envelope]) -> u64 {
        let results = self.publisher.publish(events).await;
        let mut taken = Vec::new();
        for (event, result) in events.iter().zip(results) {
            match result {
                Ok(()) => taken.push(event),
                Err(error) => tracing::error!(event_id = event.event_id,
                    stream_id = event.stream_id, version = event.version, reason = %error,
                    "not published"),
            }
        }
        leave_marker(taken.iter().copied());
        taken.len() as u64
    }

    /// Looks up some of what was published in the period and was not among the events of the
    /// period: it may bear another time, or an earlier call came across it. Whether there is more.
    async fn look_up_some(&self, ledger: &Ledger, place: &mut Place) -> Result<bool, Failure> {
        let begin = match place.looked_up.clone() {
            Some(last) => Bound::Excluded(last),
            None => Bound::Unbounded,
        };
        let mut open = ledger.not_found().range((begin, Bound::Unbounded));
        for (stream, versions) in open.by_ref().take(LOOKED_UP) {
            let first = versions.first().copied().unwrap_or(1);
            let history = asked(|| self.store.read(stream, first)).await?;
            for version in versions {
                if !history.iter().any(|event| event.version == Some(*version)) {
                    tracing::error!(stream_id = stream, version, "published and not stored");
                    place.miss_in_store(stream, *version);
                }
            }
            place.looked_up = Some(stream.clone());
        }
        Ok(open.next().is_some())
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
        unstored: place.unstored,
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
