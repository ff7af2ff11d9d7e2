//! The port to where letters are kept.

use super::{DeadLetter, Filter, LetterSummary, Waiting};
use crate::retry::{Retry, Retryable};
use crate::store::Source;
use std::future::Future;

/// Why a letter was not read or saved.
#[derive(Debug, thiserror::Error)]
pub enum DeadLettersError {
    /// Somebody saved it in between. Get it and decide again.
    #[error("letter {letter_id} was changed in between; get it and decide again")]
    Conflict {
        /// Which letter.
        letter_id: String,
    },
    /// The table did not answer; a letter may be saved or not.
    #[error("the table of dead letters did not answer; get the letter and decide again")]
    Unavailable(#[source] Source),
    /// The letter cannot be kept as it is.
    #[error("letter {letter_id} cannot be kept: {reason}")]
    Refused {
        /// Which letter.
        letter_id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// What is stored is no letter.
    #[error("item {letter_id} of the table of dead letters is no letter: {reason}")]
    Corrupt {
        /// Which item.
        letter_id: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Retryable for DeadLettersError {
    fn retry(&self) -> Retry {
        match self {
            Self::Conflict { .. } => Retry::AfterReload,
            Self::Unavailable(_) => Retry::Later,
            Self::Refused { .. } | Self::Corrupt { .. } => Retry::Never,
        }
    }
}

/// Keeps dead letters.
pub trait DeadLetters: Send + Sync {
    /// The letter with this id, read consistently.
    ///
    /// # Errors
    /// [`DeadLettersError`].
    fn get(
        &self,
        letter_id: &str,
    ) -> impl Future<Output = Result<Option<DeadLetter>, DeadLettersError>> + Send;

    /// Saves a letter over the revision that it has (0: it is new), and gives it back with its
    /// next one.
    ///
    /// An adapter MUST refuse with [`DeadLettersError::Conflict`] when another revision is stored,
    /// and MUST keep a payload of any size that a queue delivers (1 MiB).
    ///
    /// # Errors
    /// [`DeadLettersError`].
    fn save(
        &self,
        letter: DeadLetter,
    ) -> impl Future<Output = Result<DeadLetter, DeadLettersError>> + Send;

    /// The letters that match, by id. An adapter MUST follow every page, and MUST NOT hold more of
    /// a letter than is told of it.
    ///
    /// # Errors
    /// [`DeadLettersError`].
    fn list(
        &self,
        filter: &Filter,
    ) -> impl Future<Output = Result<Vec<LetterSummary>, DeadLettersError>> + Send;

    /// All waiting letters. An adapter MUST follow every page; it MAY be some seconds behind.
    ///
    /// # Errors
    /// [`DeadLettersError`].
    fn waiting(&self) -> impl Future<Output = Result<Vec<Waiting>, DeadLettersError>> + Send;

    /// How many letters are parked. An adapter MUST follow every page; it MAY be some seconds
    /// behind.
    ///
    /// # Errors
    /// [`DeadLettersError`].
    fn parked(&self) -> impl Future<Output = Result<usize, DeadLettersError>> + Send;
}

/// Changes a letter: get, decide, save; when somebody else changed it in between, again. `None`
/// from `decide` leaves it as it is, and is given back.
///
/// # Errors
/// What `decide` gives, or the last [`DeadLettersError`].
#[cfg(feature = "runtime")]
pub async fn update<L, E>(
    letters: &L,
    letter_id: &str,
    decide: impl Fn(Option<DeadLetter>) -> Result<Option<DeadLetter>, E>,
) -> Result<Option<DeadLetter>, E>
where
    L: DeadLetters,
    E: From<DeadLettersError>,
{
    use crate::retry::budget;
    use backon::BackoffBuilder;
    let mut waits = crate::retry::FullJitter::CALL.build();
    loop {
        let error = match letters.get(letter_id).await {
            Ok(stored) => match decide(stored)? {
                None => return Ok(None),
                Some(letter) => match letters.save(letter).await {
                    Ok(saved) => return Ok(Some(saved)),
                    Err(error) => error,
                },
            },
            Err(error) => error,
        };
        match waits.next() {
            Some(wait) if error.retry() != Retry::Never && budget::allows(wait) => {
                tokio::time::sleep(wait).await;
            }
            _ => return Err(error.into()),
        }
    }
}
