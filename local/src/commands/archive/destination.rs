//! Where a replay goes: to a consumer, or into a table.

use aws_adapters::function_calls::{CallError, Called, FunctionCalls};
use aws_adapters::lambda::REPLAY_NAME;
use aws_adapters::restored_events::{Restored, RestoredEvents};
use event_sourcing::envelope::Envelope;
use sam_template::{EventPattern, Stack, Target};
use serde_json::{Value, json};

use super::args::ReplayArgs;
use super::error::ArchiveError;
use crate::cli::StackArgs;
use crate::commands::options;
use crate::commands::step_by_step::again;
use crate::commands::system::System;
use crate::error::LocalError;
use crate::stack::read_template;

/// A consumer that has no room is called again so often.
const TRIES: u32 = 30;

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The consumer took it, or the table has it now.
    Replayed,
    /// The consumer acts outside, and did nothing.
    Muted,
    /// The table had it.
    There,
    Failed(String),
}

/// Where events go.
pub(super) struct Destination {
    /// What the rules of the consumer let through; without one, everything goes.
    patterns: Option<Vec<EventPattern>>,
    /// Who takes it.
    pub(super) taker: Taker,
}

/// Who takes events. Clones share connections.
#[derive(Clone)]
pub(super) enum Taker {
    Consumer {
        calls: FunctionCalls,
        /// As it is called.
        function: String,
        /// What the events are marked with.
        replay: String,
    },
    Table(RestoredEvents),
    /// Nothing is replayed; it is only counted.
    Nobody,
}

impl Destination {
    /// What was asked for.
    pub(super) async fn of(
        shared: &StackArgs,
        system: &System,
        args: &ReplayArgs,
        replay: &str,
    ) -> Result<Self, LocalError> {
        let patterns = match &args.consumer {
            None => None,
            Some(consumer) => Some(patterns(&read_template(&options(shared)?)?, consumer)?),
        };
        if let Some(table) = &args.table
            && *table == system.tables()?.event_store
        {
            return Err(ArchiveError::OwnTable(table.clone()).into());
        }
        let taker = match (&args.consumer, &args.table) {
            _ if args.dry_run => Taker::Nobody,
            (Some(consumer), _) => Taker::Consumer {
                calls: system.calls(),
                function: system.function(consumer)?.to_owned(),
                replay: replay.to_owned(),
            },
            (None, table) => {
                let table = table.as_deref().unwrap_or_default();
                let opened = RestoredEvents::open(system.connection().dynamodb(), table).await;
                Taker::Table(opened.map_err(ArchiveError::from)?)
            }
        };
        Ok(Self { patterns, taker })
    }

    /// Whether the event is for it.
    pub(super) fn wants(&self, whole: &Value) -> bool {
        let matches = |patterns: &Vec<EventPattern>| patterns.iter().any(|one| one.matches(whole));
        self.patterns.as_ref().is_none_or(matches)
    }
}

impl Taker {
    /// Replays an event.
    pub(super) async fn take(&self, mut whole: Value, event: &Envelope) -> Outcome {
        match self {
            Self::Nobody => Outcome::Replayed,
            Self::Table(table) => match table.put(event).await {
                Ok(Restored::New) => Outcome::Replayed,
                Ok(Restored::There) => Outcome::There,
                Ok(Restored::Differs) => {
                    Outcome::Failed("another event is in its place, and stays".to_owned())
                }
                Err(error) => Outcome::Failed(error.to_string()),
            },
            Self::Consumer {
                calls,
                function,
                replay,
            } => {
                whole[REPLAY_NAME] = json!(replay);
                let ids = [replay.clone()];
                // As a redrive: what fails is told here, and not put into the dead-letter queue.
                let called = again(TRIES, || calls.redrive(function, &whole, &ids));
                outcome(called.await)
            }
        }
    }
}

fn outcome(called: Result<Called, CallError>) -> Outcome {
    match called {
        Ok(Called::Answer(answer)) if answer["muted"] == json!(true) => Outcome::Muted,
        Ok(Called::Answer(_)) => Outcome::Replayed,
        Ok(Called::Failed {
            error_type,
            message,
        }) => Outcome::Failed(format!("{error_type}: {message}")),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

/// The patterns of the rules that give events of the bus to the function with this program.
fn patterns(stack: &Stack, consumer: &str) -> Result<Vec<EventPattern>, ArchiveError> {
    let targets = stack.rules.iter().flat_map(|rule| {
        let targets = rule.targets.iter();
        targets.filter_map(move |target| match &target.target {
            Target::Function { logical_id } => {
                let function = stack.function(logical_id)?;
                Some((function.binary.as_str(), &rule.pattern))
            }
            _ => None,
        })
    });
    let all: Vec<_> = targets.collect();
    let patterns: Vec<_> = all
        .iter()
        .filter(|(program, _)| *program == consumer)
        .map(|(_, pattern)| (*pattern).clone())
        .collect();
    if patterns.is_empty() {
        let mut known: Vec<_> = all.iter().map(|(program, _)| *program).collect();
        known.sort_unstable();
        known.dedup();
        return Err(ArchiveError::NoConsumer {
            name: consumer.to_owned(),
            known: known.join(", "),
        });
    }
    Ok(patterns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_a_muted_one_and_a_failure_are_told_apart() {
        let answer = |answer| outcome(Ok(Called::Answer(answer)));
        assert_eq!(answer(Value::Null), Outcome::Replayed);
        assert_eq!(answer(json!({"muted": true})), Outcome::Muted);
        let failed = Called::Failed {
            error_type: "Permanent".to_owned(),
            message: "no".to_owned(),
        };
        assert_eq!(
            outcome(Ok(failed)),
            Outcome::Failed("Permanent: no".to_owned())
        );
    }

    #[test]
    fn a_consumer_gets_what_its_rules_let_through_and_others_are_named() {
        let template = include_str!("../../../../template.yaml");
        let stack = Stack::from_yaml(template, &crate::template::context_to_read()).unwrap();
        let patterns = patterns(&stack, "update-inventory").unwrap();
        let event = |kind: &str| {
            json!({"source": "orderflow", "detail-type": kind,
                "detail": {"streamId": "order-1", "version": 1}})
        };
        let wants = |kind: &str| patterns.iter().any(|pattern| pattern.matches(&event(kind)));
        assert!(wants("OrderPlaced") && !wants("OrderConfirmed"));
        let unknown = super::patterns(&stack, "place-order")
            .unwrap_err()
            .to_string();
        assert!(
            unknown.contains("notify-user") && !unknown.contains("project-orders"),
            "{unknown}"
        );
    }
}
