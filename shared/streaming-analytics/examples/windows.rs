//! The minutes of recorded records, as `analyze-orders` and `close-windows` come to them.
//!
//! `windows FILE` reads one JSON object a line, a record of the stream with `shardId`,
//! `sequenceNumber` and `arrivedMs` beside its own fields, and prints one JSON object per minute.
//! With `--on-time` a minute is closed for good when its lateness is over, as it is for a job that
//! never corrects a result. What it took goes to stderr.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufWriter, Write};
use std::time::Instant;
use streaming_analytics::earlier::Earlier;
use streaming_analytics::part::{LambdaWindow, Meeting, Part, PartKey, SequenceNumber};
use streaming_analytics::record::Record;
use streaming_analytics::result::MinuteResult;
use streaming_analytics::state::{Arrival, Limits, State};
use streaming_analytics::window::{Lateness, Minute};

/// Length of a Lambda window in milliseconds.
const WINDOW_MS: i64 = 60_000;
/// Records of an invocation; between two the state is text, as Lambda keeps it.
const BATCH: usize = 500;

/// Where a record stands in the stream.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    shard_id: String,
    sequence_number: SequenceNumber,
    arrived_ms: i64,
}

/// Lambda windows in the order of time, with their records in the order of the shard.
type Windows<'a> = BTreeMap<(i64, String), Vec<(Place, &'a str)>>;
/// What the table of insights would hold.
type Parts = BTreeMap<Minute, BTreeMap<PartKey, Part>>;

fn main() -> Result<(), Box<dyn Error>> {
    let mut lateness = Lateness::default();
    let mut file = None;
    for argument in std::env::args().skip(1) {
        if argument == "--on-time" {
            let [allowed, skew] = [120, 30].map(SignedDuration::from_secs);
            lateness = Lateness::new(allowed, allowed, skew)?;
        } else {
            file = Some(argument);
        }
    }
    let file = file.ok_or("usage: windows [--on-time] FILE")?;
    let started = Instant::now();
    let recorded = std::fs::read_to_string(file)?;
    let windows = windows(&recorded)?;
    let mut parts = Parts::new();
    for ((start, shard), records) in windows {
        let window = LambdaWindow::new(&shard, Timestamp::from_millisecond(start)?);
        fold(&window, records, &lateness, &mut parts)?;
    }
    print(&parts)?;
    let seconds = started.elapsed().as_secs_f64();
    eprintln!("{}", json!({"seconds": seconds}));
    Ok(())
}

fn windows(recorded: &str) -> Result<Windows<'_>, Box<dyn Error>> {
    let mut windows = Windows::new();
    for line in recorded.lines() {
        let place: Place = serde_json::from_str(line)?;
        let start = place.arrived_ms - place.arrived_ms.rem_euclid(WINDOW_MS);
        let window = windows.entry((start, place.shard_id.clone())).or_default();
        window.push((place, line));
    }
    for records in windows.values_mut() {
        records.sort_by(|(one, _), (other, _)| one.sequence_number.cmp(&other.sequence_number));
    }
    Ok(windows)
}

/// One Lambda window: invocations with a state between them, and parts at its end.
fn fold(
    window: &LambdaWindow,
    records: Vec<(Place, &str)>,
    lateness: &Lateness,
    parts: &mut Parts,
) -> Result<(), Box<dyn Error>> {
    let limits = Limits::default();
    let mut earlier = Earlier::of(window.clone());
    let mut state = State::new(window.clone());
    for (at, (place, data)) in records.into_iter().enumerate() {
        if at > 0 && at % BATCH == 0 {
            state = State::decode(window.clone(), &state.encode()?)?;
        }
        let arrival = Arrival {
            sequence: place.sequence_number,
            arrived: Timestamp::from_millisecond(place.arrived_ms)?,
            record: Record::parse(data.as_bytes()),
        };
        if let Some(minute) = state.asks_for(&arrival, lateness)
            && !earlier.knows(minute)
        {
            let known = parts.get(&minute).into_iter().flat_map(BTreeMap::values);
            earlier.learn(
                minute,
                known.map(|part| (part.key.clone(), part.sums.ids.clone())),
            );
        }
        state.fold(&arrival, lateness, &earlier)?;
        if state.is_full(&limits) {
            state = flush(state, parts, &mut earlier);
        }
    }
    flush(state, parts, &mut earlier);
    Ok(())
}

fn flush(state: State, parts: &mut Parts, earlier: &mut Earlier) -> State {
    let mut adopted = Vec::new();
    for part in state.parts() {
        let of_minute = parts.entry(part.key.minute).or_default();
        let meeting = of_minute.get(&part.key).map(|stored| part.meets(stored));
        let stored = match meeting {
            None | Some(Meeting::Replace) => {
                of_minute.insert(part.key.clone(), part.clone());
                None
            }
            Some(Meeting::Same) => None,
            Some(Meeting::Adopt) => of_minute.get(&part.key).cloned(),
        };
        earlier.learn_part(stored.as_ref().unwrap_or(&part));
        adopted.extend(stored);
    }
    state.flushed(&adopted)
}

fn print(parts: &Parts) -> Result<(), Box<dyn Error>> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    for (minute, parts) in parts {
        let parts: Vec<Part> = parts.values().cloned().collect();
        serde_json::to_writer(&mut out, &shown(&MinuteResult::of(*minute, &parts)))?;
        writeln!(out)?;
    }
    Ok(out.flush()?)
}

fn shown(result: &MinuteResult) -> Value {
    let orders = &result.totals.orders;
    let devices = result.totals.devices.iter().map(|(key, span)| {
        let mut shown = json!(span.insights(key));
        shown["sum"] = json!(span.values().sum);
        shown
    });
    json!({
        "minute": result.minute,
        "overlapping": result.overlapping,
        "counts": result.totals.counts,
        "orders": orders.insights(orders.skus.len()),
        "other": orders.other,
        "devices": devices.collect::<Vec<_>>(),
    })
}
