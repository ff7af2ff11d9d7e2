//! Envelope encryption: a data key per subject, made and wrapped by a service, kept in a table,
//! remembered for a while.
//!
//! Sealing under a key that is remembered asks nobody. Otherwise it is one read of the table and
//! one call of the service, and for a new subject one conditional write; who loses the race for
//! that write takes the winner's key. Unsealing always reads the table first, so what was erased
//! stays closed from that moment on, whatever a process remembers.

use super::cache::{KeyCache, NamedKey};
use super::cipher::{self, DataKey};
use super::keys::{Kept, KeyService, Sealing, SubjectKeyTable};
use super::{Sealed, SealingError, Unsealed, WrappedKey};
use crate::clock::Clock;
use jiff::SignedDuration;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Keys of subjects, over a table and a service.
pub struct SubjectKeys<T, S, C> {
    table: T,
    service: S,
    clock: C,
    remembered: Mutex<KeyCache>,
}

impl<T, S, C> fmt::Debug for SubjectKeys<T, S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubjectKeys").finish_non_exhaustive()
    }
}

impl<T: SubjectKeyTable, S: KeyService, C: Clock> SubjectKeys<T, S, C> {
    /// The keys in `table` that `service` wraps, each remembered for so long.
    #[must_use]
    pub fn new(table: T, service: S, clock: C, kept_for: SignedDuration) -> Self {
        Self {
            table,
            service,
            clock,
            remembered: Mutex::new(KeyCache::new(kept_for)),
        }
    }

    /// The table.
    #[must_use]
    pub fn table(&self) -> &T {
        &self.table
    }

    /// The service.
    #[must_use]
    pub fn service(&self) -> &S {
        &self.service
    }

    /// The key to seal with: the subject's own, or a new one.
    async fn to_seal(&self, subject: &str) -> Result<NamedKey, SealingError> {
        if let Some(key) = self.remembered().get(subject, self.clock.now()) {
            return Ok(key);
        }
        if let Some(wrapped) = self.table.find(subject).await?.key {
            return self.unwrapped(subject, &wrapped).await;
        }
        let (key, wrapped) = self.service.generate(subject).await?;
        match self.table.keep(subject, &wrapped, self.clock.now()).await? {
            Kept::New => Ok(self.remember(subject, &wrapped, key)),
            // The answer to an earlier write of ours was lost, or somebody else was first.
            Kept::There(other) if other == wrapped => Ok(self.remember(subject, &wrapped, key)),
            Kept::There(other) => self.unwrapped(subject, &other).await,
        }
    }

    async fn unwrapped(
        &self,
        subject: &str,
        wrapped: &WrappedKey,
    ) -> Result<NamedKey, SealingError> {
        let key = self.service.unwrap(subject, wrapped).await?;
        Ok(self.remember(subject, wrapped, key))
    }

    fn remember(&self, subject: &str, wrapped: &WrappedKey, key: DataKey) -> NamedKey {
        let id = wrapped.id();
        let named = NamedKey { id, key };
        let now = self.clock.now();
        self.remembered().put(subject, named.clone(), now);
        named
    }

    fn remembered(&self) -> MutexGuard<'_, KeyCache> {
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: SubjectKeyTable, S: KeyService, C: Clock> Sealing for SubjectKeys<T, S, C> {
    async fn seal(
        &self,
        subject: &str,
        place: &[&str],
        text: &[u8],
    ) -> Result<Sealed, SealingError> {
        let NamedKey { id, key } = self.to_seal(subject).await?;
        cipher::seal(&key, &id, place, text)
    }

    async fn unseal(
        &self,
        subject: &str,
        place: &[&str],
        sealed: &Sealed,
    ) -> Result<Unsealed, SealingError> {
        let parts = sealed.parts()?;
        let record = self.table.find(subject).await?;
        let Some(wrapped) = record.key.filter(|key| key.id() == parts.key) else {
            return record
                .erasure
                .map(Unsealed::Erased)
                .ok_or_else(|| SealingError::KeyLost {
                    subject: subject.to_owned(),
                    key: parts.key.to_string(),
                });
        };
        let remembered = self.remembered().get(subject, self.clock.now());
        let key = match remembered.filter(|key| key.id == parts.key) {
            Some(key) => key,
            None => self.unwrapped(subject, &wrapped).await?,
        };
        cipher::open(&key.key, place, &parts).map(Unsealed::Text)
    }
}

#[cfg(test)]
mod tests;
