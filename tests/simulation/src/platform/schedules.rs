//! The clock: calls functions as the schedules of the template say. A call that would find nothing
//! to do is left out, for nobody could tell.

use std::sync::Arc;
use std::time::Duration;

use event_sourcing::dead_letter::DeadLetters as _;
use jiff::{SignedDuration, Timestamp};
use reconcile_events::progress::{KeptProgress as _, Progress};
use serde_json::Value;

use super::invocation::Outcome;
use crate::scheduler::{alive, spawn};
use crate::world::{World, lock};

/// Schedules run at whole minutes.
const MINUTE: Duration = Duration::from_mins(1);
/// Before the first retry of an asynchronous invocation.
const FIRST_RETRY: Duration = Duration::from_mins(1);
/// After so many hours at most, the next day is to be reconciled.
const MOST_HOURS: u32 = 50;
/// The one that proves by the day what the others do by the minute.
pub const RECONCILER: &str = "reconcile-events";

/// What the last reconciling of a whole period came to.
#[derive(Debug, Default, Clone)]
pub struct Reconciled {
    /// How many there were.
    pub times: u64,
    /// How many events of the last one were stored and not published.
    pub missing: u64,
    /// How many in all.
    pub missing_in_all: u64,
    /// How many that were published and not stored.
    pub unstored: u64,
    /// Calls that failed with all their retries.
    pub failed: u64,
}

impl World {
    /// The clock goes on until nothing else happens in between.
    pub(crate) async fn tick(self: Arc<Self>) {
        loop {
            self.next_minute().await;
            // The clock itself is somebody, too.
            if alive() <= 1 {
                break;
            }
            self.strike().await;
        }
    }

    /// Waits for the next whole minute.
    pub(crate) async fn next_minute(&self) {
        let minutes = self.elapsed().as_secs() / MINUTE.as_secs() + 1;
        let at = MINUTE.saturating_mul(u32::try_from(minutes).unwrap_or(u32::MAX));
        tokio::time::sleep(at.saturating_sub(self.elapsed())).await;
    }

    /// What the clock calls at this minute.
    pub(crate) async fn strike(self: &Arc<Self>) {
        let now = self.elapsed().as_secs();
        let wiring = Arc::clone(&self.wiring);
        for (index, schedule) in wiring.schedules.iter().enumerate() {
            let every = schedule.every.as_secs().max(1);
            let is_its_time = (now + self.phase(every)) % every < MINUTE.as_secs();
            if is_its_time && self.is_due(&schedule.program).await {
                let world = Arc::clone(self);
                spawn(async move { world.call_scheduled(index).await });
            }
        }
    }

    /// How long ago the schedule began when the world did.
    fn phase(&self, every: u64) -> u64 {
        let minutes = self.platform.phase % (every / MINUTE.as_secs()).max(1);
        minutes * MINUTE.as_secs()
    }

    async fn call_scheduled(self: &Arc<Self>, index: usize) {
        let wiring = Arc::clone(&self.wiring);
        let schedule = &wiring.schedules[index];
        self.operate(&schedule.program, &schedule.payload).await;
    }

    /// Calls a function as the clock or an operator does, asynchronously; its answer, in the end.
    pub(crate) async fn operate(self: &Arc<Self>, program: &str, payload: &Value) -> Option<Value> {
        let request = self.platform.next_request();
        for attempt in 0..=self.wiring.retries(program) {
            if attempt > 0 {
                tokio::time::sleep(FIRST_RETRY * attempt).await;
            }
            let outcome = self.invoke(program, payload.clone(), &request).await;
            if let Outcome::Answered(answer) = outcome {
                self.note(format_args!("{program} answers {answer}"));
                if program == RECONCILER {
                    self.reconciled(&answer);
                }
                return Some(answer);
            }
        }
        if program == RECONCILER {
            lock(&self.platform.reconciled).failed += 1;
        }
        None
    }

    /// A call that did not come to the end of its period is gone on with.
    fn reconciled(&self, answer: &Value) {
        if answer["done"] != true {
            return;
        }
        let count = |name: &str| answer[name].as_u64().unwrap_or_default();
        let mut reconciled = lock(&self.platform.reconciled);
        reconciled.times += 1;
        reconciled.missing = count("missing");
        reconciled.missing_in_all += count("missing");
        reconciled.unstored += count("unstored");
    }

    /// Whether a call of the function would find something to do.
    async fn is_due(&self, program: &str) -> bool {
        match self.due_in(program).await {
            Some(wait) => wait.is_zero(),
            None => false,
        }
    }

    /// In how long the function has something to do; none when nothing is left for it.
    async fn due_in(&self, program: &str) -> Option<Duration> {
        match program {
            "redrive-dlq" => self.redrive_due_in().await,
            "sweep-orders" => {
                let since = self.open_since()?;
                let due = since
                    .saturating_add(self.wiring.patience.stuck_after)
                    .ok()?;
                Some(self.until(due))
            }
            RECONCILER => {
                let next = self
                    .progressed()
                    .await
                    .next(self.wiring.limits, self.told_time());
                next.map(|_| Duration::ZERO)
            }
            _ => Some(Duration::ZERO),
        }
    }

    /// How far reconciling is.
    pub(crate) async fn progressed(&self) -> Progress {
        self.progress.read().await.unwrap_or_default()
    }

    async fn redrive_due_in(&self) -> Option<Duration> {
        let message = lock(&self.queues).next_in_sight();
        let message = message.map(|at| at.saturating_sub(self.elapsed()));
        let waiting = self.letters.waiting().await.unwrap_or_default();
        let letter = waiting.iter().map(|one| one.ready_at).min();
        let letter = letter.map(|at| self.until(at));
        message.into_iter().chain(letter).min()
    }

    /// How long it is until then, as handlers see the time.
    fn until(&self, then: Timestamp) -> Duration {
        let wait = then.duration_since(self.told_time());
        Duration::try_from(wait.max(SignedDuration::ZERO)).unwrap_or_default()
    }

    /// Sleeps until redriving or sweeping has something to do, or until an hour is over before; false
    /// when nothing is left for them.
    pub(crate) async fn sleep_until_due(&self) -> bool {
        let redrive = self.due_in("redrive-dlq").await;
        let sweep = self.due_in("sweep-orders").await;
        let Some(wait) = redrive.into_iter().chain(sweep).min() else {
            return false;
        };
        if wait < self.until_reconciling() {
            tokio::time::sleep(wait).await;
            self.next_minute().await;
        } else {
            tokio::time::sleep(self.until_reconciling()).await;
        }
        true
    }

    /// How long it is until the clock calls for reconciling the next time.
    pub(crate) fn until_reconciling(&self) -> Duration {
        let mut schedules = self.wiring.schedules.iter();
        let schedule = schedules.find(|one| one.program == RECONCILER);
        let every = schedule.map_or(MINUTE, |one| one.every).as_secs().max(1);
        let gone = (self.elapsed().as_secs() + self.phase(every)) % every;
        let at = self.elapsed().as_secs() + every - gone;
        Duration::from_secs(at).saturating_sub(self.elapsed())
    }

    /// Sleeps until then, and on until there is something to reconcile.
    pub(crate) async fn sleep_until_reconciling(&self) {
        for _ in 0..MOST_HOURS {
            tokio::time::sleep(self.until_reconciling()).await;
            if self.is_due(RECONCILER).await {
                break;
            }
        }
    }

    /// What reconciling came to.
    #[must_use]
    pub fn reconciling(&self) -> Reconciled {
        lock(&self.platform.reconciled).clone()
    }
}
