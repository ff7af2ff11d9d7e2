//! Places happy orders in one of two systems, on the same local host, and tells as one JSON object
//! what it took: moments, units, price, processor time; with `--steps` what happened when.
//!
//! In reading order: [`System`](system::System) (which of the two), `orders` (what is placed),
//! `clients`, `processor`, `steps`, `report`.

mod clients;
mod orders;
mod processor;
mod report;
mod steps;
mod system;

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use local::Stack;
use local::commands::used::Used;

use clients::Clients;
use orders::Orders;
use processor::Processor;
use report::{Placing, Run};
use steps::Steps;
use system::System;

/// Longest that the system may take to come to rest.
const DEADLINE: Duration = Duration::from_mins(10);
/// So long may what runs go on at the end.
const GRACE: Duration = Duration::from_secs(10);

/// Places orders and tells what it took.
#[derive(Debug, Parser)]
struct Args {
    /// Which system
    #[arg(value_enum)]
    system: System,
    /// Folder of the built programs
    #[arg(long, value_name = "DIR", default_value = "target/debug")]
    programs: PathBuf,
    /// A value for a template parameter; may be repeated
    #[arg(long = "parameter", value_name = "KEY=VALUE")]
    parameters: Vec<String>,
    /// Orders that are placed at the same time
    #[arg(long, default_value_t = 1)]
    clients: usize,
    /// Orders that count
    #[arg(long, default_value_t = 200)]
    orders: usize,
    /// Orders before those, so that every program runs
    #[arg(long, default_value_t = 16)]
    warm: usize,
    /// SKUs that all orders share; each order has two of its own where none is said
    #[arg(long)]
    skus: Option<usize>,
    /// Milliseconds by which every answer of AWS comes later
    #[arg(long, default_value_t = 0)]
    aws_latency: u64,
    /// Tell what happened when, too
    #[arg(long)]
    steps: bool,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    local::open_files::allow_all();
    let steps = Arc::new(Steps::new(args.steps));
    let mut options = args.system.options(&args.programs);
    for parameter in &args.parameters {
        let (name, value) = parameter.split_once('=').ok_or("write KEY=VALUE")?;
        options.parameters.insert(name.to_owned(), value.to_owned());
    }
    options.steps = Arc::clone(&steps) as _;
    options.aws_latency = Duration::from_millis(args.aws_latency);
    let stack = Stack::start(options).await?;
    let run = measured(&args, &stack, &steps).await;
    stack.shutdown(GRACE).await?;
    println!("{}", run?.to_json());
    Ok(())
}

async fn measured(args: &Args, stack: &Stack, steps: &Steps) -> Result<Run, Box<dyn Error>> {
    let orders = Orders {
        skus: args.skus,
        all: args.warm + args.orders,
    };
    let clients = Clients::of(stack, args.clients).await?;
    args.system.stock(stack, &orders.stock()).await?;
    stack.quiet(DEADLINE).await?;
    clients.place(orders.bodies(0..args.warm))?;
    stack.quiet(DEADLINE).await?;

    steps.forget();
    let before = (
        Used::of(stack),
        stack.host().stats(),
        stack.endpoint().meter(),
    );
    let processor = Processor::now();
    // Not on this runtime: what clients take is told apart from what the system takes.
    let placed =
        tokio::task::block_in_place(|| clients.place(orders.bodies(args.warm..orders.all)))?;
    stack.quiet(DEADLINE).await?;
    let rest_millis = clients::now_micros() / 1000;
    let processor = Processor::now().since(&processor, placed.processor);
    let used = Used::of(stack) - before.0;
    let meter = &stack.endpoint().meter() - &before.2;
    let left: u64 = args.system.left(stack).await?;
    if left != 0 || !stack.dead_letter_depths().await?.is_empty() {
        return Err(format!("{left} pieces are left, or something was given up").into());
    }
    Ok(Run {
        system: args.system,
        clients: args.clients,
        placing: Placing {
            confirmed: args.system.confirmed(stack).await?,
            placed: placed.orders,
            rest_millis,
        },
        used,
        functions: report::functions(&before.1, &stack.host().stats()),
        meter,
        processor,
        steps: args.steps.then(|| steps.told(stack, args.system)),
    })
}
