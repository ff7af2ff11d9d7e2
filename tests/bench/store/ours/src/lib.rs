//! The event store of this repository, as its functions use it: each command starts from what its
//! trigger tells, and one conditional write stores its event.

pub mod order;

use aws_adapters::dynamodb_event_store::DynamoDbEventStore;
use event_sourcing::chain::Head;
use event_sourcing::execute::{Cause, Start, execute, load};
use event_sourcing::store::EventStore;
use flow::{Client, Facts, Failure, STEPS, Step};
use jiff::Timestamp;
use order::{Order, OrderCommand, OrderEvent};
use std::convert::Infallible;

/// The event store.
pub struct Ours(pub DynamoDbEventStore);

fn cause(stream: &str, step: Step) -> Cause {
    Cause {
        id: format!("{stream}/{}", step.name()),
        seed: step.name().to_owned(),
        purpose: "bench",
        correlation_id: Some(stream.to_owned()),
        traceparent: None,
        actor: None,
        now: Timestamp::now(),
    }
}

impl Client for Ours {
    async fn commit(&self, stream: String) -> Result<(), Failure> {
        let mut state = Order::Absent;
        let mut head = Head::START;
        for step in STEPS {
            let facts = Facts::of(&stream);
            let command = OrderCommand { step, facts };
            let start = Start::From { state, head };
            let cause = cause(&stream, step);
            let done = execute::<Order>(&self.0, &stream, start, &command, &cause).await?;
            head = Head::after(done.events.last());
            state = Order::At(step, command.facts);
        }
        Ok(())
    }

    async fn append(&self, stream: String) -> Result<(), Failure> {
        let mut head = Head::START;
        for step in STEPS {
            let facts = Facts::of(&stream);
            let event = OrderEvent { step, facts };
            let events = cause(&stream, step).envelopes(&stream, &[event])?;
            let stored = self.0.append(&stream, &head, events).await?;
            head = Head::after(stored.last());
        }
        Ok(())
    }

    async fn load(&self, stream: String) -> Result<u64, Failure> {
        let loaded = load::<Order, Infallible>(&self.0, &stream).await?;
        Ok(loaded.head.version)
    }
}
