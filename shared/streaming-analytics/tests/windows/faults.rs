//! One fault each, and what becomes of it.

use crate::consumer::{Died, Process, Table};
use crate::producer::{Event, START, Said, timestamp};
use streaming_analytics::counts::Counts;
use streaming_analytics::earlier::{Earlier, NotLookedUp};
use streaming_analytics::part::{LambdaWindow, SequenceNumber};
use streaming_analytics::record::Record;
use streaming_analytics::result::MinuteResult;
use streaming_analytics::state::{Arrival, Folded, Limits, State};
use streaming_analytics::window::{Lateness, Minute};

/// An order that was placed some milliseconds after the start, and taken at once.
pub fn order(number: usize, at: i64) -> Arrival {
    delivered(number, number, at, at)
}

/// The delivery of an order's event at a place in the shard.
fn delivered(place: usize, number: usize, at: i64, arrived: i64) -> Arrival {
    let said = Said::Placed {
        user: 1,
        lines: vec![(7, 1)],
    };
    let event = Event {
        number,
        key: 0,
        at: START + at,
        said,
    };
    Arrival {
        sequence: SequenceNumber::parse(&(place + 1).to_string()).unwrap(),
        arrived: timestamp(START + arrived),
        record: Record::parse(&event.data()),
    }
}

pub fn window(shard: &str, number: i64) -> LambdaWindow {
    LambdaWindow::new(shard, timestamp(START + number * 60_000))
}

fn minute() -> Minute {
    Minute::of(timestamp(START)).unwrap()
}

pub const LARGE: Limits = Limits {
    state: 1_000_000,
    part: 1_000_000,
};

/// A new process of the window, which dies after some steps if told to.
pub fn process<'a>(
    table: &'a mut Table,
    window: &LambdaWindow,
    limits: Limits,
    steps_to_live: Option<u32>,
) -> Process<'a> {
    Process {
        table,
        earlier: Earlier::of(window.clone()),
        limits,
        steps_to_live,
    }
}

/// Consumes the batch and ends the window, in one invocation.
fn consume(table: &mut Table, window: &LambdaWindow, batch: &[Arrival]) {
    process(table, window, LARGE, None)
        .invoke(None, batch, true)
        .unwrap();
}

fn counts(table: &Table) -> Counts {
    MinuteResult::of(minute(), &table.parts_of(minute()))
        .totals
        .counts
}

fn on_time(count: u64) -> Counts {
    Counts {
        on_time: count,
        ..Counts::default()
    }
}

/// A limit that so many of these orders in one minute reach.
fn filled_by(orders: usize) -> Limits {
    let window = window("s", 0);
    let mut earlier = Earlier::of(window.clone());
    earlier.learn(minute(), []);
    let mut state = State::new(window);
    for number in 0..orders {
        let folded = state.fold(&order(number, 1_000), &Lateness::default(), &earlier);
        assert_eq!(folded, Ok(Folded::OnTime(minute())));
    }
    let state = (0..2_000).find(|limit| {
        !state.is_full(&Limits {
            state: *limit,
            part: 2_000,
        })
    });
    Limits {
        state: state.unwrap() - 1,
        part: 2_000,
    }
}

fn ten_orders() -> Vec<Arrival> {
    (0..10).map(|number| order(number, 1_000)).collect()
}

#[test]
fn a_flush_whose_answer_was_lost_is_met_again_and_counts_once() {
    let (mut table, window) = (Table::default(), window("s", 0));
    let kept = process(&mut table, &window, LARGE, None)
        .invoke(None, &ten_orders(), false)
        .unwrap();
    for _ in 0..2 {
        // The first time nobody hears the answer.
        process(&mut table, &window, LARGE, None)
            .invoke(Some(&kept), &[], true)
            .unwrap();
    }
    assert_eq!((table.same, table.parts()), (1, 1));
    assert_eq!(counts(&table), on_time(10));
}

