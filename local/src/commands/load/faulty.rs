//! A load with faults: the system is a process of its own while things go wrong; then it starts
//! here, on its data, without faults, heals, and is judged.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::accounting::Prices;
use super::healing::{self, Healed};
use super::measuring::{Measured, deadline, stock};
use super::order_file::OrderLine;
use super::placing::{self, Patience, Placed, Placing};
use super::progress::Progress;
use super::report::{Chaos, Report, Run};
use super::saga_watch::Sagas;
use super::server::Server;
use crate::cli::StackArgs;
use crate::commands::evidence::evidence;
use crate::commands::interruption::Interruption;
use crate::commands::restock::Needs;
use crate::commands::used::Used;
use crate::commands::{options, shut_down, start};
use crate::error::LocalError;
use crate::faults::{Dice, FaultKind, FaultPlan};
use crate::stack::{Stack, StackOptions};

/// The system is killed this often, and once more for each [`ORDERS_PER_RESTART`].
const RESTARTS: usize = 2;
/// See [`RESTARTS`].
const ORDERS_PER_RESTART: usize = 1500;
/// The template's parameter of how long an order may stand still, in seconds.
const STUCK_AFTER: &str = "StuckAfterSeconds";
/// How soon it is looked again how many orders were placed.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// Most milliseconds between the order that a restart is planned at, and the restart.
const RESTART_MILLIS: u64 = 500;

/// A load with faults, under way.
pub(super) struct FaultyLoad<'a> {
    pub shared: &'a StackArgs,
    pub plan: FaultPlan,
    /// Everything that happens is kept here.
    pub folder: &'a Path,
    pub concurrency: u16,
    pub interruption: &'a mut Interruption,
}

/// What came of the placing.
struct Placement {
    placed: Vec<Placed>,
    used: Used,
    /// How often the system was killed.
    kills: u64,
    interrupted: bool,
}

impl FaultyLoad<'_> {
    /// Stocks, places all orders while things go wrong, lets the system heal, and reckons. After
    /// an interruption no more orders are placed, and what there is is reported; after a second
    /// one, nothing.
    pub(super) async fn run(
        mut self,
        needs: &Needs,
        orders: Vec<OrderLine>,
    ) -> Result<Measured, LocalError> {
        let deadline = deadline(orders.len());
        if self.stocked(needs, deadline).await?.is_none() {
            return Ok(Measured::NOTHING);
        }
        let Some(placement) = self.placed(orders, deadline).await? else {
            return Ok(Measured::NOTHING);
        };
        let mut options = self.options()?;
        sweep_at_once(&mut options);
        let Some(stack) = start(options, self.interruption).await? else {
            return Ok(Measured::NOTHING);
        };
        let healing = healing::heal(&stack, deadline);
        let healed = match self.interruption.or(healing).await {
            Some(healed) => healed,
            None => Healed::interrupted(),
        };
        let measured = self.judged(&stack, placement, healed).await;
        shut_down(stack, self.interruption).await?;
        measured
    }

    /// The options of the system that runs here.
    fn options(&self) -> Result<StackOptions, LocalError> {
        let mut options = options(self.shared)?;
        options.data_dir = Some(self.folder.to_owned());
        options.keep_history = true;
        Ok(options)
    }

    /// Stocks what is needed, before anything goes wrong; none when it was interrupted.
    async fn stocked(
        &mut self,
        needs: &Needs,
        deadline: Duration,
    ) -> Result<Option<()>, LocalError> {
        let Some(stack) = start(self.options()?, self.interruption).await? else {
            return Ok(None);
        };
        let stocking = stock(&stack, needs, deadline);
        let stocked = self.interruption.or(stocking).await;
        shut_down(stack, self.interruption).await?;
        stocked.transpose()
    }

    /// Places the orders while things go wrong, until all of them have come to rest.
    async fn placed(
        &mut self,
        orders: Vec<OrderLine>,
        deadline: Duration,
    ) -> Result<Option<Placement>, LocalError> {
        let starting = Server::start(self.shared, &self.plan, self.folder);
        let Some(server) = self.interruption.or(starting).await else {
            return Ok(None);
        };
        let mut server = server?;
        let restarts = self.restarts(orders.len());
        let Some((placed, mut interrupted)) = place(
            &mut server,
            orders,
            self.concurrency,
            restarts,
            self.interruption,
        )
        .await?
        else {
            return Ok(None);
        };
        if !interrupted {
            // Where it does not come to rest with faults, it must without.
            let rest = self.interruption.or(server.quiet(deadline)).await;
            interrupted = rest.is_none();
        }
        if self.plan.has(FaultKind::Restart) {
            server.kill().await;
        } else {
            server.end().await;
        }
        Ok(Some(Placement {
            placed,
            used: server.used(),
            kills: server.kills(),
            interrupted,
        }))
    }

    /// After how many orders the system is killed, and after how long then.
    fn restarts(&self, orders: usize) -> Vec<(usize, Duration)> {
        if !self.plan.has(FaultKind::Restart) {
            return Vec::new();
        }
        let dice = Dice::new(self.plan.seed);
        let throws = (0..RESTARTS + orders / ORDERS_PER_RESTART).map(|nth| {
            let mut throw = dice.throw("restart", nth as u64);
            let at = throw.below(orders as u64 + 1);
            let later = Duration::from_millis(throw.below(RESTART_MILLIS));
            (usize::try_from(at).unwrap_or(orders), later)
        });
        let mut restarts: Vec<_> = throws.collect();
        restarts.sort_unstable();
        restarts
    }

    async fn judged(
        &self,
        stack: &Stack,
        placement: Placement,
        healed: Healed,
    ) -> Result<Measured, LocalError> {
        let Placement {
            placed,
            mut used,
            kills,
            interrupted,
        } = placement;
        used += Used::of(stack);
        let accepted = placed.iter().filter_map(|one| one.order.clone()).collect();
        let mut evidence = evidence(stack, accepted, None).await?;
        // Lines that were in the pipe when the system was killed.
        evidence.gateway_gaps = self.plan.has(FaultKind::Restart);
        let mut done = stack.faults();
        if self.plan.has(FaultKind::Restart) {
            done.insert(FaultKind::Restart, kills);
        }
        let interrupted = interrupted || healed.interrupted;
        let report = Report::of(Run {
            lines: placed.len(),
            sagas: Sagas::of(&evidence.stored),
            placed,
            used,
            prices: Prices::list(),
            evidence,
            is_over: healed.unrest.is_none() || !interrupted,
            dead_letters: stack.dead_letter_depths().await?,
            chaos: Some(Chaos {
                plan: self.plan.clone(),
                done,
                healed: healed.by,
            }),
        });
        Ok(Measured {
            report: Some(report),
            interrupted,
            unrest: healed.unrest.filter(|_| !interrupted),
        })
    }
}

