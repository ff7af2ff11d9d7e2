//! Which SKUs are ordered most: counts that stay exact until they are too many, then with a bound.

use domain::ids::Sku;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Pieces per SKU.
///
/// What adding and merging come to is exact, whatever the order, because nothing is dropped by
/// them. [`SkuCounts::bounded`] drops the rarest ones and remembers the largest count that it
/// dropped as the error: from then on a SKU was ordered at least as often as its count says, and at
/// most by the error more; one that is not in it at most as often as the error says. Errors of
/// merged counts add up. (That is the guarantee of a space-saving summary, without its cost of
/// replacing counters one by one: a part is bounded by its bytes anyway.)
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct SkuCounts {
    pieces: BTreeMap<Sku, u64>,
    error: u64,
    text_bytes: usize,
}

/// As it is stored.
#[derive(Serialize, Deserialize)]
struct Stored(BTreeMap<Sku, u64>, u64);

/// One of the SKUs that were ordered most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TopSku {
    /// Which one.
    pub sku: Sku,
    /// It was ordered at least this often, in pieces.
    pub pieces: u64,
    /// And at most this often; the same where the count is exact.
    pub at_most: u64,
}

impl SkuCounts {
    /// Adds pieces of a SKU.
    pub fn add(&mut self, sku: &Sku, pieces: u64) {
        if let Some(count) = self.pieces.get_mut(sku) {
            *count = count.saturating_add(pieces);
        } else {
            self.text_bytes += sku.as_str().len();
            self.pieces.insert(sku.clone(), pieces);
        }
    }

    /// Adds another one's counts. Associative and commutative.
    pub fn merge(&mut self, other: &Self) {
        for (sku, pieces) in &other.pieces {
            self.add(sku, *pieces);
        }
        self.error = self.error.saturating_add(other.error);
    }

    /// The same with at most `most` SKUs whose names have `most_bytes` together: the rarest go
    /// (of equally rare ones those whose names come last), and the error grows by the largest count
    /// that went.
    #[must_use]
    pub fn bounded(self, most: usize, most_bytes: usize) -> Self {
        if self.pieces.len() <= most && self.text_bytes <= most_bytes {
            return self;
        }
        let error = self.error;
        let mut ranked: Vec<_> = self.pieces.into_iter().collect();
        ranked.sort_by(|(one, a), (other, b)| b.cmp(a).then_with(|| one.cmp(other)));
        let mut bytes = 0;
        let kept = ranked
            .iter()
            .take(most)
            .take_while(|(sku, _)| {
                bytes += sku.as_str().len();
                bytes <= most_bytes
            })
            .count();
        let dropped = ranked.get(kept).map_or(0, |(_, count)| *count);
        ranked.truncate(kept);
        Stored(ranked.into_iter().collect(), error.saturating_add(dropped)).into()
    }

    /// The `most` SKUs that were ordered most; equal ones by name.
    #[must_use]
    pub fn top(&self, most: usize) -> Vec<TopSku> {
        let mut ranked: Vec<_> = self.pieces.iter().collect();
        ranked.sort_by_key(|(sku, pieces)| (Reverse(**pieces), *sku));
        ranked.truncate(most);
        let top = |(sku, pieces): (&Sku, &u64)| TopSku {
            sku: sku.clone(),
            pieces: *pieces,
            at_most: pieces.saturating_add(self.error),
        };
        ranked.into_iter().map(top).collect()
    }

    /// How many SKUs are counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// By how much a count may be too low; 0 where all are exact.
    #[must_use]
    pub fn error(&self) -> u64 {
        self.error
    }

    /// The pieces of a SKU, at least and at most.
    #[must_use]
    pub fn of(&self, sku: &Sku) -> (u64, u64) {
        let pieces = self.pieces.get(sku).copied().unwrap_or(0);
        (pieces, pieces.saturating_add(self.error))
    }

    pub(crate) fn weight(&self) -> usize {
        // Its length takes 2 bytes at most, its count 5 until there are 34 billion.
        12 + self.text_bytes + self.pieces.len() * 7
    }
}

impl From<Stored> for SkuCounts {
    fn from(Stored(pieces, error): Stored) -> Self {
        let text_bytes = pieces.keys().map(|sku| sku.as_str().len()).sum();
        Self {
            pieces,
            error,
            text_bytes,
        }
    }
}

impl From<SkuCounts> for Stored {
    fn from(counts: SkuCounts) -> Self {
        Self(counts.pieces, counts.error)
    }
}
