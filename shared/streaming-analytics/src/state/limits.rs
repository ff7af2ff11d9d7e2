//! How large a state and its parts may become.

use crate::part::{Sums, device_weight};
use crate::window::Minute;
use std::collections::BTreeMap;

/// At most so many bytes one record adds: 100 order lines whose SKUs have 128 characters of 4 bytes.
pub const MAX_GROWTH: usize = 60_000;

/// From how many bytes on a state is flushed, before base64, which makes 3 bytes 4.
///
/// One record more adds at most [`MAX_GROWTH`]. What is counted is an upper bound of the real size,
/// from figures that are at hand after each record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// All of the state. Lambda keeps [1 MB](https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-windows.html)
    /// of a window's state in a shard.
    pub state: usize,
    /// What a minute has in it. An item of `DynamoDB` has
    /// [400 KB](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-items).
    pub part: usize,
}

impl Default for Limits {
    /// With the largest record on top: 920 KB of base64, and items of 370 KB.
    fn default() -> Self {
        Self {
            state: 630_000,
            part: 310_000,
        }
    }
}

/// How large a state is: a function of what it holds, kept up record by record.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Weights {
    minutes: BTreeMap<Minute, Weight>,
    whole: usize,
}

/// How large a minute is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Weight {
    devices: usize,
    rest: usize,
}

impl Weights {
    /// Weighs a state that was read.
    pub(super) fn of(open: &BTreeMap<Minute, Sums>) -> Self {
        let mut weights = Self::default();
        for (minute, sums) in open {
            let devices = sums.devices.iter();
            let devices = devices.map(|(key, readings)| device_weight(key, readings));
            weights.change(*minute, 0, devices.sum(), sums.weight_without_devices());
        }
        weights
    }

    /// A minute's device weighed `before` and weighs `now`, and the minute's rest weighs `rest`.
    pub(super) fn change(&mut self, minute: Minute, before: usize, now: usize, rest: usize) {
        let weight = self.minutes.entry(minute).or_default();
        self.whole = self.whole + now + rest - before - weight.rest;
        weight.devices = weight.devices + now - before;
        weight.rest = rest;
    }

    /// Whether more than the limits are waiting to be written.
    pub(super) fn exceed(&self, limits: &Limits) -> bool {
        let parts = || {
            self.minutes
                .values()
                .map(|weight| weight.devices + weight.rest)
        };
        self.whole > limits.state || parts().any(|part| part > limits.part)
    }
}