#[test]
fn a_batch_that_died_between_two_flushes_comes_to_the_same_parts_in_halves() {
    let (mut table, window) = (Table::default(), window("s", 0));
    let limits = filled_by(4);
    let died = process(&mut table, &window, limits, Some(9)).invoke(None, &ten_orders(), false);
    assert!(matches!(died, Err(Died)));
    assert_eq!(table.parts(), 1);
    let mut kept = None;
    for half in ten_orders().chunks(5) {
        let mut process = process(&mut table, &window, limits, None);
        kept = Some(process.invoke(kept.as_deref(), half, false).unwrap());
    }
    process(&mut table, &window, limits, None)
        .invoke(kept.as_deref(), &[], true)
        .unwrap();
    assert_eq!((table.same, table.parts()), (1, 3));
    assert_eq!(counts(&table), on_time(10));
}

#[test]
fn a_part_that_covers_more_is_adopted_and_its_records_are_not_folded_again() {
    let (mut table, window) = (Table::default(), window("s", 0));
    let died =
        process(&mut table, &window, filled_by(7), Some(10)).invoke(None, &ten_orders(), false);
    assert!(matches!(died, Err(Died)));
    let small = filled_by(3);
    process(&mut table, &window, small, None)
        .invoke(None, &ten_orders(), true)
        .unwrap();
    assert_eq!(table.adopted, 1);
    assert_eq!(counts(&table), on_time(10));
}

#[test]
fn a_part_that_covers_less_is_replaced() {
    let (mut table, window) = (Table::default(), window("s", 0));
    let died =
        process(&mut table, &window, filled_by(3), Some(5)).invoke(None, &ten_orders(), false);
    assert!(matches!(died, Err(Died)));
    process(&mut table, &window, filled_by(7), None)
        .invoke(None, &ten_orders(), true)
        .unwrap();
    assert_eq!(table.replaced, 1);
    assert_eq!(counts(&table), on_time(10));
}

#[test]
fn what_an_attempt_under_other_limits_left_over_does_not_count() {
    let (mut table, window) = (Table::default(), window("s", 0));
    // Writes a part of 3 records and one of the next 3, and dies.
    let died =
        process(&mut table, &window, filled_by(3), Some(9)).invoke(None, &ten_orders()[..8], false);
    assert!(matches!(died, Err(Died)));
    assert_eq!(table.parts(), 2);
    consume(&mut table, &window, &ten_orders()[..8]);
    assert_eq!(table.parts(), 2, "the second one is still there");
    assert_eq!(counts(&table), on_time(8));
}

#[test]
fn a_part_that_begins_elsewhere_is_replaced_though_it_covers_more() {
    let (mut table, window) = (Table::default(), window("s", 0));
    let died =
        process(&mut table, &window, filled_by(5), Some(12)).invoke(None, &ten_orders(), false);
    assert!(matches!(died, Err(Died)));
    assert_eq!(table.parts(), 2, "of the first five and of the others");
    let kept = process(&mut table, &window, filled_by(7), None)
        .invoke(None, &ten_orders()[..7], false)
        .unwrap();
    process(&mut table, &window, filled_by(2), None)
        .invoke(Some(&kept), &ten_orders()[7..], true)
        .unwrap();
    assert_eq!((table.replaced, table.parts()), (2, 3));
    assert_eq!(counts(&table), on_time(10));
}

#[test]
fn a_minute_of_which_only_an_own_part_is_known_is_looked_up_all_the_same() {
    let mut table = Table::default();
    consume(&mut table, &window("s", 0), &[order(0, 1_000)]);
    let unreadable = Arrival {
        record: Record::parse(b"?"),
        ..delivered(1, 1, 1_000, 2_000)
    };
    let other = window("t", 0);
    let limits = Limits { state: 0, part: 0 };
    process(&mut table, &other, limits, None)
        .invoke(None, &[unreadable, delivered(2, 0, 1_000, 3_000)], true)
        .unwrap();
    let expected = Counts {
        duplicate: 1,
        malformed: 1,
        ..on_time(1)
    };
    assert_eq!(counts(&table), expected);
}

