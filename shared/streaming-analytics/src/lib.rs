//! Streaming analytics as pure folds: event-time windows over orders and device telemetry, and
//! alarms on them. No I/O, no clock, no AWS: records, times and what tables hold arrive as values.
//!
//! The way of a record: [`record`] (bytes → a typed record) → [`state`] (folded, with its
//! [`window::Lateness`] judged and duplicates known from [`earlier`]) → [`part`] (written once per
//! minute and Lambda window) → [`result`] (a minute's merged parts; hours and days) → [`alarms`].
//!
//! Reading order: [`window`], [`record`], [`orders`], [`devices`], [`counts`], [`ids`], [`part`],
//! [`earlier`], [`state`], [`result`], [`alarms`]; below them [`exact`] (sums of decimals), [`stable_hash`]
//! and [`codec`].

pub mod alarms;
pub mod codec;
pub mod counts;
pub mod devices;
pub mod earlier;
pub mod exact;
pub mod ids;
pub mod insights_table;
pub mod orders;
pub mod part;
pub mod record;
pub mod result;
mod stable_hash;
pub mod state;
pub mod window;

pub use stable_hash::stable_hash;
