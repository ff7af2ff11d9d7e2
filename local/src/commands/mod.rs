//! The commands of `cargo local`.

pub mod archive;
pub mod demo;
pub mod dlq;
mod evidence;
mod function_table;
mod interruption;
pub mod invoke;
pub mod kafka;
pub mod load;
pub mod new;
pub mod rebuild;
pub mod reconcile;
pub mod restock;
mod running;
mod state;
mod step_by_step;
mod system;
mod table;
pub mod telemetry;
mod text_file;
pub mod token;
pub mod up;
pub mod used;
pub mod verify;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use lambda_host::clock::RetryClock;

use crate::cli::{Cli, Command, StackArgs};
use crate::error::LocalError;
use crate::programs::Programs;
use crate::stack::{Stack, StackOptions};
use crate::template;
pub use archive::ArchiveError;
pub use dlq::DlqError;
use interruption::Interruption;
pub use kafka::KafkaError;
pub use system::SystemError;

/// So long may what runs go on when a command ends.
const GRACE: Duration = Duration::from_secs(10);
/// Exit code of a program that was ended by Ctrl-C.
pub const INTERRUPTED: u8 = 130;

/// Does what the command line asks for.
///
/// # Errors
/// [`LocalError`] for what cannot be started or read; what was checked and found wrong is the
/// exit code.
pub async fn run(cli: Cli) -> Result<ExitCode, LocalError> {
    let Cli { command, up, stack } = cli;
    match command.unwrap_or(Command::Up(up)) {
        Command::Up(args) => up::run(&stack, &args).await,
        Command::Demo(args) => demo::run(&stack, &args).await,
        Command::Load(args) => load::run(&stack, &args).await,
        Command::Invoke(args) => invoke::run(&stack, &args).await,
        Command::Kafka(args) => kafka::run(&stack, &args).await,
        Command::Verify(args) => verify::run(&stack, &args).await,
        Command::Rebuild(args) => rebuild::run(&stack, &args).await,
        Command::Reconcile(args) => reconcile::run(&stack, &args).await,
        Command::Archive(what) => archive::run(&stack, &what).await,
        Command::Dlq(what) => dlq::run(&stack, &what).await,
        Command::Telemetry(args) => telemetry::run(&args).await,
        Command::Token(args) => token::run(&args).await,
        Command::New(what) => new::run(&stack, &what),
    }
}

/// The options that all commands share.
fn options(args: &StackArgs) -> Result<StackOptions, LocalError> {
    let here = std::env::current_dir().map_err(|error| LocalError::file(".", error))?;
    let path = template::find(args.template.as_deref(), &here)?;
    let programs = match &args.functions_dir {
        Some(folder) => Programs::Folder(folder.clone()),
        None => Programs::One(this_program()?),
    };
    let mut options = StackOptions::new(path, programs);
    options.permissions_asked = std::env::var_os("ORDERFLOW_PERMISSIONS_DIR").map(PathBuf::from);
    options.parameters = args.parameter_values();
    if let Some(processes) = args.processes {
        options.max_processes = processes;
    }
    options.clock = RetryClock {
        first_delay: Duration::from_millis(args.retry_delay),
    };
    options.aws_latency = Duration::from_millis(args.aws_latency);
    Ok(options)
}

fn this_program() -> Result<PathBuf, LocalError> {
    std::env::current_exe().map_err(|error| LocalError::file("the running program", error))
}

/// Starts the stack; none when that is interrupted. It ends in order then, too: what is half
/// started would leave its folder behind.
async fn start(
    options: StackOptions,
    interruption: &mut Interruption,
) -> Result<Option<Stack>, LocalError> {
    let mut starting = std::pin::pin!(Stack::start(options));
    if let Some(started) = interruption.or(&mut starting).await {
        return started.map(Some);
    }
    if let Some(started) = interruption.or(starting).await {
        shut_down(started?, interruption).await?;
    }
    Ok(None)
}

/// How a stack came to its end.
enum Ended {
    InOrder,
    /// What still ran was dropped.
    AtOnce,
}

/// Ends the stack in order; at once when that is interrupted.
async fn shut_down(stack: Stack, interruption: &mut Interruption) -> Result<Ended, LocalError> {
    match interruption.or(stack.shutdown(GRACE)).await {
        Some(ended) => ended.map(|()| Ended::InOrder),
        None => Ok(Ended::AtOnce),
    }
}

/// The exit code of a command that was interrupted.
fn interrupted() -> ExitCode {
    ExitCode::from(INTERRUPTED)
}

/// Prints a line.
fn say(line: &str) {
    // Whoever closed the pipe does not want to read on.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
