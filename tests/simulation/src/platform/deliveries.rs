//! Events of the bus on their way to consumers: asynchronous invocations, at least once.

use std::sync::Arc;
use std::time::Duration;

use event_sourcing::failure::Failure;
use serde_json::Value;

use super::invocation::Outcome;
use crate::faults::Fault;
use crate::mutants::Mutant;
use crate::scheduler::spawn;
use crate::world::World;

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
            self.send(&rule.consumer, event);
            if self.hits(Fault::DuplicateDelivery) {
                self.send(&rule.consumer, event);
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
            let reason = match self.invoke(consumer, payload, &request).await {
                Outcome::Answered(_) if self.hits(Fault::LostAcknowledgement) => {
                    self.excuse_mail(&event["detail"]);
                    "its acknowledgement was lost".to_owned()
                }
                Outcome::Answered(_) => return,
                Outcome::Failed(Failure::Transient(reason)) => reason,
                Outcome::Failed(failure) => {
                    self.give_up(consumer, event, &request, &failure.to_string());
                    return;
                }
                Outcome::Crashed => {
                    self.excuse_mail(&event["detail"]);
                    "its process ended".to_owned()
                }
            };
            if self.has(Mutant::AcknowledgedBeforeAppend) {
                return;
            }
            if attempt == self.wiring.retries(consumer) && !self.has(Mutant::ExhaustedDropped) {
                self.give_up(consumer, event, &request, &reason);
            }
        }
    }
}
