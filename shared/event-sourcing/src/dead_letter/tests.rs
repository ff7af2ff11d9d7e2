use super::*;
use jiff::SignedDuration;
use serde_json::json;
use std::time::Duration;

const POLICY: RedrivePolicy = RedrivePolicy {
    first_delay: Duration::from_mins(1),
    longest_delay: Duration::from_mins(10),
    rounds: 3,
};

fn at(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
}

fn received(message: &str, version: u64) -> Received {
    Received {
        message_id: message.to_owned(),
        consumer: "process-payment".to_owned(),
        class: Class::Transient,
        cause: "the gateway timed out".to_owned(),
        payload: json!({"eventId": format!("e{version}")}),
        event: Some(EventRef {
            event_id: format!("e{version}"),
            event_type: "InventoryUpdated".to_owned(),
            stream_id: Some("order-1".to_owned()),
            version: Some(version),
        }),
        request_id: Some("call-1".to_owned()),
        attempts: 3,
        first_failed_at: at(10),
        last_failed_at: at(20),
        callable: true,
    }
}

fn a_letter(version: u64) -> DeadLetter {
    take_in(None, received("m", version), &POLICY, 1.0, at(30)).unwrap()
}

fn failed(class: Class) -> Outcome {
    Outcome::Failed {
        class,
        cause: "no".to_owned(),
    }
}

fn claimed(letter: DeadLetter, now: Timestamp) -> DeadLetter {
    match claim(letter, now, now + SignedDuration::from_secs(60), &POLICY) {
        Claimed::ToCall(letter) => letter,
        other => panic!("not to be called: {other:?}"),
    }
}

fn acts(letter: &DeadLetter) -> Vec<Act> {
    letter.history.iter().map(|entry| entry.act).collect()
}

#[test]
fn a_message_becomes_a_letter_that_waits_for_its_first_round() {
    let letter = a_letter(2);
    assert_eq!(letter.letter_id, "process-payment/e2");
    assert_eq!((letter.status, letter.round), (Status::Waiting, 0));
    assert_eq!(letter.due_at, Some(at(90)));
    assert_eq!(acts(&letter), [Act::TakenIn]);
}

#[test]
fn a_message_received_twice_changes_nothing() {
    let letter = a_letter(2);
    assert_eq!(
        take_in(Some(letter), received("m", 2), &POLICY, 1.0, at(99)),
        None
    );
}

#[test]
fn the_same_event_given_up_again_joins_its_letter() {
    let again = Received {
        last_failed_at: at(50),
        first_failed_at: at(5),
        cause: "declined".to_owned(),
        ..received("n", 2)
    };
    let letter = take_in(Some(a_letter(2)), again.clone(), &POLICY, 1.0, at(60)).unwrap();
    assert_eq!((letter.attempts, letter.due_at), (6, Some(at(90))));
    assert_eq!(
        (letter.first_failed_at, letter.last_failed_at),
        (at(5), at(50))
    );
    assert_eq!(letter.cause, "declined");
    let third = Received {
        message_id: "o".to_owned(),
        ..again
    };
    let letter = take_in(Some(letter), third, &POLICY, 1.0, at(70)).unwrap();
    assert_eq!(acts(&letter), [Act::TakenIn, Act::GivenUpAgain]);
    assert_eq!(letter.history[1].times, 2);
}

#[test]
fn a_parked_letter_stays_parked_and_a_closed_one_opens_when_its_event_is_given_up_again() {
    let by = Operator {
        who: "ann".into(),
        why: "w".into(),
        at: at(40),
    };
    let parked = park(a_letter(2), &by).unwrap();
    let again = take_in(Some(parked), received("n", 2), &POLICY, 1.0, at(60)).unwrap();
    assert_eq!((again.status, again.due_at), (Status::Parked, None));
    let purged = purge(a_letter(2), &by).unwrap();
    let again = joined(purged, "n", Some("call-2"));
    assert_eq!(
        (again.status, again.due_at),
        (Status::Waiting, Some(at(120)))
    );
}

fn given_up_by(message: &str, call: Option<&str>) -> Received {
    Received {
        request_id: call.map(str::to_owned),
        ..received(message, 2)
    }
}

fn joined(letter: DeadLetter, message: &str, call: Option<&str>) -> DeadLetter {
    take_in(
        Some(letter),
        given_up_by(message, call),
        &POLICY,
        1.0,
        at(60),
    )
    .unwrap()
}

fn done(letter: DeadLetter, ids: &[String]) -> DeadLetter {
    after_round(letter, ids, Outcome::Done, &POLICY, 1.0, at(91))
}

