//! What everything that keeps dead letters must do, as tests that run on any of them.
#![allow(clippy::missing_panics_doc, clippy::expect_used, clippy::panic)]

use super::{
    Class, DeadLetter, DeadLetters, DeadLettersError, EventRef, Filter, LetterSummary, Operator,
    Received, RedrivePolicy, Status, Waiting, park, take_in,
};
use crate::contract::new_name;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;

/// Runs the whole contract. Letters are new in every run, so that a table may be shared.
pub async fn check(letters: &impl DeadLetters) {
    an_absent_letter_is_none(letters).await;
    a_letter_comes_back_as_it_was_saved(letters).await;
    a_letter_is_saved_only_over_the_revision_it_has(letters).await;
    one_of_many_who_save_at_once_wins(letters).await;
    a_payload_of_any_size_comes_back(letters).await;
    a_list_has_every_letter_that_matches(letters).await;
    waiting_letters_and_no_others_wait(letters).await;
}

const POLICY: RedrivePolicy = RedrivePolicy {
    first_delay: Duration::from_mins(1),
    longest_delay: Duration::from_hours(1),
    rounds: 8,
};

fn letter(consumer: &str, version: u64, payload: Value) -> DeadLetter {
    let at = Timestamp::from_second(1_750_000_000).expect("a time");
    let received = Received {
        message_id: format!("message-{version}"),
        consumer: consumer.to_owned(),
        class: Class::Permanent,
        cause: "no such order: \u{e4} \"quoted\"".to_owned(),
        payload,
        event: Some(EventRef {
            event_id: format!("event-{version}"),
            event_type: "OrderPlaced".to_owned(),
            stream_id: Some("order-1".to_owned()),
            version: Some(version),
        }),
        request_id: Some("call-1".to_owned()),
        attempts: 3,
        first_failed_at: at,
        last_failed_at: at,
        callable: true,
    };
    take_in(None, received, &POLICY, 1.0, at).expect("a new letter")
}

/// What was never saved is not there.
pub async fn an_absent_letter_is_none(letters: &impl DeadLetters) {
    let found = letters.get(&format!("{}/none", new_name())).await;
    assert_eq!(found.expect("an answer"), None);
}

/// Every field, every digit, every letter.
pub async fn a_letter_comes_back_as_it_was_saved(letters: &impl DeadLetters) {
    let number: Value = serde_json::from_str("12345678901234567890.123456789012345678901234567890")
        .expect("a number");
    let mut deep = json!({"n": number, "empty": "", "list": [null, true, {}, []]});
    for _ in 0..40 {
        deep = json!({ "in": deep });
    }
    for payload in [deep, json!("this is no JSON {"), json!("")] {
        let letter = letter(&new_name(), 1, payload);
        let saved = letters.save(letter.clone()).await.expect("saved");
        let expected = DeadLetter {
            revision: 1,
            ..letter
        };
        assert_eq!(saved, expected);
        let found = letters.get(&saved.letter_id).await.expect("an answer");
        assert_eq!(found, Some(expected));
    }
}

/// A change that was decided on an older revision is refused, and changes nothing.
pub async fn a_letter_is_saved_only_over_the_revision_it_has(letters: &impl DeadLetters) {
    let new = letter(&new_name(), 1, json!({}));
    let first = letters.save(new.clone()).await.expect("saved");
    let mut change = first.clone();
    change.attempts = 4;
    let second = letters.save(change).await.expect("saved");
    assert_eq!(second.revision, 2);
    for stale in [new, first] {
        let refused = letters.save(stale).await;
        assert!(
            matches!(refused, Err(DeadLettersError::Conflict { .. })),
            "{refused:?}"
        );
    }
    let found = letters.get(&second.letter_id).await.expect("an answer");
    assert_eq!(found, Some(second));
}

