//! Readings per device and sensor: of a minute, where they may come in any order, and of longer
//! spans, which are minutes side by side.

mod minute;
mod span;

pub use minute::DeviceMinute;
pub use span::{DeviceInsights, DeviceSpan};

use crate::codec::{self, Damaged};
use crate::exact::Exact;
use crate::record::{Reading, RecordId};
use domain::ids::{DeviceId, SensorName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One sensor of one device.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeviceKey {
    /// The device.
    pub device: DeviceId,
    /// Its sensor.
    pub sensor: SensorName,
}

impl DeviceKey {
    /// Whose reading it is.
    #[must_use]
    pub fn of(reading: &Reading) -> Self {
        Self {
            device: reading.device.clone(),
            sensor: reading.sensor.clone(),
        }
    }
}

/// The readings of a minute, by device and sensor.
pub type DevicesOfMinute = BTreeMap<DeviceKey, DeviceMinute>;
/// The readings of any span, by device and sensor.
pub type Devices = BTreeMap<DeviceKey, DeviceSpan>;

/// Version of [`encode`].
const VERSION: u8 = 1;

/// Readings as bytes: a version, then `postcard`.
///
/// # Errors
/// [`Damaged`], if they cannot be written; that would be a bug.
pub fn encode(devices: &Devices) -> Result<Vec<u8>, Damaged> {
    codec::encode(VERSION, &devices.iter().collect::<Vec<_>>())
}

/// Reads what [`encode`] wrote.
///
/// # Errors
/// [`Damaged`], for anything else.
pub fn decode(bytes: &[u8]) -> Result<Devices, Damaged> {
    let pairs: Vec<(DeviceKey, DeviceSpan)> = codec::decode(VERSION, bytes)?;
    Ok(pairs.into_iter().collect())
}

/// What readings come to, whatever the order they came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Values {
    /// How many.
    pub count: u64,
    /// Their sum, exact; the mean is it divided by the count.
    pub sum: Exact,
    /// The smallest.
    pub min: Exact,
    /// The largest.
    pub max: Exact,
    /// The latest one.
    pub last: Exact,
    /// Its id: of several at the same time the one with the largest id is the latest.
    pub last_id: RecordId,
    /// The unit of the latest one.
    pub unit: String,
    /// Whether readings came in different units; sum, mean, min and max mean nothing then.
    pub units_differ: bool,
}

impl Values {
    fn of(reading: &Reading, id: RecordId) -> Self {
        Self {
            count: 1,
            sum: reading.value,
            min: reading.value,
            max: reading.value,
            last: reading.value,
            last_id: id,
            unit: reading.unit.clone(),
            units_differ: false,
        }
    }

    /// The mean, to 18 decimal places.
    #[must_use]
    pub fn mean(&self) -> Exact {
        self.sum.over(self.count).unwrap_or_default()
    }

    /// At most how many bytes it takes in a state.
    fn weight(&self) -> usize {
        let numbers = [self.sum, self.min, self.max, self.last];
        // An id takes 10, a length 2, the count no more than 5 until there are 34 billion.
        18 + numbers.iter().map(|number| number.weight()).sum::<usize>() + self.unit.len()
    }

    /// Adds others; `later` says whether their latest one is later than this one's.
    fn merge(&mut self, other: &Self, later: bool) {
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.plus(other.sum);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.units_differ |= other.units_differ || self.unit != other.unit;
        if later {
            self.last = other.last;
            self.last_id = other.last_id;
            self.unit.clone_from(&other.unit);
        }
    }
}

#[cfg(test)]
mod tests;