#[test]
fn a_letter_is_redriven_as_every_call_that_was_given_up() {
    let letter = joined(a_letter(2), "n", Some("call-2"));
    let letter = joined(letter, "o", Some("call-1"));
    // What was never begun has no call; its message stands for it.
    let letter = joined(letter, "p", None);
    assert_eq!(letter.call_ids(), ["call-1", "call-2", "p"]);
    let ids = letter.call_ids();
    assert_eq!(done(claimed(letter, at(90)), &ids).status, Status::Redriven);
}

#[test]
fn what_is_given_up_while_its_letter_is_redriven_waits_for_a_round_of_its_own() {
    let letter = claimed(a_letter(2), at(90));
    let ids = letter.call_ids();
    let letter = done(joined(letter, "n", Some("call-2")), &ids);
    assert_eq!((letter.status, letter.round), (Status::Waiting, 0));
    assert_eq!(letter.call_ids(), ["call-2"]);
    let ids = letter.call_ids();
    let due = letter.ready_at().unwrap();
    assert_eq!(done(claimed(letter, due), &ids).status, Status::Redriven);
}

#[test]
fn a_closed_letter_opens_for_a_later_call_alone_and_not_for_the_same_one() {
    let closed = done(claimed(a_letter(2), at(90)), &a_letter(2).call_ids());
    let same = joined(closed.clone(), "n", Some("call-1"));
    assert_eq!(same.status, Status::Redriven);
    let later = joined(closed, "n", Some("call-2"));
    assert_eq!(later.status, Status::Waiting);
    assert_eq!(later.call_ids(), ["call-2"]);
}

#[test]
fn calls_that_are_too_many_for_one_round_are_redriven_in_the_next() {
    let mut letter = a_letter(2);
    for number in 0..100 {
        let id = format!("{number:036}");
        letter = joined(letter, &id, Some(&id));
    }
    let mut rounds = 0;
    while letter.status == Status::Waiting {
        let ids = letter.call_ids();
        let bytes: usize = ids.iter().map(String::len).sum();
        assert!(bytes <= HANDED_OVER_BYTES, "{bytes} bytes");
        let due = letter.ready_at().unwrap();
        letter = done(claimed(letter, due), &ids);
        rounds += 1;
    }
    assert_eq!(rounds, 3);
    for number in 0..2 * REMEMBERED_CALLS {
        letter = joined(letter, &format!("m{number}"), Some(&format!("c{number}")));
    }
    assert_eq!(letter.request_ids.len(), REMEMBERED_CALLS);
    assert_eq!(letter.request_ids[0], "c0");
}

#[test]
fn what_nothing_can_be_called_with_is_parked_at_once() {
    let garbage = Received {
        event: None,
        callable: false,
        payload: json!("garbage"),
        ..received("m", 1)
    };
    let letter = take_in(None, garbage, &POLICY, 1.0, at(30)).unwrap();
    assert_eq!(letter.letter_id, "process-payment/m");
    assert_eq!((letter.status, letter.ready_at()), (Status::Parked, None));
}

#[test]
fn a_poison_letter_is_parked_after_its_rounds_and_has_an_entry_for_each() {
    let mut letter = a_letter(2);
    let mut waits = Vec::new();
    while let Some(due) = letter.ready_at() {
        letter = after_round(
            claimed(letter, due),
            &[],
            failed(Class::Permanent),
            &POLICY,
            1.0,
            due,
        );
        waits.extend(letter.due_at.map(|next| next.duration_since(due).as_secs()));
    }
    assert_eq!(letter.status, Status::Parked);
    assert_eq!(
        acts(&letter),
        [
            Act::TakenIn,
            Act::RoundFailed,
            Act::RoundFailed,
            Act::RoundFailed,
            Act::Parked
        ]
    );
    assert_eq!((letter.round, letter.attempts), (3, 6));
    assert_eq!(waits, [120, 240]);
    assert_eq!(claim(letter, at(9999), at(9999), &POLICY), Claimed::NotNow);
}

#[test]
fn waits_double_up_to_the_longest_and_are_never_shorter_than_half() {
    let wait = |failed, random| {
        let due = POLICY.due_after(failed, random, at(0));
        due.duration_since(at(0)).as_secs()
    };
    let longest: Vec<_> = (0..6).map(|failed| wait(failed, 1.0)).collect();
    assert_eq!(longest, [60, 120, 240, 480, 600, 600]);
    assert_eq!((wait(0, 0.0), wait(40, 0.0)), (30, 300));
}

#[test]
fn a_letter_waits_as_long_as_what_it_needs_is_down_and_no_round_is_used_up() {
    let mut letter = a_letter(2);
    for _ in 0..50 {
        let due = letter.ready_at().unwrap();
        letter = after_round(
            claimed(letter, due),
            &[],
            failed(Class::Waiting),
            &POLICY,
            1.0,
            due,
        );
        assert_eq!((letter.status, letter.round), (Status::Waiting, 0));
    }
    assert_eq!(acts(&letter), [Act::TakenIn, Act::Postponed]);
    assert_eq!(letter.history[1].times, 50);
}

