//! `rebuild`: the rows of a projection, folded anew beside the live ones while everything runs.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::interruption::Interruption;
use super::running::Running;
use super::{interrupted, options, shut_down, start};
use crate::cli::{RebuildArgs, StackArgs};
use crate::error::LocalError;
use crate::http_client::{HttpClient, path_segment};
use crate::stack::Stack;

/// So long one call works; then there is progress to tell.
const SECONDS_A_CALL: u64 = 2;
/// A call that something stood in the way of is made again so often: another one may be at work.
const TRIES: u32 = 90;
/// Wait before it is made again.
const WAIT: Duration = Duration::from_secs(1);

/// Whose function is called.
enum System<'a> {
    Running(&'a Running, &'a HttpClient),
    Here(&'a Stack),
}

/// Rebuilds, and prints how far it got.
///
/// # Errors
/// [`LocalError`] for what keeps the system from starting or answering; what the function gave up
/// on is the exit code.
pub async fn run(shared: &StackArgs, args: &RebuildArgs) -> Result<ExitCode, LocalError> {
    let client = HttpClient::new();
    let mut interruption = Interruption::listen();
    if let Some(folder) = &args.data_dir {
        let Some(running) = interruption.or(Running::find(folder, &client)).await else {
            return Ok(interrupted());
        };
        if let Some(running) = running {
            let rebuilt = rebuild(System::Running(&running, &client), &args.projection);
            let code = interruption.or(rebuilt).await;
            return code.unwrap_or_else(|| Ok(interrupted()));
        }
    } else {
        say("A fresh system has no events; --data-dir DIR rebuilds the one that runs on DIR.");
    }
    let mut options = options(shared)?;
    options.data_dir.clone_from(&args.data_dir);
    let Some(stack) = start(options, &mut interruption).await? else {
        return Ok(interrupted());
    };
    let rebuilt = rebuild(System::Here(&stack), &args.projection);
    let code = interruption.or(rebuilt).await;
    let ended = shut_down(stack, &mut interruption).await;
    let code = code.unwrap_or_else(|| Ok(interrupted()))?;
    ended.map(|_| code)
}

async fn rebuild(system: System<'_>, projection: &str) -> Result<ExitCode, LocalError> {
    let began = Instant::now();
    let mut call = json!({"projection": projection, "seconds": SECONDS_A_CALL});
    let (mut told, mut tries) = (String::new(), 0);
    loop {
        let answer = match system.call(projection, &call).await? {
            Ok(answer) => answer,
            Err(error) if error["errorType"] == "Transient" && tries < TRIES => {
                tries += 1;
                tokio::time::sleep(WAIT).await;
                continue;
            }
            Err(error) => {
                say(&error.to_string());
                return Ok(ExitCode::FAILURE);
            }
        };
        tries = 0;
        let line = progress(&answer);
        if line != told {
            say(&line);
            told = line;
        }
        if answer["done"] == json!(true) {
            say(&end(projection, &answer, began.elapsed()));
            return Ok(if answer["skipped"] == json!(0) {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            });
        }
        call["position"] = answer["position"].clone();
    }
}

impl System<'_> {
    /// The function's answer, or the error document of its failure.
    async fn call(
        &self,
        projection: &str,
        call: &Value,
    ) -> Result<Result<Value, Value>, LocalError> {
        let name = format!("rebuild-{projection}");
        match self {
            Self::Running(running, client) => {
                let url = format!(
                    "{}/2015-03-31/functions/{}/invocations",
                    running.lambda,
                    path_segment(&logical_id(&name))
                );
                let answer = client.send("POST", &url, &[], call.to_string()).await?;
                let failed =
                    answer.status != 200 || !answer.header("x-amz-function-error").is_empty();
                let document = answer.json();
                Ok(if failed { Err(document) } else { Ok(document) })
            }
            Self::Here(stack) => {
                let function = stack.function_name(&logical_id(&name))?;
                Ok(match stack.invoke(&function, call.to_string()).await {
                    Ok(invocation) => {
                        let document = serde_json::from_slice(&invocation.response_payload());
                        let document = document.unwrap_or_default();
                        if invocation.succeeded() {
                            Ok(document)
                        } else {
                            Err(document)
                        }
                    }
                    Err(error) => {
                        Err(json!({"errorType": error.code(), "errorMessage": error.to_string()}))
                    }
                })
            }
        }
    }
}

/// The function's logical id, which no prefix changes.
fn logical_id(name: &str) -> String {
    let mut id = String::new();
    for word in name.split('-') {
        let mut letters = word.chars();
        id.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        id.push_str(letters.as_str());
    }
    id + "Function"
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

fn say(line: &str) {
    // Whoever closed the pipe does not want to read on.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_function_is_named_as_in_the_template() {
        assert_eq!(logical_id("rebuild-orders"), "RebuildOrdersFunction");
    }

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
