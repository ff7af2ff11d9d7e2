//! One load: stock, orders, rest, and what was seen of it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::accounting::Prices;
use super::order_file::OrderLine;
use super::placing::{self, Patience, Placed, Placing};
use super::progress::Progress;
use super::report::{Report, Run};
use super::saga_watch::{SagaWatch, Sagas};
use crate::commands::GRACE;
use crate::commands::evidence::evidence;
use crate::commands::interruption::Interruption;
use crate::commands::restock::Needs;
use crate::commands::used::Used;
use crate::error::LocalError;
use crate::http_client::HttpClient;
use crate::stack::Stack;
use crate::store_view::Tables;

/// So long may the system take to come to rest, plus [`PER_ORDER`] for each order.
const DEADLINE: Duration = Duration::from_mins(2);
/// See [`DEADLINE`].
const PER_ORDER: Duration = Duration::from_millis(500);

/// So long may the system take to come to rest with so many orders.
pub(super) fn deadline(orders: usize) -> Duration {
    DEADLINE + PER_ORDER * u32::try_from(orders).unwrap_or(u32::MAX)
}

/// What came of a load.
pub(super) struct Measured {
    /// The report; none when it was interrupted before there was anything to say.
    pub report: Option<Report>,
    /// Whether it was cut short.
    pub interrupted: bool,
    /// What kept the system from coming to rest in time.
    pub unrest: Option<LocalError>,
}

impl Measured {
    /// Cut short without a report.
    pub(super) const NOTHING: Self = Self {
        report: None,
        interrupted: true,
        unrest: None,
    };
}

/// A load under way.
pub(super) struct Load<'s> {
    pub stack: &'s Stack,
    pub concurrency: u16,
    pub interruption: &'s mut Interruption,
}

impl Load<'_> {
    /// Stocks, places all orders, waits for rest, and reckons. After the first interruption no
    /// more orders are placed, and what there is is reported; after a second one, nothing.
    pub(super) async fn run(
        mut self,
        needs: &Needs,
        orders: Vec<OrderLine>,
    ) -> Result<Measured, LocalError> {
        let deadline = deadline(orders.len());
        let stocking = stock(self.stack, needs, deadline);
        let Some(stocked) = self.interruption.or(stocking).await else {
            return Ok(Measured::NOTHING);
        };
        stocked?;
        let api = self.stack.api_url();
        let aws = self.stack.endpoint().url();
        let clients = Placing::at(&api, &aws, self.concurrency, Patience::USUAL).await?;
        let progress = Progress::start(orders.len());
        let tables = Tables::of(self.stack.template());
        let stream = self.stack.endpoint().stream(&tables.event_store);
        let watch = SagaWatch::start(stream, progress.clone());
        let before = Used::of(self.stack);
        let Some((placed, stopped)) = self.place(&clients, orders, &progress).await else {
            return Ok(Measured::NOTHING);
        };
        let Some(rest) = self.rest(deadline, stopped).await else {
            return Ok(Measured::NOTHING);
        };
        let used = Used::of(self.stack) - before;
        let sagas = watch.finish().await;
        progress.finish();
        let report = self.report(placed, sagas, &used, &rest).await?;
        Ok(Measured {
            report: Some(report),
            interrupted: rest.interrupted,
            unrest: rest.unrest.filter(|_| !rest.interrupted),
        })
    }

    /// The answers, and whether the placing was interrupted; none after a second interruption.
    async fn place(
        &mut self,
        clients: &Placing,
        orders: Vec<OrderLine>,
        progress: &Progress,
    ) -> Option<(Vec<Placed>, bool)> {
        let progress = progress.clone();
        // An accepted order has come to its end when its fate is stored.
        let placing = placing::place_all(clients, orders, move |placed| {
            if placed.order.is_none() {
                progress.one_more();
            }
        });
        let mut placing = std::pin::pin!(placing);
        if let Some(placed) = self.interruption.or(&mut placing).await {
            return Some((placed, false));
        }
        clients.stop.store(true, Ordering::Release);
        let placed = self.interruption.or(placing).await?;
        Some((placed, true))
    }

    /// Waits until the system is at rest, not for long once it was interrupted; none after a
    /// second interruption.
    async fn rest(&mut self, deadline: Duration, interrupted: bool) -> Option<Rest> {
        if !interrupted && let Some(rest) = self.interruption.or(self.stack.quiet(deadline)).await {
            return Some(Rest {
                interrupted: false,
                unrest: rest.err(),
            });
        }
        let rest = self.interruption.or(self.stack.quiet(GRACE)).await?;
        Some(Rest {
            interrupted: true,
            unrest: rest.err(),
        })
    }

    async fn report(
        &self,
        placed: Vec<Placed>,
        sagas: Sagas,
        used: &Used,
        rest: &Rest,
    ) -> Result<Report, LocalError> {
        let accepted = placed.iter().filter_map(|one| one.order.clone()).collect();
        let evidence = evidence(self.stack, accepted, Some(sagas.rewrites)).await?;
        let dead_letters = self.stack.dead_letter_depths().await?;
        Ok(Report::of(Run {
            lines: placed.len(),
            placed,
            sagas,
            used: *used,
            prices: Prices::list(),
            evidence,
            is_over: rest.unrest.is_none() || !rest.interrupted,
            dead_letters,
            chaos: None,
        }))
    }
}

/// How the waiting for rest ended.
struct Rest {
    interrupted: bool,
    unrest: Option<LocalError>,
}

/// Stocks what is needed, and waits for rest.
pub(super) async fn stock(
    stack: &Stack,
    needs: &Needs,
    deadline: Duration,
) -> Result<(), LocalError> {
    let aws = stack.endpoint().url();
    let client = HttpClient::new();
    needs.restock(&client, &stack.api_url(), &aws).await?;
    stack.quiet(deadline).await
}
