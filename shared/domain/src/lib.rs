//! The pure decisions of the order backend. No I/O, no clock, no AWS: time and ids arrive in
//! the commands.
//!
//! Every aggregate is a [`event_sourcing::decider::Decider`]. Reading order: [`order`] (the aggregate and its
//! saga), [`inventory`] (what an event moves in stock), [`payment`], [`notification`],
//! [`alarm`] (of analytics: raised and cleared, one per episode),
//! [`order_summary`] (the read model as a fold), [`access`] (who may do what), [`money`], [`ids`], [`whole`], `schema` (what is published about
//! the stored format; feature `schema`).

pub mod access;
pub mod alarm;
pub mod ids;
pub mod inventory;
mod moment;
pub mod money;
pub mod notification;
pub mod order;
pub mod order_summary;
pub mod payment;
#[cfg(feature = "schema")]
pub mod schema;
mod stored_events;
pub mod whole;
