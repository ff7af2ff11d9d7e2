//! What heals after faults: the platform's own retries first, then what an operator would call:
//! `redrive-dlq`, at once, and `sweep-orders`; again and again, as long as that gets on.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::error::LocalError;
use crate::stack::Stack;

/// Calls at most.
const ROUNDS: u32 = 20;
/// So many calls in a row that did nothing are the last ones: what is left then waits for an
/// operator's decision.
const IN_VAIN: u32 = 2;
/// Who heals.
const HEALERS: [Healer; 2] = [
    Healer {
        function: "redrive-dlq",
        call: r#"{"now":true}"#,
        counts: [("takenIn", "letters taken in"), ("redriven", "redriven")],
    },
    Healer {
        function: "sweep-orders",
        call: "{}",
        counts: [("healed", "swept"), ("expired", "expired")],
    },
];

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
    let mut in_vain = 0;
    for _ in 0..ROUNDS {
        let mut done = 0;
        for healer in HEALERS {
            done += healer.called(stack, by).await?;
        }
        let left = until.saturating_duration_since(Instant::now());
        stack.quiet(left).await?;
        in_vain = if done == 0 { in_vain + 1 } else { 0 };
        if in_vain >= IN_VAIN {
            break;
        }
    }
    Ok(())
}

impl Healer {
    /// Calls it, if the template has it; how much it did.
    async fn called(
        &self,
        stack: &Stack,
        by: &mut BTreeMap<String, u64>,
    ) -> Result<u64, LocalError> {
        let Ok(function) = stack.function_name(self.function) else {
            return Ok(0);
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
        let mut sum = 0;
        for (count, name) in self.counts {
            let count = answer[count].as_u64().unwrap_or(0);
            sum += count;
            if count > 0 {
                *by.entry(name.to_owned()).or_default() += count;
            }
        }
        Ok(sum)
    }
}
