//! Event sourcing, for any aggregate and any store.
//!
//! Reading order: [`decider`] (the shape of every decision), [`envelope`] (what an event looks
//! like outside), [`chain`] (what makes history tamper-evident), [`store`] (the port to a store,
//! and how it fails), [`upcaster`] (reading events of every version), [`execute`] (the one command
//! loop: load → fold → decide → append), [`publisher`] (the port to a bus), [`cloud_events`] (the
//! same event as a `CloudEvent`), [`clock`], [`ids`], [`retry`] (what to do with a failure),
//! [`failure`] (how a handler fails), [`dead_letter`] (what becomes of it then), [`reconciling`] (proving
//! that what was stored was published), [`sealing`] (personal data under a key that can be destroyed),
//! [`in_memory`] (adapters for tests and simulation),
//! [`contract`] (the tests that every store passes; feature `contract`).
//!
//! Without the default feature `runtime` there is only what decides, and no async runtime.

pub mod chain;
pub mod clock;
pub mod cloud_events;
#[cfg(feature = "contract")]
pub mod contract;
pub mod dead_letter;
pub mod decider;
pub mod envelope;
#[cfg(feature = "runtime")]
pub mod execute;
pub mod failure;
pub mod feed;
pub mod ids;
pub mod in_memory;
#[cfg(any(test, feature = "contract"))]
mod jar;
pub mod publisher;
pub mod reconciling;
pub mod retry;
pub mod sealing;
#[cfg(feature = "runtime")]
pub mod snapshot;
pub mod store;
#[cfg(feature = "runtime")]
pub mod time_travel;
pub mod upcaster;

pub use decider::{Decider, Event};

/// The examples of the README, as tests.
#[cfg(all(doctest, feature = "runtime"))]
#[doc = include_str!("../README.md")]
pub struct Readme;
