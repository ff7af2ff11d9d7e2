//! What happens to the batches of a queue mapping, told as it happens.

use crate::invocation::{Invocation, InvokeError};

/// One step of a batch's way.
#[derive(Debug)]
pub enum QueueEvent<'a> {
    /// The function is about to get the batch.
    Started,
    /// All messages are done, and deleted.
    Succeeded {
        /// The finished invocation.
        invocation: &'a Invocation,
    },
    /// Messages failed. They come back when their visibility timeout ends.
    Failed {
        /// The finished invocation; none when the event could not be handed over for its content.
        invocation: Option<&'a Invocation>,
        /// The function's error, or what is wrong with its answer, or the reported messages.
        message: &'a str,
        /// Ids of the messages that failed; the others are deleted.
        failed: &'a [String],
    },
    /// The batch did not reach the function: throttled, or a system error.
    NotInvoked {
        /// Why.
        error: &'a InvokeError,
        /// Whether the batch is tried again now; if not, its messages come back.
        retried: bool,
    },
    /// Messages that the filter refuses were deleted.
    Filtered,
    /// The queue failed.
    SourceFailed {
        /// What went wrong.
        error: &'a str,
    },
}

/// Is told what happens to every batch. Called from the mapping's tasks: must not block.
pub trait QueueObserver: Send + Sync + 'static {
    /// One step of the way of the batch of `function` with these message ids.
    fn on_batch(&self, function: &str, message_ids: &[String], event: &QueueEvent<'_>);
}

/// Does not look.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoQueueObserver;

impl QueueObserver for NoQueueObserver {
    fn on_batch(&self, _function: &str, _message_ids: &[String], _event: &QueueEvent<'_>) {}
}
