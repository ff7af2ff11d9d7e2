//! Dead letters: what was given up waits, is redriven to its consumer, and is parked when that
//! fails too often.

use std::sync::Arc;

use serde_json::Value;

use super::invocation::Outcome;
use crate::mutants::Mutant;
use crate::world::{World, lock};

/// After so many failed rounds a letter waits for an operator.
const ROUNDS: u32 = 8;

/// A message that a consumer gave up.
#[derive(Debug, Clone)]
pub struct Letter {
    /// Who gave it up.
    pub consumer: String,
    /// What it is called with.
    pub payload: Arc<Value>,
    /// The invocation that was given up: a redrive is that invocation once more.
    request: String,
    /// Why the last attempt failed.
    pub reason: String,
    /// How many rounds failed.
    rounds: u32,
}

impl Letter {
    /// Ids of the events in it.
    pub fn event_ids(&self) -> impl Iterator<Item = &str> {
        let records = self.payload["Records"].as_array();
        let images = records.into_iter().flatten();
        let images = images.filter_map(|one| one["dynamodb"]["NewImage"]["eventId"]["S"].as_str());
        self.payload["detail"]["eventId"]
            .as_str()
            .into_iter()
            .chain(images)
    }

    /// Whether only an operator can go on with it.
    #[must_use]
    pub fn is_parked(&self) -> bool {
        self.rounds >= ROUNDS
    }
}

impl World {
    /// A message goes to the dead-letter queue of its consumer, if that has one.
    pub(crate) fn give_up(
        &self,
        consumer: &str,
        payload: &Arc<Value>,
        request: &str,
        reason: &str,
    ) {
        self.note(format_args!("{consumer} gave up: {reason}"));
        let mapped = self.wiring.mappings.iter();
        let by_mapping = mapped
            .filter(|mapping| mapping.function == consumer)
            .any(|mapping| mapping.on_failure.is_some());
        if by_mapping || self.wiring.has_dead_letters(consumer) {
            lock(&self.platform.letters).push(Letter {
                consumer: consumer.to_owned(),
                payload: Arc::clone(payload),
                request: request.to_owned(),
                reason: reason.to_owned(),
                rounds: 0,
            });
        }
    }

    /// The letters that there are.
    #[must_use]
    pub fn letters(&self) -> Vec<Letter> {
        lock(&self.platform.letters).clone()
    }

    /// Redrives the letters that wait, or also those that are parked, as an operator would;
    /// whether there were any.
    pub(crate) async fn redrive(self: &Arc<Self>, parked_too: bool) -> bool {
        let due: Vec<_> = {
            let mut letters = lock(&self.platform.letters);
            let all = std::mem::take(&mut *letters);
            let (due, others) = all
                .into_iter()
                .partition(|letter| parked_too || !letter.is_parked());
            *letters = others;
            due
        };
        let any = !due.is_empty();
        for mut letter in due {
            if let Some(reason) = self.round(&letter).await {
                letter.rounds += 1;
                letter.reason = reason;
                if !self.has(Mutant::RedriveDropsFailed) {
                    lock(&self.platform.letters).push(letter);
                }
            }
        }
        any
    }

    /// Calls the consumer itself; why it failed, if it did.
    async fn round(self: &Arc<Self>, letter: &Letter) -> Option<String> {
        let payload = Value::clone(&letter.payload);
        match self
            .invoke(&letter.consumer, payload, &letter.request)
            .await
        {
            Outcome::Answered(answer) => answer["batchItemFailures"]
                .as_array()
                .is_some_and(|failures| !failures.is_empty())
                .then(|| "records of it failed again".to_owned()),
            Outcome::Failed(failure) => Some(failure.to_string()),
            Outcome::Crashed => {
                self.excuse_mail(&letter.payload["detail"]);
                Some("its process ended".to_owned())
            }
        }
    }
}
