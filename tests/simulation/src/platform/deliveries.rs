//! Events of the bus on their way to consumers: asynchronous invocations, at least once.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::given_up::{GivenUpCall, reason_of};
use super::invocation::Outcome;
use crate::faults::Fault;
use crate::mutants::Mutant;
use crate::scheduler::spawn;
use crate::world::World;

/// Who moves orders: what they miss, a sweep finds. What a customer is not told, and what another
/// producer's event never became, nobody could find.
const MOVERS: [&str; 2] = ["update-inventory", "process-payment"];
/// How long a delivery takes at most.
const USUAL: Duration = Duration::from_millis(100);
/// How late one is at most that is late.
const LATE: Duration = Duration::from_mins(12);
/// Lambda waits so long before the first retry, and twice as long before the second
/// (<https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>).
const FIRST_RETRY: Duration = Duration::from_mins(1);

impl World {
    /// Gives an event of the bus to every consumer whose rule selects it.
    pub(crate) fn route(self: &Arc<Self>, event: &Arc<Value>) {
        let wiring = Arc::clone(&self.wiring);
        for rule in wiring
            .rules
            .iter()
            .filter(|rule| rule.pattern.matches(event))
        {
            let consumer = &rule.consumer;
            if MOVERS.contains(&consumer.as_str()) && self.hits(Fault::LostDelivery) {
                self.note(format_args!("the bus lost {} of {consumer}", event["id"]));
                continue;
            }
            if rule.has_dead_letters && self.hits(Fault::Undelivered) {
                self.give_up_delivery(consumer, event);
                continue;
            }
            self.send(consumer, event);
            if self.hits(Fault::DuplicateDelivery) {
                self.send(consumer, event);
            }
        }
    }

    /// Sends an event to a consumer.
    pub(crate) fn send(self: &Arc<Self>, consumer: &str, event: &Arc<Value>) {
        let (world, event) = (Arc::clone(self), Arc::clone(event));
        let consumer = consumer.to_owned();
        spawn(async move { world.deliver(&consumer, &event).await });
    }

    async fn deliver(self: &Arc<Self>, consumer: &str, event: &Arc<Value>) {
        self.pause(USUAL).await;
        if self.hits(Fault::DelayedDelivery) {
            self.pause(LATE).await;
        }
        let request = self.platform.next_request();
        for attempt in 0..=self.wiring.retries(consumer) {
            if attempt > 0 {
                tokio::time::sleep(FIRST_RETRY * attempt).await;
            }
            let payload = Value::clone(event);
            let outcome = self.invoke(consumer, payload, &request).await;
            match &outcome {
                Outcome::Answered(_) if !self.hits(Fault::LostAcknowledgement) => return,
                Outcome::Answered(_) | Outcome::Crashed => {
                    self.excuse_mail(&event["detail"], &request);
                }
                Outcome::Failed(_) => {}
            }
            if self.has(Mutant::AcknowledgedBeforeAppend) {
                return;
            }
            if attempt == self.wiring.retries(consumer) && !self.has(Mutant::ExhaustedDropped) {
                let reason = reason_of(&outcome);
                self.note(format_args!("{consumer} {request} was given up: {reason}"));
                self.give_up_call(&GivenUpCall {
                    consumer,
                    event,
                    request: &request,
                    attempts: attempt + 1,
                    outcome: &outcome,
                });
            }
        }
    }
}
