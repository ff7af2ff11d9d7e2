//! Results of windows: those that are made, and what there is so far of those that are not.

use crate::span::{Span, Step};
use jiff::Timestamp;
use std::collections::BTreeMap;
use streaming_analytics::insights_table::{InsightsTable, TableError};
use streaming_analytics::result::{MinuteResult, RollUp, Totals};
use streaming_analytics::window::{Day, Hour, Minute, OutOfTime};

/// Most minutes without a result that are put together for an answer; there are a few of them, and
/// more only while nobody closes windows.
const MAX_OPEN: u32 = 60;

/// A window of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// Its start.
    pub start: Timestamp,
    /// Whether it is closed: only what comes late changes it.
    pub is_final: bool,
    /// How often it was made.
    pub revision: u64,
    /// What it comes to, without devices unless it is open.
    pub totals: Totals,
}

/// Why windows were not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The table did not answer.
    #[error(transparent)]
    Table(#[from] TableError),
    /// There is no such window.
    #[error(transparent)]
    Time(#[from] OutOfTime),
}

/// Every window of the span, in order; one in which nothing happened is empty.
///
/// # Errors
/// [`ReadError`].
pub async fn read<T: InsightsTable>(table: &T, span: &Span) -> Result<Vec<Told>, ReadError> {
    let made = table.progress().await?.made_through;
    let results = match span.step {
        Step::Minute => made_minutes(table, span, made).await?,
        Step::Hour => {
            let (from, until) = (Hour::of(span.from)?, Hour::of(span.until)?);
            rolled_up(table.hours(from, until).await?, Hour::start)
        }
        Step::Day => {
            let (from, until) = (Day::of(span.from)?, Day::of(span.until)?);
            rolled_up(table.days(from, until).await?, Day::start)
        }
    };
    let mut found: BTreeMap<_, _> = results.into_iter().map(|told| (told.start, told)).collect();
    // Whatever was made of a window that is not over is less than what there is so far.
    found.extend(open(table, span, made).await?);
    let told = span.starts().map(|start| {
        found.remove(&start).unwrap_or_else(|| Told {
            start,
            is_final: span.step.is_closed(start, made),
            revision: 0,
            totals: Totals::default(),
        })
    });
    Ok(told.collect())
}

async fn made_minutes<T: InsightsTable>(
    table: &T,
    span: &Span,
    made: Option<Minute>,
) -> Result<Vec<Told>, ReadError> {
    let (from, until) = (Minute::of(span.from)?, Minute::of(span.until)?);
    let results = table.minutes(from, until).await?.into_iter();
    let results = results.filter(|result| Some(result.minute) <= made);
    Ok(results
        .map(|result| Told {
            start: result.minute.start(),
            is_final: true,
            revision: result.revision.into(),
            totals: result.totals,
        })
        .collect())
}

fn rolled_up<W: Copy>(windows: Vec<RollUp<W>>, start: impl Fn(W) -> Timestamp) -> Vec<Told> {
    let windows = windows.into_iter();
    windows
        .map(|window| Told {
            start: start(window.window),
            is_final: true,
            revision: window.revision,
            totals: window.totals,
        })
        .collect()
}

/// Windows of the span whose results are not made, with what there is so far: the longer windows in
/// them that are made, and the last [`MAX_OPEN`] minutes that are not. However long the span is,
/// that is one hour of the day, one minute of the hour, and these.
async fn open<T: InsightsTable>(
    table: &T,
    span: &Span,
    made: Option<Minute>,
) -> Result<BTreeMap<Timestamp, Told>, ReadError> {
    let mut parts = Vec::new();
    if let Some(next) = made.map(Minute::next) {
        let hour = next.hour();
        let running = span.step.start(next.start());
        let is_asked = running >= span.from && running < span.until;
        if is_asked && span.step == Step::Day {
            let hours = table.hours(Hour::of(hour.day().start())?, hour).await?;
            let hours = hours.into_iter();
            parts.extend(hours.map(|hour| (hour.window.start(), hour.totals)));
        }
        if is_asked && span.step != Step::Minute {
            let minutes = table.minutes(Minute::of(hour.start())?, next).await?;
            let minutes = minutes.into_iter();
            parts.extend(minutes.map(|minute| (minute.minute.start(), minute.totals)));
        }
    }
    for minute in not_made(span, made)? {
        let of_minute = table.parts_of(minute).await?;
        if !of_minute.is_empty() {
            let totals = MinuteResult::of(minute, &of_minute).totals;
            parts.push((minute.start(), totals));
        }
    }
    let mut open: BTreeMap<_, Told> = BTreeMap::new();
    for (at, totals) in parts {
        let start = span.step.start(at);
        let told = open.entry(start).or_insert_with(|| Told {
            start,
            is_final: false,
            revision: 0,
            totals: Totals::default(),
        });
        told.totals.append(&totals);
    }
    Ok(open)
}

/// The last minutes of the span without a result, in order; no more than [`MAX_OPEN`]. One more than
/// there is, for clocks that are a little ahead.
fn not_made(span: &Span, made: Option<Minute>) -> Result<Vec<Minute>, OutOfTime> {
    let first = Minute::of(span.from)?;
    let first = made.map_or(first, |made| made.next().max(first));
    let last = Minute::of(span.to)?.next();
    let last = last.min(Minute::of(span.until)?.previous());
    let before = |minute: &Minute| (*minute > first).then(|| minute.previous());
    let minutes = std::iter::successors((last >= first).then_some(last), before);
    let mut minutes: Vec<_> = minutes.take(MAX_OPEN as usize).collect();
    minutes.reverse();
    Ok(minutes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use streaming_analytics::insights_table::contract::part_of;
    use streaming_analytics::insights_table::{
        InMemoryInsights, PartTable as _, Progress, ResultTable as _,
    };

    #[tokio::test]
    async fn however_long_the_span_and_however_little_is_made_the_reads_are_few() {
        let minute = Minute::of("2026-01-30T12:34:00Z".parse().unwrap()).unwrap();
        let first = Minute::of(Timestamp::UNIX_EPOCH).unwrap();
        for made in [None, Some(minute.previous()), Some(first)] {
            let table = InMemoryInsights::default();
            let reading = json!({"deviceId": "fridge", "sensor": "t", "value": 4.5, "unit": "Cel",
                "at": minute.to_string()});
            let part = part_of(minute, "a", &[reading.to_string()]);
            table.put_part(&part).await.unwrap();
            let progress = Progress {
                closed_through: made,
                made_through: made,
            };
            let advanced = table.advance(Progress::default(), progress).await;
            advanced.unwrap();
            for step in [Step::Minute, Step::Hour, Step::Day] {
                let span = Span {
                    from: "2026-01-01T00:00:00Z".parse().unwrap(),
                    until: "2026-01-31T00:00:00Z".parse().unwrap(),
                    to: minute.end(),
                    step,
                };
                // Progress, what is made of the span, an hour of the day, minutes of the hour.
                table.fail_after(4 + MAX_OPEN, u32::MAX);
                let told = read(&table, &span).await;
                let told = told.unwrap_or_else(|error| panic!("{made:?} {step:?}: {error}"));
                table.fail_next(0);
                let readings = told.iter().map(|window| window.totals.counts.on_time);
                assert_eq!(readings.sum::<u64>(), 1, "{made:?} {step:?}");
            }
        }
    }
}
