//! What the handler needs of the world besides the event store.

use aws_adapters::dynamodb_mirror_positions::{Claim, DynamoDbMirrorPositions, PositionsError};
use event_sourcing::envelope::Envelope;
use event_sourcing::retry::{Retry, Retryable};
use jiff::Timestamp;
use std::future::Future;

/// Why the topic did not take events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// The cluster did not answer, or not in time; it may have them nevertheless.
    #[error("the cluster did not take the events ({0}); they come again when it is up")]
    Unavailable(String),
    /// The cluster will never take them as it is.
    #[error("the cluster refuses the events ({0}); mend the topic or the rights, then redrive")]
    Refused(String),
}

impl Retryable for TopicError {
    fn retry(&self) -> Retry {
        match self {
            Self::Unavailable(_) => Retry::Later,
            Self::Refused(_) => Retry::Never,
        }
    }
}

/// The topic that events go to.
pub trait Topic: Send + Sync {
    /// Appends events under one key, in order and all or none, and waits until every replica in
    /// sync has them.
    ///
    /// # Errors
    /// [`TopicError`].
    fn append(
        &self,
        key: &str,
        events: &[Envelope],
    ) -> impl Future<Output = Result<(), TopicError>> + Send;
}

/// How far streams are mirrored.
pub trait Positions: Send + Sync {
    /// Asks for a stream: see [`DynamoDbMirrorPositions::claim`].
    ///
    /// # Errors
    /// [`PositionsError`].
    fn claim(
        &self,
        stream: &str,
        version: u64,
        by: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> impl Future<Output = Result<Claim, PositionsError>> + Send;

    /// Notes how far it was mirrored, and lets go: see [`DynamoDbMirrorPositions::let_go`].
    ///
    /// # Errors
    /// [`PositionsError`].
    fn let_go(
        &self,
        stream: &str,
        version: u64,
        by: &str,
    ) -> impl Future<Output = Result<(), PositionsError>> + Send;
}

impl Positions for DynamoDbMirrorPositions {
    async fn claim(
        &self,
        stream: &str,
        version: u64,
        by: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Claim, PositionsError> {
        Self::claim(self, stream, version, by, now, until).await
    }

    async fn let_go(&self, stream: &str, version: u64, by: &str) -> Result<(), PositionsError> {
        Self::let_go(self, stream, version, by).await
    }
}
