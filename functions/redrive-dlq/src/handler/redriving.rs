//! Rounds: each due letter's consumer is called once, a stream's letters in the order of its
//! versions, and streams in the order of the times that they wait since. So whatever fails again
//! goes behind everything that was not tried yet, and nobody is passed over for ever.

use super::{CLAIM, Handler, PATIENCE, has_time};
use crate::call::{Call, Counts, Turn};
use crate::config::Consumer;
use crate::ports::Platform;
use aws_adapters::function_calls::{CallError, Called};
use event_sourcing::clock::Clock;
use event_sourcing::dead_letter::{
    Claimed, Class, DeadLetter, DeadLetters, DeadLettersError, Outcome, Status, Waiting,
    after_round, claim, due_in_order, postpone, update,
};
use event_sourcing::failure::Failure;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// Why a letter waits whose consumer could not be called.
const NOT_CALLED: &str = "the platform did not call the consumer";
/// When so many letters of a consumer in a row, none of which had a reason of its own, did not
/// get through, what the consumer needs is down, and its other letters are left for the next call.
/// More than one, for a few may have such a reason and not tell it.
const DOWN_AFTER: u32 = 3;

/// What a turn says of the letter's consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    /// It took a letter.
    Up,
    /// It did not take a letter of which no reason of its own was known.
    Down,
    /// It could not be called.
    NotCalled,
    /// Nothing.
    None,
}

/// How often in a row each consumer did not take a letter.
#[derive(Debug, Default)]
struct InVain(BTreeMap<String, u32>);

impl InVain {
    fn is_down(&self, consumer: &str) -> bool {
        let count = self.0.get(consumer);
        count.is_some_and(|count| *count >= DOWN_AFTER)
    }

    fn note(&mut self, consumer: &str, sign: Sign) {
        let count = self.0.entry(consumer.to_owned()).or_default();
        match sign {
            Sign::Up => *count = 0,
            Sign::Down => *count += 1,
            Sign::NotCalled => *count = DOWN_AFTER,
            Sign::None => {}
        }
    }
}

impl<L: DeadLetters, P: Platform, C: Clock> Handler<L, P, C> {
    /// Redrives what is due.
    ///
    /// # Errors
    /// When the table does not say what is waiting.
    pub(super) async fn redrive(&self, call: &Call, counts: &mut Counts) -> Result<(), Failure> {
        let now = self.clock.now();
        let mut waiting = self.asked_about(call).await?;
        let since = since(&waiting);
        if call.now {
            make_due(&mut waiting, call, now);
        }
        let mut lanes = lanes(call, &waiting, now, counts);
        // Who asks for them at once does not change whose turn it is.
        lanes.sort_by_key(|lane| lane.first().and_then(|first| since.get(&first.letter_id)));
        counts.due = lanes.iter().map(Vec::len).sum();
        if call.dry_run {
            return Ok(());
        }
        let mut in_vain = InVain::default();
        let mut over = false;
        for lane in lanes {
            let mut blocked = false;
            for letter in lane {
                let turn = match self.consumer(&letter.consumer) {
                    Some(_) if in_vain.is_down(&letter.consumer) => Turn::Waiting,
                    Some(_) if blocked => Turn::Behind,
                    Some(consumer) if !over && has_time(PATIENCE) => {
                        let (turn, sign) = self.turn(consumer, letter, call).await;
                        in_vain.note(&letter.consumer, sign);
                        counts.called += usize::from(turn != Turn::Skipped);
                        over = !pause(call.pause()).await;
                        turn
                    }
                    _ => Turn::Skipped,
                };
                blocked |= turn != Turn::Redriven;
                counts.count(call, &letter.letter_id, turn);
            }
        }
        Ok(())
    }

    /// The waiting letters of the consumers that the call is about.
    async fn asked_about(&self, call: &Call) -> Result<Vec<Waiting>, Failure> {
        let waiting = self.letters.waiting().await;
        let mut waiting = waiting.map_err(|error| Failure::from_error(&error))?;
        waiting.retain(|one| call.is_about(&one.consumer));
        Ok(waiting)
    }

    async fn turn(&self, consumer: &Consumer, waiting: &Waiting, call: &Call) -> (Turn, Sign) {
        let turn = match self.claim(&waiting.letter_id, call.now).await {
            Ok(Some(letter)) if letter.status == Status::Waiting => {
                self.round(consumer, letter).await
            }
            Ok(Some(_)) => Ok((Turn::Parked, Sign::None)),
            Ok(None) => Ok((Turn::Skipped, Sign::None)),
            Err(error) => Err(error),
        };
        turn.unwrap_or_else(|error| {
            tracing::error!(letter_id = waiting.letter_id, reason = %error, "not redriven");
            (Turn::Skipped, Sign::None)
        })
    }

    /// Takes hold of a letter, so that no other redriver calls with it; `None` when another has.
    async fn claim(
        &self,
        letter_id: &str,
        at_once: bool,
    ) -> Result<Option<DeadLetter>, DeadLettersError> {
        let now = self.clock.now();
        let until = after(now, CLAIM);
        update(&self.letters, letter_id, |stored| {
            let Some(mut letter) = stored else {
                return Ok(None);
            };
            if at_once {
                letter.due_at = letter.due_at.min(Some(now));
            }
            Ok(match claim(letter, now, until, &self.policy) {
                Claimed::ToCall(letter) | Claimed::Parked(letter) => Some(letter),
                Claimed::NotNow => None,
            })
        })
        .await
    }

