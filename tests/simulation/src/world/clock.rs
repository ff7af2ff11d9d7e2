//! The time as the handlers see it: the world's, with jumps.

use std::sync::Arc;

use event_sourcing::clock::Clock;
use jiff::{SignedDuration, Timestamp};

use super::{World, lock};
use crate::faults::Fault;

/// When worlds begin: 2025-01-01T12:00:00Z.
const BEGIN_SECOND: i64 = 1_735_732_800;
/// A clock is at most so many seconds off.
const MOST_SKEW: i64 = 600;

/// A handler's clock.
#[derive(Clone)]
pub enum WorldClock {
    /// The world's.
    World(Arc<World>),
    /// One that stands still.
    Stopped(Timestamp),
}

impl Clock for WorldClock {
    fn now(&self) -> Timestamp {
        match self {
            Self::World(world) => world.now(),
            Self::Stopped(at) => *at,
        }
    }
}

impl World {
    /// Now, as far as a handler can tell.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        if self.hits(Fault::ClockJump) {
            *lock(&self.skew) = self.draw(|rng| rng.i64(-MOST_SKEW..=MOST_SKEW));
        }
        self.told_time()
    }

    /// Now, as a handler would see it that looked.
    #[must_use]
    pub fn told_time(&self) -> Timestamp {
        let skew = SignedDuration::from_secs(*lock(&self.skew));
        self.true_time()
            .saturating_add(skew)
            .unwrap_or(Timestamp::MAX)
    }

    /// Now.
    #[must_use]
    pub fn true_time(&self) -> Timestamp {
        let elapsed = i64::try_from(self.elapsed().as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_second(BEGIN_SECOND)
            .and_then(|begin| begin.saturating_add(SignedDuration::from_millis(elapsed)))
            .unwrap_or(Timestamp::MAX)
    }
}
