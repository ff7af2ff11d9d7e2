//! The one command loop: load → fold → decide → append; on a conflict load and decide *again*.

use crate::chain::Head;
use crate::decider::{Decider, Event};
use crate::envelope::Envelope;
use crate::ids::event_id;
use crate::retry::budget::{self, in_time};
use crate::retry::{FullJitter, Retry, Retryable};
use crate::store::{AppendError, AppendWith, EventStore, ReadError};
use crate::upcaster::written_version;
use backon::BackoffBuilder;
use jiff::{SignedDuration, Timestamp};
use std::convert::Infallible;
use std::fmt::Debug;
use std::future::Future;

pub use crate::upcaster::{Unreadable, decode, decode_optional};

/// What a command comes from: the new events carry it.
#[derive(Debug, Clone)]
pub struct Cause {
    /// The event or request that caused the command: the new events' `causationId`.
    pub id: String,
    /// What new event ids are derived from: the same for every repeat of the same step, usually
    /// the trigger's id.
    pub seed: String,
    /// Who executes it. Two consumers of one event derive different ids.
    pub purpose: &'static str,
    /// Shared by all events of one business case.
    pub correlation_id: Option<String>,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// Who wants it: the authenticated subject of the request, where there is one.
    pub actor: Option<String>,
    /// Now.
    pub now: Timestamp,
}

impl Cause {
    /// The cause that `trigger` is for the consumer `purpose`.
    #[must_use]
    pub fn event(trigger: &Envelope, purpose: &'static str, now: Timestamp) -> Self {
        Self {
            id: trigger.event_id.clone(),
            seed: trigger.event_id.clone(),
            purpose,
            correlation_id: Some(
                trigger
                    .correlation_id
                    .clone()
                    .unwrap_or_else(|| trigger.event_id.clone()),
            ),
            traceparent: trigger.traceparent.clone(),
            actor: trigger.actor.clone(),
            now,
        }
    }

    /// Wraps events that were decided for `stream`.
    ///
    /// # Errors
    /// When an event cannot be written as JSON.
    pub fn envelopes<E: Event>(
        &self,
        stream: &str,
        events: &[E],
    ) -> Result<Vec<Envelope>, serde_json::Error> {
        events
            .iter()
            .enumerate()
            .map(|(index, event)| {
                let id = event_id(stream, &self.seed, self.purpose, index);
                let mut envelope =
                    Envelope::new(&id, event.event_type(), self.now, event.to_data()?);
                envelope.schema_version = written_version::<E>(event.event_type());
                envelope.causation_id = Some(self.id.clone());
                envelope.correlation_id.clone_from(&self.correlation_id);
                envelope.traceparent.clone_from(&self.traceparent);
                envelope.actor.clone_from(&self.actor);
                Ok(envelope)
            })
            .collect()
    }
}

/// Where deciding starts.
#[derive(Debug, Clone, PartialEq)]
pub enum Start<S> {
    /// Read the stream first.
    Load,
    /// The trigger tells the state at `head`; the stream is read only if that is history.
    From {
        /// The state, as far as the command needs it.
        state: S,
        /// The end of the stream in that state.
        head: Head,
    },
    /// Read the stream first, and execute only at this version (a client's `If-Match`).
    At(u64),
}

/// How old a trigger may be for its word to be taken without reading the stream. Only the relay
/// may put recorded events on the bus, and it does so within seconds; an older event is a redrive
/// or a replay, and much can have happened since.
pub const FRESH: SignedDuration = SignedDuration::from_mins(5);

/// What a trigger's id was derived from, if it is what it says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The stream that the trigger speaks of.
    pub stream: &'a str,
    /// The [`Cause::seed`] of the command that appended it.
    pub seed: &'a str,
    /// The [`Cause::purpose`] of that command.
    pub purpose: &'a str,
}

impl Origin<'_> {
    /// Whether `event` was appended by that command, as the only or first event of it. An event
    /// that somebody wrote by hand, or copied from another stream, has another id.
    #[must_use]
    pub fn is_of(&self, event: &Envelope) -> bool {
        event_id(self.stream, self.seed, self.purpose, 0) == event.event_id
    }
}

