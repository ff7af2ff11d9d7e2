//! `cargo sim`: the whole order system in one deterministic world.

use std::process::ExitCode;

use clap::Parser as _;
use simulation::cli::{Cli, run};

fn main() -> ExitCode {
    run(&Cli::parse()).unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::from(2)
    })
}
