//! `dlq redrive`: letters are released and their consumers called, a few at a time, until each has
//! had its round.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::time::Duration;

use aws_adapters::function_calls::{CallError, Called};
use event_sourcing::dead_letter::{
    Act, DeadLetter, DeadLetters as _, LetterSummary, Status, release,
};
use redrive_dlq::call::{Counts, Turn};
use serde_json::{Value, json};

use super::Signed;
use super::args::RedriveArgs;
use super::desk::{Acted, Chosen, Desk};
use super::error::DlqError;
use super::report::{Outcome, Report};
use crate::commands::interrupted;
use crate::commands::interruption::Interruption;
use crate::commands::step_by_step::{may_go_again, patiently};
use crate::error::LocalError;

/// The function that redrives.
const REDRIVER: &str = "redrive-dlq";
/// Most letters of one call: after it there is progress to tell.
const AT_ONCE: usize = 25;
/// A call with a rate takes about so long.
const SECONDS_A_CALL: f64 = 10.0;
/// Wait before the letters that had no turn are tried again.
const WAIT: Duration = Duration::from_secs(1);
/// So many times in a row they may have none: a claim of another redriver holds two minutes.
const TRIES: u32 = 150;

/// One command at work.
struct Redrive<'a> {
    desk: &'a Desk<'a>,
    chosen: &'a Chosen,
    signed: &'a Signed,
    rate: Option<f64>,
    /// Whether consumers were called already.
    called: bool,
    report: Report,
    /// Lanes with a letter that waits still; no later one passes it.
    blocked: BTreeSet<(String, String)>,
}

/// Redrives what is chosen.
pub(super) async fn run(
    desk: &Desk<'_>,
    args: &RedriveArgs,
    signed: &Signed,
    interruption: &mut Interruption,
) -> Result<ExitCode, LocalError> {
    if !args.act.dry_run && args.act.choice.letters.is_empty() {
        // What lies in the queues is chosen, too, and no letter redriven.
        let take_in = json!({"letters": []});
        match interruption
            .or(patiently(desk.system, REDRIVER, &take_in))
            .await
        {
            Some(called) => answered(called?).map(drop)?,
            None => return Ok(interrupted()),
        }
    }
    let found = interruption.or(chosen_and_behind(desk, args)).await;
    let Some(found) = found else {
        return Ok(interrupted());
    };
    let (chosen, behind) = found?;
    let mut report = Report::of("redrive", signed, args.act.dry_run, args.act.record.json);
    for (letter, earlier) in behind {
        report.tell(&letter, Outcome::Behind, Some(passes(&earlier)));
    }
    if args.act.dry_run {
        report.would(&chosen.letters);
        report.end();
        return Ok(report.code());
    }
    let mut redrive = Redrive {
        desk,
        chosen: &chosen,
        signed,
        rate: args.rate,
        called: false,
        report,
        blocked: BTreeSet::new(),
    };
    let done = redrive.all(interruption).await;
    redrive.report.end();
    done.map(|()| redrive.report.code())
}

fn passes(earlier: &str) -> String {
    format!("{earlier} of the same stream waits and is earlier; redrive that, too, or close it")
}

/// What is chosen, lane by lane in the order of versions, without those that would pass an earlier
/// letter that waits and is not chosen; and those, each with that letter.
async fn chosen_and_behind(
    desk: &Desk<'_>,
    args: &RedriveArgs,
) -> Result<(Chosen, Vec<(String, String)>), LocalError> {
    let mut chosen = desk.chosen(&args.act.choice).await?;
    chosen
        .letters
        .sort_by_cached_key(|one| (lane(one), one.version()));
    let ids: BTreeSet<_> = chosen
        .letters
        .iter()
        .map(|one| one.letter_id.clone())
        .collect();
    let waiting = desk.letters.waiting().await.map_err(DlqError::from)?;
    let mut first = BTreeMap::new();
    for other in waiting.iter().filter(|one| !ids.contains(&one.letter_id)) {
        let earliest = first.entry(other.lane()).or_insert(other);
        if other.version < earliest.version {
            *earliest = other;
        }
    }
    let mut behind = Vec::new();
    chosen.letters.retain(|letter| {
        let earlier = first.get(&letter.lane());
        let earlier = earlier.filter(|earlier| earlier.version < letter.version());
        if let Some(earlier) = earlier {
            behind.push((letter.letter_id.clone(), earlier.letter_id.clone()));
        }
        earlier.is_none()
    });
    Ok((chosen, behind))
}

