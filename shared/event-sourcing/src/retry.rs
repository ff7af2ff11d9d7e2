//! What to do with a failure, and how long to wait: exponential backoff with full jitter.

#[cfg(feature = "runtime")]
pub mod budget;
#[cfg(feature = "runtime")]
mod full_jitter;

#[cfg(feature = "runtime")]
pub use full_jitter::{FullJitter, FullJitterWaits};

/// What a failed call asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same call may succeed later.
    Later,
    /// The world has moved on: load again, decide again.
    AfterReload,
    /// It will never succeed.
    Never,
}

/// An error that knows whether to try again.
pub trait Retryable {
    /// What the caller should do.
    fn retry(&self) -> Retry;
}