#[test]
fn a_letter_is_claimed_once_and_a_claim_without_an_outcome_is_a_round() {
    let due = at(90);
    assert_eq!(claim(a_letter(2), at(89), due, &POLICY), Claimed::NotNow);
    let mut letter = claimed(a_letter(2), due);
    assert_eq!(claim(letter.clone(), due, due, &POLICY), Claimed::NotNow);
    for round in 1..3 {
        letter = claimed(letter.clone(), letter.ready_at().unwrap());
        assert_eq!(letter.round, round);
    }
    let now = letter.ready_at().unwrap();
    let Claimed::Parked(letter) = claim(letter, now, now, &POLICY) else {
        panic!("its rounds are over");
    };
    assert_eq!((letter.status, letter.round), (Status::Parked, 3));
}

#[test]
fn a_round_that_succeeds_closes_the_letter() {
    let letter = claimed(a_letter(2), at(90));
    let letter = after_round(
        letter,
        &["call-1".to_owned()],
        Outcome::Done,
        &POLICY,
        1.0,
        at(91),
    );
    assert_eq!((letter.status, letter.attempts), (Status::Redriven, 4));
    assert_eq!(letter.ready_at(), None);
}

#[test]
fn an_operator_acts_on_open_letters_that_nobody_is_at() {
    let by = Operator {
        who: "ann".into(),
        why: "fixed".into(),
        at: at(100),
    };
    let mut spent = a_letter(2);
    spent.round = 3;
    let released = release(park(spent, &by).unwrap(), &by).unwrap();
    assert_eq!((released.round, released.due_at), (0, Some(at(100))));
    assert_eq!(
        released
            .history
            .last()
            .map(|entry| (entry.by.as_str(), entry.note.as_str())),
        Some(("ann", "fixed"))
    );
    assert!(matches!(
        release(claimed(a_letter(2), at(90)), &by),
        Err(ActRefused::Claimed { .. })
    ));
    let resolved = resolve(a_letter(2), &by).unwrap();
    assert!(matches!(
        purge(resolved, &by),
        Err(ActRefused::Closed { .. })
    ));
}

#[test]
fn a_stream_goes_in_version_order_and_no_letter_passes_one_that_waits() {
    let waiting = |consumer: &str, stream: Option<&str>, version, ready| Waiting {
        letter_id: format!("{consumer}/{stream:?}/{version}"),
        consumer: consumer.to_owned(),
        stream_id: stream.map(str::to_owned),
        version: Some(version),
        ready_at: at(ready),
    };
    let all = [
        waiting("pay", Some("a"), 3, 10),
        waiting("pay", Some("a"), 2, 20),
        waiting("pay", Some("a"), 4, 99),
        waiting("pay", Some("b"), 1, 99),
        waiting("pay", Some("b"), 2, 10),
        waiting("notify", Some("b"), 2, 30),
        waiting("pay", None, 1, 5),
        waiting("pay", None, 2, 99),
    ];
    let due: Vec<Vec<_>> = due_in_order(&all, at(50))
        .into_iter()
        .map(|lane| lane.into_iter().map(|one| one.letter_id.as_str()).collect())
        .collect();
    assert_eq!(
        due,
        [
            vec!["pay/None/1"],
            vec!["pay/Some(\"a\")/2", "pay/Some(\"a\")/3"],
            vec!["notify/Some(\"b\")/2"],
        ]
    );
}

#[test]
fn a_cause_is_kept_up_to_a_limit() {
    let long = Received {
        cause: "\u{e4}".repeat(5000),
        ..received("m", 1)
    };
    let letter = take_in(None, long, &POLICY, 1.0, at(0)).unwrap();
    assert_eq!(letter.cause.len(), MAX_CAUSE_BYTES);
}

#[test]
fn a_history_keeps_how_it_began_and_its_last_entries() {
    let mut letter = a_letter(2);
    for number in 0..500 {
        let again = Received {
            cause: format!("cause {number}"),
            message_id: number.to_string(),
            ..received("m", 2)
        };
        letter = take_in(Some(letter), again, &POLICY, 1.0, at(40)).unwrap();
    }
    assert_eq!(letter.history.len(), MAX_ENTRIES);
    assert_eq!(letter.history[0].act, Act::TakenIn);
    let left_out = &letter.history[1];
    assert_eq!((left_out.act, left_out.times), (Act::LeftOut, 202));
    let all: u32 = letter.history.iter().map(|entry| entry.times).sum();
    assert_eq!(all, 501);
    assert_eq!(letter.history[MAX_ENTRIES - 1].note, "cause 499");
}

#[tokio::test]
async fn letters_in_memory_keep_the_contract() {
    contract::check(&InMemoryDeadLetters::default()).await;
}
