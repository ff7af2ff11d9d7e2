//! What heals after faults: the platform's own retries first, then what an operator would call:
//! `redrive-dlq`, at once, and `sweep-orders`; again and again, as long as that gets on.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::error::LocalError;
use crate::stack::Stack;

/// Rounds at most: one takes minutes when many letters are left that nobody answers.
const ROUNDS: u32 = 30;
/// Longer than an order may stand still before it is swept, which is a second here.
const STANDS_STILL: Duration = Duration::from_millis(1200);
/// Dead letters, at once.
const REDRIVE: Healer = Healer {
    function: "redrive-dlq",
    call: r#"{"now":true}"#,
    counts: [("takenIn", "letters taken in"), ("redriven", "redriven")],
};
/// Orders that stand still.
const SWEEP: Healer = Healer {
    function: "sweep-orders",
    call: "{}",
    counts: [("healed", "swept"), ("expired", "expired")],
};

/// A function that heals, as an operator calls it.
struct Healer {
    function: &'static str,
    call: &'static str,
    /// Which counts of the answer say that it did something, and what that was.
    counts: [(&'static str, &'static str); 2],
}

/// How the healing ended.
pub(super) struct Healed {
    /// What was healed, by what was done.
    pub by: BTreeMap<String, u64>,
    /// What kept the system from coming to rest.
    pub unrest: Option<LocalError>,
    /// Whether it was cut short.
    pub interrupted: bool,
}

impl Healed {
    /// Cut short.
    pub(super) fn interrupted() -> Self {
        Self {
            by: BTreeMap::new(),
            unrest: None,
            interrupted: true,
        }
    }
}

/// Lets the system heal, for `deadline` at most.
pub(super) async fn heal(stack: &Stack, deadline: Duration) -> Healed {
    let mut by = BTreeMap::new();
    let unrest = come_to_rest(stack, deadline, &mut by).await.err();
    Healed {
        by,
        unrest,
        interrupted: false,
    }
}

async fn come_to_rest(
    stack: &Stack,
    deadline: Duration,
    by: &mut BTreeMap<String, u64>,
) -> Result<(), LocalError> {
    let until = Instant::now() + deadline;
    stack.quiet(deadline).await?;
    let mut open = u64::MAX;
    let mut in_vain = 0;
    for _ in 0..ROUNDS {
        tokio::time::sleep(STANDS_STILL).await;
        let redriven = REDRIVE.called(stack, by).await?;
        let swept = SWEEP.called(stack, by).await?;
        let left = until.saturating_duration_since(Instant::now());
        stack.quiet(left).await?;
        // Each letter was tried since the last one that got through, and there are no orders, or
        // the same again: what is left waits for an operator's decision.
        in_vain = match count(&redriven, "redriven") {
            0 => in_vain + count(&redriven, "called"),
            _ => 0,
        };
        let looked = count(&swept, "looked");
        if in_vain >= count(&redriven, "due") && (looked == 0 || looked >= open) {
            break;
        }
        open = looked;
    }
    Ok(())
}

impl Healer {
    /// Calls it, if the template has it; its answer.
    async fn called(
        &self,
        stack: &Stack,
        by: &mut BTreeMap<String, u64>,
    ) -> Result<Value, LocalError> {
        let Ok(function) = stack.function_name(self.function) else {
            return Ok(Value::Null);
        };
        let refused = |answer: String| LocalError::Refused {
            request: format!("{function} {}", self.call),
            answer,
        };
        let called = stack.invoke(&function, self.call).await;
        let invocation = called.map_err(|error| refused(error.to_string()))?;
        let payload = invocation.response_payload();
        if !invocation.succeeded() {
            return Err(refused(String::from_utf8_lossy(&payload).into_owned()));
        }
        let answer: Value = serde_json::from_slice(&payload).unwrap_or_default();
        for (name, done) in self.counts {
            let count = count(&answer, name);
            if count > 0 {
                *by.entry(done.to_owned()).or_default() += count;
            }
        }
        Ok(answer)
    }
}

fn count(answer: &Value, name: &str) -> u64 {
    answer[name].as_u64().unwrap_or(0)
}
