//! The whole order system in one deterministic world: `cargo sim`.
//!
//! The real handlers of all functions run over ports in memory, on one thread and in virtual time.
//! A seed decides which of them goes on at every await, and what goes wrong: events come twice,
//! late and in another order, processes end in the middle, answers are lost, the gateway times
//! out, messages are lost. Afterwards nothing goes wrong any more: the clock goes on to call the
//! functions that mend (`redrive-dlq`, `sweep-orders`, `reconcile-events`), and what then comes to
//! rest is judged by the invariants of the design. The same seed replays the same world to the last step.
//!
//! In reading order:
//!
//! - [`scheduler`]: one thread, many tasks, the next step by the seed.
//! - [`faults`], [`mutants`]: what goes wrong; which bugs can be planted.
//! - [`world`]: the ports. [`functions`]: the handlers over them.
//! - [`wiring`], [`platform`]: what AWS does around them, as the template says.
//! - [`shop`]: who uses the system. [`operator`]: who runs it. [`life`]: a world from its beginning to its verdict, by
//!   [`judge`]. [`trace`]: what happened in it.
//! - [`model`]: one order, in every state that it can come to.
//! - [`hot_sku`]: a flash sale, with the stock in more or fewer buckets.
//! - [`runner`]: many worlds. [`cli`]: what can be asked.

pub mod cli;
pub mod faults;
pub mod functions;
pub mod hot_sku;
pub mod judge;
pub mod life;
pub mod model;
pub mod mutants;
pub mod operator;
pub mod platform;
pub mod runner;
pub mod scheduler;
pub mod shop;
pub mod trace;
pub mod wiring;
pub mod world;

#[cfg(test)]
mod tests;
