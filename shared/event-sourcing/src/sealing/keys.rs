//! The ports: one data key per subject, wrapped by a service, kept in a table.

use super::cipher::DataKey;
use super::{Erasure, KeyRecord, Sealed, SealingError, Unsealed, WrappedKey};
use jiff::Timestamp;
use std::future::Future;

/// What became of a new key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// It is the subject's key.
    New,
    /// The subject had one already: this.
    There(WrappedKey),
}

/// The table of wrapped keys. No copy of it may outlive an erasure: it MUST have no backups, no
/// stream and no cache.
pub trait SubjectKeyTable: Send + Sync {
    /// What is known of a subject's key. An adapter MUST read consistently: a key that was kept,
    /// or erased, before the call is seen so.
    ///
    /// # Errors
    /// [`SealingError`].
    fn find(&self, subject: &str) -> impl Future<Output = Result<KeyRecord, SealingError>> + Send;

    /// Keeps a new key, unless the subject has one. An adapter MUST make it one conditional write,
    /// and MUST leave an erasure on record.
    ///
    /// # Errors
    /// [`SealingError`]; "unavailable" means that it may have been kept.
    fn keep(
        &self,
        subject: &str,
        key: &WrappedKey,
        at: Timestamp,
    ) -> impl Future<Output = Result<Kept, SealingError>> + Send;
}

/// Destroys keys.
pub trait KeyErasure: Send + Sync {
    /// Destroys a subject's key, if there is one, and gives the erasure that is on record then: an
    /// earlier one, when no key was made after it. An adapter MUST make it one conditional write.
    ///
    /// # Errors
    /// [`SealingError`]; "unavailable" means that it may have been destroyed.
    fn erase(
        &self,
        subject: &str,
        erasure: &Erasure,
    ) -> impl Future<Output = Result<Erasure, SealingError>> + Send;
}

/// The service that makes and unwraps data keys under a master key that never leaves it.
pub trait KeyService: Send + Sync {
    /// A new data key, and its wrapped form, which MUST unwrap for this subject only.
    ///
    /// # Errors
    /// [`SealingError`].
    fn generate(
        &self,
        subject: &str,
    ) -> impl Future<Output = Result<(DataKey, WrappedKey), SealingError>> + Send;

    /// The data key in a wrapped one.
    ///
    /// # Errors
    /// [`SealingError`]; `Corrupted`, when it was not wrapped for this subject.
    fn unwrap(
        &self,
        subject: &str,
        key: &WrappedKey,
    ) -> impl Future<Output = Result<DataKey, SealingError>> + Send;
}

/// What handlers ask for: texts sealed and unsealed for a subject.
pub trait Sealing: Send + Sync {
    /// Seals a text of `subject` for `place`, where alone it will open.
    ///
    /// # Errors
    /// [`SealingError`].
    fn seal(
        &self,
        subject: &str,
        place: &[&str],
        text: &[u8],
    ) -> impl Future<Output = Result<Sealed, SealingError>> + Send;

    /// Opens a sealed text, unless its key was destroyed.
    ///
    /// # Errors
    /// [`SealingError`].
    fn unseal(
        &self,
        subject: &str,
        place: &[&str],
        sealed: &Sealed,
    ) -> impl Future<Output = Result<Unsealed, SealingError>> + Send;
}
