//! `load`: many orders at once, and what it took.

pub mod accounting;
mod faulty;
mod healing;
mod measuring;
mod order_file;
mod placing;
mod progress;
mod report;
mod saga_watch;
mod server;
mod stock_file;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use super::function_table::function_table;
use super::interruption::Interruption;
use super::restock::Needs;
use super::{interrupted, options, shut_down, start};
use crate::cli::{LoadArgs, StackArgs};
use crate::error::LocalError;
use crate::faults::FaultPlan;
use crate::stack::Stack;
use crate::stack::leftovers::TemporaryFolder;
use crate::terminal::{Output, Palette, Printer};
use faulty::FaultyLoad;
use measuring::{Load, Measured};
use order_file::OrderLine;
use report::Report;

/// Places the orders of a file and reports.
///
/// # Errors
/// [`LocalError::Input`] names a line that is no order; what keeps the system from running, or
/// from coming to rest.
pub async fn run(shared: &StackArgs, args: &LoadArgs) -> Result<ExitCode, LocalError> {
    let orders = order_file::read(&args.file)?;
    let needs = needs(args, &orders)?;
    let lines = orders.len();
    if let Some(folder) = &args.data_dir {
        refuse_used(folder)?;
    }
    let measured = match args.faults.plan() {
        None => load(shared, args, &needs, orders).await?,
        Some(plan) => {
            let measured = faulty_load(shared, args, plan, &needs, orders).await?;
            print(&measured, None, args, lines);
            measured
        }
    };
    measured.unrest.map_or(Ok(()), Err)?;
    let broken = |report: &Report| !invariants::broken(&report.invariants).is_empty();
    Ok(if measured.report.as_ref().is_some_and(broken) {
        ExitCode::FAILURE
    } else if measured.interrupted {
        interrupted()
    } else {
        ExitCode::SUCCESS
    })
}

/// With nothing that goes wrong: the system runs in this process.
async fn load(
    shared: &StackArgs,
    args: &LoadArgs,
    needs: &Needs,
    orders: Vec<OrderLine>,
) -> Result<Measured, LocalError> {
    let lines = orders.len();
    let printer = Arc::new(Printer::start(Output::Stderr));
    let mut options = options(shared)?;
    options.keep_history = true;
    options.data_dir.clone_from(&args.data_dir);
    if shared.logs {
        options.logs = Arc::clone(&printer) as _;
    }
    let mut interruption = Interruption::listen();
    let Some(stack) = start(options, &mut interruption).await? else {
        return Ok(Measured::NOTHING);
    };
    let load = Load {
        stack: &stack,
        concurrency: args.concurrency,
        interruption: &mut interruption,
    };
    let measured = load.run(needs, orders).await;
    // Before the end: whatever goes wrong there, what was measured is told.
    if let Ok(measured) = &measured {
        print(measured, Some(&stack), args, lines);
    }
    let ended = shut_down(stack, &mut interruption).await;
    printer.finish();
    let measured = measured?;
    // What kept it from coming to rest comes before what kept it from ending.
    if measured.unrest.is_none() {
        ended?;
    }
    Ok(measured)
}

/// With faults: the system is a process of its own, that can be killed.
async fn faulty_load(
    shared: &StackArgs,
    args: &LoadArgs,
    plan: FaultPlan,
    needs: &Needs,
    orders: Vec<OrderLine>,
) -> Result<Measured, LocalError> {
    let temporary;
    let folder = if let Some(folder) = &args.data_dir {
        folder.as_path()
    } else {
        temporary = temporary_folder()?;
        temporary.path()
    };
    let load = FaultyLoad {
        shared,
        plan,
        folder,
        concurrency: args.concurrency,
        interruption: &mut Interruption::listen(),
    };
    load.run(needs, orders).await
}

fn temporary_folder() -> Result<TemporaryFolder, LocalError> {
    TemporaryFolder::new().map_err(|error| LocalError::file(std::env::temp_dir(), error))
}

/// The invariants are judged by all that happened: nothing may have happened before.
fn refuse_used(folder: &Path) -> Result<(), LocalError> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    match entries.count() {
        0 => Ok(()),
        _ => Err(LocalError::NotEmpty(folder.to_owned())),
    }
}

/// What the file of stock says; without one, what those orders need that the API accepts.
fn needs(args: &LoadArgs, orders: &[OrderLine]) -> Result<Needs, LocalError> {
    if let Some(path) = &args.stock {
        return stock_file::read(path);
    }
    let mut needs = Needs::default();
    for order in orders.iter().filter_map(OrderLine::accepted) {
        needs.add_order(&order.items, order.terms.currency);
    }
    Ok(needs)
}

fn print(measured: &Measured, stack: Option<&Stack>, args: &LoadArgs, lines: usize) {
    let Some(report) = &measured.report else {
        return;
    };
    if measured.interrupted {
        let placed = report.orders();
        let said = format!("Interrupted: {placed} of {lines} orders were placed.");
        let _ = writeln!(std::io::stderr().lock(), "{said}");
    }
    let text = if args.json {
        report.to_json().to_string()
    } else {
        let text = report.to_text(Palette::of_stdout());
        let functions =
            stack.map(|stack| function_table(&stack.host().stats(), &stack.configured_memory()));
        let text = format!("{text}\n{}", functions.unwrap_or_default());
        text.trim_end().to_owned()
    };
    // Whoever closed the pipe does not want to read on.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}
