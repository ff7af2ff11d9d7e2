//! `new`: scaffolds a consumer or an aggregate, so that the workspace passes its checks as before.
//!
//! In reading order: [`args`], `name` (what may be named how), `consumer` and `aggregate` (what
//! belongs to one), `watched` (what watches it), `published` (which events there are), `plan` (all edits are made in memory
//! first: an anchor that is missing stops everything), `templates/` (the texts).

mod aggregate;
pub mod args;
mod consumer;
mod name;
mod plan;
mod published;
mod watched;

use std::process::ExitCode;

use args::NewCommand;
use plan::Plan;

use crate::cli::StackArgs;
use crate::error::LocalError;
use crate::template;

/// Scaffolds what is asked for in the workspace of the template.
///
/// # Errors
/// [`LocalError::Input`] for a name that is taken, an event that there is not, and a file without
/// the place where something belongs; nothing is written then.
pub(super) fn run(stack: &StackArgs, command: &NewCommand) -> Result<ExitCode, LocalError> {
    let here = std::env::current_dir().map_err(|error| LocalError::file(".", error))?;
    let template = template::find(stack.template.as_deref(), &here)?;
    let mut plan = Plan::new(template.parent().unwrap_or(&here));
    let (dry_run, next) = match command {
        NewCommand::Consumer(args) => (args.dry_run, consumer::plan(&mut plan, args)?),
        NewCommand::Aggregate(args) => (args.dry_run, aggregate::plan(&mut plan, args)?),
    };
    let formatted = plan.format()?;
    if dry_run {
        print!("{}", plan.preview());
        println!("\nNothing was written.");
        return Ok(ExitCode::SUCCESS);
    }
    plan.write()?;
    print!("{}", plan.summary());
    println!("\nNext:\n{next}");
    if !formatted {
        println!("\nThere is no rustfmt here: run `cargo fmt --all` before you commit.");
    }
    Ok(ExitCode::SUCCESS)
}

/// A text with its `{{placeholders}}` filled.
fn fill(text: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(text.to_owned(), |text, (name, value)| {
        text.replace(&format!("{{{{{name}}}}}"), value)
    })
}

/// What is wrong with a file or folder, or what is asked of it.
fn refused(path: impl Into<std::path::PathBuf>, problem: impl Into<String>) -> LocalError {
    LocalError::Input {
        path: path.into(),
        line: None,
        problem: problem.into(),
    }
}

/// Commands to paste, each with what it is for.
fn commands(lines: &[(String, &str)]) -> String {
    let width = lines.iter().map(|(command, _)| command.len()).max();
    let lines: Vec<_> = lines
        .iter()
        .map(|(command, what)| format!("  {command:<0$}  # {what}", width.unwrap_or_default()))
        .collect();
    lines.join("\n")
}
