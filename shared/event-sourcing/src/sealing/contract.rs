//! What every table of keys must do, as tests that run on any of them. Subjects are new in every
//! run, so that a table may be shared.
#![allow(clippy::missing_panics_doc, clippy::expect_used)]

use super::keys::{Kept, KeyErasure, SubjectKeyTable};
use super::{Erasure, KeyRecord, WrappedKey};
use crate::contract::new_name;
use jiff::Timestamp;

/// Runs the whole contract.
pub async fn check<T: SubjectKeyTable + KeyErasure>(table: &T) {
    a_subject_without_a_key_has_none(table).await;
    the_first_key_is_kept_and_every_later_one_finds_it(table).await;
    an_erasure_destroys_the_key_and_is_on_record_once(table).await;
    a_new_key_after_an_erasure_leaves_it_on_record(table).await;
    an_erasure_of_nothing_is_on_record_too(table).await;
    keys_of_others_are_left_alone(table).await;
}

fn key(byte: u8) -> WrappedKey {
    WrappedKey(vec![byte; 184])
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).expect("a time")
}

fn erasure(seconds: i64, by: &str) -> Erasure {
    Erasure {
        at: at(seconds),
        by: by.to_owned(),
    }
}

async fn keep<T: SubjectKeyTable>(table: &T, subject: &str, byte: u8) -> Kept {
    let kept = table.keep(subject, &key(byte), at(1)).await;
    kept.expect("the table answers")
}

async fn find<T: SubjectKeyTable>(table: &T, subject: &str) -> KeyRecord {
    table.find(subject).await.expect("the table answers")
}

async fn erase<T: KeyErasure>(table: &T, subject: &str, erasure: &Erasure) -> Erasure {
    let erased = table.erase(subject, erasure).await;
    erased.expect("the table answers")
}

/// Nothing is known of whom nobody knows.
pub async fn a_subject_without_a_key_has_none<T: SubjectKeyTable>(table: &T) {
    assert_eq!(find(table, &new_name()).await, KeyRecord::default());
}

/// Two who make the first key agree on one.
pub async fn the_first_key_is_kept_and_every_later_one_finds_it<T: SubjectKeyTable>(table: &T) {
    let subject = new_name();
    assert_eq!(keep(table, &subject, 1).await, Kept::New);
    assert_eq!(keep(table, &subject, 2).await, Kept::There(key(1)));
    assert_eq!(keep(table, &subject, 1).await, Kept::There(key(1)));
    assert_eq!(find(table, &subject).await.key, Some(key(1)));
}

/// The time and the name of the first erasure stay.
pub async fn an_erasure_destroys_the_key_and_is_on_record_once<T>(table: &T)
where
    T: SubjectKeyTable + KeyErasure,
{
    let subject = new_name();
    keep(table, &subject, 1).await;
    let first = erasure(100, "abc123");
    assert_eq!(erase(table, &subject, &first).await, first);
    let expected = KeyRecord {
        key: None,
        erasure: Some(first.clone()),
    };
    assert_eq!(find(table, &subject).await, expected);
    let second = erasure(200, "operator");
    assert_eq!(erase(table, &subject, &second).await, first);
    assert_eq!(find(table, &subject).await, expected);
}

/// Life goes on after an erasure, and can be erased again.
pub async fn a_new_key_after_an_erasure_leaves_it_on_record<T>(table: &T)
where
    T: SubjectKeyTable + KeyErasure,
{
    let subject = new_name();
    let first = erasure(100, "abc123");
    keep(table, &subject, 1).await;
    erase(table, &subject, &first).await;
    assert_eq!(keep(table, &subject, 2).await, Kept::New);
    let record = find(table, &subject).await;
    assert_eq!(record.key, Some(key(2)));
    assert_eq!(record.erasure, Some(first));
    let second = erasure(200, "operator");
    assert_eq!(erase(table, &subject, &second).await, second);
    assert_eq!(find(table, &subject).await.key, None);
}

/// Whoever asks for an erasure has its proof, whether there was a key or not.
pub async fn an_erasure_of_nothing_is_on_record_too<T>(table: &T)
where
    T: SubjectKeyTable + KeyErasure,
{
    let subject = new_name();
    let first = erasure(100, "abc123");
    assert_eq!(erase(table, &subject, &first).await, first);
    assert_eq!(find(table, &subject).await.erasure, Some(first));
}

/// An erasure is one subject's.
pub async fn keys_of_others_are_left_alone<T: SubjectKeyTable + KeyErasure>(table: &T) {
    let (one, other) = (new_name(), new_name());
    keep(table, &one, 1).await;
    keep(table, &other, 2).await;
    erase(table, &one, &erasure(100, "abc123")).await;
    assert_eq!(find(table, &other).await.key, Some(key(2)));
}
