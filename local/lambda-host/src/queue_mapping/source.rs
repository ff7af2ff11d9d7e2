//! Where a queue mapping's messages come from.

use std::future::Future;
use std::time::Duration;

use serde_json::Value;

/// One received message.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueMessage {
    /// `messageId`.
    pub message_id: String,
    /// `receiptHandle` of this receive.
    pub receipt_handle: String,
    /// The message as the function gets it in `Records`.
    pub json: Value,
}

/// A queue.
///
/// An adapter MUST hide a received message from other receives until its visibility timeout ends,
/// and MUST count receives and move to the queue's dead-letter queue as the redrive policy says.
pub trait QueueSource: Send + Sync + 'static {
    /// Receives up to `max` messages; waits up to `wait` for the first one. Need not be safe to
    /// cancel: the mapping always awaits it to the end.
    ///
    /// # Errors
    /// What went wrong, in words; the mapping tries again.
    fn receive(
        &self,
        max: usize,
        wait: Duration,
    ) -> impl Future<Output = Result<Vec<QueueMessage>, String>> + Send;

    /// Deletes the messages with these receipt handles.
    ///
    /// # Errors
    /// What went wrong, in words; the mapping tries again a few times, then the messages come back.
    fn delete(
        &self,
        receipt_handles: Vec<String>,
    ) -> impl Future<Output = Result<(), String>> + Send;

    /// Lets the messages with these receipt handles be received again after `visible_after`.
    ///
    /// # Errors
    /// What went wrong, in words; the messages then come back at their visibility timeout.
    fn change_visibility(
        &self,
        receipt_handles: Vec<String>,
        visible_after: Duration,
    ) -> impl Future<Output = Result<(), String>> + Send;
}
