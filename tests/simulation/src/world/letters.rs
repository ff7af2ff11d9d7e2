//! Dead letters, as `redrive-dlq` keeps them.

use std::sync::Arc;

use event_sourcing::dead_letter::{
    DeadLetter, DeadLetters, DeadLettersError, Filter, LetterSummary, Waiting,
};
use jiff::Timestamp;

use super::World;
use super::redriving::Calls;
use crate::faults::Fault;
use crate::mutants::Mutant;

/// The port of one invocation of the redriver.
pub struct Letters {
    /// Where they are kept.
    pub world: Arc<World>,
    /// What this invocation called with.
    pub calls: Arc<Calls>,
}

fn no_answer() -> DeadLettersError {
    DeadLettersError::Unavailable("no answer".into())
}

impl Letters {
    async fn asked<T>(
        &self,
        answer: impl Future<Output = Result<T, DeadLettersError>>,
    ) -> Result<T, DeadLettersError> {
        self.world.step().await;
        if self.world.hits(Fault::Throttled) {
            return Err(no_answer());
        }
        let answer = answer.await;
        self.world.step().await;
        answer
    }
}

impl DeadLetters for Letters {
    async fn get(&self, letter_id: &str) -> Result<Option<DeadLetter>, DeadLettersError> {
        let got = self.asked(self.world.letters.get(letter_id)).await;
        if got.is_err() {
            self.calls.in_trouble(letter_id);
        }
        got
    }

    async fn save(&self, mut letter: DeadLetter) -> Result<DeadLetter, DeadLettersError> {
        let world = &self.world;
        world.step().await;
        if world.hits(Fault::Throttled) {
            self.calls.in_trouble(&letter.letter_id);
            return Err(no_answer());
        }
        if world.has(Mutant::RoundsNeverEnd) {
            letter.round = 0;
        }
        if world.has(Mutant::ClaimHoldsNobodyOff) && letter.claimed_until.is_some() {
            letter.claimed_until = Some(Timestamp::UNIX_EPOCH);
        }
        let saved = world.letters.save(letter).await;
        if let Ok(letter) = &saved {
            let status = letter.status.as_str();
            world.note(format_args!("letter {} {status}", letter.letter_id));
            if letter.claimed_until.is_none() {
                self.calls.told(&letter.letter_id);
            }
        }
        if world.hits(Fault::UnavailableButWritten) {
            return Err(no_answer());
        }
        world.step().await;
        saved
    }

    async fn list(&self, filter: &Filter) -> Result<Vec<LetterSummary>, DeadLettersError> {
        self.asked(self.world.letters.list(filter)).await
    }

    async fn waiting(&self) -> Result<Vec<Waiting>, DeadLettersError> {
        self.asked(self.world.letters.waiting()).await
    }

    async fn parked(&self) -> Result<usize, DeadLettersError> {
        self.asked(self.world.letters.parked()).await
    }
}
