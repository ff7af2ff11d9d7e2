//! `load`: many orders at once, and what it took.

mod accounting;
mod order_file;
mod placing;
mod progress;
mod report;
mod saga_watch;
mod stock_file;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::function_table::function_table;
use super::restock::Needs;
use super::{GRACE, options};
use crate::cli::{LoadArgs, StackArgs};
use crate::error::LocalError;
use crate::http_client::HttpClient;
use crate::invariants::{self, Evidence};
use crate::stack::Stack;
use crate::store_view::{Store, StoreView, Tables};
use crate::terminal::{Output, Palette, Printer};
use accounting::{Prices, Used};
use order_file::OrderLine;
use progress::Progress;
use report::{Report, Run};
use saga_watch::SagaWatch;

/// So long may the system take to come to rest, plus [`PER_ORDER`] for each order.
const DEADLINE: Duration = Duration::from_mins(2);
/// See [`DEADLINE`].
const PER_ORDER: Duration = Duration::from_millis(500);

/// Places the orders of a file and reports.
///
/// # Errors
/// [`LocalError::Input`] names a line that is no order; what keeps the system from running.
pub async fn run(shared: &StackArgs, args: &LoadArgs) -> Result<ExitCode, LocalError> {
    let orders = order_file::read(&args.file)?;
    let needs = match &args.stock {
        Some(path) => stock_file::read(path)?,
        None => orders.iter().fold(Needs::default(), |mut needs, order| {
            needs.add_order(&order.body);
            needs
        }),
    };
    let printer = Arc::new(Printer::start(Output::Stderr));
    let mut options = options(shared)?;
    options.keep_history = true;
    if shared.logs {
        options.logs = Arc::clone(&printer) as _;
    }
    let stack = Stack::start(options).await?;
    let report = measured(&stack, &needs, orders, args).await;
    let functions = function_table(&stack.host().stats(), &stack.configured_memory());
    stack.shutdown(GRACE).await?;
    printer.finish();
    let report = report?;
    if args.json {
        println!("{}", report.to_json());
    } else {
        print!("{}\n{functions}", report.to_text(Palette::of_stdout()));
    }
    Ok(if invariants::broken(&report.invariants).is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn measured(
    stack: &Stack,
    needs: &Needs,
    orders: Vec<OrderLine>,
    args: &LoadArgs,
) -> Result<Report, LocalError> {
    let client = HttpClient::new();
    let tables = Tables::of(stack.template());
    let deadline = DEADLINE + PER_ORDER * u32::try_from(orders.len()).unwrap_or(u32::MAX);
    needs.restock(&client, &stack.api_url()).await?;
    stack.quiet(deadline).await?;

    let count = orders.len();
    let progress = Progress::start(count);
    let watch = SagaWatch::start(
        stack.endpoint().stream(&tables.event_store),
        progress.clone(),
    );
    let before = Used::of(stack);
    let placed = placing::place_all(
        &client,
        &stack.api_url(),
        orders,
        args.concurrency,
        &progress,
    )
    .await;
    stack.quiet(deadline).await?;
    let used = Used::of(stack).since(&before);
    let sagas = watch.finish();
    progress.finish();

    let stored = StoreView::read(Store::Endpoint(stack.endpoint()), &tables).await?;
    let evidence = Evidence {
        stored,
        published: Some(stack.published()),
        accepted: placed.iter().filter_map(|one| one.order.clone()).collect(),
        given_up: stack
            .dead_letters()
            .into_iter()
            .map(|one| one.body)
            .collect(),
        rewrites: Some(sagas.rewrites),
    };
    Ok(Report::of(Run {
        lines: count,
        placed,
        sagas,
        used,
        prices: Prices::list(),
        evidence,
        dead_letters: stack.dead_letter_depths(),
    }))
}
