//! Letters in memory, for tests and simulation.

use super::{DeadLetter, DeadLetters, DeadLettersError, Filter, LetterSummary, Status, Waiting};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Dead letters in memory.
#[derive(Debug, Default)]
pub struct InMemoryDeadLetters {
    kept: Mutex<BTreeMap<String, DeadLetter>>,
}

impl InMemoryDeadLetters {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, DeadLetter>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All letters, by id.
    #[must_use]
    pub fn all(&self) -> Vec<DeadLetter> {
        self.lock().values().cloned().collect()
    }
}

impl DeadLetters for InMemoryDeadLetters {
    async fn get(&self, letter_id: &str) -> Result<Option<DeadLetter>, DeadLettersError> {
        Ok(self.lock().get(letter_id).cloned())
    }

    async fn save(&self, mut letter: DeadLetter) -> Result<DeadLetter, DeadLettersError> {
        let mut kept = self.lock();
        let stored = kept.get(&letter.letter_id).map_or(0, |one| one.revision);
        if stored != letter.revision {
            return Err(DeadLettersError::Conflict {
                letter_id: letter.letter_id,
            });
        }
        letter.revision += 1;
        kept.insert(letter.letter_id.clone(), letter.clone());
        Ok(letter)
    }

    async fn list(&self, filter: &Filter) -> Result<Vec<LetterSummary>, DeadLettersError> {
        let kept = self.lock();
        let all = kept.values().map(LetterSummary::of);
        Ok(all.filter(|letter| filter.matches(letter)).collect())
    }

    async fn waiting(&self) -> Result<Vec<Waiting>, DeadLettersError> {
        Ok(self.lock().values().filter_map(Waiting::of).collect())
    }

    async fn parked(&self) -> Result<usize, DeadLettersError> {
        let kept = self.lock();
        let parked = kept.values().filter(|one| one.status == Status::Parked);
        Ok(parked.count())
    }
}
