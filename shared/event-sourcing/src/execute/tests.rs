use super::*;
use crate::in_memory::InMemoryEventStore;
use crate::jar::{Jar, JarCommand, JarRejection};
use std::sync::atomic::{AtomicU32, Ordering};

const SEAL: JarCommand = JarCommand::Seal;
const PUT_IN: JarCommand = JarCommand::PutIn(5);
static CAUSE: std::sync::LazyLock<Cause> = std::sync::LazyLock::new(|| cause("d"));

fn cause(id: &str) -> Cause {
    Cause {
        id: id.into(),
        seed: id.into(),
        purpose: "test",
        correlation_id: None,
        traceparent: None,
        actor: Some("somebody".into()),
        now: Timestamp::UNIX_EPOCH,
    }
}

fn new_jar() -> Start<Jar> {
    Start::From {
        state: Jar::Missing,
        head: Head::START,
    }
}

/// A store whose next answers are lost, before or after the write.
struct Flaky {
    store: InMemoryEventStore,
    lost_answers: AtomicU32,
    reads: AtomicU32,
}

impl Flaky {
    fn losing(lost_answers: u32) -> Self {
        Self {
            store: InMemoryEventStore::<()>::default(),
            lost_answers: AtomicU32::new(lost_answers),
            reads: AtomicU32::new(0),
        }
    }
}

impl EventStore for Flaky {
    async fn append(
        &self,
        stream: &str,
        head: &Head,
        events: Vec<Envelope>,
    ) -> Result<Vec<Envelope>, AppendError> {
        let stored = self.store.append(stream, head, events).await;
        let left = self.lost_answers.load(Ordering::Relaxed);
        if left > 0 {
            self.lost_answers.store(left - 1, Ordering::Relaxed);
            return Err(AppendError::Unavailable("lost".into()));
        }
        stored
    }

    async fn read(&self, stream: &str, from: u64) -> Result<Vec<Envelope>, ReadError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.store.read(stream, from).await
    }
}

#[tokio::test]
async fn a_known_start_reads_nothing() {
    let store = Flaky::losing(0);
    let done = execute::<Jar>(&store, "jar-1", new_jar(), &PUT_IN, &cause("c"))
        .await
        .unwrap();
    assert_eq!((done.events.len(), done.version), (1, 1));
    assert_eq!(store.reads.load(Ordering::Relaxed), 0);
    assert_eq!(done.events[0].causation_id.as_deref(), Some("c"));
    assert_eq!(done.events[0].actor.as_deref(), Some("somebody"));
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_was_lost_is_recognised_and_not_made_twice() {
    let store = Flaky::losing(1);
    let done = execute::<Jar>(&store, "jar-1", new_jar(), &PUT_IN, &cause("c"))
        .await
        .unwrap();
    assert_eq!((done.events.len(), done.version), (0, 1));
    assert_eq!(store.store.arrivals().len(), 1);
}

#[tokio::test]
async fn a_conflict_loads_and_decides_again() {
    let store = Flaky::losing(0);
    execute::<Jar>(&store, "jar-1", new_jar(), &PUT_IN, &cause("c"))
        .await
        .unwrap();
    execute::<Jar>(&store, "jar-1", Start::Load, &SEAL, &cause("d"))
        .await
        .unwrap();

    let stale = Start::From {
        state: Jar::Open { sweets: 5 },
        head: Head {
            version: 1,
            hash: None,
        },
    };
    let done = execute::<Jar>(&store, "jar-1", stale, &SEAL, &cause("e"))
        .await
        .unwrap();
    assert!(done.events.is_empty(), "the jar is sealed already");
    assert!(matches!(done.state, Jar::Sealed { sweets: 5 }));
    assert_eq!(done.version, 2);
}

#[tokio::test]
async fn a_command_for_another_version_is_refused_unless_it_is_done_already() {
    let store = Flaky::losing(0);
    execute::<Jar>(&store, "jar-1", new_jar(), &PUT_IN, &cause("c"))
        .await
        .unwrap();
    let at = |version| execute::<Jar>(&store, "jar-1", Start::At(version), &SEAL, &CAUSE);
    let error = at(2).await.unwrap_err();
    assert!(matches!(
        error,
        ExecuteError::WrongVersion {
            expected: 2,
            actual: 1
        }
    ));
    assert_eq!(at(1).await.unwrap().version, 2);
    assert!(at(1).await.unwrap().events.is_empty(), "it is sealed");
}

#[tokio::test]
async fn a_rejection_is_an_answer_and_not_retried() {
    let store = Flaky::losing(0);
    let error = execute::<Jar>(&store, "jar-1", Start::Load, &SEAL, &cause("c"))
        .await
        .unwrap_err();
    assert_eq!(error.retry(), Retry::Never);
    assert!(matches!(
        error,
        ExecuteError::Rejected(JarRejection::Missing)
    ));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_never_answers_is_given_up_as_retryable() {
    let store = Flaky::losing(u32::MAX);
    // Another writer took version 1, so that ours is never found.
    store
        .store
        .append(
            "jar-1",
            &Head::START,
            vec![Envelope::new(
                "other",
                "SweetsPutIn",
                Timestamp::UNIX_EPOCH,
                serde_json::json!({}),
            )],
        )
        .await
        .unwrap();
    let error = execute::<Jar>(&store, "jar-1", new_jar(), &PUT_IN, &cause("c"))
        .await
        .unwrap_err();
    assert_eq!(error.retry(), Retry::Later);
}

#[tokio::test]
async fn the_in_memory_store_keeps_the_contract() {
    crate::contract::check(&InMemoryEventStore::<()>::default()).await;
}
