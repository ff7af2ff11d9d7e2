//! `cargo local`: the whole template on one machine; and, as `orderflow-local __function NAME`,
//! each of its functions.

use std::process::ExitCode;
use std::time::Duration;

use local::stack::leftovers;
use local::{commands, help, open_files, programs};

/// So long may tasks that were left take to end.
const LEFT_TASKS: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let first = arguments.next();
    if first.is_some_and(|first| first == programs::FUNCTION_ARGUMENT) {
        let name = arguments.next().unwrap_or_default();
        let name = name.to_string_lossy();
        return match programs::run(&name) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{name}: {error}");
                ExitCode::FAILURE
            }
        };
    }
    let cli = help::parse();
    open_files::allow_all();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the runtime cannot be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(async {
        match commands::run(cli).await {
            Ok(code) => code,
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        }
    });
    // Whatever was not waited for is dropped here: temporary folders and processes with it.
    runtime.shutdown_timeout(LEFT_TASKS);
    if code == ExitCode::from(commands::INTERRUPTED) {
        leftovers::remove_own();
    }
    code
}
