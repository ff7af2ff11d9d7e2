//! Data keys that a process remembers: so many, and for so long, at most. The time bounds how long
//! a process still seals under a key that was destroyed meanwhile.

use super::KeyId;
use super::cipher::DataKey;
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;

/// Most keys that are remembered.
pub const MAX_KEYS: usize = 1024;

/// A data key with its name.
#[derive(Debug, Clone)]
pub struct NamedKey {
    /// Its name.
    pub id: KeyId,
    /// The key.
    pub key: DataKey,
}

/// The last key of each subject.
#[derive(Debug)]
pub struct KeyCache {
    kept_for: SignedDuration,
    keys: HashMap<String, (Timestamp, NamedKey)>,
}

impl KeyCache {
    /// Remembers each key for so long; with zero, not at all.
    #[must_use]
    pub fn new(kept_for: SignedDuration) -> Self {
        Self {
            kept_for,
            keys: HashMap::new(),
        }
    }

    /// The key of a subject, if it was put less than so long ago.
    pub fn get(&mut self, subject: &str, now: Timestamp) -> Option<NamedKey> {
        let (put, key) = self.keys.get(subject)?;
        if is_fresh(*put, now, self.kept_for) {
            return Some(key.clone());
        }
        self.keys.remove(subject);
        None
    }

    /// Remembers a key. Those whose time is over go; the oldest goes when there are too many.
    pub fn put(&mut self, subject: &str, key: NamedKey, now: Timestamp) {
        let kept_for = self.kept_for;
        self.keys
            .retain(|_, (put, _)| is_fresh(*put, now, kept_for));
        if kept_for <= SignedDuration::ZERO {
            return;
        }
        if self.keys.len() >= MAX_KEYS {
            let oldest = self.keys.iter().min_by_key(|(_, (put, _))| *put);
            if let Some(oldest) = oldest.map(|(subject, _)| subject.clone()) {
                self.keys.remove(&oldest);
            }
        }
        self.keys.insert(subject.to_owned(), (now, key));
    }
}

/// A clock that went back proves nothing: then the key counts as old.
fn is_fresh(put: Timestamp, now: Timestamp, kept_for: SignedDuration) -> bool {
    let age = now.duration_since(put);
    age >= SignedDuration::ZERO && age < kept_for
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sealing::cipher::KEY_BYTES;

    fn key() -> NamedKey {
        NamedKey {
            id: KeyId("k".into()),
            key: DataKey::from_bytes(&[1; KEY_BYTES]).unwrap(),
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn a_key_is_remembered_for_its_time_and_no_longer() {
        let mut cache = KeyCache::new(SignedDuration::from_secs(60));
        cache.put("a", key(), at(100));
        for (seconds, is_there) in [(100, true), (159, true), (160, false), (100, false)] {
            assert_eq!(cache.get("a", at(seconds)).is_some(), is_there, "{seconds}");
        }
        assert!(cache.get("b", at(100)).is_none());
    }

    #[test]
    fn a_clock_that_went_back_makes_no_key_live_longer() {
        let mut cache = KeyCache::new(SignedDuration::from_secs(60));
        cache.put("a", key(), at(100));
        assert!(cache.get("a", at(99)).is_none());
    }

    #[test]
    fn no_more_keys_than_so_many_are_remembered_and_the_newest_are() {
        let mut cache = KeyCache::new(SignedDuration::from_secs(1_000_000));
        let all = i64::try_from(MAX_KEYS).unwrap() + 10;
        for seconds in 0..all {
            cache.put(&seconds.to_string(), key(), at(seconds));
        }
        assert_eq!(cache.keys.len(), MAX_KEYS);
        assert!(cache.get("9", at(all)).is_none());
        assert!(cache.get("10", at(all)).is_some());
    }

    #[test]
    fn with_no_time_nothing_is_remembered() {
        let mut cache = KeyCache::new(SignedDuration::ZERO);
        cache.put("a", key(), at(100));
        assert!(cache.keys.is_empty());
    }
}
