//! The command line as it is parsed, with a help that has the commands by what they are for.

use std::fmt::Write as _;

use clap::{Command, CommandFactory as _, FromArgMatches as _};

use crate::cli::Cli;

/// The commands, by what they are for.
const GROUPS: [(&str, &[&str]); 3] = [
    (
        "Run",
        &[
            "up",
            "demo",
            "load",
            "telemetry",
            "kafka",
            "invoke",
            "token",
        ],
    ),
    (
        "Operate (a local system, or with --stack NAME one in AWS)",
        &["dlq", "verify", "rebuild", "reconcile", "archive"],
    ),
    ("Develop", &["new", "help"]),
];

/// What was asked for; ends the program with a message when that cannot be understood.
#[must_use]
pub fn parse() -> Cli {
    let matches = command().get_matches();
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// The command line.
#[must_use]
pub fn command() -> Command {
    let mut command = Cli::command();
    // Only then there is `help`, too.
    command.build();
    let header = command.get_styles().get_header();
    let mut template = "{about-with-newline}\n{usage-heading} {usage}\n".to_owned();
    for (group, names) in GROUPS {
        // Writing to a text cannot fail.
        let _ = writeln!(template, "\n{header}{group}:{header:#}");
        for name in names {
            let about = command.find_subcommand(name).and_then(Command::get_about);
            let about = about.map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(template, "  {name:<10} {about}");
        }
    }
    template.push_str("\n{all-args}{after-help}");
    for name in GROUPS.iter().flat_map(|(_, names)| *names) {
        // The template has them.
        command = command.mut_subcommand(name, |one| one.hide(true));
    }
    command
        .override_usage("cargo local [OPTIONS]\n       cargo local [OPTIONS] COMMAND")
        .help_template(template)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_command_is_in_one_group_with_what_it_does() {
        let mut built = Cli::command();
        built.build();
        let there: BTreeSet<_> = built.get_subcommands().map(Command::get_name).collect();
        let told: Vec<_> = GROUPS.iter().flat_map(|(_, names)| *names).collect();
        assert_eq!(told.len(), there.len());
        assert_eq!(told.into_iter().copied().collect::<BTreeSet<_>>(), there);
    }

    #[test]
    fn the_help_has_each_command_once_and_still_knows_them_all() {
        let help = command().render_long_help().to_string();
        for part in [
            "\nRun:\n",
            "  dlq        What consumers",
            "--data-dir <DIR>",
        ] {
            assert!(help.contains(part), "{part} is not in\n{help}");
        }
        assert!(!help.contains("\nCommands:"), "{help}");
        assert_eq!(help.matches("  dlq  ").count(), 1);
        let line = ["local", "dlq", "list"];
        assert!(command().try_get_matches_from(line).is_ok());
        let asked = command().try_get_matches_from(["local", "help", "dlq"]);
        let text = asked.unwrap_err().to_string();
        assert!(text.contains("redrive"), "{text}");
    }
}
