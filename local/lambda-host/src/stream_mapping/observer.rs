//! What happens to the batches of a mapping, told as it happens.

use std::time::Duration;

use super::failure_record::DropCondition;
use crate::invocation::{Invocation, InvokeError};

/// Which batch of which mapping.
#[derive(Debug, Clone)]
pub struct BatchInfo {
    /// Name of the function.
    pub function: String,
    /// Shard of the stream.
    pub shard_id: String,
    /// `SequenceNumber` of the first record.
    pub first: String,
    /// `SequenceNumber` of the last record.
    pub last: String,
    /// Number of records.
    pub records: usize,
}

/// One step of a batch's way.
#[derive(Debug)]
pub enum MappingEvent<'a> {
    /// The function is about to get the batch.
    Started {
        /// Which attempt at this batch, from 1.
        attempt: u32,
    },
    /// The batch is done.
    Succeeded {
        /// The finished invocation.
        invocation: &'a Invocation,
    },
    /// The batch, or a part of it, failed.
    Failed {
        /// The finished invocation; none when the event could not be handed over for its content.
        invocation: Option<&'a Invocation>,
        /// The function's error, or what is wrong with its answer, or the reported records.
        message: &'a str,
        /// Records at the start of the batch that are done all the same.
        done: usize,
    },
    /// The batch did not reach the function: throttled, or a system error.
    NotInvoked {
        /// Why.
        error: &'a InvokeError,
    },
    /// What is left of the batch is tried again, whole.
    Retried {
        /// After this time.
        delay: Duration,
    },
    /// The batch is tried again in two parts.
    Bisected {
        /// Records in the first part.
        first_part: usize,
    },
    /// The batch is given up and the stream goes on.
    Dropped {
        /// Why.
        condition: DropCondition,
        /// Where its metadata went; none when there is no on-failure destination.
        destination: Option<&'a str>,
    },
    /// The on-failure destination did not take the metadata: that is lost, as it would be on AWS.
    DeliveryFailed {
        /// Where to.
        arn: &'a str,
        /// What went wrong.
        error: &'a str,
        /// What was lost.
        body: &'a str,
    },
}

/// Is told what happens to every batch. Called from the mapping's tasks: must not block.
pub trait MappingObserver: Send + Sync + 'static {
    /// One step of the way of a batch.
    fn on_batch(&self, batch: &BatchInfo, event: &MappingEvent<'_>);

    /// The source failed; the mapping tries again.
    fn on_source_error(&self, function: &str, error: &str) {
        let _ = (function, error);
    }
}

/// Does not look.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoMappingObserver;

impl MappingObserver for NoMappingObserver {
    fn on_batch(&self, _batch: &BatchInfo, _event: &MappingEvent<'_>) {}
}