impl<S> Start<S> {
    /// Where to start for `trigger`, which by itself tells `state`: from there while it is fresh,
    /// recorded, and of the origin that it should have; from the stream otherwise.
    #[must_use]
    pub fn after(trigger: &Envelope, origin: Origin<'_>, state: Option<S>, now: Timestamp) -> Self {
        let fresh = now.duration_since(trigger.at()).abs() <= FRESH;
        let recorded = trigger.version.is_some() && trigger.hash.is_some();
        match state {
            Some(state) if fresh && recorded && origin.is_of(trigger) => Self::From {
                state,
                head: Head::after(Some(trigger)),
            },
            _ => Self::Load,
        }
    }
}

/// What a command came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Executed<S> {
    /// The events stored now; none when it had been done before.
    pub events: Vec<Envelope>,
    /// The state before the events (deciding it again would give the same).
    pub state: S,
    /// The stream's version afterwards.
    pub version: u64,
}

/// Why a command was not executed.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError<J: std::error::Error, R: Debug + 'static = Infallible> {
    /// The business says no.
    #[error(transparent)]
    Rejected(J),
    /// The stream is not at the version that the caller named.
    #[error("the stream is at version {actual}, not {expected}; load it and decide again")]
    WrongVersion {
        /// What the caller named.
        expected: u64,
        /// Where the stream is.
        actual: u64,
    },
    /// The stream could not be read.
    #[error("the stream could not be loaded")]
    Read(#[from] ReadError),
    /// The events could not be appended, or their companion writes were refused.
    #[error("the events could not be appended")]
    Append(#[source] AppendError<R>),
    /// A stored event of this stream is not one of the aggregate.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

impl<J: std::error::Error, R: Debug + 'static> Retryable for ExecuteError<J, R> {
    fn retry(&self) -> Retry {
        match self {
            Self::Rejected(_) | Self::Unreadable(_) | Self::WrongVersion { .. } => Retry::Never,
            Self::Read(error) => error.retry(),
            // The loop has reloaded as often as it may.
            Self::Append(AppendError::Conflict { .. }) => Retry::Later,
            Self::Append(error) => error.retry(),
        }
    }
}

/// A stream's state and version.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded<S> {
    /// The folded state.
    pub state: S,
    /// The end of the stream.
    pub head: Head,
    /// The events.
    pub history: Vec<Envelope>,
}

/// Folds recorded events.
///
/// # Errors
/// [`Unreadable`] for an event that the aggregate does not know.
pub fn fold<D: Decider>(history: &[Envelope]) -> Result<D::State, Unreadable> {
    history.iter().try_fold(D::initial(), |state, envelope| {
        Ok(D::evolve(state, &decode(envelope)?, envelope.at()))
    })
}

/// Loads and folds a stream.
///
/// # Errors
/// [`ExecuteError::Read`], [`ExecuteError::Unreadable`].
pub async fn load<D: Decider, R: Debug + 'static>(
    store: &impl EventStore,
    stream: &str,
) -> Result<Loaded<D::State>, ExecuteError<D::Rejection, R>> {
    let history = retrying(|| async {
        let read = in_time(store.read(stream, 1)).await;
        read.unwrap_or_else(|late| Err(ReadError::Unavailable(late.into())))
    })
    .await?;
    Ok(Loaded {
        state: fold::<D>(&history)?,
        head: Head::after(history.last()),
        history,
    })
}

/// Executes `command` on `stream`.
///
/// # Errors
/// [`ExecuteError`]; its [`Retryable::retry`] says what to do.
pub async fn execute<D: Decider>(
    store: &impl EventStore,
    stream: &str,
    start: Start<D::State>,
    command: &D::Command,
    cause: &Cause,
) -> Result<Executed<D::State>, ExecuteError<D::Rejection>> {
    execute_loading::<D>(store, stream, start, command, cause, async || {
        load::<D, _>(store, stream).await
    })
    .await
}

/// [`execute`], with another way of loading the stream.
pub(crate) async fn execute_loading<D: Decider>(
    store: &impl EventStore,
    stream: &str,
    start: Start<D::State>,
    command: &D::Command,
    cause: &Cause,
    load: impl AsyncFn() -> Result<Loaded<D::State>, ExecuteError<D::Rejection>>,
) -> Result<Executed<D::State>, ExecuteError<D::Rejection>> {
    run::<D, Infallible>(
        stream,
        start,
        command,
        cause,
        load,
        async |_, head, events| store.append(stream, head, events).await,
    )
    .await
}

