//! Faults on purpose: what a host may let go wrong with deliveries, as it does go wrong on a
//! platform that delivers at least once and in no promised order.

use std::time::Duration;

/// Decides about every delivery of an event or a batch.
pub trait DeliveryFaults: Send + Sync + 'static {
    /// How much later than it could the function gets it; none for no delay.
    fn delay(&self, function: &str) -> Option<Duration>;

    /// After what time the function gets it again although it was done with; none for once.
    fn again(&self, function: &str) -> Option<Duration>;
}

/// Nothing goes wrong.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoDeliveryFaults;

impl DeliveryFaults for NoDeliveryFaults {
    fn delay(&self, _function: &str) -> Option<Duration> {
        None
    }

    fn again(&self, _function: &str) -> Option<Duration> {
        None
    }
}
