//! A text under a data key: AES-256-GCM, bound to where it belongs.
//!
//! The nonce is derived from what is sealed, under a key of its own (a synthetic nonce): the same
//! text in the same place under the same key gives the same sealed text, so a step that is
//! repeated writes the same event, and two different texts have different nonces whatever a
//! process draws. What that tells an onlooker, that the same was sealed in the same place twice,
//! the event's place tells anyway.

use super::{KeyId, Sealed, SealingError};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use std::fmt;
use zeroize::Zeroizing;

/// Bytes of a data key.
pub const KEY_BYTES: usize = 32;

const VERSION: &str = "1";

/// A data key. It is in no log, and its memory is wiped when it goes.
#[derive(Clone)]
pub struct DataKey(Zeroizing<[u8; KEY_BYTES]>);

impl DataKey {
    /// Takes a key of [`KEY_BYTES`].
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; KEY_BYTES] = bytes.try_into().ok()?;
        Some(Self(Zeroizing::new(bytes)))
    }

    /// A key of its own for each use.
    fn of_use(&self, name: &str) -> Zeroizing<Vec<u8>> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &*self.0);
        Zeroizing::new(hmac::sign(&key, name.as_bytes()).as_ref().to_vec())
    }

    fn cipher(&self) -> Result<LessSafeKey, SealingError> {
        UnboundKey::new(&AES_256_GCM, &self.of_use("seal"))
            .map(LessSafeKey::new)
            .map_err(|_| SealingError::Corrupted("the key has the wrong length"))
    }

    fn nonce(&self, binding: &[u8], text: &[u8]) -> Result<[u8; NONCE_LEN], SealingError> {
        let mut signing =
            hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.of_use("nonce")));
        signing.update(&(binding.len() as u64).to_be_bytes());
        signing.update(binding);
        signing.update(text);
        let tag = signing.sign();
        let nonce = tag.as_ref().first_chunk::<NONCE_LEN>();
        nonce
            .copied()
            .ok_or(SealingError::Corrupted("the nonce cannot be derived"))
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey")
    }
}

/// Where a sealed text belongs; it opens nowhere else. Each part is written with its length, so no
/// two lists of parts come to the same.
fn bound_to(parts: &[&str]) -> Vec<u8> {
    let mut binding = Vec::new();
    for part in parts {
        binding.extend((part.len() as u64).to_be_bytes());
        binding.extend(part.as_bytes());
    }
    binding
}

/// Seals a text that belongs to `place`.
///
/// # Errors
/// [`SealingError::Corrupted`], for a text of many gigabytes.
pub fn seal(
    key: &DataKey,
    id: &KeyId,
    place: &[&str],
    text: &[u8],
) -> Result<Sealed, SealingError> {
    let binding = bound_to(place);
    let nonce = key.nonce(&binding, text)?;
    let mut sealed = text.to_vec();
    key.cipher()?
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(&binding),
            &mut sealed,
        )
        .map_err(|_| SealingError::Corrupted("the text is too long"))?;
    let mut bytes = nonce.to_vec();
    bytes.append(&mut sealed);
    let text = URL_SAFE_NO_PAD.encode(bytes);
    Ok(Sealed(format!("{VERSION}.{id}.{text}")))
}

/// A sealed text, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// Which key it is under.
    pub key: KeyId,
    bytes: Vec<u8>,
}

impl Sealed {
    /// Takes it apart.
    ///
    /// # Errors
    /// [`SealingError::Corrupted`], when it is no sealed text, or one of newer software.
    pub fn parts(&self) -> Result<Parts, SealingError> {
        let mut parts = self.0.split('.');
        let (Some(version), Some(key), Some(bytes), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(SealingError::Corrupted("it is no sealed text"));
        };
        if version != VERSION {
            return Err(SealingError::Corrupted("it has a version unknown here"));
        }
        let bytes = URL_SAFE_NO_PAD
            .decode(bytes)
            .map_err(|_| SealingError::Corrupted("it is not base64url"))?;
        Ok(Parts {
            key: KeyId(key.to_owned()),
            bytes,
        })
    }
}

