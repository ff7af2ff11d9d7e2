//! Compares event stores: the server that all of them talk to, and each client in turn.
//!
//! `driver <folder of the clients> <castore's client, or -> <report> <rounds> <orders of a run>`

mod contest;
mod machine;
mod report;
mod tables;

use aws_endpoint::{Endpoint, Options};
use contest::{Contest, Contestant, PHASES, Runs, WORKERS};
use report::Results;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The way to a region and back that answers take in the second half.
const LATENCY: Duration = Duration::from_millis(5);

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let mut next = |name: &str| args.next().ok_or_else(|| format!("{name} is missing"));
    let clients = PathBuf::from(next("folder of the clients")?);
    let castore = next("castore's client")?;
    let report = next("report")?;
    let rounds: usize = next("rounds")?.parse()?;
    let orders: usize = next("orders of a run")?.parse()?;

    let contestants = contestants(&clients, &castore);
    let results = Results {
        near: contest(&contestants, Duration::ZERO, rounds, orders).await?,
        far: contest(&contestants, LATENCY, rounds, orders).await?,
        contestants,
        latency: LATENCY,
        rounds,
        orders,
    };
    let text = report::write(&results)?;
    print!("{text}");
    std::fs::write(&report, text)?;
    report::check(&results)
}

fn contestants(clients: &Path, castore: &str) -> Vec<Contestant> {
    let mut contestants = vec![
        Contestant::new("ours", "events", clients.join("client")),
        Contestant::new("dynamo-es", "events", clients.join("peer-dynamo-es")),
        Contestant::new("dynamo-es", "aggregates", clients.join("peer-dynamo-es")),
    ];
    if castore == "-" {
        eprintln!("castore is left out, for there is no node with its packages");
    } else {
        contestants.push(Contestant::new("castore", "events", castore.into()));
    }
    contestants
}

async fn contest(
    contestants: &[Contestant],
    latency: Duration,
    rounds: usize,
    orders: usize,
) -> Result<Runs, Failure> {
    let options = Options {
        latency,
        ..Options::default()
    };
    let endpoint = Endpoint::start(options).await?;
    for table in tables::all() {
        endpoint.create_table(&table).await?;
    }
    let mut contest = Contest::new(&endpoint, contestants, orders);
    for round in 0..rounds {
        for workers in WORKERS {
            for phase in PHASES {
                contest.round(round, phase, workers).await?;
                eprintln!(
                    "answers after {latency:?}, round {} of {rounds}: {phase}, {workers} workers",
                    round + 1
                );
            }
        }
    }
    let runs = contest.into_runs();
    endpoint.shutdown().await?;
    Ok(runs)
}
