//! What every table of insights keeps, whatever it is made of. Each check takes minutes of its own.

use super::{
    Correction, DeviceWindow, InsightsTable, PartTable, Progress, PutPart, ResultTable, RuleTable,
    TableError,
};
use crate::alarms::Rule;
use crate::earlier::Earlier;
use crate::part::{LambdaWindow, Part, SequenceNumber};
use crate::record::Record;
use crate::result::{MinuteResult, RollUp};
use crate::state::{Arrival, State};
use crate::window::{Lateness, Minute};
use domain::ids::RuleName;
use jiff::{SignedDuration, Timestamp};

/// Runs every check on an empty table.
///
/// # Panics
/// When the table does not keep one.
///
/// # Errors
/// When it does not answer.
pub async fn holds<T>(table: &T) -> Result<(), TableError>
where
    T: PartTable + ResultTable + InsightsTable,
{
    a_part_is_written_once(table).await?;
    ids_are_read_of_all_parts(table).await?;
    results_replace_older_ones_only(table).await?;
    devices_are_found_by_their_id(table).await?;
    windows_are_closed_by_one_at_a_time(table).await?;
    a_correction_that_was_noted_again_is_not_forgotten(table).await?;
    alarm_states_are_kept(table).await
}

/// A minute that no other check uses.
fn minute(number: i64) -> Minute {
    let start = Timestamp::UNIX_EPOCH + SignedDuration::from_mins(28_928_160 + 61 * number);
    Minute::of(start).unwrap_or(Minute::FIRST)
}

/// The part that a shard's first window adds to a minute, of records that came in time.
///
/// # Panics
/// When they are none of the minute.
#[must_use]
pub fn part_of(minute: Minute, shard: &str, records: &[String]) -> Part {
    let window = LambdaWindow::new(shard, minute.start());
    let mut earlier = Earlier::of(window.clone());
    earlier.learn(minute, []);
    let mut state = State::new(window);
    for (number, record) in records.iter().enumerate() {
        let sequence = SequenceNumber::parse(&format!("{}", number + 1));
        let arrival = Arrival {
            sequence: sequence.unwrap_or_else(|_| unreachable!("a number has digits")),
            arrived: minute.end(),
            record: Record::parse(record.as_bytes()),
        };
        let folded = state.fold(&arrival, &Lateness::default(), &earlier);
        assert!(folded.is_ok(), "{folded:?}");
    }
    let mut parts = state.parts();
    assert_eq!(parts.len(), 1, "parts of one minute");
    parts.remove(0)
}

/// The part of a shard's window that read `count` devices in a minute.
fn part(minute: Minute, shard: &str, count: usize) -> Part {
    let at = minute.start();
    let reading = |number| {
        format!(
            r#"{{"deviceId":"{shard}-{number}","sensor":"s","value":{number}.5,"unit":"u","at":"{at}"}}"#
        )
    };
    part_of(minute, shard, &(0..count).map(reading).collect::<Vec<_>>())
}

async fn a_part_is_written_once<T: PartTable + ResultTable>(table: &T) -> Result<(), TableError> {
    let (first, second) = (part(minute(0), "a", 1), part(minute(0), "a", 2));
    assert_eq!(table.put_part(&first).await?, PutPart::Written);
    let there = || PutPart::There(Box::new(first.clone()));
    assert_eq!(table.put_part(&second).await?, there());
    assert_eq!(table.replace_part(&second, &second).await?, there());
    assert_eq!(table.replace_part(&second, &first).await?, PutPart::Written);
    assert_eq!(table.parts_of(minute(0)).await?, [second]);
    Ok(())
}

async fn ids_are_read_of_all_parts<T: PartTable + InsightsTable>(
    table: &T,
) -> Result<(), TableError> {
    // More than one page of a query.
    let parts: Vec<_> = (0..5)
        .map(|shard| part(minute(1), &format!("shard-{shard}"), 3_000))
        .collect();
    for part in &parts {
        assert_eq!(table.put_part(part).await?, PutPart::Written);
    }
    let mut ids = table.ids_of(minute(1)).await?;
    ids.sort_by(|one, other| one.0.cmp(&other.0));
    let expected = parts
        .iter()
        .map(|part| (part.key.clone(), part.sums.ids.clone()));
    assert_eq!(ids, expected.collect::<Vec<_>>());
    assert_eq!(table.ids_of(minute(2)).await?, []);
    assert_eq!(table.parts_of(minute(1)).await?.len(), 5);
    Ok(())
}

async fn results_replace_older_ones_only<T: ResultTable + InsightsTable>(
    table: &T,
) -> Result<(), TableError> {
    let (at, next) = (minute(3), minute(3).next());
    let parts = [part(at, "a", 2), part(at, "b", 400)];
    let first = MinuteResult::of(at, &parts[..1]);
    let corrected = first.corrected(&parts);
    let corrected = corrected.unwrap_or_else(|| unreachable!("there is a part more"));
    assert_eq!(table.minute(at).await?, None);
    table.put_minute(&corrected).await?;
    table.put_minute(&first).await?;
    assert_eq!(table.minute(at).await?.as_ref(), Some(&corrected));
    let mut bare = corrected.clone();
    bare.totals.devices.clear();
    assert_eq!(table.minutes(at, next).await?, [bare.clone()]);
    assert_eq!(table.minutes(next, next.next()).await?, []);
    assert_eq!(table.minutes(next, at).await?, []);
    assert_eq!(table.minutes(minute(2).next(), next).await?, [bare]);

    let hour = RollUp::of_minutes(at.hour(), &[corrected, MinuteResult::of(next, &[])]);
    let day = RollUp::of_hours(at.hour().day(), std::slice::from_ref(&hour));
    table.put_hour(&hour).await?;
    let older = RollUp::of_minutes(at.hour(), &[first]);
    table.put_hour(&older).await?;
    table.put_day(&day).await?;
    assert_eq!(table.hour(at.hour()).await?.as_ref(), Some(&hour));
    let mut bare = hour;
    bare.totals.devices.clear();
    let until = at.hour().next();
    assert_eq!(table.hours(at.hour(), until).await?, [bare]);
    let mut bare = day;
    bare.totals.devices.clear();
    let of_day = at.hour().day();
    assert_eq!(table.days(of_day, of_day.next()).await?, [bare]);
    Ok(())
}

