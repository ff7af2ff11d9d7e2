//! The stock of a hot SKU in several items ("buckets"), so that its buyers do not all want the
//! same one: one item takes one transaction at a time, and one partition 1,000 write units a
//! second.

use crate::ids::Sku;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// Most buckets of a SKU. One transaction, which has 100 writes at most, can change all of them.
pub const MAX_BUCKETS: u16 = 64;

/// A SKU is not split by itself into buckets of fewer pieces: they would be empty at once.
const PIECES_PER_BUCKET: i64 = 8;

/// A SKU is hot for who lost so many transactions to others...
const HOT_CONFLICTS: u32 = 3;

/// ...in this time.
const HOT_WINDOW: SignedDuration = SignedDuration::from_secs(10);

/// So many conflicts in a row say that there are about as many buyers as buckets: then it does not
/// help to turn to the next bucket at once.
const AT_ONCE: u32 = 1;

/// So many SKUs are known at a time.
const MAX_KNOWN: usize = 1_000;

/// What is in each bucket of a SKU, as it was read. Bucket 0 is there always, and alone where the
/// SKU was never split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buckets {
    /// Changes with every split and merge; 0 where there was none.
    pub layout: u64,
    /// Pieces by bucket; never empty.
    pub available: Vec<i64>,
}

/// What a move takes from, or gives to, one bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Which bucket.
    pub bucket: u16,
    /// Pieces: positive are added, negative taken.
    pub pieces: i64,
}

impl Buckets {
    /// A SKU that was never split.
    #[must_use]
    pub fn whole(available: i64) -> Self {
        Self {
            layout: 0,
            available: vec![available],
        }
    }

    /// How many buckets there are.
    #[must_use]
    pub fn count(&self) -> u16 {
        u16::try_from(self.available.len()).unwrap_or(u16::MAX)
    }

    /// Pieces in all of them.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.available
            .iter()
            .fold(0, |sum, pieces| sum.saturating_add(*pieces))
    }

    /// Where to take `pieces` (at least 1): from `preferred` if it has them, else from any one
    /// that does, else from as few as possible. `None` when all together have fewer.
    pub fn take(
        &self,
        pieces: i64,
        preferred: u16,
        random: &mut impl FnMut(usize) -> usize,
    ) -> Option<Vec<Part>> {
        let has = |bucket: u16| self.available.get(usize::from(bucket)).copied();
        let enough = |bucket: u16| has(bucket).is_some_and(|there| there >= pieces);
        if enough(preferred) {
            return Some(vec![taking(preferred, pieces)]);
        }
        let enough: Vec<_> = (0..self.count()).filter(|bucket| enough(*bucket)).collect();
        if !enough.is_empty() {
            let any = random(enough.len()) % enough.len();
            return Some(vec![taking(enough[any], pieces)]);
        }
        let mut fullest: Vec<_> = (0..self.count())
            .filter_map(|bucket| has(bucket).map(|there| (there, bucket)))
            .filter(|(there, _)| *there > 0)
            .collect();
        fullest.sort_unstable_by(|one, other| other.cmp(one));
        let mut left = pieces;
        let mut parts = Vec::new();
        for (there, bucket) in fullest {
            if left == 0 {
                break;
            }
            let taken = there.min(left);
            parts.push(taking(bucket, taken));
            left -= taken;
        }
        (left == 0).then_some(parts)
    }

    /// Where `pieces` that come go: an even share for every bucket, also where that is nothing.
    #[must_use]
    pub fn give(&self, pieces: i64) -> Vec<Part> {
        (0..)
            .zip(shares(pieces.max(0), self.count()))
            .map(|(bucket, pieces)| Part { bucket, pieces })
            .collect()
    }

    /// The same pieces in `count` buckets, with an even share each.
    #[must_use]
    pub fn resplit(&self, count: u16) -> Self {
        Self {
            layout: self.layout + 1,
            available: shares(self.total().max(0), count.max(1)),
        }
    }

    /// What moves between buckets on the way to `after`: a part for every bucket that is there
    /// before or after. Their sum is 0 when both have as many pieces.
    #[must_use]
    pub fn differences(&self, after: &Self) -> Vec<Part> {
        let at = |buckets: &Self, bucket: u16| {
            let there = buckets.available.get(usize::from(bucket));
            there.copied().unwrap_or(0)
        };
        (0..self.count().max(after.count()))
            .map(|bucket| Part {
                bucket,
                pieces: at(after, bucket) - at(self, bucket),
            })
            .collect()
    }
}

