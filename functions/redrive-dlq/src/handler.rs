//! Taking in what was given up, and redriving what is due.

mod redriving;
mod taking_in;

use crate::call::{Call, Counts};
use crate::config::Consumer;
use crate::ports::Platform;
use aws_adapters::metrics::{Metric, Metrics};
use event_sourcing::clock::Clock;
use event_sourcing::dead_letter::{DeadLetters, RedrivePolicy};
use event_sourcing::failure::Failure;
use event_sourcing::retry::budget;
use serde_json::Value;
use std::time::Duration;

/// How long the answer of a consumer is waited for: no consumer runs longer than 30 s.
pub const PATIENCE: Duration = Duration::from_secs(35);
/// How long a claim of a letter holds: longer than the call and noting its outcome take.
const CLAIM: Duration = Duration::from_mins(2);

/// Redrives dead letters.
#[derive(Debug)]
pub struct Handler<L, P, C> {
    /// Where letters are kept.
    pub letters: L,
    /// Queues, streams and calls.
    pub platform: P,
    /// Whose letters.
    pub consumers: Vec<Consumer>,
    /// When their rounds are.
    pub policy: RedrivePolicy,
    /// Tells how many there are.
    pub metrics: Metrics,
    /// Tells when.
    pub clock: C,
}

impl<L: DeadLetters, P: Platform, C: Clock> Handler<L, P, C> {
    /// Takes in what lies in the queues, then redrives what is due; the answer counts.
    ///
    /// # Errors
    /// [`Failure`]: `Permanent` for a call that asks for something that there is not.
    pub async fn handle(&self, payload: Value) -> Result<Value, Failure> {
        let call = Call::from_payload(payload)?;
        self.check(&call)?;
        let mut counts = Counts::default();
        if !call.dry_run {
            self.take_in(&call, &mut counts).await;
        }
        self.redrive(&call, &mut counts).await?;
        counts.parked_in_all = self
            .letters
            .parked()
            .await
            .map_err(|error| Failure::from_error(&error))?;
        self.tell(&counts);
        serde_json::to_value(counts).map_err(|error| Failure::Permanent(error.to_string()))
    }

    fn tell(&self, counts: &Counts) {
        let number = |count: usize| u64::try_from(count).unwrap_or(0);
        let metrics = [
            Metric::count("DeadLettersTakenIn", number(counts.taken_in)),
            Metric::count("DeadLettersRedriven", number(counts.redriven)),
            Metric::count("DeadLettersParked", number(counts.parked_in_all)),
        ];
        self.metrics.tell(self.clock.now(), &metrics);
        tracing::info!(
            taken_in = counts.taken_in,
            left = counts.left,
            due = counts.due,
            redriven = counts.redriven,
            failed = counts.failed,
            parked = counts.parked,
            waiting = counts.waiting,
            skipped = counts.skipped,
            parked_in_all = counts.parked_in_all,
            "redriven"
        );
    }

    fn check(&self, call: &Call) -> Result<(), Failure> {
        match &call.consumer {
            Some(name) if self.consumer(name).is_none() => {
                let known: Vec<_> = self.consumers.iter().map(|one| one.name.as_str()).collect();
                Err(Failure::Permanent(format!(
                    "there is no consumer {name}; there are {}",
                    known.join(", ")
                )))
            }
            _ => Ok(()),
        }
    }

    fn consumer(&self, name: &str) -> Option<&Consumer> {
        self.consumers.iter().find(|one| one.name == name)
    }
}

/// Whether there is time for something that takes so long.
fn has_time(takes: Duration) -> bool {
    budget::left().is_none_or(|left| left > takes)
}

#[cfg(test)]
mod tests;
