use super::*;
use crate::execute::execute;
use crate::in_memory::{InMemoryEventStore, InMemorySnapshots};
use crate::jar::{Jar, JarCommand};
use crate::store::AppendError;
use jiff::Timestamp;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts requests, and the events that they bring.
#[derive(Default)]
struct Counting {
    store: InMemoryEventStore,
    reads: AtomicUsize,
    events: AtomicUsize,
}

impl EventStore for Counting {
    async fn append(
        &self,
        stream: &str,
        head: &Head,
        events: Vec<Envelope>,
    ) -> Result<Vec<Envelope>, AppendError> {
        self.store.append(stream, head, events).await
    }

    async fn read(&self, stream: &str, from: u64) -> Result<Vec<Envelope>, ReadError> {
        let events = self.store.read(stream, from).await?;
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.events.fetch_add(events.len(), Ordering::Relaxed);
        Ok(events)
    }
}

impl Counting {
    fn taken(&self) -> (usize, usize) {
        (
            self.reads.swap(0, Ordering::Relaxed),
            self.events.swap(0, Ordering::Relaxed),
        )
    }
}

fn cause(id: u64) -> Cause {
    Cause {
        id: id.to_string(),
        seed: id.to_string(),
        purpose: "test",
        correlation_id: None,
        traceparent: None,
        actor: None,
        now: Timestamp::UNIX_EPOCH,
    }
}

const EVERY_TEN: SnapshotPolicy = SnapshotPolicy {
    events: 10,
    bytes: usize::MAX,
};

fn with<'a>(
    events: &'a Counting,
    snapshots: &'a InMemorySnapshots,
) -> Snapshotting<'a, Counting, InMemorySnapshots> {
    Snapshotting {
        events,
        snapshots,
        policy: EVERY_TEN,
    }
}

#[tokio::test]
async fn a_long_stream_is_loaded_as_a_snapshot_and_the_few_events_after_it() {
    let (events, snapshots) = (Counting::default(), InMemorySnapshots::default());
    let both = with(&events, &snapshots);
    for n in 0..105 {
        both.execute::<Jar>("jar", Start::Load, &JarCommand::PutIn(1), &cause(n))
            .await
            .expect("it is executed");
        let (reads, read) = events.taken();
        assert_eq!(reads, 1, "after {n} events");
        assert!(read <= 11, "{read} events were read after {n}");
    }
    let loaded = both.load::<Jar>("jar").await.expect("it loads");
    assert_eq!(loaded.state, Jar::Open { sweets: 105 });
    assert_eq!(loaded.head.version, 105);
    let whole = crate::execute::load::<Jar, std::convert::Infallible>(&events, "jar")
        .await
        .expect("it loads");
    assert_eq!((loaded.state, loaded.head), (whole.state, whole.head));
}

#[tokio::test]
async fn a_snapshot_of_another_fold_or_of_another_history_is_thrown_away() {
    let (events, snapshots) = (Counting::default(), InMemorySnapshots::default());
    let both = with(&events, &snapshots);
    for n in 0..12 {
        execute::<Jar>(
            &events,
            "jar",
            Start::Load,
            &JarCommand::PutIn(1),
            &cause(n),
        )
        .await
        .expect("it is executed");
    }
    let right = both.load::<Jar>("jar").await.expect("it loads");
    let kept = snapshots
        .snapshot("jar")
        .await
        .expect("it reads")
        .expect("kept");
    assert_eq!(kept.head, right.head);
    let lies = |fold: u32, version: u64, hash: &str| Snapshot {
        stream: "jar".into(),
        head: Head {
            version,
            hash: Some(hash.into()),
        },
        fold,
        state: serde_json::json!({"sweets": 99, "sealed": false}),
    };
    for lie in [
        lies(Jar::FOLD + 1, 12, "x"),
        lies(Jar::FOLD, 5, "not its hash"),
        lies(Jar::FOLD, 13, "beyond the end"),
    ] {
        let snapshots = InMemorySnapshots::default();
        snapshots.keep(&lie).await.expect("it keeps");
        let loaded = with(&events, &snapshots).load::<Jar>("jar").await;
        assert_eq!(loaded.expect("it loads").state, right.state);
    }
    let unreadable = Snapshot {
        state: serde_json::json!("nonsense"),
        ..kept
    };
    let snapshots = InMemorySnapshots::default();
    snapshots.keep(&unreadable).await.expect("it keeps");
    let loaded = with(&events, &snapshots).load::<Jar>("jar").await;
    assert_eq!(loaded.expect("it loads").state, right.state);
}

#[tokio::test]
async fn an_older_snapshot_replaces_no_newer_one() {
    let snapshots = InMemorySnapshots::default();
    let of = |fold, version| Snapshot {
        stream: "jar".into(),
        head: Head {
            version,
            hash: None,
        },
        fold,
        state: Value::Null,
    };
    for (kept, stays) in [
        ((1, 5), (1, 5)),
        ((1, 4), (1, 5)),
        ((2, 1), (2, 1)),
        ((1, 9), (2, 1)),
    ] {
        snapshots.keep(&of(kept.0, kept.1)).await.expect("it keeps");
        let found = snapshots.snapshot("jar").await.expect("it reads");
        assert_eq!(found, Some(of(stays.0, stays.1)));
    }
}
