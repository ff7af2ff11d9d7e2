//! `archive`: what is archived of the events: listed, held against the store, replayed.
//!
//! In reading order: [`args`]; `objects` (finding and reading what is archived), `listing`;
//! `ledger` and `verifying`; `destination` and `replaying`; `error`.

pub mod args;
mod destination;
mod error;
mod ledger;
mod listing;
mod objects;
mod replaying;
mod verifying;

use std::process::ExitCode;

use args::ArchiveCommand;
pub use error::ArchiveError;
use objects::Archive;

use super::interrupted;
use super::interruption::Interruption;
use super::system::{Needs, System};
use crate::cli::{StackArgs, SystemArgs};
use crate::error::LocalError;

/// Does what is asked for.
///
/// # Errors
/// [`LocalError`] for what keeps the system from being reached or answering; what is not archived
/// or not replayed is the exit code.
pub(super) async fn run(
    shared: &StackArgs,
    command: &ArchiveCommand,
) -> Result<ExitCode, LocalError> {
    let mut interruption = Interruption::listen();
    let reached = System::reach(shared, command.system(), command.needs(), &mut interruption);
    let Some(system) = reached.await? else {
        return Ok(interrupted());
    };
    let code = on_system(shared, &system, command, &mut interruption).await;
    let left = system.leave(&mut interruption).await;
    let code = code?;
    left.map(|()| code)
}

async fn on_system(
    shared: &StackArgs,
    system: &System,
    command: &ArchiveCommand,
    interruption: &mut Interruption,
) -> Result<ExitCode, LocalError> {
    let archive = Archive::of(system)?;
    let done = match command {
        ArchiveCommand::List(args) => interruption.or(listing::run(&archive, args)).await,
        ArchiveCommand::Verify(args) => {
            let verified = verifying::run(system, &archive, args);
            interruption.or(verified).await
        }
        ArchiveCommand::Replay(args) => {
            return replaying::run(shared, system, &archive, args, interruption).await;
        }
    };
    done.unwrap_or_else(|| Ok(interrupted()))
}

impl ArchiveCommand {
    fn system(&self) -> &SystemArgs {
        match self {
            Self::List(args) => &args.system,
            Self::Verify(args) => &args.system,
            Self::Replay(args) => &args.system,
        }
    }

    fn needs(&self) -> Needs {
        match self {
            Self::Replay(args) if args.consumer.is_some() && !args.dry_run => Needs::Functions,
            _ => Needs::Tables,
        }
    }
}
