//! One call of a function, in a process that may end at any await.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use aws_adapters::lambda::Invocation;
use event_sourcing::failure::Failure;
use serde_json::Value;

use crate::faults::Fault;
use crate::functions::call;
use crate::world::World;

/// How long whoever was throttled waits at most.
const THROTTLED: Duration = Duration::from_secs(2);

/// Who works for long, and so can die late.
const OPERATING: [&str; 3] = ["redrive-dlq", "sweep-orders", "reconcile-events"];

/// What came of a call.
#[derive(Debug)]
pub enum Outcome {
    /// The handler's answer.
    Answered(Value),
    /// The handler's failure.
    Failed(Failure),
    /// The process ended before there was an answer.
    Crashed,
}

impl World {
    /// Calls a function once.
    pub async fn invoke(
        self: &Arc<Self>,
        program: &str,
        payload: Value,
        request_id: &str,
    ) -> Outcome {
        let invocation = Invocation {
            payload,
            request_id: request_id.to_owned(),
            redrive_of: Vec::new(),
            traceparent: None,
        };
        self.invoke_as(program, invocation).await
    }

    /// Calls a function once, perhaps as the redrive of other calls.
    pub async fn invoke_as(self: &Arc<Self>, program: &str, invocation: Invocation) -> Outcome {
        let request_id = invocation.request_id.clone();
        while self.hits(Fault::Throttled) {
            self.pause(THROTTLED).await;
        }
        let dies_after = self.wants(Fault::HandlerCrash).then(|| {
            // Often early, sometimes late.
            let doublings = if OPERATING.contains(&program) { 10 } else { 6 };
            self.draw(|rng| {
                let most = 1_u32 << rng.u32(1..doublings);
                rng.u32(1..=most)
            })
        });
        let mut running = Box::pin(call(self, program, invocation));
        let mut resumed = 0;
        let outcome = std::future::poll_fn(|context| {
            if dies_after == Some(resumed) {
                return Poll::Ready(Outcome::Crashed);
            }
            resumed += 1;
            running.as_mut().poll(context).map(|done| match done {
                Ok(answer) => Outcome::Answered(answer),
                Err(failure) => Outcome::Failed(failure),
            })
        })
        .await;
        drop(running);
        match &outcome {
            Outcome::Answered(_) => self.note(format_args!("{program} {request_id} is done")),
            Outcome::Failed(failure) => {
                self.note(format_args!("{program} {request_id} failed: {failure}"));
            }
            Outcome::Crashed => {
                self.faults.count(Fault::HandlerCrash);
                self.close();
                self.note(format_args!("{program} {request_id} crashed"));
            }
        }
        outcome
    }
}
