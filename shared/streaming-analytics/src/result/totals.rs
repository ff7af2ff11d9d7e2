//! What windows of any length come to.

use crate::counts::Counts;
use crate::devices::{DeviceKey, DeviceSpan, Devices};
use crate::orders::OrderFigures;
use crate::part::Sums;
use crate::window::Minute;
use serde::{Deserialize, Serialize};

/// So many SKUs a result keeps, those ordered most; see [`crate::orders::SkuCounts`] for the rest.
pub const MAX_SKUS: usize = 1_000;
/// So many bytes their names have together at most.
pub const MAX_SKU_BYTES: usize = 100_000;

/// What a window comes to.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// What became of the records.
    pub counts: Counts,
    /// What happened to orders.
    pub orders: OrderFigures,
    /// What devices measured.
    #[serde(with = "pairs")]
    pub devices: Devices,
}

impl Totals {
    pub(super) fn of_minute(minute: Minute, sums: Sums) -> Self {
        let span = |(key, readings)| {
            let span = DeviceSpan::of(minute, &readings);
            (key, span)
        };
        Self {
            counts: sums.counts,
            orders: sums.orders,
            devices: sums.devices.into_iter().map(span).collect(),
        }
        .bounded()
    }

    /// Appends a later window's totals: none of its readings is before one of these.
    pub fn append(&mut self, later: &Self) {
        self.counts.merge(&later.counts);
        self.orders.merge(&later.orders);
        for (key, readings) in &later.devices {
            self.append_readings(key, readings);
        }
    }

    fn append_readings(&mut self, key: &DeviceKey, readings: &DeviceSpan) {
        if let Some(known) = self.devices.get_mut(key) {
            known.append(readings);
        } else {
            self.devices.insert(key.clone(), readings.clone());
        }
    }

    pub(super) fn bounded(mut self) -> Self {
        let skus = std::mem::take(&mut self.orders.skus);
        self.orders.skus = skus.bounded(MAX_SKUS, MAX_SKU_BYTES);
        self
    }
}

/// A map as pairs: in JSON, too, where a key would have to be a text.
mod pairs {
    use super::{DeviceKey, DeviceSpan, Devices};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(devices: &Devices, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(devices)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Devices, D::Error> {
        let pairs = Vec::<(DeviceKey, DeviceSpan)>::deserialize(from)?;
        Ok(pairs.into_iter().collect())
    }
}
