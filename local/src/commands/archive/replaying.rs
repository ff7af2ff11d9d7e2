//! `archive replay`: day by day, some streams at a time, each in the order of its versions.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use event_sourcing::chain;
use event_sourcing::envelope::Envelope;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::args::ReplayArgs;
use super::destination::{Destination, Outcome, Taker};
use super::objects::{Archive, Object, Period};
use crate::cli::StackArgs;
use crate::commands::interruption::Interruption;
use crate::commands::system::System;
use crate::commands::{interrupted, say};
use crate::error::LocalError;
use crate::terminal::printable;

/// So many streams are replayed at a time.
const AT_ONCE: usize = 8;
/// After so many events there is progress to tell, and an interruption is heard.
const BATCH: usize = 400;
/// So many events that failed are named.
const NAMED: usize = 20;

/// An archived event: as it was on the bus, and what of it is the event.
type Archived = (Value, Envelope);
/// The events of each stream, by version.
type Streams = BTreeMap<String, BTreeMap<u64, Archived>>;
type Stream = (String, BTreeMap<u64, Archived>);

/// Replays what was asked for.
pub(super) async fn run(
    shared: &StackArgs,
    system: &System,
    archive: &Archive,
    args: &ReplayArgs,
    interruption: &mut Interruption,
) -> Result<ExitCode, LocalError> {
    let now = Timestamp::now();
    let period = Period::of(args.period, now)?;
    let replay = format!("archive-{now}");
    let destination = Destination::of(shared, system, args, &replay);
    let Some(destination) = interruption.or(destination).await else {
        return Ok(interrupted());
    };
    let mut replaying = Replaying {
        archive,
        args,
        period,
        destination: destination?,
        pace: Pace::of(args.rate),
        report: Report::default(),
    };
    let whole = replaying.days(interruption).await;
    let report = &replaying.report;
    if args.json {
        let mut document = json!(report);
        document["replay"] = json!(replay);
        document["dryRun"] = json!(args.dry_run);
        say(&document.to_string());
    } else {
        for line in report.lines(args.dry_run) {
            say(&line);
        }
    }
    if !whole? {
        return Ok(interrupted());
    }
    Ok(if report.failed == 0 && report.behind == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// One command at work.
struct Replaying<'a> {
    archive: &'a Archive,
    args: &'a ReplayArgs,
    period: Period,
    destination: Destination,
    pace: Pace,
    report: Report,
}

impl Replaying<'_> {
    /// Every day in turn; whether it came to the end.
    async fn days(&mut self, interruption: &mut Interruption) -> Result<bool, LocalError> {
        let event_type = self.args.event_type.as_deref();
        let listed = self.archive.objects(&self.period, event_type);
        let Some(objects) = interruption.or(listed).await else {
            return Ok(false);
        };
        let objects = objects?;
        for day in objects.chunk_by(|one, next| one.day == next.day) {
            let Some(streams) = interruption.or(self.read(day)).await else {
                return Ok(false);
            };
            let mut streams: Vec<_> = streams?.into_iter().collect();
            while !streams.is_empty() {
                let batch = batch(&mut streams);
                let (done, goes_on) = interruption.finish(self.replay(batch)).await;
                if !self.args.json && done.is_some() {
                    let day = day.first().map_or("", |object| &object.day);
                    say(&format!("{}: {}", printable(day), self.report.progress()));
                }
                if !goes_on {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// The wanted events of a day, each once.
    async fn read(&mut self, day: &[Object]) -> Result<Streams, LocalError> {
        let mut streams = Streams::new();
        for object in day {
            for line in self.archive.lines(object).await? {
                match line.event {
                    Ok((whole, event)) => {
                        if self.wants(&whole, &event) {
                            self.report.add(&mut streams, (whole, event), &line.place);
                        }
                    }
                    Err(why) => self.report.fail(&line.place, &why),
                }
            }
        }
        Ok(streams)
    }

    fn wants(&self, whole: &Value, event: &Envelope) -> bool {
        let stream = self.args.stream.as_ref();
        self.period.has(event.at())
            && stream.is_none_or(|stream| event.stream_id.as_ref() == Some(stream))
            && self.destination.wants(whole)
    }

    async fn replay(&mut self, batch: Vec<Stream>) {
        let mut waiting = batch.into_iter();
        let mut running = JoinSet::new();
        loop {
            while running.len() < AT_ONCE
                && let Some((stream, events)) = waiting.next()
            {
                let failed_before = self.report.stopped.contains(&stream);
                if failed_before {
                    self.report.behind += events.len() as u64;
                    continue;
                }
                let (taker, pace) = (self.destination.taker.clone(), self.pace.clone());
                running.spawn(async move {
                    let outcomes = of_stream(&taker, &pace, events).await;
                    (stream, outcomes)
                });
            }
            match running.join_next().await {
                Some(Ok((stream, outcomes))) => self.report.note(&stream, outcomes),
                Some(Err(error)) => self.report.fail("a stream", &error.to_string()),
                None => return,
            }
        }
    }
}

/// Some streams, with about a batch of events.
fn batch(streams: &mut Vec<Stream>) -> Vec<Stream> {
    let mut events = 0;
    let enough = streams.iter().position(|(_, of_stream)| {
        events += of_stream.len();
        events >= BATCH
    });
    let end = enough.map_or(streams.len(), |last| last + 1);
    streams.drain(..end).collect()
}

/// What became of the events of a stream; after one that failed, of no more. And how many were
/// left out so.
async fn of_stream(
    taker: &Taker,
    pace: &Pace,
    events: BTreeMap<u64, Archived>,
) -> (Vec<(u64, Outcome)>, u64) {
    let mut outcomes = Vec::new();
    let mut events = events.into_iter();
    for (version, (whole, event)) in events.by_ref() {
        pace.wait().await;
        let outcome = taker.take(whole, &event).await;
        let has_failed = matches!(outcome, Outcome::Failed(_));
        outcomes.push((version, outcome));
        if has_failed {
            break;
        }
    }
    (outcomes, events.len() as u64)
}

/// So many events a second, whoever asks.
#[derive(Clone)]
struct Pace(Option<(Duration, Arc<Mutex<Instant>>)>);

impl Pace {
    fn of(rate: Option<u32>) -> Self {
        Self(rate.map(|rate| {
            let apart = Duration::from_secs(1) / rate.max(1);
            (apart, Arc::new(Mutex::new(Instant::now())))
        }))
    }

    async fn wait(&self) {
        let Some((apart, next)) = &self.0 else {
            return;
        };
        let turn = {
            let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = (*next).max(Instant::now());
            *next = turn + *apart;
            turn
        };
        sleep_until(turn).await;
    }
}

/// What was done.
#[derive(Debug, Default, Serialize)]
struct Report {
    replayed: u64,
    muted: u64,
    there: u64,
    failed: u64,
    behind: u64,
    /// Streams of which an event failed.
    #[serde(skip)]
    stopped: BTreeSet<String>,
    named: Vec<String>,
}

impl Report {
    /// Takes an archived event in; another copy of one that says the same is none.
    fn add(&mut self, streams: &mut Streams, archived: Archived, place: &str) {
        let Some((stream, version)) = archived.1.position() else {
            return self.fail(place, "it has no stream and version");
        };
        if archived
            .1
            .hash
            .as_deref()
            .is_some_and(|hash| hash != chain::hash_of(&archived.1))
        {
            return self.fail(place, "its content is not what its hash says");
        }
        let of_stream = streams.entry(stream.to_owned()).or_default();
        let first = of_stream.get(&version);
        let differs =
            first.is_some_and(|(_, first)| chain::hash_of(first) != chain::hash_of(&archived.1));
        if differs {
            self.fail(place, "another line says something else of it");
        } else if first.is_none() {
            of_stream.insert(version, archived);
        }
    }

    fn note(&mut self, stream: &str, (outcomes, left): (Vec<(u64, Outcome)>, u64)) {
        self.behind += left;
        for (version, outcome) in outcomes {
            match outcome {
                Outcome::Replayed => self.replayed += 1,
                Outcome::Muted => self.muted += 1,
                Outcome::There => self.there += 1,
                Outcome::Failed(why) => {
                    self.stopped.insert(stream.to_owned());
                    self.fail(&format!("{stream}@{version}"), &why);
                }
            }
        }
    }

    fn fail(&mut self, what: &str, why: &str) {
        self.failed += 1;
        if self.named.len() < NAMED {
            self.named.push(format!("{what}: {why}"));
        }
    }

    fn progress(&self) -> String {
        let Self {
            replayed, failed, ..
        } = self;
        let others = self.muted + self.there + self.behind;
        format!("{replayed} replayed, {failed} failed, {others} left out")
    }

    fn lines(&self, dry_run: bool) -> Vec<String> {
        let done = if dry_run {
            "would be replayed"
        } else {
            "replayed"
        };
        let mut lines = vec![format!("{} events {done}.", self.replayed)];
        for (count, what) in [
            (
                self.muted,
                "were taken by a consumer that acts outside, which did nothing",
            ),
            (self.there, "were in the table already"),
            (self.failed, "were not replayed"),
            (
                self.behind,
                "come after one of their stream that was not, and were left out",
            ),
        ] {
            if count > 0 {
                lines.push(format!("{count} {what}."));
            }
        }
        lines.extend(
            self.named
                .iter()
                .map(|named| format!("  {}", printable(named))),
        );
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archived(stream: &str, version: u64, amount: u64) -> Archived {
        let id = format!("{stream}-{version}");
        let event = Envelope::new(&id, "T", Timestamp::UNIX_EPOCH, json!({"amount": amount}));
        (Value::Null, event.recorded(stream, version))
    }

    #[test]
    fn an_event_is_replayed_once_and_another_of_the_same_place_is_told() {
        let (mut report, mut streams) = (Report::default(), Streams::new());
        for (version, amount) in [(2, 1), (1, 1), (2, 1), (2, 9)] {
            report.add(&mut streams, archived("a", version, amount), "k, line 1");
        }
        assert_eq!(streams["a"].keys().copied().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(report.failed, 1);

        let mut torn = archived("b", 1, 1);
        torn.1.hash = Some(chain::hash_of(&torn.1));
        torn.1.data = json!({"amount": 2});
        report.add(&mut streams, torn, "k, line 2");
        assert_eq!((report.failed, streams.contains_key("b")), (2, false));
        assert_eq!(
            report.named[1],
            "k, line 2: its content is not what its hash says"
        );
    }

    #[test]
    fn batches_have_whole_streams_and_about_as_many_events() {
        let stream = |name: &str, events: u64| {
            let events = (1..=events).map(|version| (version, archived(name, version, 1)));
            (name.to_owned(), events.collect())
        };
        let mut streams = vec![stream("a", 300), stream("b", 300), stream("c", 1)];
        let names =
            |batch: Vec<Stream>| -> Vec<String> { batch.into_iter().map(|one| one.0).collect() };
        assert_eq!(names(batch(&mut streams)), ["a", "b"]);
        assert_eq!(names(batch(&mut streams)), ["c"]);
        assert!(streams.is_empty());
    }

    #[test]
    fn a_report_counts_what_failed_and_what_came_behind_it() {
        let mut report = Report::default();
        let failed = Outcome::Failed("Permanent: no".to_owned());
        report.note("a", (vec![(1, Outcome::Replayed), (2, failed)], 3));
        report.note("b", (vec![(1, Outcome::Muted), (2, Outcome::There)], 0));
        assert_eq!(
            serde_json::to_value(&report).unwrap(),
            json!({"replayed": 1, "muted": 1, "there": 1, "failed": 1, "behind": 3,
                "named": ["a@2: Permanent: no"]})
        );
        assert_eq!(report.lines(false).len(), 6);
        assert!(report.stopped.contains("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pace_is_kept_by_all_who_share_it() {
        let (pace, began) = (Pace::of(Some(10)), Instant::now());
        for _ in 0..5 {
            pace.clone().wait().await;
        }
        assert_eq!(began.elapsed().as_millis(), 400);
    }
}
