use super::*;
use event_sourcing::decider::Event as _;
use proptest::prelude::*;
use serde_json::json;

fn minute(number: i64) -> Timestamp {
    Timestamp::from_second(1_767_268_800 + number * 60).unwrap()
}

fn rule() -> RuleName {
    RuleName::parse("failures").unwrap()
}

fn raise(window: i64) -> AlarmCommand {
    AlarmCommand::Raise(AlarmRaised {
        rule: rule(),
        metric: "orders.failureRatio".into(),
        condition: "above 0.2, clears at 0.1".into(),
        for_windows: 3,
        window: minute(window),
        value: Measured::parse("0.25").unwrap(),
        expected: None,
    })
}

fn clear(window: i64, raised_with: i64) -> AlarmCommand {
    AlarmCommand::Clear(AlarmCleared {
        rule: rule(),
        window: minute(window),
        value: None,
        raised_with: minute(raised_with),
        reason: ClearReason::Recovered,
    })
}

/// The types of what the commands cause, one after the other.
fn after(commands: &[AlarmCommand]) -> Vec<&'static str> {
    let mut alarm = Alarm::initial();
    let mut types = Vec::new();
    for command in commands {
        for event in Alarm::decide(command, &alarm).unwrap() {
            types.push(event.event_type());
            alarm = Alarm::evolve(alarm, &event, Timestamp::UNIX_EPOCH);
        }
    }
    types
}

#[test]
fn an_episode_is_raised_once_and_cleared_once_however_often_it_is_told() {
    assert_eq!(
        after(&[raise(5), raise(5), clear(9, 5), clear(9, 5), raise(5)]),
        ["AlarmRaised", "AlarmCleared"]
    );
    assert_eq!(
        after(&[raise(5), clear(9, 5), raise(12)]),
        ["AlarmRaised", "AlarmCleared", "AlarmRaised"]
    );
}

#[test]
fn what_was_never_raised_is_not_cleared() {
    assert!(after(&[clear(9, 5)]).is_empty());
}

#[test]
fn a_clearing_of_an_episode_before_is_a_repeat() {
    assert_eq!(
        after(&[raise(5), clear(9, 5), raise(12), clear(9, 5)]),
        ["AlarmRaised", "AlarmCleared", "AlarmRaised"]
    );
}

#[test]
fn an_alarm_has_a_stream_of_its_own() {
    assert_eq!(rule().stream(), "alarm-failures");
}

#[test]
fn measured_numbers_keep_their_sign_and_are_numbers_in_json() {
    let number = |text: &str| Measured::parse(text).unwrap();
    assert_eq!(number("-18.250"), number("-18.25"));
    assert_eq!(number("1.5e3").to_string(), "1500");
    assert_eq!(
        serde_json::to_value(number("-18.25")).unwrap(),
        json!(-18.25)
    );
    assert_eq!(Measured::parse("warm"), Err(NotMeasured));
    assert!(serde_json::from_value::<Measured>(json!("1")).is_err());
}

proptest! {
    #[test]
    fn raised_and_cleared_take_turns(told in prop::collection::vec((any::<bool>(), 0_i64..20), 0..40)) {
        let commands: Vec<_> = told
            .into_iter()
            .map(|(raised, window)| if raised { raise(window) } else { clear(window, window) })
            .collect();
        for (place, name) in after(&commands).into_iter().enumerate() {
            prop_assert_eq!(name, ["AlarmRaised", "AlarmCleared"][place % 2]);
        }
    }
}
