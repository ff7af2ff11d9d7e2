//! `dlq`: what consumers gave up, and what an operator does about it.
//!
//! In reading order: [`args`]; `desk` (finding letters, changing one), `listing` and `showing`
//! (which only read), `acting` (park, purge), `redriving`, `resolving`; `report` (what was done, for
//! people and programs), `error`.

mod acting;
pub mod args;
mod desk;
mod error;
mod listing;
mod redriving;
mod report;
mod resolving;
mod showing;

use std::io::Write as _;
use std::process::ExitCode;

use args::{DlqCommand, RecordArgs};
use desk::Desk;
pub use error::DlqError;
use event_sourcing::dead_letter::Operator;
use jiff::Timestamp;

use super::interrupted;
use super::interruption::Interruption;
use super::system::{Needs, System};
use crate::cli::{StackArgs, SystemArgs};
use crate::error::LocalError;

/// Exit code for what was asked in a way in which it cannot be done.
const USAGE: u8 = 2;

/// Does what is asked for.
///
/// # Errors
/// [`LocalError`] for what keeps the system from being reached or answering; what was not done to
/// single letters is the exit code.
pub(super) async fn run(shared: &StackArgs, command: &DlqCommand) -> Result<ExitCode, LocalError> {
    match done(shared, command).await {
        Err(LocalError::Dlq(error)) if error.is_usage() => {
            // Whoever closed the pipe does not want to know.
            let _ = writeln!(std::io::stderr().lock(), "error: {error}");
            Ok(ExitCode::from(USAGE))
        }
        code => code,
    }
}

async fn done(shared: &StackArgs, command: &DlqCommand) -> Result<ExitCode, LocalError> {
    // Those without a record only read.
    let signed = command.record().map(Signed::of).transpose()?;
    let signed = signed.unwrap_or_default();
    let mut interruption = Interruption::listen();
    let reached = System::reach(shared, command.system(), command.needs(), &mut interruption);
    let Some(system) = reached.await? else {
        return Ok(interrupted());
    };
    let code = at_desk(&system, command, &signed, &mut interruption).await;
    let left = system.leave(&mut interruption).await;
    let code = code?;
    left.map(|()| code)
}

async fn at_desk(
    system: &System,
    command: &DlqCommand,
    signed: &Signed,
    interruption: &mut Interruption,
) -> Result<ExitCode, LocalError> {
    let desk = Desk::of(system)?;
    match command {
        DlqCommand::List(args) => {
            let listed = interruption.or(listing::run(&desk, args)).await;
            listed.unwrap_or_else(|| Ok(interrupted()))
        }
        DlqCommand::Show(args) => {
            let shown = interruption.or(showing::run(&desk, args)).await;
            shown.unwrap_or_else(|| Ok(interrupted()))
        }
        DlqCommand::Redrive(args) => redriving::run(&desk, args, signed, interruption).await,
        DlqCommand::Park(args) => acting::park(&desk, args, signed, interruption).await,
        DlqCommand::Resolve(args) => resolving::run(&desk, args, signed, interruption).await,
        DlqCommand::Purge(args) => acting::purge(&desk, args, signed, interruption).await,
    }
}

impl DlqCommand {
    fn system(&self) -> &SystemArgs {
        match self {
            Self::List(args) => &args.system,
            Self::Show(args) => &args.system,
            Self::Redrive(args) => &args.act.system,
            Self::Park(args) => &args.system,
            Self::Resolve(args) => &args.system,
            Self::Purge(args) => &args.act.system,
        }
    }

    fn record(&self) -> Option<&RecordArgs> {
        match self {
            Self::List(_) | Self::Show(_) => None,
            Self::Redrive(args) => Some(&args.act.record),
            Self::Park(args) => Some(&args.record),
            Self::Resolve(args) => Some(&args.record),
            Self::Purge(args) => Some(&args.act.record),
        }
    }

    fn needs(&self) -> Needs {
        match self {
            Self::Redrive(args) if !args.act.dry_run => Needs::Functions,
            Self::Resolve(args) if args.resolution.is_some() => Needs::Functions,
            _ => Needs::Tables,
        }
    }
}

/// Who acts, and why.
#[derive(Debug, Clone, Default)]
struct Signed {
    who: String,
    why: String,
}

impl Signed {
    fn of(record: &RecordArgs) -> Result<Self, DlqError> {
        let user = |name: &str| std::env::var(name).ok().filter(|user| !user.is_empty());
        let here = || ["USER", "LOGNAME", "USERNAME"].into_iter().find_map(user);
        Ok(Self {
            who: record.by.clone().or_else(here).ok_or(DlqError::NoName)?,
            why: record.why.clone(),
        })
    }

    fn now(&self) -> Operator {
        Operator {
            who: self.who.clone(),
            why: self.why.clone(),
            at: Timestamp::now(),
        }
    }
}
