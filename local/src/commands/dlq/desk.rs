//! The letters of a system: finding those that are meant, and changing one.

use std::collections::BTreeMap;

use aws_adapters::dynamodb_dead_letters::DynamoDbDeadLetters;
use event_sourcing::dead_letter::{
    ActRefused, DeadLetter, DeadLetters as _, DeadLettersError, Filter, LetterSummary, Operator,
    update,
};

use super::args::ChoiceArgs;
use super::error::DlqError;
use crate::commands::system::{System, SystemError};
use crate::error::LocalError;
use crate::terminal::printable;

/// Most letters that an error names.
const CANDIDATES: usize = 8;
/// No id is longer, in bytes: it is the key of an item.
const MAX_ID_BYTES: usize = 2048;

/// What an operator does with a letter, decided.
pub(super) type Deciding = fn(DeadLetter, &Operator) -> Result<DeadLetter, ActRefused>;

/// The letters of a system.
pub(super) struct Desk<'s> {
    pub(super) system: &'s System,
    pub(super) letters: DynamoDbDeadLetters,
}

/// The letters that are meant.
pub(super) struct Chosen {
    pub(super) letters: Vec<LetterSummary>,
    /// By which they were chosen; none when they were named.
    filter: Option<Filter>,
}

impl Chosen {
    /// These, whatever they are when it comes to them.
    pub(super) fn named(letters: Vec<LetterSummary>) -> Self {
        Self {
            letters,
            filter: None,
        }
    }
}

/// What came of changing a letter.
pub(super) enum Acted {
    Done,
    /// It stays as it is, for this reason.
    Refused(String),
}

/// Why a letter is not changed.
enum Left {
    Refused(ActRefused),
    /// It is not any more what was chosen.
    Changed,
    Letters(DeadLettersError),
}

impl From<DeadLettersError> for Left {
    fn from(error: DeadLettersError) -> Self {
        Self::Letters(error)
    }
}

impl<'s> Desk<'s> {
    pub(super) fn of(system: &'s System) -> Result<Self, SystemError> {
        Ok(Self {
            system,
            letters: system.dead_letters()?,
        })
    }

    /// The letters that a filter means, whose consumer must be one.
    pub(super) async fn matching(&self, filter: &Filter) -> Result<Vec<LetterSummary>, LocalError> {
        let consumers = self.system.queues()?;
        if let Some(name) = filter
            .consumer
            .as_ref()
            .filter(|one| !consumers.contains_key(*one))
        {
            let known: Vec<_> = consumers.keys().map(String::as_str).collect();
            return Err(DlqError::UnknownConsumer {
                name: name.clone(),
                known: known.join(", "),
            }
            .into());
        }
        Ok(self.letters.list(filter).await.map_err(DlqError::from)?)
    }

    /// The letters that are named, whatever their state, or the open ones that match.
    pub(super) async fn chosen(&self, choice: &ChoiceArgs) -> Result<Chosen, LocalError> {
        if !choice.letters.is_empty() {
            return Ok(Chosen::named(self.named(&choice.letters).await?));
        }
        let filter = choice.filter();
        let letters = self.matching(&filter).await?;
        if letters.is_empty() {
            let queued = self.told_of_queues().await;
            return Err(DlqError::NothingMatches(queued).into());
        }
        Ok(Chosen {
            letters,
            filter: Some(filter),
        })
    }

    /// The letter with this id, or the only one that begins so.
    pub(super) async fn find(&self, part: &str) -> Result<DeadLetter, DlqError> {
        let named = self.named(&[part.to_owned()]).await?;
        let id = named
            .first()
            .map_or(part, |letter| letter.letter_id.as_str());
        let letter = self.letters.get(id).await?;
        letter.ok_or_else(|| DlqError::NoLetter(part.to_owned()))
    }

    /// Each once, in the order of their ids.
    async fn named(&self, parts: &[String]) -> Result<Vec<LetterSummary>, DlqError> {
        let mut found = BTreeMap::new();
        let mut all = None;
        for part in parts {
            if part.is_empty() || part.len() > MAX_ID_BYTES {
                return Err(DlqError::NoLetter(part.clone()));
            }
            let letter = if let Some(letter) = self.letters.get(part).await? {
                LetterSummary::of(&letter)
            } else {
                let all = match &mut all {
                    Some(all) => all,
                    none => none.insert(self.letters.list(&Filter::default()).await?),
                };
                the_one(all, part)?.clone()
            };
            found.insert(letter.letter_id.clone(), letter);
        }
        Ok(found.into_values().collect())
    }

