//! `dlq show`: everything about one letter.

use std::process::ExitCode;

use event_sourcing::dead_letter::{Act, DeadLetter, Status};
use jiff::Timestamp;

use super::args::ShowArgs;
use super::desk::Desk;
use super::listing::time;
use crate::commands::say;
use crate::commands::table::Table;
use crate::error::LocalError;
use crate::terminal::{Palette, printable};

/// Shows the letter.
pub(super) async fn run(desk: &Desk<'_>, args: &ShowArgs) -> Result<ExitCode, LocalError> {
    let letter = desk.find(&args.letter).await?;
    if args.json {
        say(&serde_json::to_string(&letter).unwrap_or_default());
    } else {
        for line in to_lines(&letter, Timestamp::now(), Palette::of_stdout()) {
            say(&line);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn to_lines(letter: &DeadLetter, now: Timestamp, palette: Palette) -> Vec<String> {
    let mut lines = vec![palette.bold(&printable(&letter.letter_id))];
    let mut item = |name: &str, said: &str| {
        lines.push(format!("  {name:<9} {}", printable(said)));
    };
    item("status", &status(letter, now));
    item("class", letter.class.as_str());
    item("cause", &letter.cause);
    let failed = format!(
        "{}, the first at {}, the last at {} UTC",
        letter.attempts,
        time(letter.first_failed_at),
        time(letter.last_failed_at)
    );
    item("attempts", &failed);
    item("rounds", &format!("{} failed", letter.round));
    if let Some(event) = &letter.event {
        let stream = event.stream_id.as_ref().map(|stream| {
            let version = event.version.map(|version| format!(" v{version}"));
            format!(", {stream}{}", version.unwrap_or_default())
        });
        let stream = stream.unwrap_or_default();
        item(
            "event",
            &format!("{} {}{stream}", event.event_type, event.event_id),
        );
    }
    item("calls", &letter.request_ids.join(", "));
    item("messages", &letter.messages.join(", "));
    lines.push(String::new());
    lines.extend(history(letter, palette));
    lines.push(String::new());
    lines.push(palette.dim("payload"));
    lines.extend(payload(letter));
    lines
}

fn status(letter: &DeadLetter, now: Timestamp) -> String {
    let status = letter.status.as_str();
    match (letter.status, letter.due_at) {
        _ if letter.is_claimed(now) => format!("{status}; it is being redriven"),
        (Status::Waiting, Some(due)) => format!("{status}; its next round is at {} UTC", time(due)),
        _ => status.to_owned(),
    }
}

fn history(letter: &DeadLetter, palette: Palette) -> Vec<String> {
    let mut table = Table::of(&["at (UTC)", "by", "what", ">times", "note"]);
    for entry in &letter.history {
        table.row([
            time(entry.at),
            printable(&entry.by),
            word(entry.act).to_owned(),
            entry.times.to_string(),
            printable(&entry.note),
        ]);
    }
    table.lines(palette)
}

fn word(act: Act) -> &'static str {
    match act {
        Act::TakenIn => "taken in",
        Act::GivenUpAgain => "given up again",
        Act::RoundFailed => "round failed",
        Act::Postponed => "postponed",
        Act::Redriven => "redriven",
        Act::Parked => "parked",
        Act::Released => "released",
        Act::Resolved => "resolved",
        Act::Purged => "purged",
        Act::LeftOut => "left out",
    }
}

fn payload(letter: &DeadLetter) -> Vec<String> {
    let text = serde_json::to_string_pretty(&letter.payload).unwrap_or_default();
    text.lines().map(printable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use event_sourcing::dead_letter::{Class, Operator, Received, RedrivePolicy, park, take_in};
    use serde_json::json;
    use std::time::Duration;

    #[test]
    fn all_of_a_letter_is_shown_and_nothing_that_a_terminal_acts_on() {
        let at = Timestamp::UNIX_EPOCH;
        let received = Received {
            message_id: "m".to_owned(),
            consumer: "pay".to_owned(),
            class: Class::Permanent,
            cause: "no\u{1b}[2J".to_owned(),
            payload: json!({"userId": "abc\u{9b}"}),
            event: None,
            request_id: None,
            attempts: 3,
            first_failed_at: at,
            last_failed_at: at,
            callable: true,
        };
        let policy = RedrivePolicy {
            first_delay: Duration::from_mins(1),
            longest_delay: Duration::from_hours(1),
            rounds: 8,
        };
        let letter = take_in(None, received, &policy, 1.0, at).unwrap();
        let by = Operator {
            who: "ada".to_owned(),
            why: "wait".to_owned(),
            at,
        };
        let letter = park(letter, &by).unwrap();
        let lines = to_lines(&letter, at, Palette::PLAIN);
        let text = lines.join("\n");
        for part in [
            "pay/m",
            "status    parked",
            r"cause     no\u{1b}[2J",
            "1970-01-01 00:00:00  ada          parked        1  wait",
            r#""userId": "abc\u{9b}""#,
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert!(!lines.concat().contains(char::is_control));
    }
}
