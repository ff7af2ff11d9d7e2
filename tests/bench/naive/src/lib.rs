//! The order flow as it is mostly written: each handler changes its rows, puts an event into a
//! table and the same event on the bus; consumers keep a table of what they have handled.
//!
//! In reading order: [`event`] (what travels), [`tables`] (clients and names), [`item`] (attributes),
//! [`idempotency`], [`events`] (the dual write), [`orders`] and [`stock`] (read, check, write), then
//! the functions: [`place_order`], [`reserve_stock`], [`process_payment`], [`notify_user`],
//! [`view_orders`].

pub mod event;
pub mod events;
pub mod idempotency;
pub mod item;
pub mod notify_user;
pub mod orders;
pub mod place_order;
pub mod process_payment;
pub mod reserve_stock;
pub mod serving;
pub mod stock;
pub mod tables;
pub mod view_orders;
