//! Shards: which hash keys each of them takes, and how they are split and merged.
//!
//! <https://docs.aws.amazon.com/streams/latest/dev/kinesis-using-sdk-java-resharding.html>

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

/// A shard of a data stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataShard {
    /// Counted from 0; never given twice.
    pub number: u32,
    /// The shards that it came from: one by a split, two by a merge, none at first.
    pub parents: Vec<u32>,
    /// First hash key that is its own.
    #[serde(with = "decimal")]
    pub first_hash: u128,
    /// Last hash key that is its own.
    #[serde(with = "decimal")]
    pub last_hash: u128,
    /// Its records come after this sequence of the stream.
    pub begins_after: u64,
    /// No record of it comes after this sequence of the stream; none as long as it is open.
    pub ends_at: Option<u64>,
}

impl DataShard {
    /// Its name, such as `shardId-000000000000`.
    #[must_use]
    pub fn id(&self) -> String {
        shard_id(self.number)
    }

    fn has(&self, hash: u128) -> bool {
        self.ends_at.is_none() && (self.first_hash..=self.last_hash).contains(&hash)
    }

    fn width(&self) -> u128 {
        self.last_hash - self.first_hash
    }
}

/// Name of a shard.
pub(crate) fn shard_id(number: u32) -> String {
    format!("shardId-{number:012}")
}

/// The hash key of a partition key: its MD5, read as a number.
pub(super) fn hash_of(partition_key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(partition_key.as_bytes()).into())
}

/// Why a stream is not resharded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ReshardError {
    #[error("there is no open shard {}", shard_id(*.0))]
    NotOpen(u32),
    #[error("NewStartingHashKey {0} is not inside of the shard, behind its first hash key")]
    NotInside(u128),
    #[error("the shards are not neighbours")]
    NotAdjacent,
    #[error("{target} shards are less than half or more than twice of the {open} that are open")]
    TooFar { target: u32, open: u32 },
}

/// The first shards of a stream, each with the same share of all hash keys.
pub(super) fn first_shards(count: u32) -> Vec<DataShard> {
    let count = count.max(1);
    // 2^128 does not fit, so it is divided as its predecessor and one.
    let parts = u128::from(count);
    let width = match u128::MAX % parts {
        rest if rest + 1 == parts && parts > 1 => u128::MAX / parts + 1,
        _ => u128::MAX / parts,
    };
    let first = |number: u32| u128::from(number) * width;
    let shard = |number: u32| DataShard {
        number,
        parents: Vec::new(),
        first_hash: first(number),
        last_hash: if number + 1 == count {
            u128::MAX
        } else {
            first(number + 1) - 1
        },
        begins_after: 0,
        ends_at: None,
    };
    (0..count).map(shard).collect()
}

/// The open shard that takes a hash key. There is always one.
pub(super) fn shard_of(shards: &[DataShard], hash: u128) -> u32 {
    let found = shards.iter().find(|shard| shard.has(hash));
    found.map_or(0, |shard| shard.number)
}

/// How many shards are open.
pub(super) fn open_count(shards: &[DataShard]) -> u32 {
    let open = shards.iter().filter(|shard| shard.ends_at.is_none());
    u32::try_from(open.count()).unwrap_or(u32::MAX)
}

/// Cuts an open shard in two, at the first hash key of the second part. `last` is the stream's
/// newest sequence.
pub(super) fn split(
    shards: &mut Vec<DataShard>,
    number: u32,
    at: u128,
    last: u64,
) -> Result<(), ReshardError> {
    let shard = open(shards, number)?;
    if at <= shard.first_hash || at > shard.last_hash {
        return Err(ReshardError::NotInside(at));
    }
    let (first, end) = (shard.first_hash, shard.last_hash);
    shard.ends_at = Some(last);
    add(shards, vec![number], (first, at - 1), last);
    add(shards, vec![number], (at, end), last);
    Ok(())
}

/// Makes one of two open neighbours.
pub(super) fn merge(
    shards: &mut Vec<DataShard>,
    (one, other): (u32, u32),
    last: u64,
) -> Result<(), ReshardError> {
    let (first, second) = (open(shards, one)?.clone(), open(shards, other)?.clone());
    let (low, high) = if first.first_hash < second.first_hash {
        (first, second)
    } else {
        (second, first)
    };
    if low.last_hash.checked_add(1) != Some(high.first_hash) {
        return Err(ReshardError::NotAdjacent);
    }
    for number in [one, other] {
        open(shards, number)?.ends_at = Some(last);
    }
    add(
        shards,
        vec![one, other],
        (low.first_hash, high.last_hash),
        last,
    );
    Ok(())
}

/// Splits the widest shards, or merges the narrowest neighbours, until there are so many.
///
/// Between half and twice of what there is, as AWS has it:
/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateShardCount.html>.
pub(super) fn update_count(
    shards: &mut Vec<DataShard>,
    target: u32,
    last: u64,
) -> Result<(), ReshardError> {
    let now = open_count(shards);
    if target == 0 || target.saturating_mul(2) < now || target > now.saturating_mul(2) {
        return Err(ReshardError::TooFar { target, open: now });
    }
    while open_count(shards) < target {
        let open = shards.iter().filter(|shard| shard.ends_at.is_none());
        // Of equals the first one.
        let widest = open.max_by_key(|shard| (shard.width(), std::cmp::Reverse(shard.number)));
        let Some((number, middle)) =
            widest.map(|shard| (shard.number, shard.first_hash + shard.width() / 2 + 1))
        else {
            break;
        };
        split(shards, number, middle, last)?;
    }
    while open_count(shards) > target {
        let mut open: Vec<&DataShard> = shards.iter().filter(|one| one.ends_at.is_none()).collect();
        open.sort_by_key(|shard| shard.first_hash);
        let width = |pair: &&[&DataShard]| pair[0].width().saturating_add(pair[1].width());
        let Some(pair) = open.windows(2).min_by_key(width) else {
            break;
        };
        let pair = (pair[0].number, pair[1].number);
        merge(shards, pair, last)?;
    }
    Ok(())
}

