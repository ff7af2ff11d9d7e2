//! Rounds: a letter is claimed, its consumer called, the outcome noted.

use super::{Act, Class, DeadLetter, Status};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// Who redrives, in histories.
pub const REDRIVER: &str = "redrive-dlq";

/// When the rounds of a letter are, and how many it has.
///
/// Between them it is waited, from `first_delay` on, twice as long each time up to
/// `longest_delay`; half of the wait is fixed and half is random. Purely random waits, as between
/// the attempts of one call, could use rounds up within seconds; fixed ones would call with
/// everything that one outage gave up at the same moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedrivePolicy {
    /// Longest wait before the first round.
    pub first_delay: Duration,
    /// Longest wait before any round.
    pub longest_delay: Duration,
    /// After so many failed rounds a letter is parked.
    pub rounds: u32,
}

impl RedrivePolicy {
    /// When the round after `failed` failed ones is; `random` is from 0 to 1.
    #[must_use]
    pub fn due_after(&self, failed: u32, random: f64, now: Timestamp) -> Timestamp {
        let factor = 2_u32.saturating_pow(failed);
        let longest = self
            .first_delay
            .saturating_mul(factor)
            .min(self.longest_delay.max(self.first_delay));
        let wait = longest.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0);
        SignedDuration::try_from(wait)
            .ok()
            .and_then(|wait| now.checked_add(wait).ok())
            .unwrap_or(Timestamp::MAX)
    }
}

/// What a round came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The consumer took it.
    Done,
    /// The consumer failed.
    Failed {
        /// How.
        class: Class,
        /// Why.
        cause: String,
    },
}

/// What a redriver may do with a letter.
#[derive(Debug, Clone, PartialEq)]
pub enum Claimed {
    /// Save it, and once that is done, call its consumer.
    ToCall(DeadLetter),
    /// Save it; its rounds are over.
    Parked(DeadLetter),
    /// Leave it: it does not wait, is not due, or another redriver is at it.
    NotNow,
}

/// Claims a letter for one call of its consumer, until `until`.
///
/// A claim that ended without an outcome counts as a round: its redriver died, or was cut off, and
/// nobody knows that it was not because of this letter.
#[must_use]
pub fn claim(
    mut letter: DeadLetter,
    now: Timestamp,
    until: Timestamp,
    policy: &RedrivePolicy,
) -> Claimed {
    if letter.ready_at().is_none_or(|ready| ready > now) {
        return Claimed::NotNow;
    }
    if letter.claimed_until.take().is_some() {
        let cause = "its redriver ended before it told an outcome".to_owned();
        count_failed(&mut letter, cause, now);
        if letter.round >= policy.rounds {
            park_spent(&mut letter, now);
            return Claimed::Parked(letter);
        }
    }
    letter.claimed_until = Some(until);
    Claimed::ToCall(letter)
}

/// The letter after a round, in which its consumer was called with these ids.
///
/// What was given up since the call began is not done with it: the consumer did not know of that
/// call. Then the letter waits for another round.
#[must_use]
pub fn after_round(
    mut letter: DeadLetter,
    called_with: &[String],
    outcome: Outcome,
    policy: &RedrivePolicy,
    random: f64,
    now: Timestamp,
) -> DeadLetter {
    letter.attempts = letter.attempts.saturating_add(1);
    match outcome {
        Outcome::Done => {
            letter.note(now, REDRIVER, Act::Redriven, "the consumer took it");
            let is_left = |id: &String| !called_with.contains(id);
            if letter.request_ids.iter().any(is_left) {
                letter.request_ids.retain(is_left);
                letter.round = 0;
                letter.wait_until(policy.due_after(0, random, now));
            } else {
                letter.rest_as(Status::Redriven);
            }
            letter
        }
        Outcome::Failed {
            class: Class::Waiting,
            cause,
        } => {
            letter.failed(Class::Waiting, &cause, now);
            postpone(letter, cause, policy, random, now)
        }
        Outcome::Failed { class, cause } => {
            letter.failed(class, &cause, now);
            count_failed(&mut letter, cause, now);
            if letter.round >= policy.rounds {
                park_spent(&mut letter, now);
            } else {
                letter.wait_until(policy.due_after(letter.round, random, now));
            }
            letter
        }
    }
}

/// A letter whose round cannot be now, for what its consumer needs is down: no round is used up.
/// It is tried again after the first delay, so that it goes on soon after that is up again.
#[must_use]
pub fn postpone(
    mut letter: DeadLetter,
    why: String,
    policy: &RedrivePolicy,
    random: f64,
    now: Timestamp,
) -> DeadLetter {
    letter.wait_until(policy.due_after(0, random, now));
    letter.note(now, REDRIVER, Act::Postponed, why);
    letter
}

fn count_failed(letter: &mut DeadLetter, cause: String, now: Timestamp) {
    letter.round = letter.round.saturating_add(1);
    letter.note(now, REDRIVER, Act::RoundFailed, cause);
}

fn park_spent(letter: &mut DeadLetter, now: Timestamp) {
    letter.rest_as(Status::Parked);
    let note = format!("{} rounds failed; an operator decides", letter.round);
    letter.note(now, REDRIVER, Act::Parked, note);
}
