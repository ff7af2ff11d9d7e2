//! The archive's objects: found by their keys, `events/day=2025-01-01/type=OrderPlaced/…`, and read
//! line by line.

use std::io::Read as _;

use aws_adapters::bucket::{Bucket, Listed};
use event_sourcing::envelope::Envelope;
use flate2::read::MultiGzDecoder;
use jiff::civil::Date;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::args::PeriodArgs;
use super::error::ArchiveError;
use crate::commands::system::{System, SystemError};

/// Where the template has Firehose write events.
const EVENTS: &str = "events/";
/// Where it writes what it could not sort.
const UNSORTED: &str = "errors/";
/// How far the day of a key can be from the event's day in UTC: its time is written as its
/// producer had it, in any offset (RFC 3339 has less than 24 hours).
const OFFSETS: SignedDuration = SignedDuration::from_hours(24);
/// Largest object, unpacked: Firehose collects 64 MB by the template, 128 MB at most
/// (<https://docs.aws.amazon.com/firehose/latest/dev/limits.html>).
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// When events happened: from its beginning, if it has one, until before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Period {
    pub(super) from: Option<Timestamp>,
    pub(super) to: Timestamp,
}

impl Period {
    /// What was asked for, with an end at `latest`.
    pub(super) fn of(asked: PeriodArgs, latest: Timestamp) -> Result<Self, ArchiveError> {
        let to = asked.to.unwrap_or(latest).min(latest);
        match asked.from {
            Some(from) if from >= to => Err(ArchiveError::EmptyPeriod { from, to }),
            from => Ok(Self { from, to }),
        }
    }

    pub(super) fn has(&self, at: Timestamp) -> bool {
        at < self.to && self.from.is_none_or(|from| at >= from)
    }

    /// The days under which its events are archived, and maybe others.
    fn days(&self) -> (Option<Date>, Date) {
        let day = |at: Timestamp| Offset::UTC.to_datetime(at).date();
        let from = self
            .from
            .map(|from| day(from.saturating_sub(OFFSETS).unwrap_or(from)));
        (
            from,
            day(self.to.saturating_add(OFFSETS).unwrap_or(self.to)),
        )
    }
}

/// An object with events of one day and one type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) day: String,
    pub(super) event_type: String,
    pub(super) key: String,
    /// As it is stored.
    pub(super) bytes: u64,
}

impl Object {
    fn of(listed: Listed) -> Option<Self> {
        let rest = listed.key.strip_prefix(EVENTS)?.strip_prefix("day=")?;
        let (day, rest) = rest.split_once("/type=")?;
        let (event_type, _) = rest.split_once('/')?;
        Some(Self {
            day: day.to_owned(),
            event_type: event_type.to_owned(),
            bytes: listed.bytes,
            key: listed.key,
        })
    }
}

/// An archived event, or why a line is none.
pub(super) struct Line {
    /// Where it is.
    pub(super) place: String,
    /// As it was on the bus, and what of it is the event.
    pub(super) event: Result<(Value, Envelope), String>,
}

/// The archive of a system.
pub(super) struct Archive {
    bucket: Bucket,
}

impl Archive {
    pub(super) fn of(system: &System) -> Result<Self, SystemError> {
        let name = system.archive()?;
        let bucket = Bucket::new(system.connection().s3(), name);
        Ok(Self { bucket })
    }

    /// The objects of the days of a period, in the order of days.
    pub(super) async fn objects(
        &self,
        period: &Period,
        event_type: Option<&str>,
    ) -> Result<Vec<Object>, ArchiveError> {
        let (first, last) = period.days();
        let after = first.map(|first| format!("{EVENTS}day={first}"));
        let next = last.tomorrow().unwrap_or(last);
        let before = format!("{EVENTS}day={next}");
        let listed = self.bucket.list(EVENTS, after.as_deref(), Some(&before));
        let objects = listed.await?.into_iter().filter_map(Object::of);
        let wanted = |one: &Object| event_type.is_none_or(|wanted| one.event_type == wanted);
        Ok(objects.filter(wanted).collect())
    }

    /// How many objects hold what could not be sorted.
    pub(super) async fn unsorted(&self) -> Result<usize, ArchiveError> {
        Ok(self.bucket.list(UNSORTED, None, None).await?.len())
    }

