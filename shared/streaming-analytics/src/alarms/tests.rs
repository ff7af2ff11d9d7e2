use super::*;
use crate::devices::{DeviceKey, DeviceMinute, DeviceSpan};
use crate::exact::Exact;
use crate::record::{OrderFact, Reading, RecordId};
use crate::result::MinuteResult;
use crate::window::Minute;
use domain::alarm::{AlarmCommand, ClearReason};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::json;

fn minute(number: u32) -> Minute {
    let midnight: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let at = midnight + SignedDuration::from_mins(i64::from(number));
    Minute::of(at).unwrap()
}

fn rule(json: serde_json::Value) -> Rule {
    serde_json::from_value(json).unwrap()
}

fn rejected_orders(for_windows: u32) -> Rule {
    rule(
        json!({"name": "rejections", "metric": {"kind": "orders", "figure": "rejected"},
        "condition": {"kind": "above", "threshold": 5, "clear": 2}, "forWindows": for_windows}),
    )
}

/// A minute in which so many orders were rejected.
fn rejections(number: u32, count: u64) -> MinuteResult {
    let mut result = MinuteResult::of(minute(number), &[]);
    for _ in 0..count {
        result.totals.orders.add(&OrderFact::Rejected);
    }
    result
}

/// What changes while these minutes are judged, as `+minute` and `-minute`.
fn judged(rule: &Rule, minutes: &[MinuteResult]) -> Vec<String> {
    let mut state = RuleState::default();
    let mut told = Vec::new();
    for result in minutes {
        let (next, changes) = decide(rule, &state, result);
        let bytes = next.encode().unwrap();
        state = RuleState::decode(&bytes).unwrap();
        assert_eq!(state, next);
        told.extend(changes.iter().map(|change| match change {
            Change::Raised { minute: at, .. } => format!("+{}", minute(0).until(*at)),
            Change::Cleared { minute: at, .. } => format!("-{}", minute(0).until(*at)),
        }));
    }
    told
}

fn in_a_row(counts: &[u64]) -> Vec<MinuteResult> {
    let numbered = (0..).zip(counts);
    numbered
        .map(|(number, count)| rejections(number, *count))
        .collect()
}

#[test]
fn an_alarm_is_raised_once_after_so_many_minutes_in_a_row_and_cleared_likewise() {
    let row = in_a_row(&[6, 6, 5, 6, 6, 6, 9, 1, 2, 3, 0, 0, 0, 6, 6, 6]);
    assert_eq!(judged(&rejected_orders(3), &row), ["+5", "-12", "+15"]);
    assert_eq!(judged(&rejected_orders(1), &row), ["+0", "-7", "+13"]);
}

#[test]
fn between_the_two_bounds_an_episode_goes_on() {
    let row = in_a_row(&[6, 5, 3, 5, 3, 6, 2]);
    assert_eq!(judged(&rejected_orders(1), &row), ["+0", "-6"]);
}

#[test]
fn a_minute_is_judged_once_and_a_correction_raises_nothing() {
    let rule = rejected_orders(1);
    let (state, changes) = decide(&rule, &RuleState::default(), &rejections(3, 0));
    assert!(changes.is_empty());
    for late in [rejections(3, 9), rejections(2, 9)] {
        assert_eq!(decide(&rule, &state, &late), (state.clone(), vec![]));
    }
}

#[test]
fn minutes_that_nobody_evaluated_are_empty_ones() {
    let rule = rejected_orders(2);
    assert_eq!(
        judged(
            &rule,
            &[rejections(0, 9), rejections(2, 9), rejections(3, 9)]
        ),
        ["+3"]
    );
    assert_eq!(
        judged(
            &rule,
            &[rejections(0, 9), rejections(1, 9), rejections(9, 9)]
        ),
        ["+1", "-3"]
    );
}

#[test]
fn a_ratio_of_no_orders_neither_breaches_nor_clears_nor_breaks_a_row() {
    let rule = rule(
        json!({"name": "failures", "metric": {"kind": "orders", "figure": "failureRatio"},
        "condition": {"kind": "above", "threshold": 0.5, "clear": 0.5}, "forWindows": 2}),
    );
    let minutes = [
        rejections(0, 1),
        rejections(1, 0),
        rejections(2, 1),
        rejections(3, 0),
    ];
    assert_eq!(judged(&rule, &minutes), ["+2"]);
}

