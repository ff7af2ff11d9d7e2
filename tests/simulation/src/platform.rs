//! What AWS does around the handlers: it delivers at least once, in any order, retries, gives up
//! to dead-letter queues, and reads the stream of the event store in order, shard by shard.
//!
//! [`invocation`] (one call of a function), [`deliveries`] (events of the bus), [`lanes`] (the
//! stream), [`letters`] (what was given up, and redriven).

pub mod deliveries;
pub mod invocation;
pub mod lanes;
pub mod letters;
mod record;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::wiring::Wiring;
use lanes::Lane;
use letters::Letter;

/// The platform's own state.
pub struct Platform {
    /// One lane for each mapping and shard.
    lanes: Vec<Vec<Mutex<Lane>>>,
    letters: Mutex<Vec<Letter>>,
    sequence: AtomicU64,
    invocations: AtomicU64,
}

impl Platform {
    /// A platform on which nothing has happened.
    #[must_use]
    pub fn new(wiring: &Wiring) -> Self {
        let shards = || (0..lanes::SHARDS).map(|_| Mutex::default()).collect();
        Self {
            lanes: wiring.mappings.iter().map(|_| shards()).collect(),
            letters: Mutex::default(),
            sequence: AtomicU64::new(0),
            invocations: AtomicU64::new(0),
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
