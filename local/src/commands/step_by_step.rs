//! Functions that work for a while and answer how far they got: they are called again, from there,
//! until they are done.

use std::time::Duration;

use aws_adapters::function_calls::{CallError, Called};
use serde_json::{Value, json};

use super::say;
use super::system::System;
use crate::error::LocalError;
use crate::terminal::printable;

/// A call that something stood in the way of is made again so often: another one may be at work.
const TRIES: u32 = 90;
/// Wait before it is made again.
const WAIT: Duration = Duration::from_secs(1);

/// Calls the function with this program until it is done; its last answer, or none where it gave
/// up, which is told then. Each answer is shown to `look`.
///
/// # Errors
/// [`LocalError`], when the function cannot be called.
pub(super) async fn until_done(
    system: &System,
    program: &str,
    mut call: Value,
    mut look: impl FnMut(&Value),
) -> Result<Option<Value>, LocalError> {
    loop {
        let answer = match patiently(system, program, &call).await? {
            Called::Answer(answer) => answer,
            Called::Failed {
                error_type,
                message,
            } => {
                say(&format!("{error_type}: {}", printable(&message)));
                return Ok(None);
            }
        };
        look(&answer);
        if answer["done"] == json!(true) {
            return Ok(Some(answer));
        }
        call["position"] = answer["position"].clone();
    }
}

/// Calls the function with this program, again and again while something stands in the way.
///
/// # Errors
/// [`LocalError`], when the function cannot be called.
pub(super) async fn patiently(
    system: &System,
    program: &str,
    call: &Value,
) -> Result<Called, LocalError> {
    let function = system.function(program)?;
    let calls = system.calls();
    Ok(again(TRIES, || calls.call(function, call)).await?)
}

/// Makes a call, and up to `tries` times again while something stands in the way.
///
/// # Errors
/// As the last call has it.
pub(super) async fn again<F>(mut tries: u32, call: impl Fn() -> F) -> F::Output
where
    F: Future<Output = Result<Called, CallError>>,
{
    loop {
        let called = call().await;
        if tries == 0 || !may_go_again(&called) {
            return called;
        }
        tries -= 1;
        tokio::time::sleep(WAIT).await;
    }
}

/// Whether the same call can succeed in a moment.
pub(super) fn may_go_again(called: &Result<Called, CallError>) -> bool {
    match called {
        Ok(Called::Failed { error_type, .. }) => error_type == "Transient",
        Err(CallError::Throttled { .. }) => true,
        _ => false,
    }
}
