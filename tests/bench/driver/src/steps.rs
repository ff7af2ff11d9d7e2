//! What happened when: invocations of functions, and events that were stored.

use std::sync::{Mutex, PoisonError};

use local::Stack;
use local::steps::{Step, StepKind, StepSink};
use serde_json::{Value, json};

use crate::clients::now_micros;
use crate::system::System;

/// Takes down every invocation.
#[derive(Debug)]
pub struct Steps {
    wanted: bool,
    taken: Mutex<Vec<Value>>,
}

impl Steps {
    /// Takes them down, where that is wanted: it takes time of its own.
    pub fn new(wanted: bool) -> Self {
        Self {
            wanted,
            taken: Mutex::default(),
        }
    }

    /// Forgets what was taken down.
    pub fn forget(&self) {
        self.taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// Every invocation with its begin and end in microseconds since 1970, its function, stream and
    /// event; and every event with the millisecond in which it was stored.
    pub fn told(&self, stack: &Stack, system: System) -> Value {
        let invocations = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let mut stored = Vec::new();
        if let Some(stream) = stack.endpoint().stream(system.events_table()) {
            for record in stream.read(0, usize::MAX) {
                let image = &record.record["dynamodb"]["NewImage"];
                let (stream, event) = (&image["streamId"]["S"], &image["eventType"]["S"]);
                stored.push(json!([record.at_millis, stream, event]));
            }
        }
        json!({"invocations": *invocations, "stored": stored})
    }
}

impl StepSink for Steps {
    fn step(&self, step: Step) {
        let Some(duration) = step.duration.filter(|_| step.kind == StepKind::Done) else {
            return;
        };
        let end = now_micros();
        let took = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let begin = end.saturating_sub(took);
        let line = json!([begin, end, step.function, step.stream, step.event]);
        self.taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
    }

    fn wanted(&self) -> bool {
        self.wanted
    }
}
