//! Why nothing was done about dead letters, and what to do.

use std::error::Error;

use aws_adapters::sqs_dead_letter_queue::QueueError;
use event_sourcing::dead_letter::{ActRefused, DeadLettersError};

use crate::terminal::printable;

/// What stands between an operator and the letters.
#[derive(Debug, thiserror::Error)]
pub enum DlqError {
    /// The table did not do what was asked for.
    #[error(
        "{error}{}; the operator needs dynamodb:GetItem, dynamodb:Scan, dynamodb:Query and \
         dynamodb:PutItem on it",
        because(.error)
    )]
    Letters {
        /// What it said.
        #[from]
        error: DeadLettersError,
    },
    /// There is no such consumer.
    #[error("there is no consumer {}; there are {known}", printable(.name))]
    UnknownConsumer {
        /// As asked for.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// There is no such letter.
    #[error(
        "there is no letter {}; `cargo local dlq list --letters --status any` lists all. A message \
         that was given up just now becomes a letter within a minute",
        printable(.0)
    )]
    NoLetter(String),
    /// More than one letter begins so.
    #[error("{} is the beginning of several letters: {candidates}; say more of it", printable(.part))]
    Ambiguous {
        /// As asked for.
        part: String,
        /// Some of them.
        candidates: String,
    },
    /// No open letter is meant.
    #[error("no open letter matches; `cargo local dlq list` says what there is{0}")]
    NothingMatches(String),
    /// Nobody is named who acts.
    #[error("who acts is not known here: neither USER nor LOGNAME is set; say it with --by NAME")]
    NoName,
    /// It was to be asked for, and there is nobody to ask.
    #[error("nobody can be asked here, for this is no terminal: repeat it with --yes to purge")]
    NobodyToAsk,
    /// The letter stays as it is.
    #[error(transparent)]
    Refused(#[from] ActRefused),
    /// What lies in a queue is not known.
    #[error("{0}; the operator needs sqs:GetQueueAttributes on it")]
    Queue(#[from] QueueError),
    /// The letter has no payment.
    #[error(
        "letter {} is not about a payment; only one of process-payment that names its order is \
         resolved with --as",
        printable(.0)
    )]
    NoPayment(String),
    /// The payment would stay unknown.
    #[error(
        "letter {} is about a payment whose outcome is unknown; say what became of it: --as paid \
         --payment-id ID, or --as failed",
        printable(.0)
    )]
    PaymentOpen(String),
    /// The function refused.
    #[error("{function} says: {}: {}", printable(.error_type), printable(.message))]
    Function {
        /// Which one.
        function: &'static str,
        /// The class of its failure.
        error_type: String,
        /// Why.
        message: String,
    },
}

/// What the table's client said, where it did.
fn because(error: &DeadLettersError) -> String {
    let said = error.source().map(|source| format!(" ({source})"));
    printable(&said.unwrap_or_default())
}

impl DlqError {
    /// Whether it was asked for in a way in which it cannot be done.
    pub(super) fn is_usage(&self) -> bool {
        matches!(self, Self::NoName | Self::NobodyToAsk)
    }
}