#[test]
fn silence_of_a_sensor_is_a_count_of_zero_and_an_unknown_value() {
    let of_sensor = |figure: &str, condition: serde_json::Value| {
        rule(
            json!({"name": "cold", "condition": condition, "metric": {"kind": "device",
            "deviceId": "cold-1", "sensor": "temperature", "figure": figure}}),
        )
    };
    let warm = |number: u32, value: &str| {
        let reading = Reading {
            device: domain::ids::DeviceId::parse("cold-1").unwrap(),
            sensor: domain::ids::SensorName::parse("temperature").unwrap(),
            value: Exact::parse(value).unwrap(),
            unit: "°C".into(),
        };
        let readings = DeviceMinute::of(&reading, RecordId(1), 0);
        let mut result = MinuteResult::of(minute(number), &[]);
        let span = DeviceSpan::of(minute(number), &readings);
        result.totals.devices.insert(DeviceKey::of(&reading), span);
        result
    };
    let silent = |number| MinuteResult::of(minute(number), &[]);
    let minutes = [
        warm(0, "-18"),
        warm(1, "-9.5"),
        silent(2),
        warm(3, "-17.9"),
        warm(4, "-18"),
    ];
    let too_warm = json!({"kind": "above", "threshold": -10, "clear": -18});
    let rule = of_sensor("max", too_warm);
    assert_eq!(judged(&rule, &minutes), ["+1", "-4"]);
    assert_eq!(rule.metric().to_string(), "device.cold-1.temperature.max");
    let silence = json!({"kind": "below", "threshold": 1, "clear": 1});
    assert_eq!(judged(&of_sensor("count", silence), &minutes), ["+2", "-3"]);
}

fn deviation(more: serde_json::Value) -> Rule {
    let mut condition = json!({"kind": "deviation", "raise": 4, "clear": 2});
    for (field, value) in more.as_object().unwrap() {
        condition[field] = value.clone();
    }
    rule(
        json!({"name": "unusual", "metric": {"kind": "orders", "figure": "rejected"},
        "condition": condition, "forWindows": 2}),
    )
}

/// Three days with 20 to 24 a minute by day and 2 to 4 by night, then what is given.
fn days_then(minutes: &[(u32, u64)]) -> Vec<MinuteResult> {
    let usual = |number: u32| {
        let wave = u64::from(number * 7 % 5);
        if (8..20).contains(&(number / 60 % 24)) {
            20 + wave
        } else {
            2 + wave / 2
        }
    };
    let past = (0..3 * 1_440).map(|number| rejections(number, usual(number)));
    let now = minutes
        .iter()
        .map(|(number, count)| rejections(3 * 1_440 + number, *count));
    past.chain(now).collect()
}

fn today(told: Vec<String>) -> Vec<i64> {
    let signed = |text: String| text.parse::<i64>().unwrap();
    let since = |number: i64| number - number.signum() * 3 * 1_440;
    told.into_iter().map(signed).map(since).collect()
}

#[test]
fn what_is_usual_by_day_is_an_alarm_at_night() {
    let night = days_then(&[(0, 3), (1, 22), (2, 22), (3, 3), (4, 3)]);
    assert_eq!(today(judged(&deviation(json!({})), &night)), [2, -4]);
    assert_eq!(
        judged(&deviation(json!({})), &days_then(&[])),
        [""; 0],
        "the days themselves are as they always are"
    );
}

#[test]
fn a_deviation_may_count_on_one_side_only_and_only_from_some_distance_on() {
    let high = days_then(&[(0, 22), (1, 22)]);
    assert_eq!(
        today(judged(&deviation(json!({"direction": "below"})), &high)),
        [0; 0]
    );
    assert_eq!(
        today(judged(&deviation(json!({"direction": "above"})), &high)),
        [1]
    );
    assert_eq!(
        today(judged(&deviation(json!({"atLeast": 50})), &high)),
        [0; 0]
    );
}

#[test]
fn nothing_is_unusual_before_an_hour_was_seen() {
    let mut minutes = in_a_row(&[3; 59]);
    minutes.extend([
        rejections(59, 900),
        rejections(60, 900),
        rejections(61, 900),
    ]);
    assert_eq!(judged(&deviation(json!({})), &minutes), [""; 0]);
}

#[test]
fn a_new_level_becomes_the_usual_one() {
    let level: Vec<_> = (0..14 * 1_440).map(|number| (number, 30)).collect();
    let told = today(judged(
        &deviation(json!({"halfLife": 60})),
        &days_then(&level),
    ));
    assert_eq!(told.first(), Some(&1));
    assert!(
        told.last().is_some_and(|last| *last < 0),
        "it is over: {told:?}"
    );
}

