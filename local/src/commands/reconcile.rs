//! `reconcile`: what was stored, held against what was published.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::interruption::Interruption;
use super::step_by_step::until_done;
use super::system::{Needs, System};
use super::{interrupted, say};
use crate::cli::{ReconcileArgs, StackArgs};
use crate::error::LocalError;
use crate::terminal::printable;

/// So long one call works; then there is progress to tell.
const SECONDS_A_CALL: u64 = 10;

/// Reconciles a period, and prints what it came to.
///
/// # Errors
/// [`LocalError`] for what keeps the system from being reached or answering; what is missing, or
/// not stored, is the exit code.
pub async fn run(shared: &StackArgs, args: &ReconcileArgs) -> Result<ExitCode, LocalError> {
    let mut interruption = Interruption::listen();
    let reached = System::reach(shared, &args.system, Needs::Functions, &mut interruption);
    let Some(system) = reached.await? else {
        return Ok(interrupted());
    };
    let reconciled = reconcile(&system, args);
    let code = interruption.or(reconciled).await;
    let left = system.leave(&mut interruption).await;
    let code = code.unwrap_or_else(|| Ok(interrupted()))?;
    left.map(|()| code)
}

async fn reconcile(system: &System, args: &ReconcileArgs) -> Result<ExitCode, LocalError> {
    let mut call = json!({"dryRun": args.dry_run, "seconds": SECONDS_A_CALL});
    for (name, time) in [("from", args.from), ("to", args.to)] {
        if let Some(time) = time {
            call[name] = json!(time.to_string());
        }
    }
    let tell = |answer: &Value| {
        if !args.json {
            say(&progress(answer));
        }
    };
    let Some(answer) = until_done(system, "reconcile-events", call, tell).await? else {
        return Ok(ExitCode::FAILURE);
    };
    say(&if args.json {
        answer.to_string()
    } else {
        end(&answer)
    });
    Ok(if is_whole(&answer) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn count(answer: &Value, name: &str) -> u64 {
    answer[name].as_u64().unwrap_or_default()
}

/// Whether everything is stored and published now.
fn is_whole(answer: &Value) -> bool {
    count(answer, "missing") == count(answer, "repaired") && count(answer, "unstored") == 0
}

fn progress(answer: &Value) -> String {
    format!(
        "{:>9} stored  {:>9} published  {:>6} missing  {:>6} repaired",
        count(answer, "stored"),
        count(answer, "published"),
        count(answer, "missing"),
        count(answer, "repaired"),
    )
}

fn end(answer: &Value) -> String {
    let text = |name: &str| answer[name].as_str().unwrap_or_default();
    let missing = count(answer, "missing");
    let found = match (missing, answer["dryRun"] == json!(true)) {
        (0, _) => "everything that was stored was published.".to_owned(),
        (_, true) => format!("{missing} stored events were never published."),
        (_, false) => format!(
            "{missing} stored events had never been published; {} of them are now.",
            count(answer, "repaired")
        ),
    };
    let mut lines = vec![format!("From {} to {}: {found}", text("from"), text("to"))];
    let unstored = count(answer, "unstored");
    if unstored > 0 {
        lines.push(format!(
            "{unstored} events were published and are not stored."
        ));
    }
    let named = answer["named"].as_array().into_iter().flatten();
    lines.extend(named.map(|event| format!("  {}", printable(event.as_str().unwrap_or_default()))));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(missing: u64, repaired: u64, unstored: u64) -> Value {
        json!({"from": "2025-01-01T00:00:00Z", "to": "2025-01-02T00:00:00Z", "dryRun": false,
            "stored": 9, "published": 7, "missing": missing, "repaired": repaired,
            "unstored": unstored, "named": ["order-1@3"]})
    }

    #[test]
    fn a_period_is_whole_when_what_was_missing_is_repaired_and_nothing_is_unstored() {
        assert!(is_whole(&answer(0, 0, 0)));
        assert!(is_whole(&answer(2, 2, 0)));
        assert!(!is_whole(&answer(2, 1, 0)));
        assert!(!is_whole(&answer(0, 0, 1)));
    }

    #[test]
    fn the_end_says_what_was_missing_and_names_it() {
        assert_eq!(
            end(&answer(2, 1, 1)),
            "From 2025-01-01T00:00:00Z to 2025-01-02T00:00:00Z: 2 stored events had never been \
             published; 1 of them are now.\n1 events were published and are not stored.\n  \
             order-1@3"
        );
    }
}
