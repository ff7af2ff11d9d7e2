//! Whether the gateway is to be asked at all: not while it is down.
//!
//! Closed, every call goes through. After failures of several *different* orders in a row,
//! without a success between, it opens: for a cool-down nobody goes through. Then it is half
//! open: one order goes through as a probe, and the next one only a cool-down later, unless the
//! probe succeeded. A success closes it; a failed probe doubles the cool-down. An order that went
//! through once goes through again: what became of its charge may be unknown by then, and who is
//! asked about it must not answer that nobody was asked.
//!
//! Different orders, because the outcome of one order can stay unknown for a reason of its own;
//! asking for it again and again says nothing of the others.
//!
//! Without I/O and without a clock: [`crate::guarded_gateway`] has both.

use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

/// When to open, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// So many different orders fail in a row before it opens.
    pub orders: usize,
    /// The first cool-down.
    pub first: SignedDuration,
    /// The longest cool-down.
    pub longest: SignedDuration,
}

impl Policy {
    /// For a payment gateway: three orders; 10 s, doubled up to 60 s. Short, because dead letters
    /// wait a minute and longer anyhow, and a probe costs one call.
    pub const GATEWAY: Self = Self {
        orders: 3,
        first: SignedDuration::from_secs(10),
        longest: SignedDuration::from_secs(60),
    };
}

/// The circuit breaker of one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CircuitBreaker {
    policy: Policy,
    state: State,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Closed {
        /// Who failed since the last success.
        failing: BTreeSet<String>,
    },
    /// From `until` on it is half open.
    Open {
        until: Timestamp,
        cool_down: SignedDuration,
        /// Who went through last.
        probe: String,
        /// Whether that one has failed since.
        failed: bool,
    },
}

impl CircuitBreaker {
    /// A closed one.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            state: State::Closed {
                failing: BTreeSet::new(),
            },
        }
    }

    /// Whether a call for `order` may go through now. Who goes through tells what came of it:
    /// [`Self::succeeded`] or [`Self::failed`]; one that never tells (its process was ended)
    /// holds nobody up for longer than a cool-down.
    ///
    /// # Errors
    /// When the next call may go through.
    pub fn admit(&mut self, order: &str, now: Timestamp) -> Result<(), Timestamp> {
        let State::Open {
            until,
            cool_down,
            probe,
            failed,
        } = &mut self.state
        else {
            return Ok(());
        };
        if probe == order {
            return Ok(());
        }
        let left = until.duration_since(now);
        // More than there can be is left only when the clock was set back.
        if left.is_positive() && left <= self.policy.longest {
            return Err(*until);
        }
        *until = later(now, *cool_down);
        order.clone_into(probe);
        *failed = false;
        Ok(())
    }

    /// The gateway answered, whatever it said.
    pub fn succeeded(&mut self) {
        self.state = State::Closed {
            failing: BTreeSet::new(),
        };
    }

    /// The gateway was down, or told no outcome, for this order. Tells whether that opened it.
    pub fn failed(&mut self, order: &str, now: Timestamp) -> bool {
        let cool_down = match &mut self.state {
            State::Closed { failing } => {
                failing.insert(order.to_owned());
                if failing.len() < self.policy.orders {
                    return false;
                }
                self.policy.first
            }
            // The same order again says nothing new.
            State::Open { probe, failed, .. } if probe == order && *failed => return false,
            State::Open { cool_down, .. } => (*cool_down * 2).min(self.policy.longest),
        };
        self.state = State::Open {
            until: later(now, cool_down),
            cool_down,
            probe: order.to_owned(),
            failed: true,
        };
        true
    }
}

fn later(now: Timestamp, by: SignedDuration) -> Timestamp {
    now.saturating_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
