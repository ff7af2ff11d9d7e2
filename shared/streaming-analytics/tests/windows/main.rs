//! Whatever is delivered twice, late or out of order, however shards are split and invocations
//! fail: the merged parts are what a plain fold over all events comes to.

#![allow(clippy::unwrap_used)] // In a test, that is how to fail.

mod consumer;
mod faults;
mod limits;
mod producer;
mod reference;
mod texts;

use consumer::{Faults, Table};
use producer::{Delivery, deliveries};
use proptest::prelude::*;
use streaming_analytics::result::{MinuteResult, RollUp};
use streaming_analytics::window::{Day, Hour};

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn the_merged_parts_equal_a_plain_fold(stream in deliveries(), faults in faults()) {
        let table = consumer::consume(&stream, faults);
        equals_the_reference(&table, &stream);
    }

    #[test]
    fn hours_and_days_equal_a_plain_fold(stream in deliveries(), faults in faults()) {
        let table = consumer::consume(&stream, faults);
        let reference = reference::fold(&stream);
        let results = results(&table);
        let mut hours: Vec<Hour> = results.iter().map(|result| result.minute.hour()).collect();
        hours.dedup();
        let mut backwards = results.clone();
        backwards.reverse();
        let rolled_up: Vec<_> = hours
            .iter()
            .map(|hour| RollUp::<Hour>::of_minutes(*hour, &backwards))
            .collect();
        for hour in &rolled_up {
            reference.hour(hour.window).holds(&hour.totals);
            let again = RollUp::decode(&hour.encode().unwrap()).unwrap();
            prop_assert_eq!(&again, hour);
        }
        let mut days: Vec<Day> = hours.iter().map(|hour| hour.day()).collect();
        days.dedup();
        for day in days {
            reference.day(day).holds(&RollUp::<Day>::of_hours(day, &rolled_up).totals);
        }
    }

    #[test]
    fn corrections_end_where_all_parts_at_once_would(stream in deliveries(), faults in faults()) {
        let table = consumer::consume(&stream, faults);
        for minute in table.minutes() {
            let parts = table.parts_of(minute);
            let mut result = MinuteResult::of(minute, &[]);
            for some in 0..=parts.len() {
                if let Some(corrected) = result.corrected(&parts[..some]) {
                    prop_assert_eq!(corrected.revision, result.revision + 1);
                    result = corrected;
                }
            }
            prop_assert_eq!(result.corrected(&parts), None);
            let at_once = MinuteResult::of(minute, &parts);
            prop_assert_eq!(result.totals, at_once.totals);
            prop_assert_eq!(result.made_of, at_once.made_of);
        }
    }
}

/// Every minute's result, in order.
fn results(table: &Table) -> Vec<MinuteResult> {
    let result = |minute| MinuteResult::of(minute, &table.parts_of(minute));
    table.minutes().map(result).collect()
}

#[track_caller]
fn equals_the_reference(table: &Table, stream: &[Delivery]) {
    let reference = reference::fold(stream);
    let results = results(table);
    let minutes: Vec<_> = results.iter().map(|result| result.minute).collect();
    assert_eq!(minutes, reference.minutes());
    let mut counted = 0;
    for result in &results {
        reference.minute(result.minute).holds(&result.totals);
        assert_eq!(result.overlapping, 0);
        assert_eq!(
            &MinuteResult::decode(&result.encode().unwrap()).unwrap(),
            result
        );
        counted += result.totals.counts.total();
    }
    assert_eq!(counted, stream.len() as u64, "each record is counted once");
}

fn faults() -> impl Strategy<Value = Faults> {
    let rate = prop_oneof![Just(0_u8), 0_u8..60];
    (
        any::<u64>(),
        rate,
        any::<bool>(),
        1_usize..12,
        any::<bool>(),
    )
        .prop_map(|(seed, rate, changing_limits, batch, small)| Faults {
            seed,
            rate,
            changing_limits,
            batch,
            small,
        })
}