fn open(shards: &mut [DataShard], number: u32) -> Result<&mut DataShard, ReshardError> {
    let mut open = shards.iter_mut().filter(|shard| shard.ends_at.is_none());
    let found = open.find(|shard| shard.number == number);
    found.ok_or(ReshardError::NotOpen(number))
}

fn add(shards: &mut Vec<DataShard>, parents: Vec<u32>, (first, last): (u128, u128), after: u64) {
    let newest = shards.iter().map(|shard| shard.number).max();
    shards.push(DataShard {
        number: newest.map_or(0, |number| number + 1),
        parents,
        first_hash: first,
        last_hash: last,
        begins_after: after,
        ends_at: None,
    });
}

/// 128 bits as a text: JSON readers rarely take such numbers.
mod decimal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[allow(clippy::trivially_copy_pass_by_ref)]
    pub(super) fn serialize<S: Serializer>(number: &u128, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(number)
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<u128, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(shards: &[DataShard]) -> Vec<(u128, u128)> {
        let mut open: Vec<_> = shards.iter().filter(|one| one.ends_at.is_none()).collect();
        open.sort_by_key(|shard| shard.first_hash);
        open.iter()
            .map(|shard| (shard.first_hash, shard.last_hash))
            .collect()
    }

    #[track_caller]
    fn assert_covers_everything_once(shards: &[DataShard]) {
        let ranges = ranges(shards);
        assert_eq!(ranges.first().map(|one| one.0), Some(0));
        assert_eq!(ranges.last().map(|one| one.1), Some(u128::MAX));
        for pair in ranges.windows(2) {
            assert_eq!(pair[0].1 + 1, pair[1].0);
        }
    }

    #[test]
    fn the_first_shards_have_the_ranges_that_aws_gives_them() {
        assert_eq!(ranges(&first_shards(1)), [(0, u128::MAX)]);
        // As described by AWS for streams of 2 and of 3 shards.
        let half = 170_141_183_460_469_231_731_687_303_715_884_105_728;
        assert_eq!(ranges(&first_shards(2)), [(0, half - 1), (half, u128::MAX)]);
        let third = 113_427_455_640_312_821_154_458_202_477_256_070_485;
        assert_eq!(
            ranges(&first_shards(3)),
            [
                (0, third - 1),
                (third, 2 * third - 1),
                (2 * third, u128::MAX)
            ]
        );
        for count in 1..40 {
            assert_covers_everything_once(&first_shards(count));
        }
    }

    #[test]
    fn a_partition_key_is_hashed_by_md5() {
        assert_eq!(hash_of(""), 0xd41d_8cd9_8f00_b204_e980_0998_ecf8_427e);
        assert_eq!(hash_of("abc"), 0x9001_5098_3cd2_4fb0_d696_3f7d_28e1_7f72);
    }

    #[test]
    fn a_split_shard_has_two_children_with_its_keys() {
        let mut shards = first_shards(1);
        split(&mut shards, 0, 1 << 127, 7).unwrap();
        assert_eq!(shards[0].ends_at, Some(7));
        let children: Vec<_> = shards[1..]
            .iter()
            .map(|one| (one.number, one.parents.clone(), one.begins_after))
            .collect();
        assert_eq!(children, [(1, vec![0], 7), (2, vec![0], 7)]);
        assert_covers_everything_once(&shards);
        assert_eq!(shard_of(&shards, 0), 1);
        assert_eq!(shard_of(&shards, u128::MAX), 2);
        assert_eq!(
            split(&mut shards, 0, 5, 7),
            Err(ReshardError::NotOpen(0)),
            "closed"
        );
        assert_eq!(split(&mut shards, 1, 0, 7), Err(ReshardError::NotInside(0)));
    }

    #[test]
    fn neighbours_are_merged_and_others_are_not() {
        let mut shards = first_shards(3);
        assert_eq!(
            merge(&mut shards, (0, 2), 9),
            Err(ReshardError::NotAdjacent)
        );
        merge(&mut shards, (1, 0), 9).unwrap();
        assert_eq!(shards[3].parents, [1, 0]);
        assert_covers_everything_once(&shards);
    }

    #[test]
    fn twice_as_many_shards_and_half_as_many_are_even() {
        let mut shards = first_shards(2);
        update_count(&mut shards, 4, 1).unwrap();
        assert_eq!(ranges(&shards), ranges(&first_shards(4)));
        update_count(&mut shards, 2, 2).unwrap();
        assert_eq!(ranges(&shards), ranges(&first_shards(2)));
        update_count(&mut shards, 3, 2).unwrap();
        assert_covers_everything_once(&shards);
        let refused = update_count(&mut shards, 7, 2);
        assert_eq!(refused, Err(ReshardError::TooFar { target: 7, open: 3 }));
        assert!(update_count(&mut shards, 1, 2).is_err());
        assert!(update_count(&mut shards, 0, 2).is_err());
    }
}
