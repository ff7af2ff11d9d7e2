//! How a handler fails, in one place: come back later, never, or when what it needs is up again.
//!
//! A *rejection* is no failure: it is an answer, appended and acknowledged.

use crate::retry::{Retry, Retryable};
use std::error::Error;

/// Why a handler gives a message back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It may succeed later: the platform retries, then the dead-letter queue keeps it.
    #[error("{0}")]
    Transient(String),
    /// It will never succeed as it is: an operator has to look at it.
    #[error("{0}")]
    Permanent(String),
    /// What it needs is known to be down, so trying is of no use now: it waits as a dead letter,
    /// and a redrive that fails so again is no round of it.
    #[error("{0}")]
    Waiting(String),
}

impl Failure {
    /// The failure that `error` is, with its chain of causes in one line.
    #[must_use]
    pub fn from_error<E: Error + Retryable>(error: &E) -> Self {
        let text = causes(error);
        match error.retry() {
            Retry::Later | Retry::AfterReload => Self::Transient(text),
            Retry::Never => Self::Permanent(text),
        }
    }

    /// What the platform and an operator see as the error's type.
    #[must_use]
    pub fn class(&self) -> &'static str {
        match self {
            Self::Transient(_) => "Transient",
            Self::Permanent(_) => "Permanent",
            Self::Waiting(_) => "Waiting",
        }
    }
}

/// An error and all its causes, joined by colons.
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execute::ExecuteError;
    use crate::jar::JarRejection;
    use crate::store::{AppendError, ReadError};

    #[test]
    fn a_failure_tells_all_its_causes() {
        let busy = ExecuteError::<JarRejection>::Append(AppendError::Unavailable(
            "transaction cancelled: TransactionConflict".into(),
        ));
        let Failure::Transient(text) = Failure::from_error(&busy) else {
            panic!("it may succeed later");
        };
        assert!(
            text.ends_with(": transaction cancelled: TransactionConflict"),
            "{text}"
        );
        let error = ReadError::Unavailable("connection refused".into());
        assert_eq!(
            Failure::from_error(&error),
            Failure::Transient("the store did not answer; read again: connection refused".into())
        );
    }
}
