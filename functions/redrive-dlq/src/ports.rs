//! What the function needs of the platform.

use aws_adapters::dead_letter_message::GivenUpBatch;
use aws_adapters::function_calls::{CallError, Called, FunctionCalls};
use aws_adapters::sqs_dead_letter_queue::{Message, QueueError, SqsDeadLetterQueue};
use aws_adapters::stream_history::{Restored, StreamHistory};
use event_sourcing::dead_letter::DeadLetter;
use event_sourcing::failure::Failure;
use std::collections::BTreeMap;
use std::future::Future;

use crate::config::Consumer;

/// Queues, the history of the stream, and calls of functions.
pub trait Platform: Send + Sync {
    /// Messages of a consumer's dead-letter queue; one that is not deleted comes again.
    ///
    /// # Errors
    /// [`QueueError`].
    fn receive(
        &self,
        consumer: &Consumer,
    ) -> impl Future<Output = Result<Vec<Message>, QueueError>> + Send;

    /// Deletes a message that was received.
    ///
    /// # Errors
    /// [`QueueError`].
    fn delete(
        &self,
        consumer: &Consumer,
        message: &Message,
    ) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// The records of a batch that a stream mapping gave up.
    ///
    /// # Errors
    /// [`Failure::Transient`].
    fn restore(
        &self,
        consumer: &Consumer,
        batch: &GivenUpBatch,
    ) -> impl Future<Output = Result<Vec<Restored>, Failure>> + Send;

    /// Calls a consumer with a letter.
    ///
    /// # Errors
    /// [`CallError`]; a failure of the consumer itself is [`Called::Failed`].
    fn call(
        &self,
        consumer: &Consumer,
        letter: &DeadLetter,
    ) -> impl Future<Output = Result<Called, CallError>> + Send;
}

/// SQS, `DynamoDB` Streams and Lambda.
#[derive(Debug)]
pub struct Aws {
    /// The queue of each consumer.
    pub queues: BTreeMap<String, SqsDeadLetterQueue>,
    /// The history of the event store's stream.
    pub history: StreamHistory,
    /// Calls functions.
    pub calls: FunctionCalls,
}

impl Aws {
    fn queue(&self, consumer: &Consumer) -> Result<&SqsDeadLetterQueue, QueueError> {
        let queue = self.queues.get(&consumer.name);
        queue.ok_or_else(|| QueueError {
            queue: consumer.queue.clone(),
            reason: "not set up".to_owned(),
        })
    }
}

impl Platform for Aws {
    async fn receive(&self, consumer: &Consumer) -> Result<Vec<Message>, QueueError> {
        self.queue(consumer)?.receive().await
    }

    async fn delete(&self, consumer: &Consumer, message: &Message) -> Result<(), QueueError> {
        self.queue(consumer)?.delete(&message.receipt).await
    }

    async fn restore(
        &self,
        consumer: &Consumer,
        batch: &GivenUpBatch,
    ) -> Result<Vec<Restored>, Failure> {
        self.history.restore(batch, &consumer.streams).await
    }

    async fn call(&self, consumer: &Consumer, letter: &DeadLetter) -> Result<Called, CallError> {
        let ids = letter.call_ids();
        self.calls
            .redrive(&consumer.function, &letter.payload, &ids)
            .await
    }
}
