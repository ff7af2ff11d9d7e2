//! What every event store must do, as tests that run on any of them.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let store = event_sourcing::in_memory::InMemoryEventStore::<()>::default();
//! event_sourcing::contract::check(&store).await;
//! # }
//! ```
//!
//! Each part can be run by itself. Streams are new in every run, so that a store may be shared.
#![allow(clippy::missing_panics_doc, clippy::expect_used, clippy::panic)]

use crate::chain::{self, Head};
use crate::envelope::Envelope;
use crate::execute::{Cause, Start, execute, fold};
use crate::jar::{Jar, JarCommand};
use crate::store::{AppendError, EventStore, ReadError};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};

/// Runs the whole contract.
pub async fn check<S: EventStore>(store: &S) {
    check_but_length(store).await;
    a_long_stream_is_read_in_order(store, 10_000, 100).await;
}

/// Runs the contract but for [`a_long_stream_is_read_in_order`], whose pace a slow emulator wants
/// to be its own.
pub async fn check_but_length<S: EventStore>(store: &S) {
    an_absent_stream_is_empty(store).await;
    events_are_read_in_order_as_they_were_written(store).await;
    a_read_sees_every_append_before_it(store).await;
    a_taken_version_conflicts_and_the_stored_event_comes_back(store).await;
    several_events_are_stored_all_or_none(store).await;
    one_of_many_writers_wins(store).await;
    the_same_append_again_conflicts_with_itself(store).await;
    a_command_whose_answer_was_lost_is_not_executed_twice(store).await;
    a_read_follows_every_page(store).await;
    numbers_and_texts_come_back_to_the_digit_and_the_letter(store).await;
    unknown_fields_come_back(store).await;
    every_event_is_linked_to_the_one_before(store).await;
    what_is_too_large_is_refused_and_not_stored(store).await;
}