/// Opens what was sealed under `key` for `place`.
///
/// # Errors
/// [`SealingError::Corrupted`], when a bit of it, or of the place, is another.
pub fn open(key: &DataKey, place: &[&str], sealed: &Parts) -> Result<Vec<u8>, SealingError> {
    let Some((nonce, text)) = sealed.bytes.split_first_chunk::<NONCE_LEN>() else {
        return Err(SealingError::Corrupted("it is too short"));
    };
    let mut text = text.to_vec();
    let opened = key
        .cipher()?
        .open_in_place(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(bound_to(place)),
            &mut text,
        )
        .map_err(|_| SealingError::Corrupted("it was altered, or belongs somewhere else"))?;
    Ok(opened.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sealing::WrappedKey;

    const PLACE: [&str; 3] = ["contact", "abc123", "67890"];

    fn key(byte: u8) -> DataKey {
        DataKey::from_bytes(&[byte; KEY_BYTES]).unwrap()
    }

    fn id() -> KeyId {
        WrappedKey(vec![1, 2, 3]).id()
    }

    fn sealed(text: &str) -> Sealed {
        seal(&key(7), &id(), &PLACE, text.as_bytes()).unwrap()
    }

    #[test]
    fn what_was_sealed_opens_in_its_place_under_its_key_and_nowhere_else() {
        let parts = sealed("somebody@example.com").parts().unwrap();
        assert_eq!(parts.key, id());
        assert_eq!(
            open(&key(7), &PLACE, &parts).unwrap(),
            b"somebody@example.com"
        );
        for place in [
            ["contact", "abc123", "67891"],
            ["contact", "abc12", "367890"],
            ["Contact", "abc123", "67890"],
        ] {
            assert!(open(&key(7), &place, &parts).is_err(), "{place:?}");
        }
        assert!(open(&key(8), &PLACE, &parts).is_err());
    }

    #[test]
    fn no_bit_of_it_can_be_altered() {
        let parts = sealed("somebody@example.com").parts().unwrap();
        for at in 0..parts.bytes.len() {
            for bit in 0..8 {
                let mut altered = parts.clone();
                altered.bytes[at] ^= 1 << bit;
                let opened = open(&key(7), &PLACE, &altered);
                assert!(matches!(opened, Err(SealingError::Corrupted(_))), "{at}");
            }
        }
    }

    #[test]
    fn the_same_gives_the_same_and_nothing_else_shares_its_nonce() {
        assert_eq!(sealed("a"), sealed("a"));
        let nonce = |sealed: &Sealed| sealed.parts().unwrap().bytes[..NONCE_LEN].to_vec();
        let elsewhere = seal(&key(7), &id(), &["contact", "abc123", "1"], b"a").unwrap();
        let under_another = seal(&key(8), &id(), &PLACE, b"a").unwrap();
        for other in [sealed("b"), elsewhere, under_another] {
            assert_ne!(nonce(&sealed("a")), nonce(&other));
        }
    }

    #[test]
    fn what_is_no_sealed_text_is_said_to_be_none() {
        for text in [
            "",
            "1",
            "1.k",
            "1.k.@",
            "2.k.AAAA",
            "1.k.AAAA.x",
            "somebody@x.de",
        ] {
            let opened = Sealed::of_text(text)
                .parts()
                .and_then(|parts| open(&key(7), &PLACE, &parts));
            assert!(matches!(opened, Err(SealingError::Corrupted(_))), "{text}");
        }
    }

    #[test]
    fn neither_text_nor_key_is_in_what_is_printed() {
        let printed = format!("{:?} {:?}", key(65), sealed("somebody@example.com"));
        assert!(!printed.contains("somebody"), "{printed}");
        assert!(!printed.contains("65, 65"), "{printed}");
    }
}
