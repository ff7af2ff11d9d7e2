//! Compares event stores: the server that all of them talk to, and each client in turn.
//!
//! `driver <folder of the clients> <castore's client, or -> <report> <rounds> <orders of a run>`

mod contest;
mod machine;
mod report;
mod tables;

use aws_endpoint::{Endpoint, Options};
use contest::{Contest, Contestant, PHASES, WORKERS};
use std::path::PathBuf;

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

    let endpoint = Endpoint::start(Options::default()).await?;
    for table in tables::all() {
        endpoint.create_table(&table).await?;
    }
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
    let mut contest = Contest::new(&endpoint, contestants, orders);
    for round in 0..rounds {
        for workers in WORKERS {
            for phase in PHASES {
                contest.round(round, phase, workers).await?;
                eprintln!(
                    "round {} of {rounds}: {phase}, {workers} workers",
                    round + 1
                );
            }
        }
    }
    let results = contest.into_results();
    let text = report::write(&results, rounds)?;
    print!("{text}");
    std::fs::write(&report, text)?;
    endpoint.shutdown().await?;
    report::check(&results)
}