async fn devices_are_found_by_their_id<T: ResultTable + InsightsTable>(
    table: &T,
) -> Result<(), TableError> {
    let at = minute(4);
    // More than one item.
    let result = MinuteResult::of(at, &[part(at, "fleet", 2_500)]);
    let hour = RollUp::of_minutes(at.hour(), std::slice::from_ref(&result));
    table.put_minute(&result).await?;
    table.put_hour(&hour).await?;
    assert_eq!(table.minute(at).await?.as_ref(), Some(&result));
    let windows = [
        DeviceWindow::Minute(at),
        DeviceWindow::Minute(at.next()),
        DeviceWindow::Hour(at.hour()),
    ];
    for (key, span) in result.totals.devices.iter().step_by(617) {
        let found = table.device(&key.device, &windows).await?;
        let at = |window: &DeviceWindow| (*window, key.clone(), span.clone());
        assert_eq!(found, [at(&windows[0]), at(&windows[2])]);
    }
    Ok(())
}

async fn windows_are_closed_by_one_at_a_time<T>(table: &T) -> Result<(), TableError>
where
    T: PartTable + ResultTable + InsightsTable,
{
    let start = table.progress().await?;
    assert_eq!(start, Progress::default());
    let closed = Progress {
        closed_through: Some(minute(5)),
        made_through: None,
    };
    assert!(table.advance(start, closed).await?);
    assert!(!table.advance(start, closed).await?);
    assert_eq!(table.progress().await?, closed);
    assert_eq!(table.progress().await?.closed_through, Some(minute(5)));
    let made = Progress {
        made_through: Some(minute(5)),
        ..closed
    };
    assert!(table.advance(closed, made).await?);
    assert_eq!(table.progress().await?, made);
    assert_eq!(table.progress().await?.made_through, Some(minute(5)));
    Ok(())
}

async fn a_correction_that_was_noted_again_is_not_forgotten<T>(table: &T) -> Result<(), TableError>
where
    T: PartTable + ResultTable,
{
    let (one, other) = (part(minute(6), "a", 1), part(minute(6), "b", 1));
    table.note_correction(&one.key).await?;
    let noted = table.corrections(10).await?;
    let expected = Correction {
        minute: minute(6),
        noted: one.key.to_string(),
    };
    assert_eq!(noted, [expected]);
    table.note_correction(&other.key).await?;
    table.forget_correction(&noted[0]).await?;
    let again = table.corrections(10).await?;
    assert_eq!(again[0].noted, other.key.to_string());
    table.note_correction(&part(minute(7), "a", 1).key).await?;
    assert_eq!(table.corrections(1).await?.len(), 1);
    table.forget_correction(&again[0]).await?;
    assert_eq!(table.corrections(10).await?.len(), 1);
    Ok(())
}

async fn alarm_states_are_kept<T: ResultTable>(table: &T) -> Result<(), TableError> {
    assert_eq!(table.alarm_states().await?, []);
    let name =
        |text: &str| RuleName::parse(text).unwrap_or_else(|_| unreachable!("a letter is a name"));
    table.keep_alarm_state(&name("a"), &[1]).await?;
    table.keep_alarm_state(&name("b"), &[0, 3]).await?;
    table.keep_alarm_state(&name("a"), &[2]).await?;
    table.forget_alarm_state(&name("b")).await?;
    table.forget_alarm_state(&name("c")).await?;
    assert_eq!(table.alarm_states().await?, [(name("a"), vec![2])]);
    Ok(())
}

/// Runs every check on an empty table of rules.
///
/// # Panics
/// When the table does not keep one.
///
/// # Errors
/// When it does not answer.
pub async fn rules_are_kept<T: RuleTable>(table: &T) -> Result<(), TableError> {
    let rule = |name: &str, threshold: u32| -> Rule {
        let json = format!(
            r#"{{"name":"{name}","metric":{{"kind":"orders","figure":"placed"}},
                "condition":{{"kind":"above","threshold":{threshold},"clear":0}},"forWindows":3}}"#
        );
        serde_json::from_str(&json).unwrap_or_else(|error| unreachable!("{error}"))
    };
    assert_eq!(table.rules().await?, []);
    let (one, other, changed) = (rule("b", 1), rule("a", 1), rule("b", 2));
    assert!(table.put_rule(&one, 2).await?);
    assert!(table.put_rule(&other, 2).await?);
    assert!(table.put_rule(&changed, 2).await?);
    assert!(!table.put_rule(&rule("c", 1), 2).await?);
    assert_eq!(table.rules().await?, [other.clone(), changed.clone()]);
    assert!(table.remove_rule(changed.name()).await?);
    assert!(!table.remove_rule(changed.name()).await?);
    assert_eq!(table.rules().await?, [other]);
    Ok(())
}
