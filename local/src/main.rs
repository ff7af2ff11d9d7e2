//! `cargo local`: the whole template on one machine; and, as `orderflow-local __function NAME`,
//! each of its functions.

use std::process::ExitCode;

use clap::Parser as _;
use local::cli::Cli;
use local::{commands, programs};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(programs::FUNCTION_ARGUMENT) {
        let name = arguments.next().unwrap_or_default();
        return match programs::run(&name) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{name}: {error}");
                ExitCode::FAILURE
            }
        };
    }
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the runtime cannot be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(async {
        match commands::run(cli).await {
            Ok(code) => code,
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        }
    })
}