/// Executes `command` on `stream` with the companion writes that `moves` gives for a state, in
/// the same transaction.
///
/// # Errors
/// [`ExecuteError`]; [`AppendError::Refused`] when a companion write is refused.
pub async fn execute_with<D, M, S>(
    store: &S,
    stream: &str,
    start: Start<D::State>,
    command: &D::Command,
    cause: &Cause,
    moves: impl Fn(&D::State) -> Vec<M>,
) -> Result<Executed<D::State>, ExecuteError<D::Rejection, S::Refusal>>
where
    D: Decider,
    S: AppendWith<M>,
    M: Send + Sync,
{
    run::<D, S::Refusal>(
        stream,
        start,
        command,
        cause,
        async || load::<D, _>(store, stream).await,
        async |state, head, events| {
            let moves = moves(state);
            store.append_with(stream, head, events, &moves).await
        },
    )
    .await
}

async fn run<D: Decider, R: Debug + 'static>(
    stream: &str,
    start: Start<D::State>,
    command: &D::Command,
    cause: &Cause,
    load: impl AsyncFn() -> Result<Loaded<D::State>, ExecuteError<D::Rejection, R>>,
    append: impl AsyncFn(&D::State, &Head, Vec<Envelope>) -> Result<Vec<Envelope>, AppendError<R>>,
) -> Result<Executed<D::State>, ExecuteError<D::Rejection, R>> {
    let required = match start {
        Start::At(version) => Some(version),
        Start::Load | Start::From { .. } => None,
    };
    let (mut state, mut head) = match start {
        Start::From { state, head } => (state, head),
        Start::Load | Start::At(_) => {
            let loaded = load().await?;
            (loaded.state, loaded.head)
        }
    };
    let mut waits = FullJitter::CALL.build();
    loop {
        let decided = D::decide(command, &state).map_err(ExecuteError::Rejected)?;
        if decided.is_empty() {
            return Ok(Executed {
                events: Vec::new(),
                state,
                version: head.version,
            });
        }
        if let Some(expected) = required.filter(|expected| *expected != head.version) {
            return Err(ExecuteError::WrongVersion {
                expected,
                actual: head.version,
            });
        }
        let envelopes = cause
            .envelopes(stream, &decided)
            .map_err(|error| ExecuteError::Append(AppendError::Malformed(error.to_string())))?;
        let first_id = envelopes.first().map(|first| first.event_id.clone());
        let appended = in_time(append(&state, &head, envelopes)).await;
        match appended.unwrap_or_else(|late| Err(AppendError::Unavailable(late.into()))) {
            Ok(events) => {
                return Ok(Executed {
                    version: head.version + events.len() as u64,
                    events,
                    state,
                });
            }
            Err(error) if error.retry() == Retry::Never => return Err(ExecuteError::Append(error)),
            Err(AppendError::Conflict {
                stored: Some(stored),
                ..
            }) if first_id.as_deref() == Some(&stored.event_id) => {
                // The answer to an earlier append, ours or a duplicate's, was lost.
                return Ok(Executed {
                    version: head.version + decided.len() as u64,
                    events: Vec::new(),
                    state,
                });
            }
            Err(error) => {
                let Some(wait) = waits.next().filter(|wait| budget::allows(*wait)) else {
                    return Err(ExecuteError::Append(error));
                };
                if error.retry() == Retry::AfterReload {
                    let loaded = load().await?;
                    (state, head) = (loaded.state, loaded.head);
                } else {
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }
}

/// Calls again, with backoff, while the failure says "later" and the invocation has the time.
///
/// # Errors
/// The last failure.
pub async fn retrying<T, E, F>(call: impl Fn() -> F) -> Result<T, E>
where
    E: Retryable,
    F: Future<Output = Result<T, E>>,
{
    let mut waits = FullJitter::CALL.build();
    loop {
        match call().await {
            Err(error) if error.retry() == Retry::Later => match waits.next() {
                Some(wait) if budget::allows(wait) => tokio::time::sleep(wait).await,
                _ => return Err(error),
            },
            settled => return settled,
        }
    }
}

#[cfg(test)]
mod tests;
