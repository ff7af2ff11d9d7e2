//! Personal data in events that never change: sealed under a key per person, which can be
//! destroyed (crypto-shredding). Then the event, its hash and its copies stay as they are, and
//! nobody can read the sealed part any more.
//!
//! In reading order: [`Sealed`] (what an event holds), [`Erasure`] and [`KeyRecord`] (what is known
//! of a person's key); with the feature `sealing`: [`cipher`] (the text under the key), [`keys`]
//! (the ports to the table of keys and to the service that wraps them), [`cache`] (keys that a
//! process remembers for a while), [`subject_keys`] (envelope encryption over these ports),
//! [`in_memory`] (adapters for tests and simulation), [`contract`] (what every table must do).

#[cfg(feature = "sealing")]
pub mod cache;
#[cfg(feature = "sealing")]
pub mod cipher;
#[cfg(feature = "contract")]
pub mod contract;
#[cfg(feature = "sealing")]
pub mod in_memory;
#[cfg(feature = "sealing")]
pub mod keys;
#[cfg(feature = "sealing")]
pub mod subject_keys;

use crate::retry::{Retry, Retryable};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::{self, Write as _};

/// A sealed text, as events hold it: `1.<key>.<nonce, ciphertext and tag in base64url>`.
///
/// It is opaque, and read only when it is unsealed: an event whose sealed part is damaged is an
/// event nevertheless.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(String);

impl Sealed {
    /// Takes a text for sealed.
    #[must_use]
    pub fn of_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Names one data key: the beginning of its wrapped form's digest, so that it is nothing more to
/// keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyId(pub(crate) String);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A data key, encrypted by the service that made it.
#[derive(Clone, PartialEq, Eq)]
pub struct WrappedKey(pub Vec<u8>);

impl WrappedKey {
    /// The name of the key.
    #[must_use]
    pub fn id(&self) -> KeyId {
        const BYTES: usize = 8;
        let mut id = String::with_capacity(2 * BYTES);
        for byte in Sha256::digest(&self.0).iter().take(BYTES) {
            // Writing to a text cannot fail.
            let _ = write!(id, "{byte:02x}");
        }
        KeyId(id)
    }
}

impl fmt::Debug for WrappedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Who has it and the service's permission can unwrap it: it is in no log.
        f.debug_tuple("WrappedKey").field(&self.id().0).finish()
    }
}

/// That somebody's key was destroyed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// When.
    pub at: Timestamp,
    /// Who wanted it.
    pub by: String,
}

/// What is known of somebody's key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyRecord {
    /// The key, while there is one.
    pub key: Option<WrappedKey>,
    /// The last erasure. It stays when a new key is made after it.
    pub erasure: Option<Erasure>,
}

/// What unsealing came to.
#[derive(Clone, PartialEq, Eq)]
pub enum Unsealed {
    /// The text.
    Text(Vec<u8>),
    /// Nobody can tell any more: the key was destroyed.
    Erased(Erasure),
}

impl fmt::Debug for Unsealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Erased(erasure) => f.debug_tuple("Erased").field(erasure).finish(),
        }
    }
}

/// Why something was not sealed, unsealed or erased. No variant holds a text or a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealingError {
    /// The table or the service did not answer.
    #[error("the keys of personal data cannot be reached ({0}); try again")]
    Unavailable(String),
    /// The table or the service will not do it as it is: rights, or the master key, have to be
    /// seen to.
    #[error(
        "the keys of personal data are refused ({0}); look at the rights and at the master key"
    )]
    Refused(String),
    /// It was altered, or copied from where it belongs.
    #[error("the sealed text cannot be opened: {0}")]
    Corrupted(&'static str),
    /// Its key is gone, and nobody erased it.
    #[error(
        "key {key} of {subject} is not there, and no erasure is on record; was the table of keys restored?"
    )]
    KeyLost {
        /// Whose key.
        subject: String,
        /// Which.
        key: String,
    },
}

impl Retryable for SealingError {
    fn retry(&self) -> Retry {
        match self {
            Self::Unavailable(_) => Retry::Later,
            Self::Refused(_) | Self::Corrupted(_) | Self::KeyLost { .. } => Retry::Never,
        }
    }
}
