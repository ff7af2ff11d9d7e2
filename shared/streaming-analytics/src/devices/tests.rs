use super::*;
use crate::window::Minute;
use jiff::Timestamp;
use proptest::prelude::*;

fn reading(value: &str, unit: &str) -> Reading {
    Reading {
        device: DeviceId::parse("cold-1").unwrap(),
        sensor: SensorName::parse("temperature").unwrap(),
        value: Exact::parse(value).unwrap(),
        unit: unit.into(),
    }
}

/// One reading: offset in milliseconds, value, id.
type One = (u16, i64, u64);

fn of((offset, value, id): One) -> DeviceMinute {
    DeviceMinute::of(&reading(&value.to_string(), "°C"), RecordId(id), offset)
}

fn merged(readings: &[One]) -> DeviceMinute {
    let mut all = readings.iter().map(|one| of(*one));
    let mut whole = all.next().unwrap();
    all.for_each(|one| whole.merge(&one));
    whole
}

fn noon() -> Minute {
    Minute::of("2026-01-01T12:00:00Z".parse::<Timestamp>().unwrap()).unwrap()
}

#[test]
fn readings_out_of_order_come_to_the_same_figures() {
    let readings = [
        (45_000, -17, 1),
        (1_500, -20, 2),
        (30_250, -18, 3),
        (1_700, -19, 4),
    ];
    let minute = merged(&readings);
    let values = minute.values();
    assert_eq!(values.count, 4);
    assert_eq!(values.sum.to_string(), "-74");
    assert_eq!(values.mean().to_string(), "-18.5");
    assert_eq!(
        (values.min.to_string(), values.max.to_string()),
        ("-20".into(), "-17".into())
    );
    assert_eq!(values.last.to_string(), "-17");
    assert_eq!(minute.first_and_last(), (1_500, 45_000));
    assert_eq!(minute.longest_gap(), Some(30_250 - 1_700));
}

#[test]
fn of_two_readings_at_one_time_the_larger_id_is_the_last() {
    let one = merged(&[(500, 1, 9), (500, 2, 3)]);
    assert_eq!(one.values().last.to_string(), "1");
    assert_eq!(one, merged(&[(500, 2, 3), (500, 1, 9)]));
}

#[test]
fn one_reading_has_no_gap_and_several_in_a_second_have_none_to_speak_of() {
    assert_eq!(merged(&[(500, 1, 1)]).longest_gap(), None);
    assert_eq!(
        merged(&[(100, 1, 1), (900, 1, 2), (500, 1, 3)]).longest_gap(),
        Some(0)
    );
    assert_eq!(
        merged(&[(100, 1, 1), (500, 1, 2), (1_000, 1, 3)]).longest_gap(),
        Some(500)
    );
}

#[test]
fn readings_in_different_units_are_flagged() {
    let mut readings = of((1_000, 20, 1));
    assert!(!readings.values().units_differ);
    readings.merge(&DeviceMinute::of(&reading("68", "°F"), RecordId(2), 2_000));
    assert!(readings.values().units_differ);
    assert_eq!(readings.values().unit, "°F", "the unit of the last one");
}

#[test]
fn the_gap_between_two_minutes_counts_in_what_they_are_joined_to() {
    let mut hour = DeviceSpan::of(noon(), &merged(&[(10_000, 1, 1), (20_000, 3, 2)]));
    let later = DeviceSpan::of(noon().next().next(), &merged(&[(5_000, 2, 3)]));
    hour.append(&later);
    assert_eq!(hour.longest_gap_ms(), Some(105_000));
    assert_eq!(hour.values().last.to_string(), "2");
    assert_eq!(hour.first_at().to_string(), "2026-01-01T12:00:10Z");
    assert_eq!(hour.last_at().to_string(), "2026-01-01T12:02:05Z");
    assert_eq!(hour.values().mean().to_string(), "2");
}

proptest! {
    #[test]
    fn merging_is_associative_and_commutative(
        readings in prop::collection::vec((0_u16..60_000, -1_000_i64..1_000, 0_u64..50), 3..200),
        cuts in (1_usize..100, 1_usize..100),
    ) {
        let first = cuts.0 % (readings.len() - 2) + 1;
        let second = first + cuts.1 % (readings.len() - first - 1) + 1;
        let [a, b, c] = [&readings[..first], &readings[first..second], &readings[second..]].map(merged);
        let whole = merged(&readings);
        let join = |parts: &[&DeviceMinute]| {
            let mut whole = parts[0].clone();
            parts[1..].iter().for_each(|part| whole.merge(part));
            whole
        };
        // Two different readings never share time and id.
        let mut keys: Vec<_> = readings.iter().map(|(at, _, id)| (at, id)).collect();
        keys.sort_unstable();
        keys.dedup();
        prop_assume!(keys.len() == readings.len());
        prop_assert_eq!(&join(&[&a, &b, &c]), &whole);
        prop_assert_eq!(&join(&[&a, &join(&[&b, &c])]), &whole);
        prop_assert_eq!(&join(&[&c, &b, &a]), &whole);
        let bytes = postcard::to_stdvec(&whole).unwrap();
        prop_assert!(bytes.len() <= whole.weight());
        prop_assert_eq!(postcard::from_bytes::<DeviceMinute>(&bytes).unwrap(), whole);
    }

    #[test]
    fn the_longest_gap_between_seconds_is_exact_in_any_order(
        times in prop::collection::vec(0_u16..60_000, 2..300),
    ) {
        let readings: Vec<_> = times.iter().zip(0..).map(|(at, id)| (*at, 0, id)).collect();
        let mut sorted = times.clone();
        sorted.sort_unstable();
        let apart = sorted.windows(2).filter(|pair| pair[0] / 1_000 != pair[1] / 1_000);
        let gap = apart.map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
        prop_assert_eq!(merged(&readings).longest_gap(), Some(gap));
        prop_assert_eq!(
            merged(&readings).first_and_last(),
            (sorted[0], *sorted.last().unwrap())
        );
    }
}
