//! The order as an aggregate of cqrs-es.

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent};
use flow::{Facts, Step};
use serde::{Deserialize, Serialize};

/// An order.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Order {
    /// Its last step.
    pub step: Option<Step>,
    facts: Facts,
}

/// Takes an order a step on.
pub struct OrderCommand {
    /// Which step.
    pub step: Step,
    /// What the event says.
    pub facts: Facts,
}

/// What happened to an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum OrderEvent {
    /// It was placed.
    OrderPlaced(Facts),
    /// Its stock was reserved.
    InventoryUpdated(Facts),
    /// It was paid.
    PaymentProcessed(Facts),
    /// It was confirmed.
    OrderConfirmed(Facts),
}

impl OrderEvent {
    /// The event of a step.
    #[must_use]
    pub fn new(step: Step, facts: Facts) -> Self {
        match step {
            Step::Placed => Self::OrderPlaced(facts),
            Step::Reserved => Self::InventoryUpdated(facts),
            Step::Paid => Self::PaymentProcessed(facts),
            Step::Confirmed => Self::OrderConfirmed(facts),
        }
    }

    fn into_parts(self) -> (Step, Facts) {
        match self {
            Self::OrderPlaced(facts) => (Step::Placed, facts),
            Self::InventoryUpdated(facts) => (Step::Reserved, facts),
            Self::PaymentProcessed(facts) => (Step::Paid, facts),
            Self::OrderConfirmed(facts) => (Step::Confirmed, facts),
        }
    }
}

impl DomainEvent for OrderEvent {
    fn event_type(&self) -> String {
        let step = match self {
            Self::OrderPlaced(_) => Step::Placed,
            Self::InventoryUpdated(_) => Step::Reserved,
            Self::PaymentProcessed(_) => Step::Paid,
            Self::OrderConfirmed(_) => Step::Confirmed,
        };
        step.name().to_owned()
    }

    fn event_version(&self) -> String {
        "1.0".to_owned()
    }
}

/// A step that is not the next one.
#[derive(Debug)]
pub struct OutOfTurn;

impl std::fmt::Display for OutOfTurn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the step is not the order's next one")
    }
}

impl std::error::Error for OutOfTurn {}

impl Aggregate for Order {
    const TYPE: &'static str = "order";
    type Command = OrderCommand;
    type Event = OrderEvent;
    type Error = OutOfTurn;
    type Services = ();

    async fn handle(
        &mut self,
        command: OrderCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), OutOfTurn> {
        match (command.step, self.step) {
            (Step::Placed, None)
            | (Step::Reserved, Some(Step::Placed))
            | (Step::Paid, Some(Step::Reserved))
            | (Step::Confirmed, Some(Step::Paid)) => {
                sink.write(OrderEvent::new(command.step, command.facts), self)
                    .await;
                Ok(())
            }
            _ => Err(OutOfTurn),
        }
    }

    fn apply(&mut self, event: OrderEvent) {
        let (step, facts) = event.into_parts();
        self.step = Some(step);
        self.facts = facts;
    }
}