/// Whoever is at rest and open is stuck: nobody has to wait for it to be so for long.
fn sweep_at_once(options: &mut StackOptions) {
    let template = std::fs::read_to_string(&options.template).unwrap_or_default();
    let has_it = |line: &str| line.trim() == format!("{STUCK_AFTER}:");
    if template.lines().any(has_it) {
        let parameters = &mut options.parameters;
        let after = parameters.entry(STUCK_AFTER.to_owned());
        after.or_insert_with(|| "1".to_owned());
    }
}

/// The answers, and whether the placing was interrupted; none after a second interruption.
async fn place(
    server: &mut Server<'_>,
    orders: Vec<OrderLine>,
    concurrency: u16,
    restarts: Vec<(usize, Duration)>,
    interruption: &mut Interruption,
) -> Result<Option<(Vec<Placed>, bool)>, LocalError> {
    let clients = Placing::at(server.api(), server.aws(), concurrency, Patience::LONG).await?;
    let progress = Progress::start(orders.len());
    let ticking = progress.clone();
    let placing = placing::place_all(&clients, orders, move |_| ticking.one_more());
    let mut placing = std::pin::pin!(placing);
    let restarting = restart_at(server, &clients.begun, restarts);
    let both = async { tokio::join!(&mut placing, restarting) };
    let done = interruption.or(both).await;
    let placed = if let Some((placed, restarted)) = done {
        restarted?;
        Some((placed, false))
    } else {
        clients.stop.store(true, Ordering::Release);
        let placed = interruption.or(placing).await;
        placed.map(|placed| (placed, true))
    };
    progress.finish();
    Ok(placed)
}

/// Kills and starts the system after so many orders were begun each time.
async fn restart_at(
    server: &mut Server<'_>,
    begun: &AtomicUsize,
    restarts: Vec<(usize, Duration)>,
) -> Result<(), LocalError> {
    for (orders, later) in restarts {
        // Workers that find no more orders count on.
        while begun.load(Ordering::Acquire) < orders {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        tokio::time::sleep(later).await;
        server.restart().await?;
    }
    Ok(())
}
