//! Event sourcing in small.
//!
//! Reading order: [`envelope`] (what an event looks like outside), [`store`] (the port to a
//! store, and how it fails), [`execute`] (the one command loop: load → fold → decide → append),
//! [`publisher`] (the port to a bus), [`clock`], [`retry`] (what to do with a failure),
//! [`failure`] (how a handler fails),
//! [`in_memory`] (adapters for tests and simulation), [`contract`] (the tests that every store
//! passes; feature `contract`).

pub mod clock;
#[cfg(feature = "contract")]
pub mod contract;
pub mod envelope;
pub mod execute;
pub mod failure;
pub mod in_memory;
pub mod publisher;
pub mod retry;
pub mod store;

pub use domain::decider::{Decider, Event};
