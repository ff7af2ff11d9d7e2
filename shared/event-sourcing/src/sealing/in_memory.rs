//! Keys in memory: for tests and for the simulation.

use super::cipher::DataKey;
use super::keys::{Kept, KeyErasure, KeyService, SubjectKeyTable};
use super::subject_keys::SubjectKeys;
use super::{Erasure, KeyRecord, SealingError, WrappedKey};
use crate::clock::Clock;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Keys of subjects, all in memory.
pub type InMemorySubjectKeys<C> = SubjectKeys<InMemoryKeyTable, InMemoryKeyService, C>;

/// New keys of subjects, remembered for three minutes.
#[must_use]
pub fn subject_keys<C: Clock>(clock: C) -> InMemorySubjectKeys<C> {
    let kept_for = SignedDuration::from_mins(3);
    SubjectKeys::new(
        InMemoryKeyTable::default(),
        InMemoryKeyService::default(),
        clock,
        kept_for,
    )
}

/// A table of keys in memory.
#[derive(Debug, Default)]
pub struct InMemoryKeyTable {
    records: Mutex<BTreeMap<String, KeyRecord>>,
}

impl InMemoryKeyTable {
    fn records(&self) -> MutexGuard<'_, BTreeMap<String, KeyRecord>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SubjectKeyTable for InMemoryKeyTable {
    async fn find(&self, subject: &str) -> Result<KeyRecord, SealingError> {
        Ok(self.records().get(subject).cloned().unwrap_or_default())
    }

    async fn keep(
        &self,
        subject: &str,
        key: &WrappedKey,
        _: Timestamp,
    ) -> Result<Kept, SealingError> {
        let mut records = self.records();
        let record = records.entry(subject.to_owned()).or_default();
        if let Some(there) = &record.key {
            return Ok(Kept::There(there.clone()));
        }
        record.key = Some(key.clone());
        Ok(Kept::New)
    }
}

impl KeyErasure for InMemoryKeyTable {
    async fn erase(&self, subject: &str, erasure: &Erasure) -> Result<Erasure, SealingError> {
        let mut records = self.records();
        let record = records.entry(subject.to_owned()).or_default();
        if let (None, Some(earlier)) = (record.key.take(), &record.erasure) {
            return Ok(earlier.clone());
        }
        record.erasure = Some(erasure.clone());
        Ok(erasure.clone())
    }
}

/// A service in memory. Its keys follow from its number and the subject, so that a run can be
/// repeated; they are no secrets.
#[derive(Debug, Default)]
pub struct InMemoryKeyService {
    made: AtomicU64,
    unwrapped: AtomicU64,
}

impl InMemoryKeyService {
    /// How many keys were made, and how many unwrapped.
    #[must_use]
    pub fn calls(&self) -> (u64, u64) {
        (
            self.made.load(Ordering::Relaxed),
            self.unwrapped.load(Ordering::Relaxed),
        )
    }
}

fn digest(parts: &[&[u8]]) -> Vec<u8> {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().to_vec()
}

fn key_in(wrapped: &[u8]) -> Result<DataKey, SealingError> {
    DataKey::from_bytes(&digest(&[b"data key", wrapped]))
        .ok_or(SealingError::Corrupted("the key has the wrong length"))
}

impl KeyService for InMemoryKeyService {
    async fn generate(&self, subject: &str) -> Result<(DataKey, WrappedKey), SealingError> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let mut wrapped = number.to_be_bytes().to_vec();
        wrapped.extend(digest(&[&wrapped, subject.as_bytes()]));
        Ok((key_in(&wrapped)?, WrappedKey(wrapped)))
    }

    async fn unwrap(&self, subject: &str, key: &WrappedKey) -> Result<DataKey, SealingError> {
        self.unwrapped.fetch_add(1, Ordering::Relaxed);
        let number = key.0.first_chunk::<8>().copied().unwrap_or_default();
        let mut expected = number.to_vec();
        expected.extend(digest(&[&number, subject.as_bytes()]));
        if key.0 != expected {
            return Err(SealingError::Corrupted(
                "the key was wrapped for somebody else",
            ));
        }
        key_in(&key.0)
    }
}
