//! `dlq list`: what consumers gave up, by cause, and letter by letter.

use std::collections::BTreeMap;
use std::process::ExitCode;

use event_sourcing::dead_letter::{Class, LetterSummary, Status};
use jiff::Timestamp;
use serde::Serialize;

use super::args::ListArgs;
use super::desk::{Desk, queued};
use crate::commands::say;
use crate::commands::table::{Table, shortened};
use crate::error::LocalError;
use crate::terminal::{Palette, printable, short_ids};

/// Longest cause in a table, in characters.
const CAUSE: usize = 90;
/// A word of so many letters with a digit among them is an id.
const ID_LENGTH: usize = 8;

/// What `--json` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Listing<'l> {
    /// How many letters match.
    total: usize,
    groups: Vec<Group>,
    groups_left_out: usize,
    /// None, where they were not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    letters: Option<Vec<&'l LetterSummary>>,
    letters_left_out: usize,
    /// Messages that are no letters yet, by consumer; none where that is not known.
    queues: Option<BTreeMap<String, u64>>,
}

/// Letters that failed alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    consumer: String,
    class: Class,
    /// With ids as `*`.
    cause: String,
    count: usize,
    statuses: BTreeMap<&'static str, usize>,
    oldest: Timestamp,
    newest: Timestamp,
}

/// Lists, and prints.
pub(super) async fn run(desk: &Desk<'_>, args: &ListArgs) -> Result<ExitCode, LocalError> {
    let mut letters = desk.matching(&args.filter()).await?;
    letters.sort_by_key(|letter| letter.first_failed_at);
    // Whoever may not ask the queues is told of the letters nevertheless.
    let queues = desk.in_queues().await;
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let named = args.letters || args.filter.says_something();
    let mut groups = grouped(&letters);
    let groups_left_out = groups.len().saturating_sub(limit);
    groups.truncate(limit);
    let listing = Listing {
        total: letters.len(),
        groups,
        groups_left_out,
        letters: named.then(|| letters.iter().take(limit).collect()),
        letters_left_out: letters.len().saturating_sub(if named { limit } else { 0 }),
        queues: queues.as_ref().ok().cloned(),
    };
    if args.json {
        say(&serde_json::to_string(&listing).unwrap_or_default());
        return Ok(ExitCode::SUCCESS);
    }
    for line in listing.to_lines(Palette::of_stdout()) {
        say(&line);
    }
    match queues.map(|counts| queued(&counts)) {
        Ok(None) => {}
        Ok(Some(told)) => say(&told),
        Err(error) => say(&format!("What lies in the queues is not known: {error}")),
    }
    Ok(ExitCode::SUCCESS)
}

/// Those that failed alike together, the most first.
fn grouped(letters: &[LetterSummary]) -> Vec<Group> {
    let mut groups: BTreeMap<(&str, Class, String), Group> = BTreeMap::new();
    for letter in letters {
        let cause = without_ids(letter);
        let key = (letter.consumer.as_str(), letter.class, cause.clone());
        let group = groups.entry(key).or_insert_with(|| Group {
            consumer: letter.consumer.clone(),
            class: letter.class,
            cause,
            count: 0,
            statuses: BTreeMap::new(),
            oldest: letter.first_failed_at,
            newest: letter.last_failed_at,
        });
        group.count += 1;
        *group.statuses.entry(letter.status.as_str()).or_default() += 1;
        group.oldest = group.oldest.min(letter.first_failed_at);
        group.newest = group.newest.max(letter.last_failed_at);
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    groups
}

/// The cause of a letter, with `*` for the ids of its event, its stream and its order, and for
/// whatever else looks like an id.
fn without_ids(letter: &LetterSummary) -> String {
    let event = letter.event.as_ref();
    let stream = event.and_then(|event| event.stream_id.as_deref());
    let of_stream = stream.and_then(|stream| stream.split_once('-'));
    let own = [
        event.map(|event| event.event_id.as_str()),
        stream,
        of_stream.map(|(_, id)| id),
    ];
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    let mut told = String::new();
    let mut rest = letter.cause.as_str();
    while !rest.is_empty() {
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let long = word.len() >= ID_LENGTH && word.contains(|c: char| c.is_ascii_digit());
        let is_id = long || own.contains(&Some(word));
        told.push_str(if is_id && !word.is_empty() { "*" } else { word });
        let end = after.find(is_word).unwrap_or(after.len());
        let (between, after) = after.split_at(end);
        told.push_str(between);
        rest = after;
    }
    told
}

impl Listing<'_> {
    fn to_lines(&self, palette: Palette) -> Vec<String> {
        let count = self.total;
        let letters = if count == 1 { "letter" } else { "letters" };
        let mut lines = vec![palette.bold(&format!("{count} dead {letters}"))];
        if count > 0 {
            lines.extend(self.by_cause(palette));
            left_out(&mut lines, self.groups_left_out, "lines");
        }
        if let Some(letters) = self.letters.as_ref().filter(|letters| !letters.is_empty()) {
            lines.push(String::new());
            lines.extend(one_by_one(letters, palette));
            left_out(&mut lines, self.letters_left_out, "letters");
        }
        lines
    }

    fn by_cause(&self, palette: Palette) -> Vec<String> {
        let mut table = Table::of(&[
            "consumer",
            "class",
            "letters",
            "oldest (UTC)",
            "newest (UTC)",
            "cause",
        ]);
        for group in &self.groups {
            let statuses = group.statuses.iter();
            let statuses: Vec<_> = statuses
                .map(|(status, count)| format!("{count} {status}"))
                .collect();
            table.row([
                printable(&group.consumer),
                group.class.as_str().to_owned(),
                statuses.join(", "),
                time(group.oldest),
                time(group.newest),
                shortened(&printable(&group.cause), CAUSE),
            ]);
        }
        table.lines(palette)
    }
}