impl Redrive<'_> {
    async fn all(&mut self, interruption: &mut Interruption) -> Result<(), LocalError> {
        let total = self.chosen.letters.len();
        let chunk = self.rate.map_or(AT_ONCE, |rate| {
            // From 1 to the most of one call, so nothing is cut off.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let in_time = (rate * SECONDS_A_CALL) as usize;
            in_time.clamp(1, AT_ONCE)
        });
        let left_alone = self.report.len();
        let chosen = self.chosen;
        for letters in chosen.letters.chunks(chunk) {
            let (done, on) = interruption.finish(self.some(letters)).await;
            if done.is_none() {
                self.report.was_interrupted();
                return Ok(());
            }
            done.transpose()?;
            let count = self.report.len() - left_alone;
            let redriven = self.report.count(Outcome::Redriven);
            self.report
                .say(&format!("{count} of {total}: {redriven} redriven"));
            if !on {
                self.report.was_interrupted();
                return Ok(());
            }
        }
        Ok(())
    }

    /// Releases some letters, and waits for their rounds.
    async fn some(&mut self, letters: &[LetterSummary]) -> Result<(), LocalError> {
        let mut pending = BTreeMap::new();
        for letter in letters {
            if self.blocked.contains(&lane(letter)) {
                let why = "an earlier letter of its stream was not redriven; it was left as it is";
                self.tell(letter, Outcome::Behind, Some(why.to_owned()));
                continue;
            }
            let by = self.signed.now();
            let released = self.desk.act(&letter.letter_id, self.chosen, &by, release);
            match released.await? {
                Acted::Done => {
                    pending.insert(letter.letter_id.clone(), letter);
                }
                Acted::Refused(why) => self.tell(letter, Outcome::Refused, Some(why)),
            }
        }
        self.settle(pending).await
    }

    /// Calls the redriver until each of the released letters has had its round.
    async fn settle(
        &mut self,
        mut pending: BTreeMap<String, &LetterSummary>,
    ) -> Result<(), LocalError> {
        let mut tries = 0;
        while !pending.is_empty() {
            let turns = self.turns(&pending).await?;
            let before = pending.len();
            for (id, letter) in pending.clone() {
                let stored = self.desk.letters.get(&id).await.map_err(DlqError::from)?;
                match came_to(turns.get(&id), stored.as_ref()) {
                    // Not for good, while the one before it is still to have its turn.
                    Some((Outcome::Behind, _)) if comes_after_one(letter, &pending) => {}
                    Some((outcome, why)) => {
                        self.tell(letter, outcome, why);
                        pending.remove(&id);
                    }
                    None => {}
                }
            }
            if pending.is_empty() || pending.len() < before {
                tries = 0;
                continue;
            }
            tries += 1;
            if tries == TRIES {
                let why = "it has had no turn yet; it is due, and redriven within the next minutes";
                for letter in std::mem::take(&mut pending).into_values() {
                    self.tell(letter, Outcome::Unfinished, Some(why.to_owned()));
                }
            }
            tokio::time::sleep(WAIT).await;
        }
        Ok(())
    }

    /// One call of the redriver; what it says became of each letter.
    async fn turns(
        &mut self,
        pending: &BTreeMap<String, &LetterSummary>,
    ) -> Result<BTreeMap<String, Turn>, LocalError> {
        let letters: Vec<_> = pending.keys().collect();
        let mut call = json!({"letters": letters, "now": true});
        if let Some(rate) = self.rate {
            call["rate"] = json!(rate);
        }
        if let Some(rate) = self
            .rate
            .filter(|_| std::mem::replace(&mut self.called, true))
        {
            // Also between the last consumer of one call and the first of the next.
            tokio::time::sleep(Duration::from_secs_f64(rate.recip())).await;
        }
        let system = self.desk.system;
        let called = system.calls().call(system.function(REDRIVER)?, &call).await;
        match called {
            // The letters tell how far it got.
            Err(CallError::Unavailable { .. }) => Ok(BTreeMap::new()),
            called if may_go_again(&called) => Ok(BTreeMap::new()),
            called => answered(called?).map(|counts| counts.letters),
        }
    }

    fn tell(&mut self, letter: &LetterSummary, outcome: Outcome, why: Option<String>) {
        if outcome == Outcome::Redriven {
            self.report.note(&letter.letter_id, outcome, why);
            return;
        }
        if outcome != Outcome::Refused {
            self.blocked.insert(lane(letter));
        }
        self.report.tell(&letter.letter_id, outcome, why);
    }
}

/// Whether another of its lane comes before it.
fn comes_after_one(letter: &LetterSummary, pending: &BTreeMap<String, &LetterSummary>) -> bool {
    let mut others = pending.values();
    others.any(|other| other.lane() == letter.lane() && other.version() < letter.version())
}

