use super::*;
use crate::in_memory::InMemoryEventStore;
use domain::ids::{OrderId, UserId};
use domain::money::{Amount, Currency};
use domain::order::{CancelReason, Order, OrderCommand, OrderPlaced, OrderRejection, Terms};
use jiff::SignedDuration;
use std::sync::atomic::{AtomicU32, Ordering};

fn an_order() -> OrderPlaced {
    OrderPlaced {
        terms: Terms {
            order_id: OrderId::parse("1").unwrap(),
            user_id: UserId::parse("u").unwrap(),
            total_amount: Amount::parse("1").unwrap(),
            currency: Currency::USD,
            contact: None,
            payment: None,
        },
        items: vec![],
    }
}

fn cause(id: &str) -> Cause {
    Cause {
        id: id.into(),
        seed: id.into(),
        purpose: "test",
        correlation_id: None,
        traceparent: None,
        now: Timestamp::UNIX_EPOCH,
    }
}

fn cancel() -> OrderCommand {
    OrderCommand::Cancel {
        reason: CancelReason::Requested,
        at: Timestamp::UNIX_EPOCH,
        grace: SignedDuration::ZERO,
    }
}

static CANCEL: std::sync::LazyLock<OrderCommand> = std::sync::LazyLock::new(cancel);
static CAUSE: std::sync::LazyLock<Cause> = std::sync::LazyLock::new(|| cause("d"));

fn new_order() -> Start<Order> {
    Start::From {
        state: Order::Absent,
        version: 0,
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
        expected: u64,
        events: Vec<Envelope>,
    ) -> Result<Vec<Envelope>, AppendError> {
        let stored = self.store.append(stream, expected, events).await;
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
    let done = execute::<Order>(
        &store,
        "order-1",
        new_order(),
        &OrderCommand::Place(an_order()),
        &cause("c"),
    )
    .await
    .unwrap();
    assert_eq!((done.events.len(), done.version), (1, 1));
    assert_eq!(store.reads.load(Ordering::Relaxed), 0);
    assert_eq!(done.events[0].causation_id.as_deref(), Some("c"));
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_was_lost_is_recognised_and_not_made_twice() {
    let store = Flaky::losing(1);
    let done = execute::<Order>(
        &store,
        "order-1",
        new_order(),
        &OrderCommand::Place(an_order()),
        &cause("c"),
    )
    .await
    .unwrap();
    assert_eq!((done.events.len(), done.version), (0, 1));
    assert_eq!(store.store.arrivals().len(), 1);
}

#[tokio::test]
async fn a_conflict_loads_and_decides_again() {
    let store = Flaky::losing(0);
    let place = OrderCommand::Place(an_order());
    execute::<Order>(&store, "order-1", new_order(), &place, &cause("c"))
        .await
        .unwrap();
    execute::<Order>(&store, "order-1", Start::Load, &cancel(), &cause("d"))
        .await
        .unwrap();

    let stale = Start::From {
        state: Order::Placed(an_order()),
        version: 1,
    };
    let done = execute::<Order>(
        &store,
        "order-1",
        stale,
        &OrderCommand::Reserve,
        &cause("e"),
    )
    .await
    .unwrap();
    assert!(
        done.events.is_empty(),
        "the order is cancelled, nothing to reserve"
    );
    assert!(matches!(done.state, Order::Cancelled { .. }));
    assert_eq!(done.version, 2);
}

#[tokio::test]
async fn a_command_for_another_version_is_refused_unless_it_is_done_already() {
    let store = Flaky::losing(0);
    let place = OrderCommand::Place(an_order());
    execute::<Order>(&store, "order-1", new_order(), &place, &cause("c"))
        .await
        .unwrap();
    let at = |version| execute::<Order>(&store, "order-1", Start::At(version), &CANCEL, &CAUSE);
    let error = at(2).await.unwrap_err();
    assert!(matches!(
        error,
        ExecuteError::WrongVersion {
            expected: 2,
            actual: 1
        }
    ));
    assert_eq!(at(1).await.unwrap().version, 2);
    assert!(at(1).await.unwrap().events.is_empty(), "it is cancelled");
}

#[tokio::test]
async fn a_rejection_is_an_answer_and_not_retried() {
    let store = Flaky::losing(0);
    let error = execute::<Order>(&store, "order-1", Start::Load, &cancel(), &cause("c"))
        .await
        .unwrap_err();
    assert_eq!(error.retry(), Retry::Never);
    assert!(matches!(
        error,
        ExecuteError::Rejected(OrderRejection::Unknown)
    ));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_never_answers_is_given_up_as_retryable() {
    let store = Flaky::losing(u32::MAX);
    // Another writer took version 1, so that ours is never found.
    store
        .store
        .append(
            "order-1",
            0,
            vec![Envelope::new(
                "other",
                "OrderPlaced",
                Timestamp::UNIX_EPOCH,
                serde_json::json!({}),
            )],
        )
        .await
        .unwrap();
    let place = OrderCommand::Place(an_order());
    let error = execute::<Order>(&store, "order-1", new_order(), &place, &cause("c"))
        .await
        .unwrap_err();
    assert_eq!(error.retry(), Retry::Later);
}

#[tokio::test]
async fn the_in_memory_store_keeps_the_contract() {
    crate::contract::check(&InMemoryEventStore::<()>::default()).await;
}
