//! What a rule looks at.

use crate::devices::{DeviceKey, DeviceSpan, Values};
use crate::exact::Exact;
use crate::orders::OrderFigures;
use crate::result::Totals;
use domain::ids::{DeviceId, SensorName};
use domain::money::Currency;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A figure of a minute; `None` where the minute does not tell it.
pub type Value = Option<Exact>;

/// What a rule looks at: `{"kind": "orders", "figure": "failureRatio"}`, or
/// `{"kind": "device", "deviceId": .., "sensor": .., "figure": "max"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
#[serde(deny_unknown_fields)]
pub enum Metric {
    /// A figure of the orders.
    Orders {
        /// Which.
        figure: OrderFigure,
        /// In which currency, for sums of money; USD where it is absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        currency: Option<Currency>,
    },
    /// A figure of a device's sensor.
    Device {
        /// Which device.
        device_id: DeviceId,
        /// Which of its sensors.
        sensor: SensorName,
        /// Which figure.
        figure: DeviceFigure,
    },
}

/// A figure of a minute's orders; as in [`OrderFigures`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // They are named and described in `OrderFigures`.
pub enum OrderFigure {
    Placed,
    Confirmed,
    Rejected,
    Failed,
    Cancelled,
    Refunded,
    Revenue,
    Refunds,
    P50Ms,
    P95Ms,
    DistinctCustomers,
    FailureRatio,
}

/// A figure of a sensor's readings of a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DeviceFigure {
    /// How many readings; 0 for a silent sensor.
    Count,
    /// The smallest.
    Min,
    /// The mean.
    Mean,
    /// The largest.
    Max,
    /// The last.
    Last,
    /// The longest time between two of them, in milliseconds.
    LongestGapMs,
}

impl Metric {
    /// The figure in a minute's totals; an empty minute has empty totals.
    #[must_use]
    pub fn value(&self, totals: &Totals) -> Value {
        match self {
            Self::Orders { figure, currency } => {
                of_orders(*figure, currency.unwrap_or_default(), &totals.orders)
            }
            Self::Device {
                device_id,
                sensor,
                figure,
            } => {
                let key = DeviceKey {
                    device: device_id.clone(),
                    sensor: sensor.clone(),
                };
                of_device(*figure, totals.devices.get(&key))
            }
        }
    }
}

fn of_orders(figure: OrderFigure, currency: Currency, orders: &OrderFigures) -> Value {
    let count = |number: u64| Some(Exact::from(number));
    match figure {
        OrderFigure::Placed => count(orders.placed),
        OrderFigure::Confirmed => count(orders.confirmed),
        OrderFigure::Rejected => count(orders.rejected),
        OrderFigure::Failed => count(orders.failed),
        OrderFigure::Cancelled => count(orders.cancelled),
        OrderFigure::Refunded => count(orders.refunded),
        OrderFigure::Revenue => Some(orders.revenue.of(currency)),
        OrderFigure::Refunds => Some(orders.refunds.of(currency)),
        OrderFigure::P50Ms => orders.latency.percentile(50).map(Exact::from),
        OrderFigure::P95Ms => orders.latency.percentile(95).map(Exact::from),
        OrderFigure::DistinctCustomers => count(orders.customers.estimate()),
        OrderFigure::FailureRatio => orders.failure_ratio(),
    }
}

fn of_device(figure: DeviceFigure, readings: Option<&DeviceSpan>) -> Value {
    let values = readings.map(DeviceSpan::values);
    match figure {
        DeviceFigure::Count => Some(values.map_or(Exact::ZERO, |values| values.count.into())),
        DeviceFigure::Min => values.map(|values| values.min),
        DeviceFigure::Mean => values.map(Values::mean),
        DeviceFigure::Max => values.map(|values| values.max),
        DeviceFigure::Last => values.map(|values| values.last),
        DeviceFigure::LongestGapMs => readings?.longest_gap_ms().map(Exact::from),
    }
}

/// `orders.failureRatio`, `orders.revenue.EUR`, `device.cold-1.temperature.max`.
impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Orders { figure, currency } => {
                write!(f, "orders.{}", name(figure))?;
                currency.map_or(Ok(()), |currency| write!(f, ".{currency}"))
            }
            Self::Device {
                device_id,
                sensor,
                figure,
            } => write!(f, "device.{device_id}.{sensor}.{}", name(figure)),
        }
    }
}

/// A figure as JSON names it.
fn name(figure: &impl Serialize) -> String {
    let name = serde_json::to_value(figure).unwrap_or_default();
    name.as_str().unwrap_or_default().to_owned()
}
