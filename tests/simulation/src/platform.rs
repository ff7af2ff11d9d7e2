//! What AWS does around the handlers: it delivers at least once, in any order, retries, gives up
//! to dead-letter queues, and reads the stream of the event store in order, shard by shard.
//!
//! [`invocation`] (one call of a function), [`deliveries`] (events of the bus), [`lanes`] (the
//! stream), [`given_up`] (what goes into dead-letter queues), [`schedules`] (the clock).

pub mod deliveries;
pub mod given_up;
pub mod invocation;
pub mod lanes;
mod record;
pub mod schedules;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use fastrand::Rng;

use crate::wiring::Wiring;
use lanes::Lane;
use schedules::Reconciled;

/// The platform's own state.
pub struct Platform {
    /// One lane for each mapping and shard.
    lanes: Vec<Vec<Mutex<Lane>>>,
    /// Stream and version of every record that there was, by its number.
    fed: Mutex<Vec<(String, u64)>>,
    invocations: AtomicU64,
    /// How many minutes ago the schedules began when the world did.
    phase: u64,
    reconciled: Mutex<Reconciled>,
}

impl Platform {
    /// A platform on which nothing has happened.
    #[must_use]
    pub fn new(wiring: &Wiring, rng: &mut Rng) -> Self {
        let shards = || (0..lanes::SHARDS).map(|_| Mutex::default()).collect();
        Self {
            lanes: wiring.mappings.iter().map(|_| shards()).collect(),
            fed: Mutex::default(),
            invocations: AtomicU64::new(0),
            phase: rng.u64(..24 * 60),
            reconciled: Mutex::default(),
        }
    }

    /// Name of the next invocation.
    pub(crate) fn next_request(&self) -> String {
        format!(
            "request-{}",
            self.invocations.fetch_add(1, Ordering::Relaxed)
        )
    }

    /// How many invocations there were.
    #[must_use]
    pub fn invocations(&self) -> u64 {
        self.invocations.load(Ordering::Relaxed)
    }
}
