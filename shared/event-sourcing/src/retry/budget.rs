//! The time that an invocation has: no wait and no call goes beyond it.
//!
//! The glue to the platform says with [`within`] how much there is; whoever waits asks [`allows`],
//! whoever calls uses [`in_time`]. Where nobody said anything (tests, tools) there is no bound.

use std::future::Future;
use std::time::Duration;
use tokio::time::Instant;

/// What is kept of an invocation's time for what has to be done after the last call came back:
/// noting a failure, giving a message up, answering.
const KEPT_BACK: Duration = Duration::from_millis(500);
/// A wait is of use only when the call after it has at least this long.
const SHORTEST_CALL: Duration = Duration::from_millis(500);

tokio::task_local! {
    /// When the last call has to be over.
    static CALLS_END: Instant;
}

/// The invocation's time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no answer within the time of the invocation")]
pub struct OutOfTime;

/// Does `work`, which has `time`; calls in it end a little before.
///
/// # Errors
/// [`OutOfTime`], when it is cut off; what it called may have happened.
pub async fn within<T>(time: Duration, work: impl Future<Output = T>) -> Result<T, OutOfTime> {
    let calls = time.saturating_sub(KEPT_BACK.min(time / 2));
    let work = CALLS_END.scope(Instant::now() + calls, work);
    tokio::time::timeout(time, work)
        .await
        .map_err(|_| OutOfTime)
}

/// How long calls may still take; `None` where nobody said.
#[must_use]
pub fn left() -> Option<Duration> {
    let end = CALLS_END.try_with(|end| *end).ok()?;
    Some(end.saturating_duration_since(Instant::now()))
}

/// Whether there is time for a wait and another call.
#[must_use]
pub fn allows(wait: Duration) -> bool {
    left().is_none_or(|left| wait + SHORTEST_CALL <= left)
}

/// Makes a call, which is cut off when the time for calls is over.
///
/// # Errors
/// [`OutOfTime`]; it may have happened nevertheless.
pub async fn in_time<T>(call: impl Future<Output = T>) -> Result<T, OutOfTime> {
    match left() {
        Some(left) => tokio::time::timeout(left, call)
            .await
            .map_err(|_| OutOfTime),
        None => Ok(call.await),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decider::Decider;
    use crate::envelope::Envelope;
    use crate::execute::{Cause, Start, execute};
    use crate::failure::Failure;
    use crate::in_memory::InMemoryEventStore;
    use crate::jar::{Jar, JarCommand};
    use crate::retry::{Retry, Retryable};
    use crate::store::{AppendError, EventStore, ReadError};
    use crate::{chain::Head, execute::retrying};
    use jiff::Timestamp;
    use std::cell::Cell;

    const TIME: Duration = Duration::from_secs(10);

    /// Takes every call and answers none.
    struct Silent;

    impl EventStore for Silent {
        async fn append(
            &self,
            _: &str,
            _: &Head,
            _: Vec<Envelope>,
        ) -> Result<Vec<Envelope>, AppendError> {
            std::future::pending().await
        }

        async fn read(&self, _: &str, _: u64) -> Result<Vec<Envelope>, ReadError> {
            std::future::pending().await
        }
    }

    fn cause() -> Cause {
        let trigger = Envelope::new("e", "T", Timestamp::UNIX_EPOCH, serde_json::json!({}));
        Cause::event(&trigger, "test", Timestamp::UNIX_EPOCH)
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_never_answers_gives_a_transient_failure_before_the_deadline() {
        for start in [
            Start::Load,
            Start::From {
                state: Jar::initial(),
                head: Head::START,
            },
        ] {
            let began = Instant::now();
            let done = within(TIME, async {
                execute::<Jar>(&Silent, "jar-1", start, &JarCommand::PutIn(1), &cause())
                    .await
                    .map_err(|error| Failure::from_error(&error))
            })
            .await;
            let Ok(Err(Failure::Transient(cause))) = done else {
                panic!("not a transient failure in time: {done:?}");
            };
            assert!(cause.ends_with("no answer within the time of the invocation"));
            assert!(began.elapsed() <= TIME.saturating_sub(KEPT_BACK));
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("busy")]
    struct Busy;

    impl Retryable for Busy {
        fn retry(&self) -> Retry {
            Retry::Later
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_a_call_that_would_not_have_the_time() {
        let calls = Cell::new(0);
        let began = Instant::now();
        let time = Duration::from_millis(1600);
        let done = within(time, async {
            retrying(|| async {
                calls.set(calls.get() + 1);
                tokio::time::sleep(Duration::from_millis(400)).await;
                Err::<(), _>(Busy)
            })
            .await
        })
        .await;
        assert!(matches!(done, Ok(Err(Busy))));
        assert!((1..=2).contains(&calls.get()), "{} calls", calls.get());
        assert!(began.elapsed() < time);
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_does_not_end_is_cut_off() {
        let work = std::future::pending::<()>();
        assert_eq!(within(TIME, work).await, Err(OutOfTime));
    }

    #[tokio::test(start_paused = true)]
    async fn where_nobody_said_how_long_there_is_no_bound() {
        assert_eq!(left(), None);
        assert!(allows(Duration::from_hours(1)));
        let store = InMemoryEventStore::<()>::default();
        assert!(matches!(in_time(store.read("s", 1)).await, Ok(Ok(_))));
    }
}