fn taking(bucket: u16, pieces: i64) -> Part {
    Part {
        bucket,
        pieces: -pieces,
    }
}

/// `pieces` in `count` shares, the first ones one larger where it does not come out even.
fn shares(pieces: i64, count: u16) -> Vec<i64> {
    let (share, more) = (pieces / i64::from(count), pieces % i64::from(count));
    (0..i64::from(count))
        .map(|bucket| share + i64::from(bucket < more))
        .collect()
}

/// What one process knows of the SKUs that it moved: into how many buckets they are split, which
/// of these it uses, and whether others get in its way. All of it may be out of date; the
/// conditions of the writes hold what must hold.
#[derive(Debug)]
pub struct KnownStock {
    known: BTreeMap<Sku, Known>,
    split_up_to: u16,
}

/// What to do about a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evasion {
    /// Turn to another bucket.
    AtOnce,
    /// Turn to another bucket after a while.
    Wait,
    /// Look what is there: there is one bucket, as far as is known.
    Look,
}

#[derive(Debug)]
struct Known {
    buckets: Buckets,
    /// A process stays with a bucket as long as nobody else wants it.
    mine: u16,
    conflicts: u32,
    since: Timestamp,
    /// Conflicts since the last move that was made.
    in_a_row: u32,
}

impl Known {
    fn new(buckets: Buckets, mine: u16, now: Timestamp) -> Self {
        Self {
            buckets,
            mine,
            conflicts: 0,
            since: now,
            in_a_row: 0,
        }
    }

    fn is_split(&self) -> bool {
        self.buckets.count() > 1
    }
}

impl KnownStock {
    /// Nothing is known. Hot SKUs are split into `split_up_to` buckets at most, at most
    /// [`MAX_BUCKETS`]; with 1 none is.
    #[must_use]
    pub fn new(split_up_to: u16) -> Self {
        Self {
            known: BTreeMap::new(),
            split_up_to: split_up_to.min(MAX_BUCKETS),
        }
    }

    /// The layout of a SKU, as far as that is known.
    #[must_use]
    pub fn layout(&self, sku: &Sku) -> u64 {
        self.known.get(sku).map_or(0, |known| known.buckets.layout)
    }

    /// Whether a SKU has more than one bucket, as far as that is known.
    #[must_use]
    pub fn is_split(&self, sku: &Sku) -> bool {
        self.known.get(sku).is_some_and(Known::is_split)
    }

    /// Where to take pieces of a SKU; `None` when it must be looked first, because too few are
    /// known to be left.
    pub fn take(
        &mut self,
        sku: &Sku,
        pieces: i64,
        random: &mut impl FnMut(usize) -> usize,
    ) -> Option<Vec<Part>> {
        let Some(known) = self.known.get_mut(sku).filter(|known| known.is_split()) else {
            // One item tells by its condition whether there are enough.
            return Some(vec![taking(0, pieces)]);
        };
        let parts = known.buckets.take(pieces, known.mine, random);
        if let Some([part]) = parts.as_deref() {
            known.mine = part.bucket;
        }
        parts
    }

    /// Where pieces go that are given back.
    #[must_use]
    pub fn give_back(&self, sku: &Sku, pieces: i64) -> Part {
        let bucket = self.known.get(sku).map_or(0, |known| known.mine);
        Part { bucket, pieces }
    }

