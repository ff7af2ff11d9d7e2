//! What is normal for an hour of the day.

use serde::{Deserialize, Serialize};

/// So many minutes of an hour make a baseline.
const WARM: u32 = 60;

/// The exponentially weighted mean and variance of a metric in one hour of the day.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Season {
    seen: u32,
    mean: f64,
    variance: f64,
}

impl Season {
    /// Whether its numbers can have come from learning.
    pub(super) fn is_sound(&self) -> bool {
        self.mean.is_finite() && self.variance.is_finite() && self.variance >= 0.0
    }

    /// Mean and standard deviation, once it has seen enough.
    pub(super) fn baseline(&self) -> Option<(f64, f64)> {
        (self.seen >= WARM).then(|| (self.mean, self.variance.sqrt()))
    }

    /// Learns a value; once there is a baseline, one beyond `raise` standard deviations as if it
    /// stood there. (Where the past was constant there is no such place, and it is learnt whole.)
    pub(super) fn learn(&mut self, value: f64, raise: f64, half_life: u32) {
        let mut distance = value - self.mean;
        if let Some((_, deviation)) = self.baseline().filter(|(_, deviation)| *deviation > 0.0) {
            let furthest = raise * deviation;
            distance = distance.clamp(-furthest, furthest);
        }
        self.seen = self.seen.saturating_add(1);
        let settled = 1.0 - 0.5_f64.powf(1.0 / f64::from(half_life));
        let weight = settled.max(1.0 / f64::from(self.seen));
        self.mean += weight * distance;
        self.variance = (1.0 - weight) * (self.variance + weight * distance * distance);
    }
}