#[test]
fn an_alarm_of_a_rule_that_changed_or_went_is_cleared() {
    let (state, _) = decide(
        &rejected_orders(1),
        &RuleState::default(),
        &rejections(0, 9),
    );
    assert_eq!(state.raised(), Some(minute(0)));
    let (_, changes) = decide(&rejected_orders(2), &state, &rejections(1, 9));
    let cleared = |at: u32, reason| Change::Cleared {
        minute: minute(at),
        value: None,
        raised: minute(0),
        reason,
    };
    assert_eq!(changes, [cleared(1, ClearReason::RuleChanged)]);
    assert_eq!(
        withdraw(rejected_orders(1).name(), &state, minute(5)),
        Some(cleared(5, ClearReason::RuleRemoved).command(&rejected_orders(1)))
    );
    assert_eq!(
        withdraw(rejected_orders(1).name(), &RuleState::default(), minute(5)),
        None
    );
}

#[test]
fn the_alarm_is_told_what_the_rule_saw() {
    let rule = rejected_orders(1);
    let (_, changes) = decide(&rule, &RuleState::default(), &rejections(0, 9));
    let AlarmCommand::Raise(raised) = changes[0].command(&rule) else {
        panic!("it was raised");
    };
    assert_eq!(
        serde_json::to_value(raised).unwrap(),
        json!({"rule": "rejections", "metric": "orders.rejected", "forWindows": 1,
            "condition": "above 5, clears at 2", "window": "2026-01-01T00:00:00Z", "value": 9})
    );
}

#[test]
fn a_rule_that_contradicts_itself_is_refused() {
    let refused = |condition: serde_json::Value, for_windows: serde_json::Value| {
        let rule = json!({"name": "r", "metric": {"kind": "orders", "figure": "placed"},
            "condition": condition, "forWindows": for_windows});
        serde_json::from_value::<Rule>(rule)
            .unwrap_err()
            .to_string()
    };
    for (condition, field) in [
        (
            json!({"kind": "above", "threshold": 1, "clear": 2}),
            "condition.clear",
        ),
        (
            json!({"kind": "below", "threshold": 2, "clear": 1}),
            "condition.clear",
        ),
        (
            json!({"kind": "below", "threshold": 0, "clear": 1_000_000_000_001_u64}),
            "condition.clear",
        ),
        (
            json!({"kind": "above", "threshold": -1_000_000_000_001_i64, "clear": -2e13}),
            "condition.threshold",
        ),
        (
            json!({"kind": "deviation", "raise": 2, "clear": 1, "atLeast": 2e12}),
            "condition.atLeast",
        ),
        (
            json!({"kind": "deviation", "raise": 0, "clear": 0}),
            "condition.raise",
        ),
        (
            json!({"kind": "deviation", "raise": 2, "clear": 3}),
            "condition.clear",
        ),
        (
            json!({"kind": "deviation", "raise": 2, "clear": 1, "atLeast": -1}),
            "condition.atLeast",
        ),
        (
            json!({"kind": "deviation", "raise": 2, "clear": 1, "halfLife": 0}),
            "condition.halfLife",
        ),
        (
            json!({"kind": "above", "threshold": 1, "clear": 1, "cleer": 1}),
            "cleer",
        ),
    ] {
        let error = refused(condition, json!(1));
        assert!(error.contains(field), "{error}");
    }
    let valid = json!({"kind": "above", "threshold": 1, "clear": 1});
    assert!(refused(valid.clone(), json!(0)).contains("forWindows"));
    assert!(refused(valid, json!(121)).contains("forWindows"));
}

#[test]
fn a_rule_comes_back_from_json() {
    for rule in [
        rejected_orders(3),
        deviation(json!({"direction": "below", "atLeast": 0.5, "halfLife": 60.0})),
    ] {
        let json = serde_json::to_value(&rule).unwrap();
        assert_eq!(serde_json::from_value::<Rule>(json).unwrap(), rule);
    }
}

proptest! {
    #[test]
    fn raised_and_cleared_take_turns_whatever_comes(
        minutes in prop::collection::vec((1_u32..40, 0_u64..9), 1..200),
        for_windows in 1_u32..4,
    ) {
        let mut number = 0;
        let minutes: Vec<_> = minutes
            .into_iter()
            .map(|(step, count)| {
                number += if step > 30 { step } else { 1 };
                rejections(number, count)
            })
            .collect();
        for (place, change) in judged(&rejected_orders(for_windows), &minutes).iter().enumerate() {
            prop_assert_eq!(change.starts_with('+'), place % 2 == 0);
        }
    }

    #[test]
    fn any_bytes_are_a_state_or_damaged(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let with_version = [&[1], &bytes[..]].concat();
        for bytes in [&bytes, &with_version] {
            if let Ok(state) = RuleState::decode(bytes) {
                let _ = decide(&rejected_orders(1), &state, &rejections(0, 9));
                let _ = decide(&deviation(json!({})), &state, &rejections(0, 9));
            }
        }
    }
}
