//! Turns what the deliveries tell into steps: retries, dead letters, losses. (The invocations
//! themselves are told where they are made.)

use std::sync::Arc;

use lambda_host::async_invoke::{AsyncEvent, AsyncObserver, Condition, PendingInvocation};
use lambda_host::queue_mapping::{QueueEvent, QueueObserver};
use lambda_host::stream_mapping::{BatchInfo, MappingEvent, MappingObserver};

use crate::queues::queue_name;
use crate::steps::{Step, StepKind, StepSink};
use crate::subjects::subjects;

/// Watches all deliveries.
pub(crate) struct Watching {
    steps: Arc<dyn StepSink>,
}

impl Watching {
    pub(crate) fn new(steps: Arc<dyn StepSink>) -> Self {
        Self { steps }
    }

    fn batch(&self, kind: StepKind, batch: &BatchInfo, note: String) {
        self.steps.step(Step {
            kind,
            stream: batch.shard_id.trim_start_matches("shardId-").to_owned(),
            event: format!("batch of {}", batch.records),
            function: batch.function.clone(),
            duration: None,
            memory: None,
            note,
        });
    }
}

impl AsyncObserver for Watching {
    fn on_event(&self, pending: &PendingInvocation, event: &AsyncEvent<'_>) {
        let (kind, note) = match event {
            AsyncEvent::Retried { delay } => {
                (StepKind::Retried, format!("in {} ms", delay.as_millis()))
            }
            AsyncEvent::Delivered { condition, .. } if *condition == Condition::Success => return,
            AsyncEvent::Delivered { arn, condition } => {
                let note = format!("{}: {}", queue_name(arn), condition.as_str());
                (StepKind::DeadLetter, note)
            }
            AsyncEvent::Discarded { condition } => (
                StepKind::Lost,
                format!("no destination: {}", condition.as_str()),
            ),
            AsyncEvent::DeliveryFailed { arn, error, .. } => (
                StepKind::Lost,
                format!("{} did not take it: {error}", queue_name(arn)),
            ),
            AsyncEvent::JournalFailed { error } => (
                StepKind::Failed,
                format!("the journal cannot be written: {error}"),
            ),
            AsyncEvent::Submitted
            | AsyncEvent::Started { .. }
            | AsyncEvent::Succeeded { .. }
            | AsyncEvent::Failed { .. }
            | AsyncEvent::NotInvoked { .. } => return,
        };
        if !self.steps.wanted() {
            return;
        }
        let payload = serde_json::from_str(&pending.payload).unwrap_or_default();
        for subject in subjects(&payload) {
            self.steps.step(Step {
                kind,
                stream: subject.stream,
                event: subject.event,
                function: pending.function.clone(),
                duration: None,
                memory: None,
                note: note.clone(),
            });
        }
    }
}

impl MappingObserver for Watching {
    fn on_batch(&self, batch: &BatchInfo, event: &MappingEvent<'_>) {
        let (kind, note) = match event {
            MappingEvent::Retried { delay } => {
                (StepKind::Retried, format!("in {} ms", delay.as_millis()))
            }
            MappingEvent::Bisected { first_part } => {
                let rest = batch.records.saturating_sub(*first_part);
                (
                    StepKind::Retried,
                    format!("in two parts, {first_part} and {rest}"),
                )
            }
            MappingEvent::Dropped {
                condition,
                destination: Some(arn),
            } => {
                let note = format!("{}: {}", queue_name(arn), condition.as_str());
                (StepKind::DeadLetter, note)
            }
            MappingEvent::Dropped {
                condition,
                destination: None,
            } => (
                StepKind::Lost,
                format!("no destination: {}", condition.as_str()),
            ),
            MappingEvent::DeliveryFailed { arn, error, .. } => (
                StepKind::Lost,
                format!("{} did not take it: {error}", queue_name(arn)),
            ),
            MappingEvent::Started { .. }
            | MappingEvent::Succeeded { .. }
            | MappingEvent::Failed { .. }
            | MappingEvent::NotInvoked { .. } => return,
        };
        self.batch(kind, batch, note);
    }

    fn on_source_error(&self, function: &str, error: &str) {
        self.steps.step(trouble(function, error));
    }
}

impl QueueObserver for Watching {
    fn on_batch(&self, function: &str, message_ids: &[String], event: &QueueEvent<'_>) {
        match event {
            QueueEvent::Failed {
                message, failed, ..
            } => self.steps.step(Step {
                kind: StepKind::Retried,
                stream: String::new(),
                event: format!("{} of {} messages", failed.len(), message_ids.len()),
                function: function.to_owned(),
                duration: None,
                memory: None,
                note: format!("at their visibility timeout: {message}"),
            }),
            QueueEvent::SourceFailed { error } => self.steps.step(trouble(function, error)),
            QueueEvent::Started
            | QueueEvent::Succeeded { .. }
            | QueueEvent::NotInvoked { .. }
            | QueueEvent::Filtered => {}
        }
    }
}

fn trouble(function: &str, error: &str) -> Step {
    Step {
        kind: StepKind::Failed,
        stream: String::new(),
        event: "its source".to_owned(),
        function: function.to_owned(),
        duration: None,
        memory: None,
        note: error.to_owned(),
    }
}
