//! The one hash of analytics: it is stored, so it never changes.

use sha2::{Digest, Sha256};

/// The first 8 bytes, big-endian, of SHA-256 over `purpose` and `parts`, each preceded by its
/// length in bytes as 8 big-endian bytes.
///
/// SHA-256, because ids come from outside: nobody can make an event look like a duplicate of
/// another one. Of a million ids in one minute, two different ones share a hash with a probability
/// of 3·10⁻⁸; one of them is then taken for a duplicate.
#[must_use]
pub fn stable_hash(purpose: &str, parts: &[&[u8]]) -> u64 {
    let mut hasher = Sha256::new();
    for part in std::iter::once(purpose.as_bytes()).chain(parts.iter().copied()) {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let hash = hasher.finalize();
    hash.iter()
        .take(8)
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_stay_as_they_were_stored() {
        assert_eq!(stable_hash("event", &[b"12345"]), 0x64b7_36a3_b3be_0e69);
        assert_ne!(
            stable_hash("event", &[b"ab", b"c"]),
            stable_hash("event", &[b"a", b"bc"])
        );
        assert_ne!(
            stable_hash("event", &[b"a"]),
            stable_hash("reading", &[b"a"])
        );
    }
}
