//! A world from its first order to its last event: faults while orders are placed, then none,
//! until everything has come to rest; then a replay, days later; then the verdict.

use std::sync::Arc;
use std::time::Duration;

use crate::faults::{Counts, Fault};
use crate::judge::judge;
use crate::scheduler::{Scheduler, spawn};
use crate::shop::{self, Shop};
use crate::wiring::Wiring;
use crate::world::{Plan, World, lock};

/// How long faults go on at most.
const TROUBLE: Duration = Duration::from_mins(40);
/// How often letters are redriven while faults go on.
const EARLY: Duration = Duration::from_mins(3);
/// How much later events are replayed: after the gateway has forgotten its keys.
const DAYS: Duration = Duration::from_hours(49);
/// Rounds of redriving after which nothing more is to be hoped for.
const ROUNDS: u32 = 12;
/// How long a redriver waits between its rounds.
const BETWEEN: Duration = Duration::from_mins(2);

/// What came of a world.
#[derive(Debug, Clone, Default)]
pub struct Life {
    /// Orders that were accepted.
    pub orders: usize,
    /// Steps of the scheduler.
    pub steps: u64,
    /// Calls of functions.
    pub invocations: u64,
    /// Faults by kind.
    pub faults: Counts,
    /// What is wrong; nothing, if nothing is.
    pub violations: Vec<String>,
    /// Hash of everything that happened.
    pub hash: u64,
    /// Everything that happened, where it was asked for.
    pub trace: Option<String>,
}

/// Lives through a world.
///
/// # Errors
/// When there is no runtime to be had.
pub fn live(plan: &Plan, wiring: &Arc<Wiring>) -> Result<Life, std::io::Error> {
    // The backoff of the handlers draws from the thread's generator.
    fastrand::seed(plan.seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    Ok(runtime.block_on(lifetime(plan, wiring)))
}

async fn lifetime(plan: &Plan, wiring: &Arc<Wiring>) -> Life {
    let world = World::new(plan, Arc::clone(wiring));
    let shop = Arc::new(Shop::default());
    let mut scheduler = Scheduler::new(plan.seed);
    shop::open(&world, &shop, plan.orders);
    spawn(trouble(Arc::clone(&world)));
    scheduler.run().await;
    rest(&world, &mut scheduler).await;
    if world.draws(Fault::LateReplay) {
        tokio::time::sleep(DAYS).await;
        replay(&world);
        spawn(trouble(Arc::clone(&world)));
        scheduler.run().await;
        rest(&world, &mut scheduler).await;
    }
    world.close();
    let (hash, trace) = world.history();
    Life {
        orders: shop.known().accepted.len(),
        steps: scheduler.steps(),
        invocations: world.platform.invocations(),
        faults: world.faults.counts(),
        violations: judge(&world, &shop.known()),
        hash,
        trace,
    }
}

/// Faults, for a while.
async fn trouble(world: Arc<World>) {
    world.faults.turn(true);
    let end = world.elapsed() + TROUBLE.mul_f64(world.draw(fastrand::Rng::f64));
    while world.elapsed() < end {
        world.pause(EARLY).await;
        if world.hits(Fault::EarlyRedrive) {
            world.redrive(false).await;
        }
    }
    world.faults.turn(false);
    world.note(format_args!("from now on everything works"));
}

/// Without faults: what was given up is redriven, what is parked is released by an operator, until
/// nothing changes any more.
async fn rest(world: &Arc<World>, scheduler: &mut Scheduler) {
    for _ in 0..ROUNDS {
        let redriving = Arc::clone(world);
        spawn(async move {
            redriving.redrive(true).await;
        });
        scheduler.run().await;
        if world.letters().is_empty() {
            break;
        }
        tokio::time::sleep(BETWEEN).await;
    }
}

/// Some events that were published are delivered to their consumers once more.
fn replay(world: &Arc<World>) {
    let published = lock(&world.published).clone();
    for one in published {
        if world.draw(|rng| rng.f64() < 0.2) {
            world.faults.count(Fault::LateReplay);
            world.route(&one.event);
        }
    }
}
