//! Which records a lane has.

use std::collections::BTreeMap;

use super::source::Record;

/// Which part of the stream a lane has.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub shard: LaneShard,
    pub part: u32,
    pub parts: u32,
}

/// A shard, as its source cuts the stream.
#[derive(Debug, Clone)]
pub(crate) enum LaneShard {
    /// The source does not cut it: the records are spread by a hash of their key.
    Hashed { shard: u32, shards: u32 },
    /// The source says of each record which shard has it.
    Named(String),
}

impl Place {
    /// Whether the record is the lane's.
    pub(super) fn has(&self, record: &Record) -> bool {
        match &self.shard {
            LaneShard::Named(id) => {
                let hash = stable_hash(&record.partition_key);
                record.shard.as_deref() == Some(id)
                    && hash % u64::from(self.parts) == u64::from(self.part)
            }
            LaneShard::Hashed { .. } => self.has_key(&record.partition_key),
        }
    }

    /// Whether records with this key are the lane's, where they are spread by it.
    fn has_key(&self, partition_key: &str) -> bool {
        let LaneShard::Hashed { shard, shards } = &self.shard else {
            return false;
        };
        let hash = stable_hash(partition_key);
        let shards = u64::from(*shards);
        hash % shards == u64::from(*shard)
            && hash / shards % u64::from(self.parts) == u64::from(self.part)
    }

    /// The place, in a stream of so many shards that are not cut further, of records with this
    /// key.
    fn of(partition_key: &str, shards: u32) -> Self {
        let whole = |shard| Self {
            shard: LaneShard::Hashed { shard, shards },
            part: 0,
            parts: 1,
        };
        let mut places = (0..shards).map(whole);
        places
            .find(|place| place.has_key(partition_key))
            .unwrap_or(whole(0))
    }

    /// Name of the lane's checkpoint. It says how many lanes there are: with another number, a
    /// lane has other records.
    pub(super) fn checkpoint_name(&self) -> String {
        let Self { part, parts, .. } = self;
        match &self.shard {
            LaneShard::Hashed { shard, shards } => {
                format!("shard-{shard}-of-{shards}-part-{part}-of-{parts}")
            }
            LaneShard::Named(id) => format!("{id}-part-{part}-of-{parts}"),
        }
    }

    /// Where the lanes that had its records before were furthest behind, when they were cut
    /// otherwise; none when they were not. A later lane of the same cut must find the same.
    pub(super) fn former(&self, checkpoints: &BTreeMap<String, u64>) -> Option<u64> {
        let same_parts = format!("-of-{}", self.parts);
        let is_former = |name: &str| match &self.shard {
            LaneShard::Hashed { shards, .. } => {
                let same_cut = format!("-of-{shards}-");
                !(name.contains(&same_cut) && name.ends_with(&same_parts))
            }
            LaneShard::Named(id) => {
                let of_shard = format!("{id}-part-");
                name.starts_with(&of_shard) && !name.ends_with(&same_parts)
            }
        };
        let former = checkpoints.iter().filter(|(name, _)| is_former(name));
        former.map(|(_, sequence)| *sequence).min()
    }

    pub(super) fn shard_id(&self) -> String {
        match &self.shard {
            LaneShard::Hashed { shard, .. } => format!("shardId-{shard:020}"),
            LaneShard::Named(id) => id.clone(),
        }
    }
}

/// Name of the shard that has the records with this key, in a stream of so many shards whose
/// source does not cut it.
#[must_use]
pub fn shard_id(partition_key: &str, shards: u32) -> String {
    Place::of(partition_key, shards).shard_id()
}

/// FNV-1a: the same on every run and every machine.
fn stable_hash(key: &str) -> u64 {
    key.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::UNIX_EPOCH;

    fn record(key: &str, shard: Option<&str>) -> Record {
        Record {
            sequence: 1,
            partition_key: key.to_owned(),
            shard: shard.map(str::to_owned),
            json: json!({}),
            created: UNIX_EPOCH,
        }
    }

    #[test]
    fn every_key_belongs_to_exactly_one_lane() {
        for key in (0..200).map(|number| format!("order-{number}")) {
            let lanes = (0..4).flat_map(|shard| (0..3).map(move |part| (shard, part)));
            let owners = lanes
                .filter(|(shard, part)| {
                    let place = Place {
                        shard: LaneShard::Hashed {
                            shard: *shard,
                            shards: 4,
                        },
                        part: *part,
                        parts: 3,
                    };
                    place.has(&record(&key, None))
                })
                .count();
            assert_eq!(owners, 1, "{key}");
        }
    }

    #[test]
    fn every_record_of_a_shard_belongs_to_exactly_one_part_of_it() {
        let place = |shard: &str, part| Place {
            shard: LaneShard::Named(shard.to_owned()),
            part,
            parts: 3,
        };
        for key in (0..200).map(|number| format!("order-{number}")) {
            let record = record(&key, Some("one"));
            let owners = (0..3).filter(|part| place("one", *part).has(&record));
            assert_eq!(owners.count(), 1, "{key}");
            assert!((0..3).all(|part| !place("two", part).has(&record)));
        }
    }

    #[test]
    fn the_shard_of_a_key_is_the_one_whose_lane_has_it() {
        assert_eq!(shard_id("", 1), format!("shardId-{:020}", 0));
        let shards: Vec<String> = (0..200)
            .map(|n| shard_id(&format!("order-{n}"), 4))
            .collect();
        for shard in 0..4 {
            let name = format!("shardId-{shard:020}");
            assert!(shards.contains(&name), "{name}");
        }
    }

    #[test]
    fn the_hash_of_a_key_never_changes() {
        assert_eq!(stable_hash(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(stable_hash("a"), 0xaf63_dc4c_8601_ec8c);
    }
}
