//! Results of windows: those that are made, and what there is so far of those that are not.

use crate::span::{Span, Step};
use jiff::Timestamp;
use std::collections::BTreeMap;
use streaming_analytics::insights_table::{InsightsTable, TableError};
use streaming_analytics::result::{MinuteResult, Totals};
use streaming_analytics::window::{Day, Hour, Minute, OutOfTime};

/// Most minutes without a result that are put together for an answer; there are a few of them, and
/// more only while nobody closes windows.
const MAX_OPEN: usize = 60;

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
    let found = match span.step {
        Step::Minute => {
            let (from, until) = (Minute::of(span.from)?, Minute::of(span.until)?);
            minutes(table, from, until, made).await?
        }
        Step::Hour => {
            let (from, until) = (Hour::of(span.from)?, Hour::of(span.until)?);
            hours(table, from, until, made).await?
        }
        Step::Day => {
            let (from, until) = (Day::of(span.from)?, Day::of(span.until)?);
            days(table, from, until, made).await?
        }
    };
    let mut found: BTreeMap<_, _> = found.into_iter().map(|told| (told.start, told)).collect();
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

async fn minutes<T: InsightsTable>(
    table: &T,
    from: Minute,
    until: Minute,
    made: Option<Minute>,
) -> Result<Vec<Told>, ReadError> {
    let results = table.minutes(from, until).await?;
    let mut told: Vec<_> = results
        .into_iter()
        .filter(|result| Some(result.minute) <= made)
        .map(|result| {
            let revision = result.revision.into();
            closed(result.minute.start(), revision, result.totals)
        })
        .collect();
    let first = made.map_or(from, |made| made.next().max(from));
    let mut not_made = Vec::new();
    let mut minute = until;
    while minute > first && not_made.len() < MAX_OPEN {
        minute = minute.previous();
        not_made.push(minute);
    }
    for minute in not_made.into_iter().rev() {
        let parts = table.parts_of(minute).await?;
        if !parts.is_empty() {
            let result = MinuteResult::of(minute, &parts);
            told.push(open(minute.start(), result.totals));
        }
    }
    Ok(told)
}

async fn hours<T: InsightsTable>(
    table: &T,
    from: Hour,
    until: Hour,
    made: Option<Minute>,
) -> Result<Vec<Told>, ReadError> {
    let stored = table.hours(from, until).await?;
    let mut told: Vec<_> = stored
        .into_iter()
        .map(|hour| closed(hour.window.start(), hour.revision, hour.totals))
        .collect();
    // The hour of the first minute that is not made, and what comes after it.
    let mut hour = made.map_or(from, |made| made.next().hour().max(from));
    while hour < until {
        let (start, end) = (Minute::of(hour.start())?, Minute::of(hour.end())?);
        told.extend(joined(
            hour.start(),
            minutes(table, start, end, made).await?,
        ));
        hour = hour.next();
    }
    Ok(told)
}

/// A window whose result is made.
fn closed(start: Timestamp, revision: u64, totals: Totals) -> Told {
    Told {
        start,
        is_final: true,
        revision,
        totals,
    }
}

/// A window whose result is not made, with what there is so far.
fn open(start: Timestamp, totals: Totals) -> Told {
    Told {
        start,
        is_final: false,
        revision: 0,
        totals,
    }
}

async fn days<T: InsightsTable>(
    table: &T,
    from: Day,
    until: Day,
    made: Option<Minute>,
) -> Result<Vec<Told>, ReadError> {
    let stored = table.days(from, until).await?;
    let mut told: Vec<_> = stored
        .into_iter()
        .map(|day| closed(day.window.start(), day.revision, day.totals))
        .collect();
    let mut day = made.map_or(from, |made| made.next().hour().day().max(from));
    while day < until {
        let (start, end) = (Hour::of(day.start())?, Hour::of(day.end())?);
        told.extend(joined(day.start(), hours(table, start, end, made).await?));
        day = day.next();
    }
    Ok(told)
}

/// An open window of shorter ones, in the order of time.
fn joined(start: Timestamp, windows: Vec<Told>) -> Option<Told> {
    let mut windows = windows.into_iter();
    let mut totals = windows.next()?.totals;
    for window in windows {
        totals.append(&window.totals);
    }
    Some(open(start, totals))
}
