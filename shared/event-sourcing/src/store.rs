//! The port to an event store, and how it fails.

use crate::chain::Head;
use crate::envelope::Envelope;
use crate::retry::{Retry, Retryable};
use std::convert::Infallible;
use std::fmt::Debug;
use std::future::Future;

/// Where the cause of a failure is kept.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why events were not appended. `R` says why a companion write was refused
/// ([`AppendWith`]); plain appends have none.
#[derive(Debug, thiserror::Error)]
pub enum AppendError<R: Debug = Infallible> {
    /// Another event has this version. Load, fold and decide again.
    #[error("version {version} of stream {stream} is taken; load the stream and decide again")]
    Conflict {
        /// Which stream.
        stream: String,
        /// Which version.
        version: u64,
        /// The event that is there, where the store could tell.
        stored: Option<Box<Envelope>>,
    },
    /// The companion writes were refused, so nothing was stored.
    #[error("nothing was stored, for what belongs to the event was refused: {0:?}")]
    Refused(Vec<R>),
    /// The store did not answer: the events may be stored or not. Append the same events again;
    /// if they were stored, that is a conflict with themselves.
    #[error("the store did not answer, the events may or may not be stored; append them again")]
    Unavailable(#[source] Source),
    /// The events are larger than the store takes.
    #[error("the event has {bytes} bytes, the store takes {limit}; put less into its data")]
    TooLarge {
        /// Size of the largest event as it would be stored.
        bytes: usize,
        /// What the store takes.
        limit: usize,
    },
    /// The events cannot be written in the store's format.
    #[error("the event cannot be stored: {0}")]
    Malformed(String),
}

impl<R: Debug> Retryable for AppendError<R> {
    fn retry(&self) -> Retry {
        match self {
            Self::Conflict { .. } => Retry::AfterReload,
            Self::Unavailable(_) => Retry::Later,
            Self::Refused(_) | Self::TooLarge { .. } | Self::Malformed(_) => Retry::Never,
        }
    }
}

/// Why a stream was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The store did not answer.
    #[error("the store did not answer; read again")]
    Unavailable(#[source] Source),
    /// What is stored is not an event.
    #[error("version {version} of stream {stream} is not an event: {reason}")]
    Corrupt {
        /// Which stream.
        stream: String,
        /// Which version.
        version: u64,
        /// What is wrong with it.
        reason: String,
    },
}

impl Retryable for ReadError {
    fn retry(&self) -> Retry {
        match self {
            Self::Unavailable(_) => Retry::Later,
            Self::Corrupt { .. } => Retry::Never,
        }
    }
}

/// Keeps streams of events.
pub trait EventStore: Send + Sync {
    /// Appends events after `head` of `stream` ([`Head::START`]: the stream is new), all or none,
    /// and gives them back with their positions.
    ///
    /// An adapter MUST give them their positions and hashes with [`crate::chain::record`]; MUST refuse with [`AppendError::Conflict`] when any of the versions is taken
    /// and carry the stored event back where it can; MUST map every failure after which the
    /// write may have happened to [`AppendError::Unavailable`]; MUST refuse what is too large
    /// before it sends anything.
    ///
    /// # Errors
    /// [`AppendError`].
    fn append(
        &self,
        stream: &str,
        head: &Head,
        events: Vec<Envelope>,
    ) -> impl Future<Output = Result<Vec<Envelope>, AppendError>> + Send;

    /// Reads the events of `stream` from version `from` (1-based) on, in order, to the end.
    ///
    /// An adapter MUST follow every page and read consistently: it gives every event that was
    /// stored before the call.
    ///
    /// # Errors
    /// [`ReadError`].
    fn read(
        &self,
        stream: &str,
        from: u64,
    ) -> impl Future<Output = Result<Vec<Envelope>, ReadError>> + Send;
}

/// An event store that makes companion writes `M` in the transaction that stores the events.
pub trait AppendWith<M>: EventStore {
    /// Why a companion write was refused.
    type Refusal: Debug + Send + 'static;

    /// Like [`EventStore::append`]; the events are stored if and only if every move is made.
    ///
    /// An adapter MUST report every refused move, not only the first.
    ///
    /// # Errors
    /// [`AppendError`]; `Refused` when a move's condition does not hold.
    fn append_with(
        &self,
        stream: &str,
        head: &Head,
        events: Vec<Envelope>,
        moves: &[M],
    ) -> impl Future<Output = Result<Vec<Envelope>, AppendError<Self::Refusal>>> + Send;
}

impl AppendError {
    /// The same failure where companion writes could have been refused, too.
    #[must_use]
    pub fn widen<R: Debug>(self) -> AppendError<R> {
        match self {
            Self::Conflict {
                stream,
                version,
                stored,
            } => AppendError::Conflict {
                stream,
                version,
                stored,
            },
            Self::Refused(refused) => match refused.first() {
                Some(never) => match *never {},
                None => AppendError::Refused(Vec::new()),
            },
            Self::Unavailable(source) => AppendError::Unavailable(source),
            Self::TooLarge { bytes, limit } => AppendError::TooLarge { bytes, limit },
            Self::Malformed(reason) => AppendError::Malformed(reason),
        }
    }
}
