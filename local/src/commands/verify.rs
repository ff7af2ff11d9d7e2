//! `verify`: whether what is stored is what was appended.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::ExitCode;

use aws_adapters::table_items::Pages;
use event_sourcing::chain;
use event_sourcing::envelope::Envelope;
use invariants::ORDER_STREAM;
use serde_json::{Value, json};

use super::interrupted;
use super::interruption::Interruption;
use super::system::{Needs, System};
use crate::cli::{StackArgs, VerifyArgs};
use crate::error::LocalError;
use crate::store_view::{SWITCH_KEY, green_is_live};

/// Verifies a stream, or all of them.
///
/// # Errors
/// [`LocalError`], when the store cannot be read; what is wrong in it is the exit code.
pub async fn run(shared: &StackArgs, args: &VerifyArgs) -> Result<ExitCode, LocalError> {
    let mut interruption = Interruption::listen();
    let reached = System::reach(shared, &args.system, Needs::Tables, &mut interruption);
    let Some(system) = reached.await? else {
        return Ok(interrupted());
    };
    let findings = interruption
        .or(verified(&system, args.stream.as_deref()))
        .await;
    system.leave(&mut interruption).await?;
    let Some(findings) = findings else {
        return Ok(interrupted());
    };
    let findings = findings?;
    report(&findings, args.json);
    Ok(if findings.tampered.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What was found.
struct Findings {
    streams: usize,
    events: usize,
    /// One sentence for each stream that is not as it was appended.
    tampered: Vec<String>,
}

/// Reads events and rows page by page, and keeps of each order only where its stream ends.
async fn verified(system: &System, only: Option<&str>) -> Result<Findings, LocalError> {
    let client = || system.connection().dynamodb();
    let tables = system.tables()?;
    let mut walking = Walking::default();
    let wanted = |stream: &str| only.is_none_or(|only| only == stream);
    let events = |stream: Option<&str>| {
        let pages = Pages::of(client(), &tables.event_store);
        match stream {
            None => pages,
            Some(stream) => pages.with_key("streamId", stream),
        }
    };
    let mut pages = events(only);
    while let Some(page) = pages.next().await? {
        for item in page {
            walking.item(item);
        }
    }
    walking.end_part();
    for stream in std::mem::take(&mut walking.scattered) {
        walking.whole(&stream, events(Some(&stream)).all().await?);
    }
    let mut blue = Pages::of(client(), &tables.orders).with_key("orderId", SWITCH_KEY);
    let switch = blue.next().await?.unwrap_or_default();
    let live = if switch.first().is_some_and(green_is_live) {
        &tables.orders_green
    } else {
        &tables.orders
    };
    let mut rows = Pages::of(client(), live);
    while let Some(page) = rows.next().await? {
        for row in page {
            let stream = format!(
                "{ORDER_STREAM}{}",
                row["orderId"].as_str().unwrap_or_default()
            );
            if wanted(&stream) {
                walking.row(&stream, &row);
            }
        }
    }
    let mut findings = walking.findings();
    if let Some(only) = only.filter(|_| findings.streams == 0 && findings.tampered.is_empty()) {
        findings.tampered.push(format!("there is no stream {only}"));
    }
    Ok(findings)
}

/// Walks streams as a table gives them: mostly, the events of one follow on each other.
#[derive(Default)]
struct Walking {
    streams: usize,
    events: usize,
    unreadable: Vec<String>,
    tampered: BTreeMap<String, String>,
    removed: Vec<String>,
    /// The stream whose events come now.
    part: Option<(String, Vec<Envelope>)>,
    /// Streams of which a part did not hold by itself: they are read by themselves.
    scattered: BTreeSet<String>,
    /// How many events the streams of orders have.
    ends: BTreeMap<String, usize>,
}

impl Walking {
    fn item(&mut self, item: Value) {
        let place = format!("{}@{}", item["streamId"], item["version"]);
        let event = match Envelope::from_value(item) {
            Ok(event) => event,
            Err(error) => return self.unreadable.push(format!("{place}: {error}")),
        };
        self.events += 1;
        let stream = event.stream_id.clone().unwrap_or_default();
        match &mut self.part {
            Some((now, events)) if *now == stream => events.push(event),
            _ => {
                self.end_part();
                self.part = Some((stream, vec![event]));
            }
        }
    }

    /// Walks what follows on each other.
    fn end_part(&mut self) {
        let Some((stream, mut events)) = self.part.take() else {
            return;
        };
        events.sort_by_key(|event| event.version);
        // However many parts it is in, only one begins it.
        self.streams += usize::from(begins(&events));
        if chain::verify(&stream, &events).is_ok() {
            self.ends_at(&stream, events.len());
        } else {
            self.scattered.insert(stream);
        }
    }

    /// Walks a stream of which these are all items.
    fn whole(&mut self, stream: &str, items: Vec<Value>) {
        let events = items.into_iter();
        // Those that are none were named already.
        let mut events: Vec<_> = events
            .filter_map(|one| Envelope::from_value(one).ok())
            .collect();
        events.sort_by_key(|event| event.version);
        self.streams += usize::from(!begins(&events));
        self.ends_at(stream, events.len());
        if let Err(tampered) = chain::verify(stream, &events) {
            self.tampered
                .insert(stream.to_owned(), tampered.to_string());
        }
    }

    fn ends_at(&mut self, stream: &str, end: usize) {
        if stream.starts_with(ORDER_STREAM) {
            self.ends.insert(stream.to_owned(), end);
        }
    }

    /// A chain does not show that its end is missing. The row of the order does.
    fn row(&mut self, stream: &str, row: &Value) {
        let end = self.ends.get(stream).copied().unwrap_or_default() as u64;
        let version = row["version"].as_u64().unwrap_or_default();
        if version > end {
            self.removed.push(format!(
                "event {} of stream {stream} was removed: the order's row is at version {version}, \
                 the stream ends at {end}",
                end + 1
            ));
        }
    }

    fn findings(self) -> Findings {
        let mut tampered = self.unreadable;
        tampered.extend(self.tampered.into_values());
        tampered.extend(self.removed);
        Findings {
            streams: self.streams,
            events: self.events,
            tampered,
        }
    }
}

fn begins(events: &[Envelope]) -> bool {
    events.first().is_some_and(|first| first.version == Some(1))
}

fn report(findings: &Findings, as_json: bool) {
    let text = if as_json {
        let report: Value = json!({
            "streams": findings.streams,
            "events": findings.events,
            "tampered": findings.tampered,
        });
        report.to_string()
    } else {
        let mut lines = findings.tampered.clone();
        let (streams, events) = (findings.streams, findings.events);
        lines.push(match findings.tampered.len() {
            0 => format!("{streams} streams, {events} events: all as they were appended"),
            count => format!("{streams} streams, {events} events: {count} not as appended"),
        });
        lines.join("\n")
    };
    // Whoever closed the pipe does not want the answer.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use event_sourcing::chain::Head;
    use event_sourcing::in_memory::InMemoryEventStore;
    use event_sourcing::store::EventStore as _;
    use jiff::Timestamp;

    /// The items of a stream of three events.
    async fn items(stream: &str) -> Vec<Value> {
        let store = InMemoryEventStore::<()>::default();
        let at = Timestamp::UNIX_EPOCH;
        let events = (1..=3).map(|n| Envelope::new(&format!("{stream}-{n}"), "T", at, json!({})));
        let appended = store.append(stream, &Head::START, events.collect()).await;
        let appended = appended.unwrap();
        appended
            .iter()
            .map(|one| serde_json::to_value(one).unwrap())
            .collect()
    }

    #[tokio::test]
    async fn streams_are_walked_however_a_table_scatters_them() {
        let (a, b) = (items("order-a").await, items("order-b").await);
        let mut walking = Walking::default();
        for item in [&a[0], &b[2], &b[0], &a[2], &a[1], &b[1]] {
            walking.item(item.clone());
        }
        walking.end_part();
        for stream in std::mem::take(&mut walking.scattered) {
            let whole = if stream == "order-a" { &a } else { &b };
            walking.whole(&stream, whole.clone());
        }
        walking.row("order-a", &json!({"version": 3}));
        let findings = walking.findings();
        assert_eq!((findings.streams, findings.events), (2, 6));
        assert_eq!(findings.tampered, Vec::<String>::new());
    }

    #[tokio::test]
    async fn what_is_missing_is_named_at_the_beginning_in_the_middle_and_at_the_end() {
        let expected = ["event 1", "event 2", "event 3"];
        for (missing, expected) in expected.into_iter().enumerate() {
            let mut rest = items("order-a").await;
            rest.remove(missing);
            let mut walking = Walking::default();
            for item in &rest {
                walking.item(item.clone());
            }
            walking.end_part();
            for stream in std::mem::take(&mut walking.scattered) {
                walking.whole(&stream, rest.clone());
            }
            walking.row("order-a", &json!({"version": 3}));
            let findings = walking.findings();
            assert_eq!((findings.streams, findings.events), (1, 2));
            let first = findings.tampered.first().unwrap();
            assert!(first.starts_with(expected), "{first}");
        }
    }
}
