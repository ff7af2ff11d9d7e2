//! What can be asked of `cargo sim`.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;

use crate::faults::Fault;
use crate::hot_sku::Sales;
use crate::life::live;
use crate::model;
use crate::mutants::Mutant;
use crate::runner::{Broken, HUNTED, Report, Run, WORLD, hunt};
use crate::wiring::Wiring;
use crate::world::Plan;

/// So many violations of the model are said in full.
const SAID: usize = 5;
/// How often progress is told.
const TELL: Duration = Duration::from_millis(500);

/// Simulates the whole order system, with faults, and checks every invariant.
#[derive(Debug, Parser)]
#[allow(clippy::struct_excessive_bools)] // Flags.
#[command(name = "cargo sim", version, about)]
pub struct Cli {
    /// Decides everything; the same seed gives the same worlds
    #[arg(long, default_value_t = 1, value_name = "S")]
    seed: u64,
    /// How many orders are placed
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    orders: usize,
    /// Kinds of faults there may be, separated by commas; `all` or `none`
    #[arg(long, default_value = "all", value_name = "KINDS")]
    faults: String,
    /// Plant every known bug, one after the other, and look whether it is found
    #[arg(long, conflicts_with_all = ["world", "mutant"])]
    mutants: bool,
    /// Enumerate every state that one order can come to, and check each of them
    #[arg(long, conflicts_with_all = ["world", "mutant", "mutants"])]
    model: bool,
    /// Hold flash sales of one SKU, its stock in more or fewer buckets, and tell how they went
    #[arg(long, conflicts_with_all = ["world", "mutant", "mutants", "model"])]
    hot_sku: bool,
    /// Plant this bug
    #[arg(long, value_name = "BUG")]
    mutant: Option<Mutant>,
    /// Replay the one world of this seed
    #[arg(long, value_name = "SEED")]
    world: Option<u64>,
    /// Print what happens in that world, step by step
    #[arg(long, requires = "world")]
    trace: bool,
    /// How many worlds are lived through at a time; as many as there are processors
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

fn hold_sales(seed: u64) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let sales = Sales::hold(seed)?;
    print!("{sales}");
    Ok(if sales.all_sold() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Does what is asked for. What was found wrong is the exit code.
///
/// # Errors
/// For arguments or a template that cannot be read.
pub fn run(cli: &Cli) -> Result<ExitCode, Box<dyn std::error::Error>> {
    if cli.hot_sku {
        return hold_sales(cli.seed);
    }
    let wiring = Wiring::of_template()?;
    let faults = parse_faults(&cli.faults)?;
    if cli.model {
        return check_model();
    }
    if cli.mutants {
        return hunt_all(cli, &wiring);
    }
    if let Some(seed) = cli.world {
        let plan = Plan {
            seed,
            orders: cli.orders.min(WORLD),
            faults,
            mutant: cli.mutant,
            trace: cli.trace,
        };
        return replay(&plan, &wiring);
    }
    let threads = cli
        .threads
        .map_or_else(std::thread::available_parallelism, |threads| {
            Ok(threads
                .try_into()
                .unwrap_or(std::num::NonZero::<usize>::MIN))
        })?;
    let run = Run {
        seed: cli.seed,
        orders: cli.orders,
        faults,
        mutant: cli.mutant,
        threads: threads.get(),
    };
    let began = Instant::now();
    let told = std::sync::Mutex::new(began);
    let report = run.go(&wiring, |report| progress(report, run.orders, began, &told))?;
    print(&report, cli, began.elapsed());
    Ok(if report.broken.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn parse_faults(text: &str) -> Result<Vec<Fault>, String> {
    match text {
        "all" => Ok(Fault::ALL.to_vec()),
        "none" => Ok(Vec::new()),
        names => names.split(',').map(str::parse).collect(),
    }
}

fn rate(orders: usize, took: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
    let orders = orders as f64;
    orders / took.as_secs_f64().max(0.001)
}

fn progress(report: &Report, orders: usize, began: Instant, told: &std::sync::Mutex<Instant>) {
    if !std::io::stderr().is_terminal() {
        return;
    }
    let mut told = told
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if told.elapsed() >= TELL {
        *told = Instant::now();
        let done = report.orders;
        eprint!(
            "\r{done} of {orders} orders, {:.0}/s ",
            rate(done, began.elapsed())
        );
    }
}

fn print(report: &Report, cli: &Cli, took: Duration) {
    if std::io::stderr().is_terminal() {
        eprint!("\r{:60}\r", "");
    }
    let mut out = std::io::stdout().lock();
    let total = report.faults.total();
    let mut lines = vec![format!(
        "{} orders in {} worlds, {} invocations, {} steps, {total} faults",
        report.orders, report.worlds, report.invocations, report.steps
    )];
    for (fault, count) in report.faults.iter().filter(|(_, count)| *count > 0) {
        lines.push(format!("  {:<26}{count:>12}", fault.name()));
    }
    lines.push(format!(
        "{:.0} orders/s, {:.1} s; trace {:016x}",
        rate(report.orders, took),
        took.as_secs_f64(),
        report.hash
    ));
    for broken in &report.broken {
        lines.push(format!("world {} is broken:", broken.seed));
        lines.extend(broken.violations.iter().map(|line| format!("  {line}")));
        lines.push(format!("  replay: {}", replay_command(broken, cli)));
    }
    let violations = report.broken.len();
    lines.push(match violations {
        0 => "0 violations: every invariant holds".to_owned(),
        count => format!("{count} broken worlds"),
    });
    // Whoever closed the pipe does not want the answer.
    let _ = writeln!(out, "{}", lines.join("\n"));
}

fn replay_command(broken: &Broken, cli: &Cli) -> String {
    let mutant = cli
        .mutant
        .map_or_else(String::new, |mutant| format!(" --mutant {}", mutant.name()));
    format!(
        "cargo sim --world {} --orders {} --faults {}{mutant} --trace",
        broken.seed, broken.orders, cli.faults
    )
}

fn replay(plan: &Plan, wiring: &Arc<Wiring>) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let life = live(plan, wiring)?;
    let mut out = std::io::stdout().lock();
    if let Some(trace) = &life.trace {
        let _ = write!(out, "{trace}");
    }
    for violation in &life.violations {
        let _ = writeln!(out, "{violation}");
    }
    let _ = writeln!(
        out,
        "{} orders, {} invocations, {} steps, {} faults; trace {:016x}",
        life.orders,
        life.invocations,
        life.steps,
        life.faults.total(),
        life.hash
    );
    Ok(if life.violations.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn check_model() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let checked = model::check(model::FAULTS, true)?;
    let mut out = std::io::stdout().lock();
    for wrong in checked.wrong.iter().take(SAID) {
        let _ = writeln!(out, "{wrong}");
    }
    let _ = writeln!(
        out,
        "{} states, {} steps, {} ends, {} violations",
        checked.states,
        checked.steps,
        checked.ends,
        checked.wrong.len()
    );
    Ok(if checked.wrong.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn hunt_all(cli: &Cli, wiring: &Arc<Wiring>) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut survivors = 0;
    let mut out = std::io::stdout().lock();
    for mutant in Mutant::ALL {
        let caught = hunt(*mutant, cli.seed, HUNTED, wiring)?;
        let name = mutant.name();
        let line = if let Some(by) = &caught.by {
            let first = by.violations.first().map_or("", String::as_str);
            let short: String = first.chars().take(160).collect();
            format!("caught   {name:<34} world {:<20} {short}", by.seed)
        } else {
            survivors += 1;
            format!("SURVIVED {name:<34} {} orders", caught.orders)
        };
        let _ = writeln!(out, "{line}");
    }
    let planted = Mutant::ALL.len();
    let _ = writeln!(
        out,
        "{} of {planted} planted bugs caught",
        planted - survivors
    );
    Ok(if survivors == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
