//! How many different customers: `HyperLogLog`, which merges.

use hyperloglockless::{DefaultHasher, HyperLogLog};
use serde::{Deserialize, Deserializer, Serialize, de};
use std::collections::BTreeMap;

/// 2¹² registers: a standard error of 1.04 / √4096 = 1.6 %.
const PRECISION: u32 = 12;
const REGISTERS: u16 = 1 << PRECISION;
/// Up to here the registers that are still unused tell more than their ranks (linear counting).
/// Heule et al. 2013, "`HyperLogLog` in Practice", found this bound for 2¹² registers.
const LINEAR: f64 = 3_100.0;
/// More trailing zeros and one than a 64-bit hash can have.
const MAX_RANK: u8 = 65;

/// An estimate of how many different things were added, off by 1.6 % (one standard error).
///
/// Things are added by their [`crate::stable_hash`]: the register is its first 12 bits, the rank
/// its trailing zeros and one; a register keeps its largest rank. So merging is taking the larger
/// rank, and the estimate (linear counting, then `LogLog-Beta`) follows from the registers alone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Distinct(BTreeMap<u16, u8>);

impl Distinct {
    /// Adds a thing by its hash.
    pub fn add(&mut self, hash: u64) {
        let register = u16::try_from(hash >> (64 - PRECISION)).unwrap_or(0);
        let rank = u8::try_from(hash.trailing_zeros() + 1).unwrap_or(MAX_RANK);
        self.raise(register, rank);
    }

    fn raise(&mut self, register: u16, rank: u8) {
        let known = self.0.entry(register).or_default();
        *known = rank.max(*known);
    }

    /// Adds what another one has seen.
    pub fn merge(&mut self, other: &Self) {
        for (register, rank) in &other.0 {
            self.raise(*register, *rank);
        }
    }

    /// The estimate.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn estimate(&self) -> u64 {
        let all = f64::from(REGISTERS);
        let unused = usize::from(REGISTERS) - self.0.len();
        let linear = all * (all / f64::from(u32::try_from(unused).unwrap_or(0))).ln();
        if linear <= LINEAR {
            return linear.round() as u64;
        }
        let registers: Box<[u8]> = self.registers().collect();
        let sum = registers
            .iter()
            .map(|rank| 0.5_f64.powi(i32::from(*rank)))
            .sum();
        let hasher = DefaultHasher::seeded(&[0; 16]); // Nothing is hashed by it.
        HyperLogLog::from_parts(registers, hasher, unused, sum)
            .raw_count()
            .round() as u64
    }

    /// Every register's rank; 0 where nothing came to it.
    pub fn registers(&self) -> impl Iterator<Item = u8> + '_ {
        (0..REGISTERS).map(|register| self.0.get(&register).copied().unwrap_or(0))
    }

    pub(crate) fn weight(&self) -> usize {
        2 + self.0.len() * 3
    }
}

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let used = BTreeMap::<u16, u8>::deserialize(deserializer)?;
        let sound =
            |(register, rank): (&u16, &u8)| *register < REGISTERS && (1..=MAX_RANK).contains(rank);
        if used.iter().all(sound) {
            Ok(Self(used))
        } else {
            Err(de::Error::custom("is no register"))
        }
    }
}
