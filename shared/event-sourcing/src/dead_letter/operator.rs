//! What an operator does with a letter; every act is noted with who and why.

use super::{Act, DeadLetter, Status};
use jiff::Timestamp;

/// Who acts, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// Who.
    pub who: String,
    /// Why.
    pub why: String,
    /// When.
    pub at: Timestamp,
}

/// Why an operator's act was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActRefused {
    /// Nothing is to happen to it any more.
    #[error("letter {letter_id} is {status} already; only a waiting or parked one can be changed")]
    Closed {
        /// Which letter.
        letter_id: String,
        /// What it is.
        status: &'static str,
    },
    /// A redriver is at it.
    #[error("letter {letter_id} is being redriven, until {until} at the latest; try again then")]
    Claimed {
        /// Which letter.
        letter_id: String,
        /// Until when.
        until: Timestamp,
    },
}

/// Keeps a letter from being redriven.
///
/// # Errors
/// [`ActRefused`].
pub fn park(letter: DeadLetter, by: &Operator) -> Result<DeadLetter, ActRefused> {
    rest(letter, by, Status::Parked, Act::Parked)
}

/// Drops a letter: its message is lost by intent.
///
/// # Errors
/// [`ActRefused`].
pub fn purge(letter: DeadLetter, by: &Operator) -> Result<DeadLetter, ActRefused> {
    rest(letter, by, Status::Purged, Act::Purged)
}

/// Closes a letter whose matter was settled in another way.
///
/// # Errors
/// [`ActRefused`].
pub fn resolve(letter: DeadLetter, by: &Operator) -> Result<DeadLetter, ActRefused> {
    rest(letter, by, Status::Resolved, Act::Resolved)
}

/// Makes a letter due now, with all its rounds before it: the cause is thought to be mended.
///
/// # Errors
/// [`ActRefused`].
pub fn release(letter: DeadLetter, by: &Operator) -> Result<DeadLetter, ActRefused> {
    let mut letter = free(letter, by)?;
    letter.round = 0;
    letter.wait_until(by.at);
    letter.note(by.at, &by.who, Act::Released, by.why.as_str());
    Ok(letter)
}

fn rest(
    letter: DeadLetter,
    by: &Operator,
    status: Status,
    act: Act,
) -> Result<DeadLetter, ActRefused> {
    let mut letter = free(letter, by)?;
    letter.rest_as(status);
    letter.note(by.at, &by.who, act, by.why.as_str());
    Ok(letter)
}

fn free(letter: DeadLetter, by: &Operator) -> Result<DeadLetter, ActRefused> {
    if !letter.status.is_open() {
        return Err(ActRefused::Closed {
            status: letter.status.as_str(),
            letter_id: letter.letter_id,
        });
    }
    match letter.claimed_until {
        Some(until) if until > by.at => Err(ActRefused::Claimed {
            letter_id: letter.letter_id,
            until,
        }),
        _ => Ok(letter),
    }
}