fn one_by_one(letters: &[&LetterSummary], palette: Palette) -> Vec<String> {
    let mut table = Table::of(&[
        "letter",
        "status",
        "class",
        ">attempts",
        "failed (UTC)",
        "next (UTC)",
        "event",
        "stream",
        "cause",
    ]);
    for letter in letters {
        let event = letter.event.as_ref();
        let stream = event.and_then(|event| {
            let version = event.version.map(|version| format!(" v{version}"));
            Some(event.stream_id.clone()? + &version.unwrap_or_default())
        });
        let due = letter.due_at.filter(|_| letter.status == Status::Waiting);
        table.row([
            short_ids(&printable(&letter.letter_id)),
            letter.status.as_str().to_owned(),
            letter.class.as_str().to_owned(),
            letter.attempts.to_string(),
            time(letter.last_failed_at),
            due.map(time).unwrap_or_default(),
            printable(event.map_or("", |event| event.event_type.as_str())),
            short_ids(&printable(&stream.unwrap_or_default())),
            shortened(&short_ids(&printable(&letter.cause)), CAUSE),
        ]);
    }
    table.lines(palette)
}

fn left_out(lines: &mut Vec<String>, count: usize, what: &str) {
    if count > 0 {
        lines.push(format!("and {count} more {what}; --limit N prints more"));
    }
}

/// To the second.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use event_sourcing::dead_letter::EventRef;
    use serde_json::json;

    /// A letter that waits.
    pub(in crate::commands::dlq) fn letter(id: &str) -> LetterSummary {
        LetterSummary {
            letter_id: id.to_owned(),
            consumer: id.split('/').next().unwrap_or(id).to_owned(),
            class: Class::Permanent,
            cause: "order 7 is not in the event store".to_owned(),
            event: Some(EventRef {
                event_id: "e".to_owned(),
                event_type: "OrderPlaced".to_owned(),
                stream_id: Some("order-7".to_owned()),
                version: Some(1),
            }),
            attempts: 2,
            first_failed_at: Timestamp::UNIX_EPOCH,
            last_failed_at: Timestamp::UNIX_EPOCH,
            round: 1,
            status: Status::Waiting,
            due_at: Some(Timestamp::UNIX_EPOCH),
            claimed_until: None,
        }
    }

    #[test]
    fn what_failed_alike_is_one_line_whatever_its_ids() {
        let mut other = letter("pay/2");
        other.cause = "order ord_0001 is not in the event store".to_owned();
        other.event.as_mut().unwrap().stream_id = Some("order-ord_0001".to_owned());
        other.status = Status::Parked;
        let mut third = letter("pay/3");
        third.cause = "HTTP 503 of charge ch_12345678: \u{1b}[2J".to_owned();
        let groups = grouped(&[letter("pay/1"), other, third]);
        let told: Vec<_> = groups
            .iter()
            .map(|group| (group.cause.as_str(), group.count))
            .collect();
        assert_eq!(
            told,
            [
                ("order * is not in the event store", 2),
                ("HTTP 503 of charge *: \u{1b}[2J", 1)
            ]
        );
        assert_eq!(
            groups[0].statuses,
            BTreeMap::from([("parked", 1), ("waiting", 1)])
        );
    }

    #[test]
    fn what_programs_read_has_these_names() {
        let one = letter("pay/1");
        let listing = Listing {
            total: 3,
            groups: grouped(std::slice::from_ref(&one)),
            groups_left_out: 0,
            letters: Some(vec![&one]),
            letters_left_out: 2,
            queues: Some([("pay".to_owned(), 4)].into()),
        };
        let at = "1970-01-01T00:00:00Z";
        assert_eq!(
            serde_json::to_value(&listing).unwrap(),
            json!({"total": 3, "groupsLeftOut": 0, "lettersLeftOut": 2, "queues": {"pay": 4},
                "groups": [{"consumer": "pay", "class": "Permanent", "count": 1,
                    "cause": "order * is not in the event store",
                    "statuses": {"waiting": 1}, "oldest": at, "newest": at}],
                "letters": [{"letterId": "pay/1", "consumer": "pay", "class": "Permanent",
                    "cause": "order 7 is not in the event store", "attempts": 2, "round": 1,
                    "event": {"eventId": "e", "eventType": "OrderPlaced",
                        "streamId": "order-7", "version": 1},
                    "firstFailedAt": at, "lastFailedAt": at, "dueAt": at, "status": "waiting"}]})
        );
    }

    #[test]
    fn tables_have_nothing_that_a_terminal_acts_on_and_say_what_they_leave_out() {
        let mut one = letter("pay/1");
        one.cause = format!("no\n\u{1b}[2J {}", "x".repeat(200));
        let listing = Listing {
            total: 3,
            groups: grouped(std::slice::from_ref(&one)),
            groups_left_out: 5,
            letters: Some(vec![&one]),
            letters_left_out: 2,
            queues: None,
        };
        let lines = listing.to_lines(Palette::PLAIN);
        assert!(!lines.concat().contains(char::is_control), "{lines:?}");
        assert!(lines.iter().all(|line| line.chars().count() < 250));
        assert!(lines.contains(&"and 5 more lines; --limit N prints more".to_owned()));
        assert!(lines.contains(&"and 2 more letters; --limit N prints more".to_owned()));
    }
}
