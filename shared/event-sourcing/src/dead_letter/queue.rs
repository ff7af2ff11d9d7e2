//! The port by which a consumer gives a message up itself.

use super::Class;
use crate::failure::Failure;
use crate::store::Source;
use jiff::Timestamp;
use serde_json::Value;
use std::future::Future;
use std::sync::{Mutex, PoisonError};

/// A message that its consumer will not take, or cannot take now.
#[derive(Debug, Clone, PartialEq)]
pub struct GivenUp {
    /// What the consumer was called with.
    pub payload: Value,
    /// How it failed.
    pub class: Class,
    /// Why.
    pub cause: String,
    /// The call in which it failed; its redrives keep the id.
    pub request_id: Option<String>,
    /// How often it was tried in this call; the platform does not tell of calls before.
    pub attempts: u32,
    /// When it failed first in this call.
    pub first_failed_at: Timestamp,
}

impl GivenUp {
    /// `payload`, given up for `failure` at `now`.
    #[must_use]
    pub fn new(payload: Value, failure: &Failure, now: Timestamp) -> Self {
        Self {
            payload,
            class: Class::of_error_type(failure.class()),
            cause: failure.to_string(),
            request_id: None,
            attempts: 1,
            first_failed_at: now,
        }
    }

    /// Given up in this call.
    #[must_use]
    pub fn in_call(mut self, request_id: &str) -> Self {
        self.request_id = Some(request_id.to_owned());
        self
    }
}

/// The queue did not take a message.
#[derive(Debug, thiserror::Error)]
#[error("the dead-letter queue did not take the message; give it back to the platform")]
pub struct NotTaken(#[source] pub Source);

/// A consumer's dead-letter queue.
pub trait DeadLetterQueue: Send + Sync {
    /// Puts a message into the queue. An adapter MUST NOT answer before the queue has it.
    ///
    /// # Errors
    /// [`NotTaken`]; it may be in the queue nevertheless, which is harmless.
    fn give_up(&self, given_up: &GivenUp) -> impl Future<Output = Result<(), NotTaken>> + Send;
}

/// A dead-letter queue in memory.
#[derive(Debug, Default)]
pub struct InMemoryDeadLetterQueue {
    given_up: Mutex<Vec<GivenUp>>,
}

impl InMemoryDeadLetterQueue {
    /// Takes everything out of it, in order.
    #[must_use]
    pub fn drain(&self) -> Vec<GivenUp> {
        let mut given_up = self.given_up.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *given_up)
    }
}

impl DeadLetterQueue for InMemoryDeadLetterQueue {
    async fn give_up(&self, given_up: &GivenUp) -> Result<(), NotTaken> {
        let mut kept = self.given_up.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(given_up.clone());
        Ok(())
    }
}
