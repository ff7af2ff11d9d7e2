//! The port to a bus.

use crate::envelope::Envelope;
use crate::retry::{Retry, Retryable};
use std::future::Future;

/// Why one event did not reach the bus.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The bus did not take it this time, or did not answer; it may have arrived nevertheless.
    #[error("the bus did not take the event ({0}); publish it again, consumers know duplicates")]
    Unavailable(String),
    /// The bus will never take it.
    #[error("the bus refuses the event for good ({0}); it needs an operator")]
    Refused(String),
}

impl Retryable for PublishError {
    fn retry(&self) -> Retry {
        match self {
            Self::Unavailable(_) => Retry::Later,
            Self::Refused(_) => Retry::Never,
        }
    }
}

/// Hands events to a bus.
pub trait EventPublisher: Send + Sync {
    /// Publishes recorded events and answers for each of them, in the given order.
    ///
    /// An adapter MUST look at the answer for every event, MUST stay within its bus's limits on
    /// number and size by sending several requests, and MUST NOT publish an event before an
    /// earlier one of the same stream in the same call was taken.
    fn publish(
        &self,
        events: &[Envelope],
    ) -> impl Future<Output = Vec<Result<(), PublishError>>> + Send;
}
