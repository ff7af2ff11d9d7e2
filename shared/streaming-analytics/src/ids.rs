//! The ids of the records that a part folded, so that duplicates are known.

use crate::record::RecordId;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::collections::BTreeSet;
use std::fmt;

/// Bytes of an id.
const ID: usize = 8;

/// A set of record ids; 8 bytes each where it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ids(BTreeSet<RecordId>);

impl Ids {
    /// Adds an id; false if it was there.
    pub fn add(&mut self, id: RecordId) -> bool {
        self.0.insert(id)
    }

    /// Whether the id is in it.
    #[must_use]
    pub fn contains(&self, id: RecordId) -> bool {
        self.0.contains(&id)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = RecordId> + '_ {
        self.0.iter().copied()
    }

    /// 8 bytes an id, big-endian, in order: for a column of their own, which is read without the
    /// rest of the part.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|id| id.0.to_be_bytes()).collect()
    }

    /// Reads what [`Ids::to_bytes`] wrote; `None` for anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (chunks, rest) = bytes.as_chunks::<ID>();
        let ids = || {
            chunks
                .iter()
                .map(|chunk| RecordId(u64::from_be_bytes(*chunk)))
        };
        let in_order = ids().is_sorted_by(|one, next| one < next);
        (rest.is_empty() && in_order).then(|| Self(ids().collect()))
    }

    pub(crate) fn weight(&self) -> usize {
        4 + self.0.len() * ID
    }
}

impl FromIterator<RecordId> for Ids {
    fn from_iter<I: IntoIterator<Item = RecordId>>(ids: I) -> Self {
        Self(ids.into_iter().collect())
    }
}

impl Serialize for Ids {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.to_bytes())
    }
}

impl<'de> Deserialize<'de> for Ids {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl de::Visitor<'_> for Bytes {
            type Value = Ids;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("ids of 8 bytes each, in order")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Ids, E> {
                Ids::from_bytes(bytes).ok_or_else(|| E::custom("are no ids"))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_kept_in_eight_bytes_each_and_in_no_other_form() {
        let ids: Ids = [RecordId(7), RecordId(u64::MAX), RecordId(0)]
            .into_iter()
            .collect();
        let bytes = ids.to_bytes();
        assert_eq!(bytes.len(), 24);
        assert_eq!(Ids::from_bytes(&bytes), Some(ids));
        assert_eq!(Ids::from_bytes(&bytes[1..]), None);
        assert_eq!(Ids::from_bytes(&[bytes.clone(), bytes].concat()), None);
    }
}
