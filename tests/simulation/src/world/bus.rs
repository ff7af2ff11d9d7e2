//! The bus: takes some entries of a request and not others, and gives each event to every
//! consumer whose rule of the template matches it.

use std::sync::Arc;
use std::time::Duration;

use aws_adapters::eventbridge_publisher::{Entry, PutEvents, SOURCE};
use event_sourcing::envelope::Envelope;
use event_sourcing::publisher::PublishError;
use serde_json::{Value, json};

use super::{World, lock};
use crate::faults::Fault;
use crate::mutants::Mutant;

/// How long the bus is down at most.
const OUTAGE: Duration = Duration::from_mins(1);

/// What the bus took.
#[derive(Debug, Clone)]
pub struct Published {
    /// Who put it there.
    pub source: String,
    /// The whole event, as its consumers get it.
    pub event: Arc<Value>,
}

/// The port of whoever publishes.
#[derive(Clone)]
pub struct Bus {
    world: Arc<World>,
    /// Whether it belongs to those who publish again.
    heals: bool,
}

impl Bus {
    /// The relay's.
    #[must_use]
    pub fn of(world: &Arc<World>) -> Self {
        Self {
            world: Arc::clone(world),
            heals: false,
        }
    }

    /// That of sweeps and of reconciling.
    #[must_use]
    pub fn of_healers(world: &Arc<World>) -> Self {
        Self {
            heals: true,
            ..Self::of(world)
        }
    }
}

fn not_taken() -> PublishError {
    PublishError::Unavailable("ThrottlingException".to_owned())
}

impl PutEvents for Bus {
    async fn put(&self, entries: Vec<Entry>) -> Vec<Result<(), PublishError>> {
        let Self { world, heals } = self;
        let count = entries.len();
        world.step().await;
        if world.bus_is_down() || world.hits(Fault::Throttled) {
            return vec![Err(not_taken()); count];
        }
        let mut answers = Vec::with_capacity(count);
        for entry in entries {
            if world.hits(Fault::PartialPutEvents) {
                answers.push(Err(not_taken()));
                continue;
            }
            match serde_json::from_str::<Value>(&entry.detail) {
                Ok(mut detail) => {
                    if *heals && world.has(Mutant::HealedAnew) {
                        detail["timestamp"] = json!(world.true_time());
                    }
                    world.accept(SOURCE, &entry.detail_type, &entry.resource, detail);
                    answers.push(Ok(()));
                }
                Err(error) => answers.push(Err(PublishError::Refused(error.to_string()))),
            }
        }
        if world.hits(Fault::UnavailableButWritten) {
            return vec![Err(PublishError::Unavailable("no answer".to_owned())); count];
        }
        world.step().await;
        if world.has(Mutant::FailedEntriesIgnored) {
            return vec![Ok(()); count];
        }
        answers
    }
}

impl World {
    fn bus_is_down(&self) -> bool {
        let now = self.elapsed();
        if self.hits(Fault::BusOutage) {
            let lasts = OUTAGE.mul_f64(self.draw(fastrand::Rng::f64));
            *lock(&self.bus_down_until) = now + lasts;
        }
        now < *lock(&self.bus_down_until)
    }

    /// Takes an event and gives it to whom it concerns.
    pub(crate) fn accept(
        self: &Arc<Self>,
        source: &str,
        detail_type: &str,
        resource: &str,
        detail: Value,
    ) {
        let mut published = lock(&self.published);
        let event = Arc::new(json!({
            "version": "0",
            "id": format!("bus-{}", published.len()),
            "detail-type": detail_type,
            "source": source,
            "account": "000000000000",
            "time": "2025-01-01T12:00:00Z",
            "region": "us-east-1",
            "resources": [resource],
            "detail": detail,
        }));
        published.push(Published {
            source: source.to_owned(),
            event: Arc::clone(&event),
        });
        drop(published);
        self.note(format_args!(
            "on the bus {detail_type} {resource}@{}",
            event["detail"]["version"]
        ));
        self.route(&event);
    }

    /// Takes an event of our own that did not come from the relay.
    pub(crate) fn accept_event(self: &Arc<Self>, event: &Envelope) {
        let stream = event.stream_id.as_deref().unwrap_or_default();
        if let Ok(detail) = serde_json::to_value(event) {
            self.accept(SOURCE, &event.event_type, stream, detail);
        }
    }
}
