//! `load`: many orders at once, and what it took.

mod accounting;
mod measuring;
mod order_file;
mod placing;
mod progress;
mod report;
mod saga_watch;
mod stock_file;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use super::function_table::function_table;
use super::interruption::Interruption;
use super::restock::Needs;
use super::{interrupted, options, shut_down, start};
use crate::cli::{LoadArgs, StackArgs};
use crate::error::LocalError;
use crate::http_client::HttpClient;
use crate::stack::Stack;
use crate::terminal::{Output, Palette, Printer};
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
    let printer = Arc::new(Printer::start(Output::Stderr));
    let mut options = options(shared)?;
    options.keep_history = true;
    if shared.logs {
        options.logs = Arc::clone(&printer) as _;
    }
    let mut interruption = Interruption::listen();
    let Some(stack) = start(options, &mut interruption).await? else {
        return Ok(interrupted());
    };
    let load = Load {
        stack: &stack,
        client: HttpClient::new(),
        concurrency: args.concurrency,
        interruption: &mut interruption,
    };
    let measured = load.run(&needs, orders).await;
    // Before the end: whatever goes wrong there, what was measured is told.
    if let Ok(measured) = &measured {
        print(measured, &stack, args, lines);
    }
    let ended = shut_down(stack, &mut interruption).await;
    printer.finish();
    let measured = measured?;
    measured.unrest.map_or(Ok(()), Err)?;
    ended?;
    let broken = |report: &Report| !invariants::broken(&report.invariants).is_empty();
    Ok(if measured.report.as_ref().is_some_and(broken) {
        ExitCode::FAILURE
    } else if measured.interrupted {
        interrupted()
    } else {
        ExitCode::SUCCESS
    })
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

fn print(measured: &Measured, stack: &Stack, args: &LoadArgs, lines: usize) {
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
        let functions = function_table(&stack.host().stats(), &stack.configured_memory());
        let text = report.to_text(Palette::of_stdout());
        format!("{text}\n{}", functions.trim_end())
    };
    // Whoever closed the pipe does not want to read on.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}
