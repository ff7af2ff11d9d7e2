//! How many different customers: `HyperLogLog`, which merges.

use hyperloglockless::{DefaultHasher, HyperLogLog};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::collections::BTreeMap;

/// 2¹² registers: a standard error of 1.04 / √4096 = 1.6 %.
const PRECISION: u8 = 12;
const REGISTERS: usize = 1 << PRECISION;
/// More trailing zeros and one than a 64-bit hash can have.
const MAX_RANK: u8 = 65;

/// An estimate of how many different things were added, off by 1.6 % (one standard error).
///
/// Things are added by their [`crate::stable_hash`]: the register is its first 12 bits, the rank
/// its trailing zeros and one; a register keeps its largest rank. So merging is taking the larger
/// rank, and the estimate (`LogLog-Beta`) follows from the registers alone.
#[derive(Clone, Default)]
pub struct Distinct(Option<Box<HyperLogLog>>);

impl Distinct {
    /// Adds a thing by its hash.
    pub fn add(&mut self, hash: u64) {
        self.0
            .get_or_insert_with(|| Box::new(HyperLogLog::seeded(PRECISION, 0)))
            .insert_hash(hash);
    }

    /// Adds what another one has seen.
    pub fn merge(&mut self, other: &Self) {
        let Some(theirs) = &other.0 else { return };
        let registers = self.registers().zip(theirs.iter());
        *self = Self::from_registers(registers.map(|(mine, their)| mine.max(their)).collect());
    }

    /// The estimate.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn estimate(&self) -> u64 {
        // From the registers anew, so that no order of adding is seen in its last digit.
        let anew = Self::from_registers(self.registers().collect());
        anew.0.map_or(0, |sketch| sketch.raw_count().round() as u64)
    }

    /// Every register's rank; 0 where nothing came to it.
    pub fn registers(&self) -> impl Iterator<Item = u8> + '_ {
        let sketch = self.0.as_deref();
        let kept = sketch.into_iter().flat_map(HyperLogLog::iter);
        let none = if sketch.is_some() { 0 } else { REGISTERS };
        kept.chain(std::iter::repeat_n(0, none))
    }

    /// `registers` has [`REGISTERS`] ranks of at most [`MAX_RANK`].
    fn from_registers(registers: Box<[u8]>) -> Self {
        let used = registers.iter().filter(|rank| **rank > 0).count();
        if used == 0 {
            return Self::default();
        }
        let sum = registers
            .iter()
            .map(|rank| 0.5_f64.powi(i32::from(*rank)))
            .sum();
        let hasher = DefaultHasher::seeded(&[0; 16]);
        Self(Some(Box::new(HyperLogLog::from_parts(
            registers,
            hasher,
            REGISTERS - used,
            sum,
        ))))
    }

    fn used(&self) -> usize {
        self.0
            .as_ref()
            .map_or(0, |sketch| REGISTERS - sketch.parts().2)
    }

    pub(crate) fn weight(&self) -> usize {
        4 + self.used() * 3
    }
}

impl PartialEq for Distinct {
    fn eq(&self, other: &Self) -> bool {
        self.registers().eq(other.registers())
    }
}

impl std::fmt::Debug for Distinct {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Distinct({} registers, about {})",
            self.used(),
            self.estimate()
        )
    }
}

/// As the registers that are not 0, by number.
impl Serialize for Distinct {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let used: BTreeMap<u16, u8> = (0..)
            .zip(self.registers())
            .filter(|(_, rank)| *rank > 0)
            .collect();
        used.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let used = BTreeMap::<u16, u8>::deserialize(deserializer)?;
        let mut registers = vec![0; REGISTERS].into_boxed_slice();
        for (number, rank) in used {
            let register = registers
                .get_mut(usize::from(number))
                .filter(|_| (1..=MAX_RANK).contains(&rank))
                .ok_or_else(|| de::Error::custom("is no register"))?;
            *register = rank;
        }
        Ok(Self::from_registers(registers))
    }
}