    /// The lines of an object.
    pub(super) async fn lines(&self, object: &Object) -> Result<Vec<Line>, ArchiveError> {
        let packed = self.bucket.read(&object.key).await?;
        Ok(lines(&object.key, &packed))
    }
}

fn lines(key: &str, packed: &[u8]) -> Vec<Line> {
    let mut text = Vec::new();
    let unpacked = MultiGzDecoder::new(packed)
        .take(MAX_BYTES)
        .read_to_end(&mut text);
    let broken = match unpacked {
        Ok(bytes) if bytes as u64 == MAX_BYTES => Some("it is too large".to_owned()),
        Ok(_) => None,
        Err(error) => Some(format!("it is not gzip to its end: {error}")),
    };
    let numbered = text.split(|byte| *byte == b'\n').enumerate();
    let whole = numbered.filter(|(_, line)| !line.trim_ascii().is_empty());
    let mut lines: Vec<_> = whole
        .map(|(at, line)| Line {
            place: format!("{key}, line {}", at + 1),
            event: event(line),
        })
        .collect();
    // What was unpacked of a broken object may end within a line, which is unreadable, too.
    lines.extend(broken.map(|why| Line {
        place: key.to_owned(),
        event: Err(why),
    }));
    lines
}

fn event(line: &[u8]) -> Result<(Value, Envelope), String> {
    let whole: Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let event = Envelope::from_value(whole["detail"].clone()).map_err(|error| error.to_string())?;
    Ok((whole, event))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write as _;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn packed(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_period_has_its_beginning_and_not_its_end_and_looks_a_day_around_itself() {
        let asked = PeriodArgs {
            from: Some(at("2025-01-02T00:00:00Z")),
            to: Some(at("2025-01-03T00:00:00Z")),
        };
        let period = Period::of(asked, at("2026-01-01T00:00:00Z")).unwrap();
        assert!(period.has(at("2025-01-02T00:00:00Z")));
        assert!(!period.has(at("2025-01-03T00:00:00Z")));
        assert!(!period.has(at("2025-01-01T23:59:59Z")));
        let (first, last) = period.days();
        assert_eq!(first.unwrap().to_string(), "2025-01-01");
        assert_eq!(last.to_string(), "2025-01-04");
        // Later events may not be archived yet, so the period ends before it begins.
        let empty = Period::of(asked, at("2025-01-02T00:00:00Z"));
        assert!(empty.unwrap_err().to_string().contains("earlier --from"));
    }

    #[test]
    fn a_key_tells_day_and_type_and_others_are_no_events() {
        let listed = |key: &str| Listed {
            key: key.to_owned(),
            bytes: 7,
        };
        let object = Object::of(listed(
            "events/day=2025-01-01/type=OrderPlaced/a-1.jsonl.gz",
        ));
        let object = object.unwrap();
        assert_eq!(object.day, "2025-01-01");
        assert_eq!(object.event_type, "OrderPlaced");
        for other in [
            "events/x",
            "events/day=2025-01-01/a",
            "errors/day=1/type=a/b",
        ] {
            assert_eq!(Object::of(listed(other)), None, "{other}");
        }
    }

    #[test]
    fn objects_written_one_after_the_other_are_read_and_what_is_no_event_is_named() {
        let event = r#"{"detail-type":"T","detail":{"eventId":"e","eventType":"T","timestamp":"2025-01-01T00:00:00Z","data":{}}}"#;
        let mut file = packed(&format!("{event}\n\n"));
        file.extend(packed(&format!("{event}\nnonsense\n")));
        let read = lines("k", &file);
        let ids: Vec<_> = read
            .iter()
            .map(|line| {
                line.event
                    .as_ref()
                    .map(|(_, event)| event.event_id.as_str())
                    .ok()
            })
            .collect();
        assert_eq!(ids, [Some("e"), Some("e"), None]);
        assert_eq!(read[2].place, "k, line 4");

        let cut = lines("k", &file[..file.len() - 4]);
        let why = cut.last().unwrap().event.as_ref().unwrap_err();
        assert!(why.contains("not gzip to its end"), "{why}");
        assert!(lines("k", b"plain").last().unwrap().event.is_err());
    }
}
