//! The order as a decider.

use event_sourcing::decider::{Decider, Event};
use flow::{Facts, Step};
use jiff::Timestamp;
use serde_json::{Error, Value};

/// An order: its last step, and what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    /// There is none.
    Absent,
    /// It has come so far.
    At(Step, Facts),
}

/// Takes an order a step on.
#[derive(Debug, Clone)]
pub struct OrderCommand {
    /// Which step.
    pub step: Step,
    /// What the event says.
    pub facts: Facts,
}

/// What happened to an order.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderEvent {
    /// Which step.
    pub step: Step,
    /// What the event says.
    pub facts: Facts,
}

/// A step that is not the next one.
#[derive(Debug, thiserror::Error)]
#[error("the step is not the order's next one")]
pub struct OutOfTurn;

impl Event for OrderEvent {
    fn event_type(&self) -> &'static str {
        self.step.name()
    }

    fn to_data(&self) -> Result<Value, Error> {
        serde_json::to_value(&self.facts)
    }

    fn from_data(event_type: &str, data: &Value) -> Result<Option<Self>, Error> {
        let Some(step) = Step::named(event_type) else {
            return Ok(None);
        };
        let facts = serde::Deserialize::deserialize(data)?;
        Ok(Some(Self { step, facts }))
    }
}

impl Decider for Order {
    type State = Self;
    type Command = OrderCommand;
    type Event = OrderEvent;
    type Rejection = OutOfTurn;

    fn initial() -> Self {
        Self::Absent
    }

    fn decide(command: &OrderCommand, state: &Self) -> Result<Vec<OrderEvent>, OutOfTurn> {
        match (command.step, state) {
            (Step::Placed, Self::Absent)
            | (Step::Reserved, Self::At(Step::Placed, _))
            | (Step::Paid, Self::At(Step::Reserved, _))
            | (Step::Confirmed, Self::At(Step::Paid, _)) => Ok(vec![OrderEvent {
                step: command.step,
                facts: command.facts.clone(),
            }]),
            _ => Err(OutOfTurn),
        }
    }

    fn evolve(_: Self, event: &OrderEvent, _: Timestamp) -> Self {
        Self::At(event.step, event.facts.clone())
    }
}
