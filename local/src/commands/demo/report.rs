//! What became of the samples: timelines, and a table of expected and actual.

use std::collections::BTreeMap;

use event_sourcing::envelope::Envelope;
use invariants::{ORDER_STREAM, StoreView, Verdict, summary};

use super::sample::Sample;
use crate::terminal::{Palette, Printer, milliseconds, printable};

/// A sample that went its way.
#[derive(Debug)]
pub(super) struct Outcome {
    pub sample: Sample,
    pub order: String,
    /// Whether the API accepted it.
    pub accepted: bool,
    /// What the API did not answer as it should.
    pub trouble: Vec<String>,
}

/// Prints everything; whether all is as expected.
pub(super) fn print(
    printer: &Printer,
    outcomes: &[Outcome],
    view: &StoreView,
    dead_letters: &BTreeMap<String, usize>,
) -> bool {
    let palette = printer.palette();
    for outcome in outcomes {
        print_timeline(printer, outcome, history(view, &outcome.order), palette);
    }
    printer.line("");
    let judged: Vec<Judged<'_>> = outcomes
        .iter()
        .map(|outcome| Judged::of(outcome, history(view, &outcome.order)))
        .collect();
    print_table(printer, &judged, palette);
    let all_well = judged.iter().all(|one| one.wrongs.is_empty());
    printer.line("");
    if dead_letters.is_empty() {
        printer.line("No dead letters.");
    }
    for (queue, messages) in dead_letters {
        printer.line(palette.bad(&format!("{messages} dead letters in {queue}")));
    }
    all_well && dead_letters.is_empty()
}

/// Prints what is broken of the invariants, or that none is; whether that is so.
pub(super) fn print_invariants(printer: &Printer, verdicts: &[Verdict]) -> bool {
    let palette = printer.palette();
    let broken = invariants::broken(verdicts);
    if broken.is_empty() {
        let count = verdicts.len();
        printer.line(palette.good(&format!("All {count} invariants hold.")));
    }
    for verdict in &broken {
        printer.line(palette.bad(verdict));
    }
    broken.is_empty()
}

/// One line of the table.
struct Judged<'o> {
    name: &'o str,
    expected: String,
    actual: String,
    wrongs: Vec<String>,
}

impl<'o> Judged<'o> {
    fn of(outcome: &'o Outcome, history: &[Envelope]) -> Self {
        let expect = &outcome.sample.expect;
        let (actual, wrongs) = judge(outcome, history);
        Self {
            name: &outcome.sample.name,
            expected: described(&expect.status, expect.reason.as_deref()),
            actual,
            wrongs,
        }
    }
}

fn print_table(printer: &Printer, judged: &[Judged<'_>], palette: Palette) {
    let widest = |of: fn(&Judged<'_>) -> usize| judged.iter().map(of).max().unwrap_or(0).max(8);
    let first = widest(|one| one.name.chars().count());
    let second = widest(|one| one.expected.chars().count());
    let third = widest(|one| one.actual.chars().count());
    let header = format!("{:<first$}  {:<second$}  actual", "sample", "expected");
    printer.line(palette.bold(&header));
    for one in judged {
        let mark = if one.wrongs.is_empty() {
            palette.good("as expected")
        } else {
            palette.bad("NOT as expected")
        };
        let (expected, actual) = (&one.expected, &one.actual);
        let line = format!(
            "{:<first$}  {expected:<second$}  {actual:<third$}  {mark}",
            one.name
        );
        printer.line(line);
        for wrong in &one.wrongs {
            let wrong = printable(wrong);
            printer.line(palette.bad(&format!("{:<first$}  {wrong}", "")));
        }
    }
}

fn history<'v>(view: &'v StoreView, order: &str) -> &'v [Envelope] {
    let stream = format!("{ORDER_STREAM}{order}");
    view.streams.get(&stream).map_or(&[], Vec::as_slice)
}

fn print_timeline(printer: &Printer, outcome: &Outcome, history: &[Envelope], palette: Palette) {
    let sample = &outcome.sample;
    printer.line("");
    let heading = format!("{}: {}", sample.name, sample.note);
    printer.line(palette.bold(&heading));
    printer.line(palette.dim(&format!("  order {}", outcome.order)));
    // Another producer's event has a time of its own; the first of ours counts then.
    let start = history.iter().map(Envelope::at).find(|at| {
        history
            .last()
            .is_some_and(|last| last.at().duration_since(*at).as_hours() < 1)
    });
    for event in history {
        let offset = start.map(|start| event.at().duration_since(start));
        let offset = offset.and_then(|offset| std::time::Duration::try_from(offset).ok());
        let offset = offset.map_or_else(
            || event.timestamp.clone(),
            |offset| format!("+{}", milliseconds(offset)),
        );
        let version = event.version.unwrap_or_default();
        printer.line(format!("  {version:>3}  {:<28} {offset:>12}", name(event)));
    }
}

/// The event's type, with its reason where the type alone does not say what happened.
fn name(event: &Envelope) -> String {
    match event.data["reason"].as_str() {
        Some(reason) if event.event_type == "InventoryUpdated" => {
            format!("{}({reason})", event.event_type)
        }
        _ => event.event_type.clone(),
    }
}

fn described(status: &str, reason: Option<&str>) -> String {
    reason.map_or_else(
        || status.to_owned(),
        |reason| format!("{status} ({reason})"),
    )
}

/// The outcome in words, and what is wrong with it.
fn judge(outcome: &Outcome, history: &[Envelope]) -> (String, Vec<String>) {
    let expect = &outcome.sample.expect;
    let mut wrongs = outcome.trouble.clone();
    let row = summary(history);
    let status = row
        .as_ref()
        .and_then(|row| serde_json::to_value(row.status).ok())
        .and_then(|status| status.as_str().map(str::to_owned))
        .unwrap_or_else(|| "not stored".to_owned());
    let reason = row.and_then(|row| row.reason);
    if status != expect.status {
        wrongs.push(format!("it is {status}"));
    }
    let gives = reason.as_deref().unwrap_or_default();
    if expect
        .reason
        .as_ref()
        .is_some_and(|expected| !gives.contains(expected.as_str()))
    {
        wrongs.push(format!("its reason is {gives:?}"));
    }
    let events: Vec<String> = history.iter().map(name).collect();
    if !same_events(&events, &expect.events) {
        wrongs.push(format!("its events are {}", events.join(", ")));
        wrongs.push(format!("expected were  {}", expect.events.join(", ")));
    }
    (described(&status, reason.as_deref()), wrongs)
}

/// After the end of an order, its stock and its money go back at the same time: those two may
/// change places, everything else may not.
fn same_events(actual: &[String], expected: &[String]) -> bool {
    let normal = |events: &[String]| {
        let mut events = events.to_vec();
        for index in 1..events.len() {
            if events[index - 1] == "PaymentRefunded"
                && events[index] == "InventoryUpdated(released)"
            {
                events.swap(index - 1, index);
            }
        }
        events
    };
    normal(actual) == normal(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn refund_and_release_may_change_places_and_nothing_else_may() {
        let one = events(&[
            "OrderCancelled",
            "InventoryUpdated(released)",
            "PaymentRefunded",
        ]);
        let other = events(&[
            "OrderCancelled",
            "PaymentRefunded",
            "InventoryUpdated(released)",
        ]);
        assert!(same_events(&one, &other));
        let wrong = events(&[
            "PaymentRefunded",
            "OrderCancelled",
            "InventoryUpdated(released)",
        ]);
        assert!(!same_events(&one, &wrong));
    }
}
