//! What becomes of appends, loads and rebuilds while the store grows:
//! `growth <server> <report> <thousands of events in the largest store>`.

mod long_stream;
mod measure;
mod rebuild;
mod report;
mod server;
mod stock_of_events;

use flow::Failure;
use measure::Setup;
use server::Server;
use std::path::PathBuf;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let mut next = |name: &str| args.next().ok_or_else(|| format!("{name} is missing"));
    let program = PathBuf::from(next("server")?);
    let path = next("report")?;
    let largest = next("thousands of events")?.parse::<usize>()? * 1000;

    let mut setup = Setup::new(Server::start(&program)?)?;
    let streams = measure::over_streams(&mut setup, largest).await?;
    let lengths = measure::over_lengths(&mut setup).await?;
    let rebuilds = rebuild::over_events(&mut setup, &streams.stores).await?;
    let text = report::write(&streams, &lengths, &rebuilds)?;
    print!("{text}");
    std::fs::write(path, text)?;
    Ok(())
}