    /// Changes a letter as `decide` says, unless it is not any more what was chosen.
    pub(super) async fn act(
        &self,
        id: &str,
        chosen: &Chosen,
        by: &Operator,
        decide: Deciding,
    ) -> Result<Acted, DlqError> {
        let changed = update(&self.letters, id, |stored| {
            let Some(stored) = stored else {
                return Err(Left::Changed);
            };
            // The answer to an earlier attempt was lost.
            let last = stored.history.last();
            if last.is_some_and(|last| last.at == by.at && last.by == by.who) {
                return Ok(None);
            }
            let summary = LetterSummary::of(&stored);
            if !chosen
                .filter
                .as_ref()
                .is_none_or(|filter| filter.matches(&summary))
            {
                return Err(Left::Changed);
            }
            decide(stored, by).map(Some).map_err(Left::Refused)
        });
        match changed.await {
            Ok(_) => Ok(Acted::Done),
            Err(Left::Refused(why)) => Ok(Acted::Refused(why.to_string())),
            Err(Left::Changed) => {
                let why = "it changed meanwhile, and is not among those chosen any more";
                Ok(Acted::Refused(why.to_owned()))
            }
            Err(Left::Letters(error)) => Err(error.into()),
        }
    }

    /// How many messages lie in each consumer's queue.
    pub(super) async fn in_queues(&self) -> Result<BTreeMap<String, u64>, LocalError> {
        let mut counts = BTreeMap::new();
        for (consumer, url) in self.system.queues()? {
            let queue = self.system.connection().dead_letter_queue(url);
            let count = queue.count().await.map_err(DlqError::from)?;
            counts.insert(consumer.clone(), count);
        }
        Ok(counts)
    }

    /// A remark on messages that are no letters yet; none where there are none, or where it is not
    /// known.
    async fn told_of_queues(&self) -> String {
        let counts = self.in_queues().await.unwrap_or_default();
        match queued(&counts) {
            Some(queued) => format!(". {queued}"),
            None => String::new(),
        }
    }
}

/// A sentence on messages that are no letters yet.
pub(super) fn queued(counts: &BTreeMap<String, u64>) -> Option<String> {
    let some: Vec<_> = counts
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(consumer, count)| format!("{consumer} {count}"))
        .collect();
    let sum: u64 = counts.values().sum();
    let (messages, they) = if sum == 1 {
        ("message lies", "it")
    } else {
        ("messages lie", "them")
    };
    (sum > 0).then(|| {
        format!(
            "{sum} {messages} in queues and no letter yet ({}); redrive-dlq takes {they} in every \
             minute.",
            some.join(", ")
        )
    })
}

/// The only letter whose id, or what is behind its slash, begins so.
fn the_one<'l>(all: &'l [LetterSummary], part: &str) -> Result<&'l LetterSummary, DlqError> {
    let begins = |letter: &&LetterSummary| {
        let id = &letter.letter_id;
        let behind = id.split_once('/').map(|(_, behind)| behind);
        id.starts_with(part) || behind.is_some_and(|behind| behind.starts_with(part))
    };
    let found: Vec<_> = all.iter().filter(begins).collect();
    let (first, others) = found
        .split_first()
        .ok_or_else(|| DlqError::NoLetter(part.to_owned()))?;
    if others.is_empty() {
        return Ok(first);
    }
    let named = found.iter().take(CANDIDATES);
    let mut candidates: Vec<_> = named.map(|letter| printable(&letter.letter_id)).collect();
    if found.len() > CANDIDATES {
        candidates.push(format!("and {} more", found.len() - CANDIDATES));
    }
    Err(DlqError::Ambiguous {
        part: part.to_owned(),
        candidates: candidates.join(", "),
    })
}

#[cfg(test)]
mod tests {
    use super::super::listing::tests::letter;
    use super::*;

    #[test]
    fn a_letter_is_named_by_any_beginning_that_no_other_has() {
        let all = [letter("pay/ab1"), letter("pay/ab2"), letter("tell/ab1")];
        let id = |part| the_one(&all, part).map(|one| one.letter_id.as_str());
        assert_eq!(id("pay/ab1").unwrap(), "pay/ab1");
        assert_eq!(id("t").unwrap(), "tell/ab1");
        assert_eq!(id("ab2").unwrap(), "pay/ab2");
        let ambiguous = id("ab1").unwrap_err().to_string();
        assert!(ambiguous.contains("pay/ab1, tell/ab1"), "{ambiguous}");
        assert!(matches!(id("b1"), Err(DlqError::NoLetter(_))));
        let many: Vec<_> = (0..10).map(|n| letter(&format!("pay/{n}"))).collect();
        let bounded = the_one(&many, "pay").unwrap_err().to_string();
        assert!(bounded.contains("and 2 more"), "{bounded}");
    }

    #[test]
    fn messages_that_are_no_letters_yet_are_told_by_consumer() {
        let counts =
            |pay, tell| BTreeMap::from([("pay".to_owned(), pay), ("tell".to_owned(), tell)]);
        assert_eq!(queued(&counts(0, 0)), None);
        let told = queued(&counts(2, 0)).unwrap();
        assert!(
            told.starts_with("2 messages lie in queues and no letter yet (pay 2)"),
            "{told}"
        );
    }
}