fn lane(letter: &LetterSummary) -> (String, String) {
    let (consumer, stream) = letter.lane();
    (consumer.to_owned(), stream.to_owned())
}

/// What became of a released letter; none while its round is still to come.
fn came_to(turn: Option<&Turn>, stored: Option<&DeadLetter>) -> Option<(Outcome, Option<String>)> {
    let Some(stored) = stored else {
        return Some((Outcome::Refused, Some("it is gone".to_owned())));
    };
    let cause = Some(stored.cause.clone());
    let last = stored.history.last().map(|entry| entry.act);
    match stored.status {
        Status::Redriven => Some((Outcome::Redriven, None)),
        Status::Parked => Some((
            Outcome::Failed,
            cause.map(|cause| format!("{cause} (parked)")),
        )),
        Status::Resolved | Status::Purged => {
            let why = format!("it was {} meanwhile", stored.status.as_str());
            Some((Outcome::Refused, Some(why)))
        }
        // Its release made it begin anew.
        Status::Waiting if stored.round > 0 => Some((Outcome::Failed, cause)),
        Status::Waiting => match (last, turn) {
            (Some(Act::Postponed), _) | (_, Some(Turn::Waiting)) => Some((Outcome::Waiting, cause)),
            (_, Some(Turn::Behind)) => {
                let why = "an earlier letter of its stream waits; it is redriven after that";
                Some((Outcome::Behind, Some(why.to_owned())))
            }
            _ => None,
        },
    }
}

/// What the redriver counted.
fn answered(called: Called) -> Result<Counts, LocalError> {
    match called {
        Called::Answer(answer) => Ok(read(answer)),
        Called::Failed {
            error_type,
            message,
        } => Err(DlqError::Function {
            function: REDRIVER,
            error_type,
            message,
        }
        .into()),
    }
}

/// An answer that cannot be read says nothing of any letter; the letters themselves do.
fn read(answer: Value) -> Counts {
    serde_json::from_value(answer).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use event_sourcing::dead_letter::{
        Class, Operator, Outcome as Round, Received, RedrivePolicy, after_round, take_in,
    };
    use jiff::Timestamp;

    const POLICY: RedrivePolicy = RedrivePolicy {
        first_delay: Duration::from_mins(1),
        longest_delay: Duration::from_hours(1),
        rounds: 2,
    };

    fn released() -> DeadLetter {
        let at = Timestamp::UNIX_EPOCH;
        let received = Received {
            message_id: "m".to_owned(),
            consumer: "pay".to_owned(),
            class: Class::Permanent,
            cause: "no".to_owned(),
            payload: Value::Null,
            event: None,
            request_id: None,
            attempts: 1,
            first_failed_at: at,
            last_failed_at: at,
            callable: true,
        };
        let by = Operator {
            who: "ada".to_owned(),
            why: "mended".to_owned(),
            at,
        };
        release(take_in(None, received, &POLICY, 1.0, at).unwrap(), &by).unwrap()
    }

    fn after(letter: DeadLetter, class: Class) -> DeadLetter {
        let cause = "again".to_owned();
        let failed = Round::Failed { class, cause };
        after_round(letter, &[], failed, &POLICY, 1.0, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_letter_that_had_no_round_yet_has_come_to_nothing() {
        for turn in [None, Some(&Turn::Skipped), Some(&Turn::NotDue)] {
            assert_eq!(came_to(turn, Some(&released())), None);
        }
        let behind = came_to(Some(&Turn::Behind), Some(&released()));
        assert_eq!(behind.unwrap().0, Outcome::Behind);
    }

    #[test]
    fn what_a_round_came_to_is_told_by_the_letter_whoever_redrove_it() {
        let outcome = |letter: &DeadLetter| came_to(None, Some(letter)).unwrap();
        let failed = after(released(), Class::Permanent);
        assert_eq!(
            outcome(&failed),
            (Outcome::Failed, Some("again".to_owned()))
        );
        let parked = after(failed, Class::Permanent);
        let why = Some("again (parked)".to_owned());
        assert_eq!(outcome(&parked), (Outcome::Failed, why));
        assert_eq!(
            outcome(&after(released(), Class::Waiting)).0,
            Outcome::Waiting
        );
        let now = Timestamp::UNIX_EPOCH;
        let ids = released().call_ids();
        let done = after_round(released(), &ids, Round::Done, &POLICY, 1.0, now);
        assert_eq!(outcome(&done), (Outcome::Redriven, None));
    }
}
