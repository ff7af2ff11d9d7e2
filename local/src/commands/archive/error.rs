//! Why the archive is not read or replayed, and what to do.

use aws_adapters::bucket::BucketError;
use aws_adapters::restored_events::RestoreError;

use crate::terminal::printable;

/// What stands between an operator and the archive.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The bucket does not answer.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// The period has no moment in it.
    #[error(
        "the period ends at {to}, before it begins at {from}: name an earlier --from or a later --to"
    )]
    EmptyPeriod {
        /// When it begins.
        from: jiff::Timestamp,
        /// When it ends, by what was asked for or since later events may not be archived yet.
        to: jiff::Timestamp,
    },
    /// No rule gives events to it.
    #[error("{} is no consumer of the bus; there are {known}", printable(.name))]
    NoConsumer {
        /// As asked for.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// The table of events itself was named.
    #[error("{0} is the system's own table of events; name another")]
    OwnTable(String),
    /// The table that is to take the events cannot.
    #[error(transparent)]
    Table(#[from] RestoreError),
}
