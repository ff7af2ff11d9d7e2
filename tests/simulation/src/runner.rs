//! Many worlds, spread over threads; each world on one.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use fastrand::Rng;

use crate::faults::{Counts, Fault};
use crate::life::{Life, live};
use crate::mutants::Mutant;
use crate::wiring::Wiring;
use crate::world::Plan;

/// Orders of one world.
pub const WORLD: usize = 100;
/// Orders after which a planted bug counts as not found. Each bug shows in one world of twelve at
/// least, but which world that is changes with everything that draws a number.
pub const HUNTED: usize = 10_000;
/// Worlds with violations after which a run ends.
const ENOUGH: usize = 3;

/// A run over many worlds.
#[derive(Debug, Clone)]
pub struct Run {
    /// Decides everything.
    pub seed: u64,
    /// How many orders are placed in all.
    pub orders: usize,
    /// Which kinds of faults there may be.
    pub faults: Vec<Fault>,
    /// The planted bug, if one is.
    pub mutant: Option<Mutant>,
    /// How many threads work.
    pub threads: usize,
}

/// A world in which something is wrong.
#[derive(Debug, Clone)]
pub struct Broken {
    /// Replays it.
    pub seed: u64,
    /// How many orders were placed in it.
    pub orders: usize,
    /// What is wrong.
    pub violations: Vec<String>,
}

/// What came of a run.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Worlds that were lived through.
    pub worlds: usize,
    /// Orders that were accepted in them.
    pub orders: usize,
    /// Steps of all schedulers.
    pub steps: u64,
    /// Calls of functions.
    pub invocations: u64,
    /// Faults by kind.
    pub faults: Counts,
    /// Worlds in which something is wrong.
    pub broken: Vec<Broken>,
    /// The hashes of all worlds in one, whatever the order in which they came to their end.
    pub hash: u64,
}

impl Report {
    fn add(&mut self, plan: &Plan, life: Life) {
        self.worlds += 1;
        self.orders += life.orders;
        self.steps += life.steps;
        self.invocations += life.invocations;
        self.faults.add(&life.faults);
        self.hash ^= life.hash;
        if !life.violations.is_empty() {
            self.broken.push(Broken {
                seed: plan.seed,
                orders: plan.orders,
                violations: life.violations,
            });
        }
    }
}

impl Run {
    /// The seed of the `index`-th world.
    fn world_seed(&self, index: u64) -> u64 {
        let mut rng = Rng::with_seed(
            self.seed
                .wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        );
        rng.u64(..)
    }

    fn plan(&self, index: u64) -> Option<Plan> {
        let before = usize::try_from(index).ok()?.checked_mul(WORLD)?;
        let orders = self.orders.checked_sub(before).filter(|rest| *rest > 0)?;
        Some(Plan {
            seed: self.world_seed(index),
            orders: orders.min(WORLD),
            faults: self.faults.clone(),
            mutant: self.mutant,
            trace: false,
        })
    }

    /// Lives through all worlds, or until enough of them are broken; `progress` is told the orders
    /// and the violations so far.
    ///
    /// # Errors
    /// When there is no runtime to be had.
    pub fn go(
        &self,
        wiring: &Arc<Wiring>,
        progress: impl Fn(&Report) + Sync,
    ) -> Result<Report, std::io::Error> {
        let next = AtomicU64::new(0);
        let over = AtomicBool::new(false);
        let report = Mutex::new(Report::default());
        let work = || -> Result<(), std::io::Error> {
            while !over.load(Ordering::Relaxed) {
                let Some(plan) = self.plan(next.fetch_add(1, Ordering::Relaxed)) else {
                    break;
                };
                let life = live(&plan, wiring)?;
                let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
                report.add(&plan, life);
                progress(&report);
                if report.broken.len() >= ENOUGH {
                    over.store(true, Ordering::Relaxed);
                }
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..self.threads.max(1))
                .map(|_| scope.spawn(work))
                .collect();
            for worker in workers {
                match worker.join() {
                    Ok(done) => done?,
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            Ok(())
        })
        .map(|()| report.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How a planted bug was found.
#[derive(Debug, Clone)]
pub struct Caught {
    /// Which bug.
    pub mutant: Mutant,
    /// The world that found it, and what it says; none when the bug survived.
    pub by: Option<Broken>,
    /// Orders that were simulated until then.
    pub orders: usize,
}

/// Lives through worlds with a planted bug until one finds it; so many orders at most.
///
/// # Errors
/// When there is no runtime to be had.
pub fn hunt(
    mutant: Mutant,
    seed: u64,
    most: usize,
    wiring: &Arc<Wiring>,
) -> Result<Caught, std::io::Error> {
    let run = Run {
        seed,
        orders: most,
        faults: Fault::ALL.to_vec(),
        mutant: Some(mutant),
        threads: 1,
    };
    let mut orders = 0;
    for index in 0.. {
        let Some(plan) = run.plan(index) else {
            break;
        };
        let life = live(&plan, wiring)?;
        orders += life.orders;
        if !life.violations.is_empty() {
            return Ok(Caught {
                mutant,
                by: Some(Broken {
                    seed: plan.seed,
                    orders: plan.orders,
                    violations: life.violations,
                }),
                orders,
            });
        }
    }
    Ok(Caught {
        mutant,
        by: None,
        orders,
    })
}
