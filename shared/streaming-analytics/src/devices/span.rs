//! A sensor's readings of a span of time: minutes, joined in the order of time.

use super::{DeviceKey, DeviceMinute, Values};
use crate::exact::Exact;
use crate::window::Minute;
use domain::ids::{DeviceId, SensorName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A sensor's readings of one or more windows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceSpan {
    values: Values,
    first_ms: i64,
    last_ms: i64,
    longest_gap_ms: Option<u64>,
}

impl DeviceSpan {
    /// The readings of one minute.
    #[must_use]
    pub fn of(minute: Minute, readings: &DeviceMinute) -> Self {
        let start = minute.start().as_millisecond();
        let (first, last) = readings.first_and_last();
        Self {
            values: readings.values().clone(),
            first_ms: start + i64::from(first),
            last_ms: start + i64::from(last),
            longest_gap_ms: readings.longest_gap().map(u64::from),
        }
    }

    /// Appends a span that is later: none of its readings is before one of these. The time
    /// between the two counts as a gap.
    pub fn append(&mut self, later: &Self) {
        let between = u64::try_from(later.first_ms.saturating_sub(self.last_ms)).unwrap_or(0);
        self.longest_gap_ms = [self.longest_gap_ms, later.longest_gap_ms, Some(between)]
            .into_iter()
            .flatten()
            .max();
        self.values.merge(&later.values, true);
        self.first_ms = self.first_ms.min(later.first_ms);
        self.last_ms = self.last_ms.max(later.last_ms);
    }

    /// What the readings come to.
    #[must_use]
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// When the first reading was taken.
    #[must_use]
    pub fn first_at(&self) -> Timestamp {
        Timestamp::from_millisecond(self.first_ms).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// When the last reading was taken.
    #[must_use]
    pub fn last_at(&self) -> Timestamp {
        Timestamp::from_millisecond(self.last_ms).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// The longest time between two neighbouring readings, in milliseconds, exact as
    /// [`DeviceMinute`] says; `None` for one reading.
    #[must_use]
    pub fn longest_gap_ms(&self) -> Option<u64> {
        self.longest_gap_ms
    }

    /// The readings as they are shown.
    #[must_use]
    pub fn insights(&self, key: &DeviceKey) -> DeviceInsights {
        DeviceInsights {
            device_id: key.device.clone(),
            sensor: key.sensor.clone(),
            unit: self.values.unit.clone(),
            units_differ: self.values.units_differ,
            count: self.values.count,
            min: self.values.min,
            mean: self.values.mean(),
            max: self.values.max,
            last: self.values.last,
            first_at: self.first_at().to_string(),
            last_at: self.last_at().to_string(),
            longest_gap_ms: self.longest_gap_ms,
        }
    }
}

/// A sensor's readings of a span, ready for JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceInsights {
    /// Which device.
    pub device_id: DeviceId,
    /// Which sensor.
    pub sensor: SensorName,
    /// The unit of the last reading.
    pub unit: String,
    /// Whether readings came in different units.
    pub units_differ: bool,
    /// How many readings.
    pub count: u64,
    /// The smallest.
    pub min: Exact,
    /// The mean, to 18 decimal places.
    pub mean: Exact,
    /// The largest.
    pub max: Exact,
    /// The last.
    pub last: Exact,
    /// When the first was taken, RFC 3339.
    pub first_at: String,
    /// When the last was taken, RFC 3339.
    pub last_at: String,
    /// The longest time between two neighbouring readings; `null` for one reading.
    pub longest_gap_ms: Option<u64>,
}
