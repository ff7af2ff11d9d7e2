//! A world from its first order to its last event: faults while orders are placed, then none,
//! until everything has come to rest and was reconciled; then a replay, days later; then the
//! verdict.

use std::sync::Arc;
use std::time::Duration;

use crate::faults::{Counts, Fault};
use crate::judge::judge;
use crate::operator;
use crate::platform::schedules::RECONCILER;
use crate::scheduler::{Scheduler, spawn};
use crate::shop::{self, Shop};
use crate::wiring::Wiring;
use crate::world::history::Log;
use crate::world::{Plan, World, lock};
use jiff::SignedDuration;
use serde_json::json;

/// How long faults go on at most.
const TROUBLE: Duration = Duration::from_mins(40);
/// How much later events are replayed: after the gateway has forgotten its keys.
const DAYS: Duration = Duration::from_hours(49);
/// So often the clock strikes at most until everything is at rest; then there is no hope.
const STRIKES: u32 = 400;
/// So many days it takes at most until everything is proved to be published.
const MOST_DAYS: u32 = 10;
/// So far back an operator reconciles where the clock's call failed: markers are kept for 30 days.
const REACH: SignedDuration = SignedDuration::from_hours(24 * 14);
/// What was stored is on its way for so long, as far as clocks can be trusted.
const ON_ITS_WAY: SignedDuration = SignedDuration::from_mins(30);

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
    let log = tracing::subscriber::set_default(Log(Arc::clone(&world)));
    let shop = Arc::new(Shop::default());
    let mut scheduler = Scheduler::new(plan.seed);
    shop::open(&world, &shop, plan.orders);
    let mut missing = go_on(&world, &mut scheduler).await;
    if world.draws(Fault::LateReplay) {
        days_pass(&world, &mut scheduler).await;
        replay(&world);
        missing += go_on(&world, &mut scheduler).await;
    }
    world.close();
    drop(log);
    let (hash, trace) = world.history();
    Life {
        orders: shop.known().accepted.len(),
        steps: scheduler.steps(),
        invocations: world.platform.invocations(),
        faults: world.faults.counts(),
        violations: judge(&world, &shop.known(), missing),
        hash,
        trace,
    }
}

/// What goes on now, with faults and then without, until all is at rest and reconciled.
///
/// How many events reconciling found that were not published, once there were no faults.
async fn go_on(world: &Arc<World>, scheduler: &mut Scheduler) -> u64 {
    spawn(trouble(Arc::clone(world)));
    spawn(Arc::clone(world).tick());
    scheduler.run().await;
    let before = world.reconciling().missing_in_all;
    rest(world, scheduler).await;
    reconcile(world, scheduler).await;
    world.reconciling().missing_in_all - before
}

/// Faults, for a while.
async fn trouble(world: Arc<World>) {
    world.faults.turn(true);
    let end = world.elapsed() + TROUBLE.mul_f64(world.draw(fastrand::Rng::f64));
    operator::meddle(Arc::clone(&world), end).await;
    world.faults.turn(false);
    world.note(format_args!("from now on everything works"));
}

/// Without faults: the clock goes on, and an operator decides about what is parked, until nothing
/// is left to do.
async fn rest(world: &Arc<World>, scheduler: &mut Scheduler) {
    for _ in 0..STRIKES {
        let is_due = world.sleep_until_due().await;
        let decided = operator::decide(world).await;
        if !is_due && !decided {
            break;
        }
        strike(world, scheduler).await;
    }
}

/// The clock strikes once, and everything runs that follows.
async fn strike(world: &Arc<World>, scheduler: &mut Scheduler) {
    world.strike().await;
    spawn(Arc::clone(world).tick());
    scheduler.run().await;
}

/// The days go on until one of them proves that what was stored was published.
async fn reconcile(world: &Arc<World>, scheduler: &mut Scheduler) {
    let mut at_rest_since = world.true_time();
    for _ in 0..MOST_DAYS {
        world.sleep_until_reconciling().await;
        let before = world.reconciling();
        strike(world, scheduler).await;
        rest(world, scheduler).await;
        let after = world.reconciling();
        let proved = after.times > before.times && after.missing == 0;
        let all_settled = at_rest_since.saturating_add(ON_ITS_WAY).unwrap_or_default();
        let done_to = world.progressed().await.done_to;
        if proved && done_to > Some(all_settled) {
            break;
        }
        if !proved {
            at_rest_since = world.true_time();
        }
    }
    // The clock's calls go on where the last one stopped; where one failed altogether, an operator
    // makes sure.
    if world.reconciling().failed > 0 {
        let from = world.true_time().saturating_sub(REACH).unwrap_or_default();
        let call = json!({"from": from});
        let operated = Arc::clone(world);
        spawn(async move {
            operated.operate(RECONCILER, &call).await;
        });
        scheduler.run().await;
        rest(world, scheduler).await;
    }
}

/// Nothing happens but what the clock calls.
async fn days_pass(world: &Arc<World>, scheduler: &mut Scheduler) {
    let end = world.elapsed() + DAYS;
    while world.elapsed() + world.until_reconciling() < end {
        world.sleep_until_reconciling().await;
        strike(world, scheduler).await;
        rest(world, scheduler).await;
    }
    tokio::time::sleep(end.saturating_sub(world.elapsed())).await;
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
