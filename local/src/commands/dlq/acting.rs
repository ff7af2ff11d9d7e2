//! `dlq park` and `dlq purge`: letter after letter, each act noted in its history.

use std::collections::BTreeMap;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;

use event_sourcing::dead_letter::{LetterSummary, park as parked, purge as purged};

use super::Signed;
use super::args::{ActArgs, PurgeArgs};
use super::desk::{Acted, Chosen, Deciding, Desk};
use super::error::DlqError;
use super::report::{Outcome, Report};
use crate::commands::interruption::Interruption;
use crate::commands::{interrupted, say};
use crate::error::LocalError;
use crate::terminal::printable;

/// Parks what is chosen.
pub(super) async fn park(
    desk: &Desk<'_>,
    args: &ActArgs,
    signed: &Signed,
    interruption: &mut Interruption,
) -> Result<ExitCode, LocalError> {
    let Some(chosen) = interruption.or(desk.chosen(&args.choice)).await else {
        return Ok(interrupted());
    };
    let report = Report::of("park", signed, args.dry_run, args.record.json);
    let act = (parked as Deciding, Outcome::Parked);
    each(desk, &chosen?, signed, act, report, interruption).await
}

/// Drops what is chosen, once somebody said yes.
pub(super) async fn purge(
    desk: &Desk<'_>,
    args: &PurgeArgs,
    signed: &Signed,
    interruption: &mut Interruption,
) -> Result<ExitCode, LocalError> {
    let Some(chosen) = interruption.or(desk.chosen(&args.act.choice)).await else {
        return Ok(interrupted());
    };
    let chosen = chosen?;
    let report = Report::of("purge", signed, args.act.dry_run, args.act.record.json);
    if !args.act.dry_run && !args.yes {
        let Some(agreed) = interruption.or(agreed(&chosen.letters)).await else {
            return Ok(interrupted());
        };
        if !agreed? {
            say("Nothing was purged.");
            return Ok(ExitCode::FAILURE);
        }
    }
    let act = (purged as Deciding, Outcome::Purged);
    each(desk, &chosen, signed, act, report, interruption).await
}

/// Acts on one letter after the other; what was begun with one comes to its end.
async fn each(
    desk: &Desk<'_>,
    chosen: &Chosen,
    signed: &Signed,
    act: (Deciding, Outcome),
    mut report: Report,
    interruption: &mut Interruption,
) -> Result<ExitCode, LocalError> {
    if report.dry_run() {
        report.would(&chosen.letters);
        report.end();
        return Ok(report.code());
    }
    let mut failed = None;
    for letter in &chosen.letters {
        let by = signed.now();
        let acted = desk.act(&letter.letter_id, chosen, &by, act.0);
        let (acted, on) = interruption.finish(acted).await;
        match acted {
            Some(Ok(acted)) => report.acted(&letter.letter_id, acted, act.1),
            Some(Err(error)) => failed = Some(error),
            None => report.tell(&letter.letter_id, Outcome::Unfinished, None),
        }
        if !on {
            report.was_interrupted();
        }
        if !on || failed.is_some() {
            break;
        }
    }
    report.end();
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(report.code()),
    }
}

impl Report {
    /// Tells what came of an act.
    pub(super) fn acted(&mut self, letter: &str, acted: Acted, done: Outcome) {
        match acted {
            Acted::Done => self.tell(letter, done, None),
            Acted::Refused(why) => self.tell(letter, Outcome::Refused, Some(why)),
        }
    }
}

/// Says what is lost, and asks.
async fn agreed(letters: &[LetterSummary]) -> Result<bool, DlqError> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(DlqError::NobodyToAsk);
    }
    let question = format!("{}\nType yes to purge: ", lost(letters).join("\n"));
    let _ = write!(std::io::stderr().lock(), "{question}");
    let answer = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        read.map(|_| line).unwrap_or_default()
    });
    Ok(answer.await.is_ok_and(|answer| answer.trim() == "yes"))
}

/// What is lost, by consumer and type of event.
fn lost(letters: &[LetterSummary]) -> Vec<String> {
    let mut lost: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for letter in letters {
        let event = letter.event.as_ref();
        let event = event.map_or("message that is no event", |event| {
            event.event_type.as_str()
        });
        *lost.entry((letter.consumer.as_str(), event)).or_default() += 1;
    }
    let count = letters.len();
    let mut lines = vec![format!("{count} messages are lost for good:")];
    lines.extend(lost.into_iter().map(|((consumer, event), count)| {
        let (consumer, event) = (printable(consumer), printable(event));
        format!("  {consumer} never handles {count} × {event}")
    }));
    lines
}

#[cfg(test)]
mod tests {
    use super::super::listing::tests::letter;
    use super::*;

    #[test]
    fn what_is_lost_is_said_by_consumer_and_event() {
        let mut garbage = letter("pay/3");
        garbage.event = None;
        let told = lost(&[letter("pay/1"), letter("pay/2"), garbage]);
        assert_eq!(
            told,
            [
                "3 messages are lost for good:",
                "  pay never handles 2 × OrderPlaced",
                "  pay never handles 1 × message that is no event"
            ]
        );
    }
}
