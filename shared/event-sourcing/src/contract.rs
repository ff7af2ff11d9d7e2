//! What every event store must do, as tests that run on any of them.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let store = event_sourcing::in_memory::InMemoryEventStore::<()>::default();
//! event_sourcing::contract::check(&store).await;
//! # }
//! ```
#![allow(clippy::missing_panics_doc, clippy::expect_used, clippy::panic)]

use crate::envelope::Envelope;
use crate::store::{AppendError, EventStore};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};

/// Runs the whole contract.
pub async fn check<S: EventStore>(store: &S) {
    an_absent_stream_is_empty(store).await;
    events_are_read_in_order_as_they_were_written(store).await;
    a_taken_version_conflicts_and_the_stored_event_comes_back(store).await;
    several_events_are_stored_all_or_none(store).await;
    one_of_many_writers_wins(store).await;
    the_same_append_again_conflicts_with_itself(store).await;
    a_read_follows_every_page(store).await;
    numbers_and_texts_come_back_to_the_digit_and_the_letter(store).await;
    unknown_fields_come_back(store).await;
    what_is_too_large_is_refused_and_not_stored(store).await;
}

fn new_stream() -> String {
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

/// A stream that nobody wrote to has no events.
pub async fn an_absent_stream_is_empty(store: &impl EventStore) {
    let events = store.read(&new_stream(), 1).await.expect("it reads");
    assert!(events.is_empty());
}

/// Versions are gap-free from 1; a read from a version starts there.
pub async fn events_are_read_in_order_as_they_were_written(store: &impl EventStore) {
    let stream = new_stream();
    for version in 0..12 {
        let stored = store
            .append(
                &stream,
                version,
                vec![event(&format!("e{}", version + 1), json!({"n": version}))],
            )
            .await
            .expect("the version is free");
        assert_eq!(stored[0].position(), Some((stream.as_str(), version + 1)));
    }
    let all = store.read(&stream, 1).await.expect("it reads");
    assert_eq!(
        all.iter().map(|event| event.version).collect::<Vec<_>>(),
        (1..=12).map(Some).collect::<Vec<_>>()
    );
    assert_eq!(all[9].data, json!({"n": 9}));
    let tail = store.read(&stream, 11).await.expect("it reads");
    assert_eq!(ids(&tail), ["e11", "e12"]);
    assert!(store.read(&stream, 13).await.expect("it reads").is_empty());
}

/// Optimistic concurrency.
pub async fn a_taken_version_conflicts_and_the_stored_event_comes_back(store: &impl EventStore) {
    let stream = new_stream();
    store
        .append(&stream, 0, vec![event("first", json!({"a": 1}))])
        .await
        .expect("the stream is new");
    let error = store
        .append(&stream, 0, vec![event("second", json!({}))])
        .await
        .expect_err("version 1 is taken");
    let AppendError::Conflict {
        version, stored, ..
    } = error
    else {
        panic!("a conflict, not {error:?}");
    };
    assert_eq!(version, 1);
    let stored = stored.expect("the stored event");
    assert_eq!(
        (stored.event_id.as_str(), &stored.data),
        ("first", &json!({"a": 1}))
    );
    assert_eq!(
        ids(&store.read(&stream, 1).await.expect("it reads")),
        ["first"]
    );
}

/// Atomic multi-event append.
pub async fn several_events_are_stored_all_or_none(store: &impl EventStore) {
    let stream = new_stream();
    let three = || {
        vec![
            event("a", json!({})),
            event("b", json!({})),
            event("c", json!({})),
        ]
    };
    store
        .append(&stream, 0, three())
        .await
        .expect("the stream is new");
    let late = vec![event("x", json!({})), event("y", json!({}))];
    let error = store
        .append(&stream, 2, late)
        .await
        .expect_err("version 3 is taken");
    assert!(matches!(error, AppendError::Conflict { .. }), "{error:?}");
    assert_eq!(
        ids(&store.read(&stream, 1).await.expect("it reads")),
        ["a", "b", "c"]
    );
}

/// Of several writers at one version exactly one succeeds, without a gap.
pub async fn one_of_many_writers_wins(store: &impl EventStore) {
    let stream = new_stream();
    for version in 0..5 {
        let attempt =
            |writer: &'static str| store.append(&stream, version, vec![event(writer, json!({}))]);
        let (a, b, c, d) = tokio::join!(attempt("a"), attempt("b"), attempt("c"), attempt("d"));
        let won = [a, b, c, d]
            .into_iter()
            .filter(|result| match result {
                Ok(_) => true,
                Err(AppendError::Conflict { .. }) => false,
                Err(error) => panic!("won or conflict, not {error:?}"),
            })
            .count();
        assert_eq!(won, 1);
    }
    let versions: Vec<_> = store
        .read(&stream, 1)
        .await
        .expect("it reads")
        .iter()
        .filter_map(|event| event.version)
        .collect();
    assert_eq!(versions, [1, 2, 3, 4, 5]);
}

/// After a lost answer the writer appends again and finds its own event.
pub async fn the_same_append_again_conflicts_with_itself(store: &impl EventStore) {
    let stream = new_stream();
    let mine = || vec![event("mine", json!({"n": 1}))];
    store
        .append(&stream, 0, mine())
        .await
        .expect("the stream is new");
    let error = store
        .append(&stream, 0, mine())
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

/// A stream of more than 1 MB is read to its end.
pub async fn a_read_follows_every_page(store: &impl EventStore) {
    let stream = new_stream();
    let padding = "x".repeat(300_000);
    for version in 0..5 {
        store
            .append(
                &stream,
                version,
                vec![event(&format!("e{version}"), json!({"padding": padding}))],
            )
            .await
            .expect("the version is free");
    }
    assert_eq!(store.read(&stream, 1).await.expect("it reads").len(), 5);
}

/// Money is never rounded, names are never bent.
pub async fn numbers_and_texts_come_back_to_the_digit_and_the_letter(store: &impl EventStore) {
    let stream = new_stream();
    let data: Value = serde_json::from_str(
        r#"{"price": 150.75, "small": 0.00000001, "long": 1234567890123456789012345678.12345678,
            "negative": -0.1, "zero": 0, "flag": true, "nothing": null, "empty": "",
            "list": [1, "two", [], {}], "name": "Żółć 🐢 \u0000\u0001\"\\", "deep": {"a": {"b": 1}}}"#,
    )
    .expect("it is JSON");
    store
        .append(&stream, 0, vec![event("e", data.clone())])
        .await
        .expect("the stream is new");
    assert_eq!(
        store.read(&stream, 1).await.expect("it reads")[0].data,
        data
    );
}

/// An older writer passes a newer event on whole.
pub async fn unknown_fields_come_back(store: &impl EventStore) {
    let stream = new_stream();
    let mut newer = event("e", json!({"known": 1, "unknown": {"x": 1}}));
    newer.correlation_id = Some("correlation".into());
    newer.causation_id = Some("cause".into());
    newer.schema_version = Some(2);
    newer.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into());
    newer.extra.insert("later".into(), json!({"field": [1.25]}));
    store
        .append(&stream, 0, vec![newer.clone()])
        .await
        .expect("the stream is new");
    assert_eq!(
        store.read(&stream, 1).await.expect("it reads")[0],
        newer.recorded(&stream, 1)
    );
}

/// More than a store takes is refused before anything happens.
pub async fn what_is_too_large_is_refused_and_not_stored(store: &impl EventStore) {
    let stream = new_stream();
    let padding = "x".repeat(410 * 1024);
    let error = store
        .append(&stream, 0, vec![event("e", json!({"padding": padding}))])
        .await
        .expect_err("it is too large");
    assert!(matches!(error, AppendError::TooLarge { .. }), "{error:?}");
    assert!(store.read(&stream, 1).await.expect("it reads").is_empty());
}
