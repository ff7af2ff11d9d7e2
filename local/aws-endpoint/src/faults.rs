//! Faults on purpose: what a host may let go wrong with a call.

use std::time::Duration;

use serde_json::Value;

/// What is about to be served.
#[derive(Debug, Clone, Copy)]
pub struct CallInfo<'a> {
    /// Access key id the request was signed with, `anonymous` for none.
    pub caller: &'a str,
    /// As in [`CallKey::service`](crate::CallKey::service).
    pub service: &'a str,
    /// E.g. `PutItem`.
    pub operation: &'a str,
    /// The request's body.
    pub request: &'a Value,
}

/// What happens to a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Fault {
    /// It is served.
    #[default]
    None,
    /// Refused with the service's "slow down", not executed.
    Throttle,
    /// Never executed; after this time the connection is closed without an answer.
    TimeoutBefore(Duration),
    /// Executed; the connection is closed without an answer.
    WrittenButNoAnswer,
    /// Of a `PutEvents` or a `PutRecords`, these entries (by index) fail, the others are served.
    /// Nothing to other calls.
    PartialEntries(Vec<usize>),
    /// Answered with status 500, not executed.
    InternalError,
}

/// Decides about every call that comes over HTTP.
pub trait Faults: Send + Sync {
    /// What happens to this call.
    fn decide(&self, call: &CallInfo<'_>) -> Fault;
}
