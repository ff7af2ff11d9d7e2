//! `rebuild`: the rows of a projection, folded anew beside the live ones while everything runs.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::interruption::Interruption;
use super::step_by_step::until_done;
use super::system::{Needs, System};
use super::{interrupted, say};
use crate::cli::{RebuildArgs, StackArgs};
use crate::error::LocalError;

/// So long one call works; then there is progress to tell.
const SECONDS_A_CALL: u64 = 2;
/// Rebuilds, and prints how far it got.
///
/// # Errors
/// [`LocalError`] for what keeps the system from being reached or answering; what the function
/// gave up on is the exit code.
pub async fn run(shared: &StackArgs, args: &RebuildArgs) -> Result<ExitCode, LocalError> {
    let mut interruption = Interruption::listen();
    let reached = System::reach(shared, &args.system, Needs::Functions, &mut interruption);
    let Some(system) = reached.await? else {
        return Ok(interrupted());
    };
    let rebuilt = rebuild(&system, &args.projection);
    let code = interruption.or(rebuilt).await;
    let left = system.leave(&mut interruption).await;
    let code = code.unwrap_or_else(|| Ok(interrupted()))?;
    left.map(|()| code)
}

async fn rebuild(system: &System, projection: &str) -> Result<ExitCode, LocalError> {
    let began = Instant::now();
    let function = format!("rebuild-{projection}");
    let call = json!({"projection": projection, "seconds": SECONDS_A_CALL});
    let mut told = String::new();
    let tell = |answer: &Value| {
        let line = progress(answer);
        if line != told {
            say(&line);
            told = line;
        }
    };
    let Some(answer) = until_done(system, &function, call, tell).await? else {
        return Ok(ExitCode::FAILURE);
    };
    say(&end(projection, &answer, began.elapsed()));
    Ok(if answer["skipped"] == json!(0) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn progress(answer: &Value) -> String {
    let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
    format!(
        "{:<10} {:>9} events read  {:>9} rows written  {} is live",
        text("phase"),
        answer["events"].to_string(),
        answer["rows"].to_string(),
        text("live"),
    )
}

fn end(projection: &str, answer: &Value, took: Duration) -> String {
    let live = answer["live"].as_str().unwrap_or_default();
    let old = if live == "green" { "blue" } else { "green" };
    let mut text = format!(
        "{projection}: switched from {old} to {live}; {old} is empty. It took {:.1} s.",
        took.as_secs_f64()
    );
    if answer["skipped"] != json!(0) {
        text.push_str("\nNot folded, and without a row now:");
        for stream in answer["unreadable"].as_array().into_iter().flatten() {
            text.push_str("\n  ");
            text.push_str(stream.as_str().unwrap_or_default());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_folded_is_named_at_the_end() {
        let answer = json!({"phase": "dropped", "events": 7, "rows": 3, "live": "green",
            "skipped": 1, "unreadable": ["order-1: why"]});
        let text = end("orders", &answer, Duration::from_millis(1500));
        let expected = "orders: switched from blue to green; blue is empty. It took 1.5 s.\n\
            Not folded, and without a row now:\n  order-1: why";
        assert_eq!(text, expected);
        assert!(progress(&answer).starts_with("dropped            7 events"));
    }
}