    /// Calls the consumer with a claimed letter, and notes what came of it.
    async fn round(
        &self,
        consumer: &Consumer,
        letter: DeadLetter,
    ) -> Result<(Turn, Sign), DeadLettersError> {
        let ids = letter.call_ids();
        let came_to = outcome(self.platform.call(consumer, &letter).await);
        let now = self.clock.now();
        let random = fastrand::f64();
        let noted = update(&self.letters, &letter.letter_id, |stored| {
            // The claim is over, and somebody else decided about the letter.
            let ours = stored.filter(|stored| stored.claimed_until == letter.claimed_until);
            Ok::<_, DeadLettersError>(ours.map(|stored| match &came_to {
                Ok(outcome) => {
                    after_round(stored, &ids, outcome.clone(), &self.policy, random, now)
                }
                Err(_) => postpone(stored, NOT_CALLED.to_owned(), &self.policy, random, now),
            }))
        })
        .await?;
        tell(&letter, &came_to);
        let turn = match noted.map(|noted| noted.status) {
            Some(Status::Redriven) => Turn::Redriven,
            // Given up once more in the meantime: it waits for another round.
            Some(Status::Waiting) if matches!(came_to, Ok(Outcome::Done)) => Turn::Redriven,
            Some(Status::Parked) => Turn::Parked,
            Some(_) if waits(&came_to) => Turn::Waiting,
            Some(_) => Turn::Failed,
            None => Turn::Skipped,
        };
        Ok((turn, sign(&came_to, letter.class)))
    }
}

/// The due letters that the call names. Each lane ends before the first that is not named: what
/// comes after that would pass it.
fn lanes<'w>(
    call: &Call,
    waiting: &'w [Waiting],
    now: Timestamp,
    counts: &mut Counts,
) -> Vec<Vec<&'w Waiting>> {
    for letter in waiting.iter().filter(|one| call.names(&one.letter_id)) {
        let turn = if letter.ready_at > now {
            Turn::NotDue
        } else {
            Turn::Behind
        };
        counts.tell(call, &letter.letter_id, turn);
    }
    let mut lanes = due_in_order(waiting, now);
    for lane in &mut lanes {
        let named = lane.iter().take_while(|one| call.names(&one.letter_id));
        lane.truncate(named.count());
        for letter in lane {
            // Until it had its turn.
            counts.tell(call, &letter.letter_id, Turn::Skipped);
        }
    }
    lanes.retain(|lane| !lane.is_empty());
    lanes
}

/// Waits between two calls; false when there is no time for that and for another call.
async fn pause(pause: Duration) -> bool {
    if pause.is_zero() {
        return true;
    }
    if !has_time(PATIENCE.saturating_add(pause)) {
        return false;
    }
    tokio::time::sleep(pause).await;
    true
}

/// What a call says of the letter; an error, when the platform did not call the consumer.
fn outcome(called: Result<Called, CallError>) -> Result<Outcome, CallError> {
    let failed = |class, cause| Ok(Outcome::Failed { class, cause });
    match called {
        Ok(Called::Answer(answer)) if reports_failures(&answer) => {
            let cause = "the consumer wants the record again; its log says why";
            failed(Class::Transient, cause.to_owned())
        }
        Ok(Called::Answer(_)) => Ok(Outcome::Done),
        Ok(Called::Failed {
            error_type,
            message,
        }) => {
            let class = Class::of_error_type(&error_type);
            if class.as_str() == error_type {
                failed(class, message)
            } else {
                failed(class, format!("{error_type}: {message}"))
            }
        }
        // It will be so each time.
        Err(error @ CallError::Refused { .. }) => failed(Class::Permanent, error.to_string()),
        Err(error) => Err(error),
    }
}

/// What a call with a letter of this class says of its consumer.
fn sign(came_to: &Result<Outcome, CallError>, before: Class) -> Sign {
    match came_to {
        Ok(Outcome::Done) => Sign::Up,
        Ok(_) if waits(came_to) || before == Class::Waiting => Sign::Down,
        Ok(_) => Sign::None,
        Err(_) => Sign::NotCalled,
    }
}

/// Makes the letters that the call names due.
fn make_due(waiting: &mut [Waiting], call: &Call, now: Timestamp) {
    for one in waiting {
        if call.names(&one.letter_id) {
            one.ready_at = one.ready_at.min(now);
        }
    }
}

/// Since when each letter waits for its turn.
fn since(waiting: &[Waiting]) -> BTreeMap<String, Timestamp> {
    let since = waiting
        .iter()
        .map(|one| (one.letter_id.clone(), one.ready_at));
    since.collect()
}

/// Whether a letter waits without a round.
fn waits(came_to: &Result<Outcome, CallError>) -> bool {
    match came_to {
        Ok(Outcome::Failed { class, .. }) => *class == Class::Waiting,
        Ok(Outcome::Done) => false,
        Err(_) => true,
    }
}

/// Whether the answer of a stream's consumer names records that have to come again.
fn reports_failures(answer: &Value) -> bool {
    let failures = answer.get("batchItemFailures").and_then(Value::as_array);
    failures.is_some_and(|failures| !failures.is_empty())
}

fn tell(letter: &DeadLetter, came_to: &Result<Outcome, CallError>) {
    let event_id = letter.event.as_ref().map(|event| event.event_id.as_str());
    let letter_id = &letter.letter_id;
    match came_to {
        Ok(Outcome::Done) => tracing::info!(letter_id, event_id, "letter redriven"),
        Ok(Outcome::Failed { class, cause }) => tracing::warn!(
            letter_id,
            event_id,
            class = class.as_str(),
            cause,
            round = letter.round + 1,
            "round failed"
        ),
        Err(error) => tracing::warn!(letter_id, event_id, reason = %error, "not called"),
    }
}

fn after(now: Timestamp, time: Duration) -> Timestamp {
    SignedDuration::try_from(time)
        .ok()
        .and_then(|time| now.checked_add(time).ok())
        .unwrap_or(Timestamp::MAX)
}