#[test]
fn an_event_that_comes_again_is_a_duplicate_in_its_window_in_a_later_one_and_in_another_shard() {
    let mut table = Table::default();
    consume(
        &mut table,
        &window("s", 0),
        &[order(0, 1_000), delivered(1, 0, 1_000, 2_000)],
    );
    consume(
        &mut table,
        &window("s", 1),
        &[delivered(2, 0, 1_000, 61_000)],
    );
    consume(
        &mut table,
        &window("child of s", 2),
        &[delivered(3, 0, 1_000, 130_000)],
    );
    let expected = Counts {
        duplicate: 3,
        ..on_time(1)
    };
    assert_eq!(counts(&table), expected);
}

#[test]
fn a_late_record_is_a_correction() {
    let mut table = Table::default();
    consume(&mut table, &window("s", 0), &[order(0, 1_000)]);
    let first = MinuteResult::of(minute(), &table.parts_of(minute()));
    assert_eq!(first.corrected(&table.parts_of(minute())), None);
    let on_time_still = delivered(1, 1, 59_999, 179_999);
    let late = delivered(2, 2, 59_999, 180_000);
    consume(&mut table, &window("s", 2), &[on_time_still]);
    consume(&mut table, &window("s", 3), &[late]);
    let corrected = first.corrected(&table.parts_of(minute())).unwrap();
    assert_eq!(corrected.revision, 2);
    assert_eq!(corrected.totals.orders.placed, 3);
    assert_eq!(
        corrected.totals.counts,
        Counts {
            late: 1,
            ..on_time(2)
        }
    );
}

#[test]
fn a_clock_that_is_ahead_is_borne_up_to_its_bound() {
    let mut table = Table::default();
    let bound = delivered(0, 0, 80_000, 50_000);
    let beyond = delivered(1, 1, 80_001, 50_000);
    consume(&mut table, &window("s", 0), &[bound, beyond]);
    let next = minute().next();
    let of_next = MinuteResult::of(next, &table.parts_of(next)).totals.counts;
    assert_eq!(of_next, on_time(1), "in its own minute");
    let expected = Counts {
        too_early: 1,
        ..Counts::default()
    };
    assert_eq!(counts(&table), expected, "where it arrived");
}

#[test]
fn the_boundary_between_two_minutes_belongs_to_the_later_one() {
    let mut table = Table::default();
    consume(
        &mut table,
        &window("s", 0),
        &[order(0, 59_999), order(1, 60_000)],
    );
    assert_eq!(counts(&table), on_time(1));
    assert_eq!(
        table.minutes().collect::<Vec<_>>(),
        [minute(), minute().next()]
    );
}

#[test]
fn a_window_without_records_writes_nothing_and_a_minute_without_parts_is_empty() {
    let mut table = Table::default();
    consume(&mut table, &window("s", 0), &[]);
    assert_eq!(table.parts(), 0);
    let empty = MinuteResult::of(minute(), &[]);
    assert_eq!(
        (empty.revision, empty.totals.counts),
        (1, Counts::default())
    );
}

#[test]
fn a_record_is_not_folded_before_the_earlier_ids_are_looked_up() {
    let window = window("s", 0);
    let mut state = State::new(window.clone());
    let before = state.clone();
    let earlier = Earlier::of(window);
    let folded = state.fold(&order(0, 1_000), &Lateness::default(), &earlier);
    assert_eq!(folded, Err(NotLookedUp(minute())));
    assert_eq!(state, before);
}

#[test]
fn a_record_that_a_state_has_folded_is_not_folded_again() {
    let window = window("s", 0);
    let mut earlier = Earlier::of(window.clone());
    earlier.learn(minute(), []);
    let mut state = State::new(window);
    let fold = |state: &mut State| state.fold(&order(0, 1_000), &Lateness::default(), &earlier);
    assert_eq!(fold(&mut state), Ok(Folded::OnTime(minute())));
    let once = state.clone();
    assert_eq!(fold(&mut state), Ok(Folded::Already));
    assert_eq!(state, once);
}
