//! What was done to which letter, for people and for programs.

use std::collections::BTreeMap;
use std::process::ExitCode;

use event_sourcing::dead_letter::LetterSummary;
use serde::Serialize;
use serde_json::Value;

use super::Signed;
use crate::commands::{interrupted, say};
use crate::terminal::{Palette, printable};

/// Most letters that a dry run names to people.
const NAMED: usize = 20;

/// What became of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Outcome {
    /// It is meant; a dry run does no more.
    Chosen,
    Redriven,
    Parked,
    Resolved,
    Purged,
    /// Its round failed.
    Failed,
    /// What its consumer needs is down.
    Waiting,
    /// It comes after one of its stream that waits.
    Behind,
    /// It stays as it is.
    Refused,
    /// Nobody knows yet.
    Unfinished,
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Self::Chosen => "chosen",
            Self::Redriven => "redriven",
            Self::Parked => "parked",
            Self::Resolved => "resolved",
            Self::Purged => "purged",
            Self::Failed => "failed",
            Self::Waiting => "waiting",
            Self::Behind => "behind",
            Self::Refused => "refused",
            Self::Unfinished => "unfinished",
        }
    }

    fn is_well(self) -> bool {
        matches!(
            self,
            Self::Chosen | Self::Redriven | Self::Parked | Self::Resolved | Self::Purged
        )
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    letter_id: String,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// What was done; as JSON it is what `--json` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    act: &'static str,
    by: String,
    why: String,
    dry_run: bool,
    interrupted: bool,
    /// What `resolve-payment` answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) payment: Option<Value>,
    counts: BTreeMap<Outcome, usize>,
    letters: Vec<Told>,
    #[serde(skip)]
    as_json: bool,
    #[serde(skip)]
    palette: Palette,
}

impl Report {
    pub(super) fn of(act: &'static str, signed: &Signed, dry_run: bool, as_json: bool) -> Self {
        Self {
            act,
            by: signed.who.clone(),
            why: signed.why.clone(),
            dry_run,
            interrupted: false,
            payment: None,
            counts: BTreeMap::new(),
            letters: Vec::new(),
            as_json,
            palette: Palette::of_stdout(),
        }
    }

    /// Says something to people; programs get the whole at the end.
    pub(super) fn say(&self, line: &str) {
        if !self.as_json {
            say(line);
        }
    }

    /// Notes what became of a letter, and says so.
    pub(super) fn tell(&mut self, letter: &str, outcome: Outcome, reason: Option<String>) {
        let because = reason.as_deref().map(printable).unwrap_or_default();
        let word = format!("{:<10}", outcome.word());
        let word = if outcome.is_well() {
            self.palette.good(&word)
        } else {
            self.palette.bad(&word)
        };
        self.say(format!("{word} {}  {because}", printable(letter)).trim_end());
        self.note(letter, outcome, reason);
    }

    /// Notes it without a word: what went well with many letters is counted.
    pub(super) fn note(&mut self, letter: &str, outcome: Outcome, reason: Option<String>) {
        *self.counts.entry(outcome).or_default() += 1;
        self.letters.push(Told {
            letter_id: letter.to_owned(),
            outcome,
            reason,
        });
    }

    /// Notes the letters that a dry run is about, and says the first of them.
    pub(super) fn would(&mut self, letters: &[LetterSummary]) {
        for (number, letter) in letters.iter().enumerate() {
            if number < NAMED {
                let cause = Some(letter.cause.clone());
                self.tell(&letter.letter_id, Outcome::Chosen, cause);
            } else {
                self.note(
                    &letter.letter_id,
                    Outcome::Chosen,
                    Some(letter.cause.clone()),
                );
            }
        }
        if letters.len() > NAMED {
            self.say(&format!("and {} more", letters.len() - NAMED));
        }
    }

    pub(super) fn dry_run(&self) -> bool {
        self.dry_run
    }

    pub(super) fn was_interrupted(&mut self) {
        self.interrupted = true;
    }

    pub(super) fn count(&self, outcome: Outcome) -> usize {
        self.counts.get(&outcome).copied().unwrap_or_default()
    }

    /// How many letters something became of.
    pub(super) fn len(&self) -> usize {
        self.letters.len()
    }

    /// Says what it came to.
    pub(super) fn end(&self) {
        if self.as_json {
            // It has nothing that JSON does not have.
            say(&serde_json::to_string(self).unwrap_or_default());
            return;
        }
        let counts: Vec<_> = self
            .counts
            .iter()
            .map(|(outcome, count)| format!("{count} {}", outcome.word()))
            .collect();
        let by = printable(&self.by);
        let signed = if self.dry_run {
            "Nothing was changed.".to_owned()
        } else {
            format!("By {by}: {}", printable(&self.why))
        };
        let act = self.act;
        if counts.is_empty() {
            say(&format!("{act}: no letter. {signed}"));
        } else {
            say(&format!("{act}: {}. {signed}", counts.join(", ")));
        }
    }

    pub(super) fn code(&self) -> ExitCode {
        if self.interrupted {
            return interrupted();
        }
        if self.counts.keys().all(|outcome| outcome.is_well()) {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn report() -> Report {
        let signed = Signed {
            who: "ada".to_owned(),
            why: "mended".to_owned(),
        };
        Report::of("redrive", &signed, false, true)
    }

    #[test]
    fn what_programs_read_has_these_names() {
        let mut report = report();
        report.tell("pay/1", Outcome::Redriven, None);
        report.tell("pay/2", Outcome::Failed, Some("no".to_owned()));
        report.note("pay/3", Outcome::Redriven, None);
        report.payment = Some(json!({"status": "confirmed"}));
        assert_eq!(
            serde_json::to_value(&report).unwrap(),
            json!({"act": "redrive", "by": "ada", "why": "mended", "dryRun": false,
                "interrupted": false, "payment": {"status": "confirmed"},
                "counts": {"redriven": 2, "failed": 1},
                "letters": [
                    {"letterId": "pay/1", "outcome": "redriven"},
                    {"letterId": "pay/2", "outcome": "failed", "reason": "no"},
                    {"letterId": "pay/3", "outcome": "redriven"}]})
        );
    }

    #[test]
    fn the_exit_code_is_0_only_when_all_went_well() {
        let mut report = report();
        report.note("pay/1", Outcome::Parked, None);
        assert_eq!(report.code(), ExitCode::SUCCESS);
        report.note("pay/2", Outcome::Behind, None);
        assert_eq!(report.code(), ExitCode::FAILURE);
        report.was_interrupted();
        assert_eq!(report.code(), interrupted());
    }
}
