//! What happens to an event, told as it happens.

use std::time::Duration;

use super::pending::PendingInvocation;
use super::record::Condition;
use crate::invocation::{Invocation, InvokeError};

/// One step of an event's way.
#[derive(Debug)]
pub enum AsyncEvent<'a> {
    /// The event was accepted.
    Submitted,
    /// The function is about to get the event; `attempt` counts from 1.
    Started {
        /// Which run of the function this is.
        attempt: u32,
    },
    /// The function answered. The event is done with, but for the on-success destination.
    Succeeded {
        /// The finished invocation.
        invocation: &'a Invocation,
    },
    /// The function failed.
    Failed {
        /// The finished invocation.
        invocation: &'a Invocation,
        /// Which run of the function this was, from 1.
        attempt: u32,
    },
    /// The event did not reach the function.
    NotInvoked {
        /// Why.
        error: &'a InvokeError,
    },
    /// The event will be tried again.
    Retried {
        /// After this time.
        delay: Duration,
    },
    /// A record or the event was sent to a destination or dead-letter queue.
    Delivered {
        /// Where to.
        arn: &'a str,
        /// Why.
        condition: Condition,
    },
    /// The event is given up and there is nowhere to send it: it is lost, as it would be on AWS.
    Discarded {
        /// Why.
        condition: Condition,
    },
    /// A destination did not take what it should have got: that is lost, as it would be on AWS.
    DeliveryFailed {
        /// Where to.
        arn: &'a str,
        /// What went wrong.
        error: &'a str,
        /// What was lost.
        body: &'a str,
    },
    /// The journal did not keep up: after a restart the event may be delivered again.
    JournalFailed {
        /// What went wrong.
        error: &'a std::io::Error,
    },
}

/// Is told what happens to every event. Called from the invoker's tasks: must not block.
pub trait AsyncObserver: Send + Sync + 'static {
    /// One step of the way of `pending`.
    fn on_event(&self, pending: &PendingInvocation, event: &AsyncEvent<'_>);
}

/// Does not look.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl AsyncObserver for NoObserver {
    fn on_event(&self, _pending: &PendingInvocation, _event: &AsyncEvent<'_>) {}
}