/// Of two redrivers, or a redriver and an operator, one wins.
pub async fn one_of_many_who_save_at_once_wins(letters: &impl DeadLetters) {
    let saved = letters
        .save(letter(&new_name(), 1, json!({})))
        .await
        .expect("saved");
    let one = |attempts| {
        let mut change = saved.clone();
        change.attempts = attempts;
        letters.save(change)
    };
    let (a, b) = tokio::join!(one(10), one(20));
    assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
}

/// Up to the largest message of a queue.
pub async fn a_payload_of_any_size_comes_back(letters: &impl DeadLetters) {
    // Characters of two bytes, so that a cut in the middle of one would show.
    for bytes in [300_000, 1024 * 1024] {
        let payload = json!({ "text": "x\u{e4}".repeat(bytes / 3) });
        let letter = letter(&new_name(), 1, payload.clone());
        let mut saved = letters.save(letter).await.expect("saved");
        saved.attempts += 1;
        let again = letters.save(saved).await.expect("saved again");
        let found = letters.get(&again.letter_id).await.expect("an answer");
        assert_eq!(found.map(|found| found.payload), Some(payload));
    }
}

/// Over every page, and by every part of a filter.
pub async fn a_list_has_every_letter_that_matches(letters: &impl DeadLetters) {
    let consumer = new_name();
    let mut expected = Vec::new();
    for version in 1..=12 {
        // A page of a table is 1 MB.
        let payload = json!({ "text": "x".repeat(150_000) });
        let saved = letters.save(letter(&consumer, version, payload)).await;
        expected.push(LetterSummary::of(&saved.expect("saved")));
    }
    expected.sort_by(|a, b| a.letter_id.cmp(&b.letter_id));
    let of = |filter: Filter| Filter {
        consumer: Some(consumer.clone()),
        ..filter
    };
    let all = letters.list(&of(Filter::default())).await.expect("a list");
    assert_eq!(all, expected);
    for (filter, count) in [
        (of(Filter::open()), 12),
        (
            of(Filter {
                statuses: vec![Status::Parked],
                ..Filter::default()
            }),
            0,
        ),
        (
            of(Filter {
                cause: Some("NO SUCH".into()),
                ..Filter::default()
            }),
            12,
        ),
        (
            of(Filter {
                class: Some(Class::Waiting),
                ..Filter::default()
            }),
            0,
        ),
        (
            of(Filter {
                event_type: Some("OrderCancelled".into()),
                ..Filter::default()
            }),
            0,
        ),
        (
            of(Filter {
                stream_id: Some("order-1".into()),
                ..Filter::default()
            }),
            12,
        ),
    ] {
        let listed = letters.list(&filter).await.expect("a list");
        assert_eq!(listed.len(), count, "{filter:?}");
    }
}

/// A letter that stops waiting is not among them any more.
pub async fn waiting_letters_and_no_others_wait(letters: &impl DeadLetters) {
    let consumer = new_name();
    let mut saved = Vec::new();
    for version in 1..=3 {
        let one = letters.save(letter(&consumer, version, json!({}))).await;
        saved.push(one.expect("saved"));
    }
    let by = Operator {
        who: "ann".into(),
        why: "wait for the fix".into(),
        at: saved[1].first_failed_at,
    };
    let before = letters.parked().await.expect("a count");
    let parked = park(saved[1].clone(), &by).expect("parked");
    letters.save(parked).await.expect("saved");
    let expected: Vec<_> = [&saved[0], &saved[2]]
        .into_iter()
        .filter_map(Waiting::of)
        .collect();
    // An index may be some seconds behind.
    for _ in 0..100 {
        let mut waiting = letters.waiting().await.expect("an answer");
        waiting.retain(|one| one.consumer == consumer);
        waiting.sort_by_key(|one| one.version);
        // Another run may park letters of its own in between.
        let parked = letters.parked().await.expect("a count");
        if waiting == expected && parked > before {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("not the waiting ones, and no others, after 10 s");
}