    /// Where pieces go that are delivered, or come from that are corrected away: a part for every
    /// bucket, also where that is nothing. `None` when it must be looked first.
    pub fn restock(
        &self,
        sku: &Sku,
        pieces: i64,
        random: &mut impl FnMut(usize) -> usize,
    ) -> Option<Vec<Part>> {
        let Some(known) = self.known.get(sku).filter(|known| known.is_split()) else {
            return Some(vec![Part { bucket: 0, pieces }]);
        };
        let mut parts = known.buckets.give(pieces);
        if pieces < 0 {
            for taken in known.buckets.take(-pieces, known.mine, random)? {
                if let Some(part) = parts.get_mut(usize::from(taken.bucket)) {
                    part.pieces = taken.pieces;
                }
            }
        }
        Some(parts)
    }

    /// Takes in what was read of a SKU because a move of it met an obstacle: into how many buckets
    /// it should be split now, or merged.
    pub fn looked(
        &mut self,
        sku: &Sku,
        buckets: Buckets,
        now: Timestamp,
        random: &mut impl FnMut(usize) -> usize,
    ) -> Option<u16> {
        let sold_out = buckets.total() == 0 && buckets.count() > 1;
        self.learn(sku, buckets, now, random);
        if sold_out {
            // Refusing then costs one write and no read, as it does for any SKU.
            return Some(1);
        }
        self.split_due(sku)
    }

    /// Takes in what is there of a SKU.
    pub fn learn(
        &mut self,
        sku: &Sku,
        buckets: Buckets,
        now: Timestamp,
        random: &mut impl FnMut(usize) -> usize,
    ) {
        let known = self.known(sku, now);
        if known.buckets.layout == buckets.layout {
            known.buckets = buckets;
        } else {
            let mine = any(buckets.count(), random);
            *known = Known::new(buckets, mine, now);
        }
    }

    /// Takes in that a move was made.
    pub fn moved(&mut self, sku: &Sku, part: Part) {
        if let Some(known) = self.known.get_mut(sku) {
            known.in_a_row = 0;
            if let Some(available) = known.buckets.available.get_mut(usize::from(part.bucket)) {
                *available = available.saturating_add(part.pieces);
            }
        }
    }

    /// Takes in that another transaction was at a bucket of this SKU, and says what to do.
    pub fn in_conflict(
        &mut self,
        sku: &Sku,
        now: Timestamp,
        random: &mut impl FnMut(usize) -> usize,
    ) -> Evasion {
        let known = self.known(sku, now);
        if now.duration_since(known.since) > HOT_WINDOW {
            (known.conflicts, known.since) = (0, now);
        }
        known.conflicts = known.conflicts.saturating_add(1);
        known.in_a_row = known.in_a_row.saturating_add(1);
        let count = known.buckets.count();
        if count == 1 {
            return Evasion::Look;
        }
        // Any but this one.
        known.mine = (known.mine + 1 + any(count - 1, random)) % count;
        if known.in_a_row > AT_ONCE {
            Evasion::Wait
        } else {
            Evasion::AtOnce
        }
    }

    /// Into how many buckets a SKU is to be split now, because it is hot.
    ///
    /// All at once: a split needs every bucket that there is for itself for a moment, and of many
    /// hot ones there is always one that somebody else has.
    fn split_due(&self, sku: &Sku) -> Option<u16> {
        let known = self.known.get(sku)?;
        let worth = known.buckets.total() / PIECES_PER_BUCKET;
        let all = u16::try_from(worth.max(0))
            .unwrap_or(u16::MAX)
            .min(self.split_up_to);
        let is_hot = !known.is_split() && known.conflicts >= HOT_CONFLICTS;
        (is_hot && all > 1).then_some(all)
    }

    /// What is known of a SKU: nothing yet but that it is there, for one that is new.
    fn known(&mut self, sku: &Sku, now: Timestamp) -> &mut Known {
        if self.known.len() >= MAX_KNOWN && !self.known.contains_key(sku) {
            self.known.clear();
        }
        let new = || Known::new(Buckets::whole(0), 0, now);
        self.known.entry(sku.clone()).or_insert_with(new)
    }
}

/// One of `count` buckets.
fn any(count: u16, random: &mut impl FnMut(usize) -> usize) -> u16 {
    let count = usize::from(count.max(1));
    u16::try_from(random(count) % count).unwrap_or(0)
}

#[cfg(test)]
mod tests;