/// A name that nothing has in any run: tables may be shared.
pub(crate) fn new_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!(
        "contract-{}-{}-{}",
        std::process::id(),
        Timestamp::now().as_nanosecond(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

fn event(id: &str, data: Value) -> Envelope {
    Envelope::new(id, "SomethingHappened", Timestamp::UNIX_EPOCH, data)
}

fn ids(events: &[Envelope]) -> Vec<&str> {
    events.iter().map(|event| event.event_id.as_str()).collect()
}

async fn read(store: &impl EventStore, stream: &str) -> Vec<Envelope> {
    store.read(stream, 1).await.expect("it reads")
}

/// Appends to a stream that nobody else writes to; its new end.
async fn append(store: &impl EventStore, stream: &str, head: &Head, events: Vec<Envelope>) -> Head {
    let stored = store
        .append(stream, head, events)
        .await
        .expect("the version is free");
    Head::after(stored.last())
}

/// A stream that nobody wrote to has no events.
pub async fn an_absent_stream_is_empty(store: &impl EventStore) {
    assert!(read(store, &new_name()).await.is_empty());
}

/// Versions are gap-free from 1; a read from a version starts there.
pub async fn events_are_read_in_order_as_they_were_written(store: &impl EventStore) {
    let stream = new_name();
    let mut head = Head::START;
    for version in 1..=12 {
        let next = vec![event(&format!("e{version}"), json!({"n": version}))];
        head = append(store, &stream, &head, next).await;
        assert_eq!(head.version, version);
    }
    let all = read(store, &stream).await;
    assert_eq!(
        all.iter().map(Envelope::position).collect::<Vec<_>>(),
        (1..=12)
            .map(|version| Some((stream.as_str(), version)))
            .collect::<Vec<_>>()
    );
    assert_eq!(all[9].data, json!({"n": 10}));
    let tail = store.read(&stream, 11).await.expect("it reads");
    assert_eq!(ids(&tail), ["e11", "e12"]);
    assert!(store.read(&stream, 13).await.expect("it reads").is_empty());
}

/// Reads are strongly consistent.
pub async fn a_read_sees_every_append_before_it(store: &impl EventStore) {
    let stream = new_name();
    let mut head = Head::START;
    for version in 1..=50 {
        head = append(store, &stream, &head, vec![event("e", json!({}))]).await;
        assert_eq!(read(store, &stream).await.len(), version);
    }
}

/// Optimistic concurrency.
pub async fn a_taken_version_conflicts_and_the_stored_event_comes_back(store: &impl EventStore) {
    let stream = new_name();
    let first = vec![event("first", json!({"a": 1}))];
    append(store, &stream, &Head::START, first).await;
    let error = store
        .append(&stream, &Head::START, vec![event("second", json!({}))])
        .await
        .expect_err("version 1 is taken");
    let AppendError::Conflict {
        version, stored, ..
    } = error
    else {
        panic!("a conflict, not {error:?}");
    };
    assert_eq!(version, 1);
    let stored = *stored.expect("the stored event");
    assert_eq!(
        (stored.event_id.as_str(), &stored.data),
        ("first", &json!({"a": 1}))
    );
    assert_eq!(read(store, &stream).await, [stored]);
}

/// Atomic multi-event append.
pub async fn several_events_are_stored_all_or_none(store: &impl EventStore) {
    let stream = new_name();
    let three = ["a", "b", "c"].map(|id| event(id, json!({}))).to_vec();
    append(store, &stream, &Head::START, three).await;
    let all = read(store, &stream).await;
    assert_eq!(ids(&all), ["a", "b", "c"]);
    let late = vec![event("x", json!({})), event("y", json!({}))];
    let error = store
        .append(&stream, &Head::after(all.get(1)), late)
        .await
        .expect_err("version 3 is taken");
    assert!(
        matches!(error, AppendError::Conflict { version: 3, .. }),
        "{error:?}"
    );
    assert_eq!(ids(&read(store, &stream).await), ["a", "b", "c"]);
}

/// Of several writers at one version exactly one succeeds, without a gap.
pub async fn one_of_many_writers_wins(store: &impl EventStore) {
    let stream = new_name();
    let mut head = Head::START;
    for _ in 0..5 {
        let attempt =
            |writer: &'static str| store.append(&stream, &head, vec![event(writer, json!({}))]);
        let (a, b, c, d) = tokio::join!(attempt("a"), attempt("b"), attempt("c"), attempt("d"));
        let won: Vec<_> = [a, b, c, d]
            .into_iter()
            .filter_map(|result| match result {
                Ok(stored) => Some(stored),
                Err(AppendError::Conflict { .. }) => None,
                Err(error) => panic!("won or conflict, not {error:?}"),
            })
            .collect();
        assert_eq!(won.len(), 1);
        head = Head::after(won[0].last());
    }
    let versions: Vec<_> = read(store, &stream)
        .await
        .iter()
        .filter_map(|event| event.version)
        .collect();
    assert_eq!(versions, [1, 2, 3, 4, 5]);
}

/// After a lost answer the writer appends again and finds its own event.
pub async fn the_same_append_again_conflicts_with_itself(store: &impl EventStore) {
    let stream = new_name();
    let mine = || vec![event("mine", json!({"n": 1}))];
    append(store, &stream, &Head::START, mine()).await;
    let error = store
        .append(&stream, &Head::START, mine())
        .await
        .expect_err("it is stored");
    let AppendError::Conflict {
        stored: Some(stored),
        ..
    } = error
    else {
        panic!("a conflict with the stored event, not {error:?}");
    };
    assert_eq!(stored.event_id, "mine");
}

/// A store whose answers to appends are lost, once each: the write happened.
struct LosingAnswers<'a, S> {
    store: &'a S,
    left: AtomicU64,
}

impl<S: EventStore> EventStore for LosingAnswers<'_, S> {
    async fn append(
        &self,
        stream: &str,
        head: &Head,
        events: Vec<Envelope>,
    ) -> Result<Vec<Envelope>, AppendError> {
        let stored = self.store.append(stream, head, events).await;
        if self.left.fetch_sub(1, Ordering::Relaxed).is_multiple_of(2) {
            return Err(AppendError::Unavailable("the answer was lost".into()));
        }
        stored
    }

    async fn read(&self, stream: &str, from: u64) -> Result<Vec<Envelope>, ReadError> {
        self.store.read(stream, from).await
    }
}

/// "Unavailable" after a write that did happen is safe to retry.
pub async fn a_command_whose_answer_was_lost_is_not_executed_twice<S: EventStore>(store: &S) {
    let stream = new_name();
    let losing = LosingAnswers {
        store,
        left: AtomicU64::new(1000),
    };
    let commands = [JarCommand::PutIn(1), JarCommand::PutIn(2), JarCommand::Seal];
    for (n, command) in commands.iter().enumerate() {
        let cause = Cause {
            id: format!("request-{n}"),
            seed: format!("request-{n}"),
            purpose: "contract",
            correlation_id: None,
            traceparent: None,
            actor: None,
            now: Timestamp::UNIX_EPOCH,
        };
        execute::<Jar>(&losing, &stream, Start::Load, command, &cause)
            .await
            .expect("it is executed");
    }
    let history = read(store, &stream).await;
    assert_eq!(fold::<Jar>(&history), Ok(Jar::Sealed { sweets: 3 }));
    assert_eq!(history.len(), 3);
}

/// A stream of more than 1 MB is read to its end.
pub async fn a_read_follows_every_page(store: &impl EventStore) {
    let stream = new_name();
    let padding = "x".repeat(300_000);
    let mut head = Head::START;
    for version in 0..5 {
        let next = event(&format!("e{version}"), json!({"padding": padding}));
        head = append(store, &stream, &head, vec![next]).await;
    }
    let all = read(store, &stream).await;
    assert_eq!(ids(&all), ["e0", "e1", "e2", "e3", "e4"]);
    assert!(all.iter().all(|event| event.data["padding"] == padding));
}

/// A long stream of so many events, appended so many at a time.
pub async fn a_long_stream_is_read_in_order(
    store: &impl EventStore,
    length: usize,
    at_a_time: usize,
) {
    let stream = new_name();
    let numbers: Vec<_> = (0..length).collect();
    let mut head = Head::START;
    for some in numbers.chunks(at_a_time.max(1)) {
        let next = some
            .iter()
            .map(|n| event(&format!("e{n}"), json!({"n": n})))
            .collect();
        head = append(store, &stream, &head, next).await;
    }
    let all = read(store, &stream).await;
    assert_eq!(all.len(), length);
    for (at, event) in (1..).zip(&all) {
        assert_eq!(event.version, Some(at));
        assert_eq!(event.event_id, format!("e{}", at - 1));
    }
    assert_eq!(chain::verify(&stream, &all), Ok(head));
}

/// Money is never rounded, names are never bent.
pub async fn numbers_and_texts_come_back_to_the_digit_and_the_letter(store: &impl EventStore) {
    let stream = new_name();
    let data: Value = serde_json::from_str(
        r#"{"price": 150.75, "small": 0.00000001, "long": 1234567890123456789012345678.12345678,
            "negative": -0.1, "zero": 0, "flag": true, "nothing": null, "empty": "",
            "list": [1, "two", [], {}], "name": "Żółć 🐢 \u0000\u0001\"\\", "deep": {"a": {"b": 1}},
            "bytes": "\u0000\u0001\u007f\u0080ÿ\uffff", "base64": "AAECAwT/", "ключ": "значение",
            "looks": ["1e5", "true", "null", "{\"S\": \"x\"}", "2025-01-01T00:00:00Z"], "N": "1"}"#,
    )
    .expect("it is JSON");
    append(
        store,
        &stream,
        &Head::START,
        vec![event("ĕ-🐢", data.clone())],
    )
    .await;
    let all = read(store, &stream).await;
    assert_eq!(all[0].data, data);
    assert_eq!(all[0].event_id, "ĕ-🐢");
}

/// An older writer passes a newer event on whole.
pub async fn unknown_fields_come_back(store: &impl EventStore) {
    let stream = new_name();
    let mut newer = event("e", json!({"known": 1, "unknown": {"x": 1}}));
    newer.correlation_id = Some("correlation".into());
    newer.causation_id = Some("cause".into());
    newer.schema_version = Some(2);
    newer.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into());
    newer.actor = Some("auth0|5f7c8ec7c33c6c004bbafe82".into());
    newer.extra.insert("later".into(), json!({"field": [1.25]}));
    append(store, &stream, &Head::START, vec![newer.clone()]).await;
    assert_eq!(
        read(store, &stream).await,
        chain::record(&stream, &Head::START, vec![newer])
    );
}

/// What comes back is the chain that was appended.
pub async fn every_event_is_linked_to_the_one_before(store: &impl EventStore) {
    let stream = new_name();
    let number: Value = serde_json::from_str("150.750").expect("it is a number");
    let mut head = Head::START;
    for several in [1, 3, 1] {
        let next = vec![event("e", json!({"amount": number})); several];
        head = append(store, &stream, &head, next).await;
    }
    let all = read(store, &stream).await;
    assert_eq!(chain::verify(&stream, &all), Ok(head));
    assert_eq!(all[0].previous_hash, None);
    assert_eq!(all[4].previous_hash, all[3].hash);
}

/// More than a store takes is refused before anything happens.
pub async fn what_is_too_large_is_refused_and_not_stored(store: &impl EventStore) {
    let stream = new_name();
    let padding = "x".repeat(410 * 1024);
    let error = store
        .append(
            &stream,
            &Head::START,
            vec![event("e", json!({"padding": padding}))],
        )
        .await
        .expect_err("it is too large");
    assert!(matches!(error, AppendError::TooLarge { .. }), "{error:?}");
    assert!(read(store, &stream).await.is_empty());
}
