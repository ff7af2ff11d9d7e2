//! What `redrive-dlq` needs of the platform: its queues, the stream of the event store, and calls
//! of consumers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use aws_adapters::dead_letter_message::GivenUpBatch;
use aws_adapters::function_calls::{CallError, Called};
use aws_adapters::lambda::Invocation;
use aws_adapters::sqs_dead_letter_queue::{Message, QueueError};
use aws_adapters::stream_history::Restored;
use event_sourcing::dead_letter::DeadLetter;
use event_sourcing::failure::Failure;
use redrive_dlq::config::Consumer;
use redrive_dlq::handler::PATIENCE;
use redrive_dlq::ports::Platform;
use serde_json::Value;
use tokio::sync::oneshot;

use super::{World, lock};
use crate::faults::Fault;
use crate::mutants::Mutant;
use crate::platform::invocation::Outcome;
use crate::scheduler::spawn;

/// The calls of one invocation of the redriver whose outcome no letter has yet. When the
/// invocation dies, or the letters do not take an outcome, they are made again, and nobody knows
/// of the time before.
pub struct Calls {
    world: Arc<World>,
    untold: Mutex<BTreeMap<String, Untold>>,
    ended: AtomicBool,
}

struct Untold {
    trigger: Value,
    /// The id that the consumer was called with.
    call: String,
    in_trouble: bool,
}

impl Calls {
    /// None yet.
    #[must_use]
    pub fn new(world: &Arc<World>) -> Arc<Self> {
        Arc::new(Self {
            world: Arc::clone(world),
            untold: Mutex::default(),
            ended: AtomicBool::new(false),
        })
    }

    /// The invocation came to its end.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    fn made(&self, letter: &DeadLetter, call: &str) {
        let world = &self.world;
        // The call that is made now, and its outcome that the letter is to have.
        let overlaps = world.begins(&letter.letter_id, 2);
        // A claim is a lease, and its end is told by clocks: where they jump, it can be taken over
        // while its call goes on, or before its outcome is noted.
        if overlaps && world.faults.counts().of(Fault::ClockJump) > 0 {
            world.excuse_mail_to_come(&letter.payload["detail"], call);
        }
        let untold = Untold {
            trigger: letter.payload["detail"].clone(),
            call: call.to_owned(),
            in_trouble: false,
        };
        let before = lock(&self.untold).insert(letter.letter_id.clone(), untold);
        if before.is_some() {
            world.ended(&letter.letter_id);
        }
    }

    pub(super) fn told(&self, letter_id: &str) {
        if lock(&self.untold).remove(letter_id).is_some() {
            self.world.ended(letter_id);
        }
    }

    pub(super) fn in_trouble(&self, letter_id: &str) {
        if let Some(untold) = lock(&self.untold).get_mut(letter_id) {
            untold.in_trouble = true;
        }
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        let died = !self.ended.load(Ordering::Relaxed);
        // Where clocks jump, somebody else can have the claim when the outcome is there, which then
        // is not noted; he may not even have called.
        let jumps = self.world.faults.counts().of(Fault::ClockJump) > 0;
        for (letter_id, untold) in &*lock(&self.untold) {
            if died || untold.in_trouble || jumps {
                self.world
                    .excuse_mail_to_come(&untold.trigger, &untold.call);
            }
            self.world.ended(letter_id);
        }
    }
}

/// The port of one invocation of the redriver.
pub struct RedriverPlatform {
    /// Where it calls.
    pub world: Arc<World>,
    /// What it called with.
    pub calls: Arc<Calls>,
}

impl Platform for RedriverPlatform {
    async fn receive(&self, consumer: &Consumer) -> Result<Vec<Message>, QueueError> {
        self.world.receive(&consumer.name).await
    }

    async fn delete(&self, consumer: &Consumer, message: &Message) -> Result<(), QueueError> {
        self.world.delete(&consumer.name, message).await
    }

    async fn restore(
        &self,
        consumer: &Consumer,
        batch: &GivenUpBatch,
    ) -> Result<Vec<Restored>, Failure> {
        let world = &self.world;
        world.step().await;
        if world.hits(Fault::Throttled) {
            return Err(Failure::Transient("throttled".to_owned()));
        }
        let restored = world.restored(batch, &consumer.streams);
        world.step().await;
        Ok(restored)
    }

    /// The consumer runs on when the redriver dies or waits no longer.
    async fn call(&self, consumer: &Consumer, letter: &DeadLetter) -> Result<Called, CallError> {
        let world = &self.world;
        let function = || consumer.name.clone();
        world.step().await;
        if world.hits(Fault::Throttled) {
            let function = function();
            return Err(CallError::Throttled { function });
        }
        let invocation = world.redrive_of(letter);
        let (tell, told) = oneshot::channel();
        let (calling, program) = (Arc::clone(world), function());
        let call = invocation.request_id.clone();
        self.calls.made(letter, &call);
        let letter_id = letter.letter_id.clone();
        spawn(async move {
            let outcome = calling.invoke_as(&program, invocation).await;
            calling.ended(&letter_id);
            // Nobody may wait for it any more.
            let _ = tell.send(outcome);
        });
        let no_answer = |reason: &str| CallError::Unavailable {
            function: function(),
            reason: reason.to_owned(),
        };
        let trigger = &letter.payload["detail"];
        let Ok(Ok(outcome)) = tokio::time::timeout(PATIENCE, told).await else {
            world.excuse_mail_to_come(trigger, &call);
            return Err(no_answer("timed out"));
        };
        if world.hits(Fault::LostAcknowledgement) {
            world.excuse_mail(trigger, &call);
            return Err(no_answer("the connection was closed"));
        }
        world.step().await;
        Ok(world.called(outcome, trigger, &call))
    }
}

impl World {
    /// So much goes on with a letter from now on; whether something did before.
    fn begins(&self, letter_id: &str, more: u32) -> bool {
        let mut in_flight = lock(&self.in_flight);
        let going_on = in_flight.entry(letter_id.to_owned()).or_default();
        *going_on += more;
        *going_on > more
    }

    /// One of these came to its end.
    fn ended(&self, letter_id: &str) {
        let mut in_flight = lock(&self.in_flight);
        if let Some(going_on) = in_flight.get_mut(letter_id) {
            *going_on = going_on.saturating_sub(1);
        }
    }

    /// What a call came to, as the platform tells it.
    fn called(&self, outcome: Outcome, trigger: &Value, call: &str) -> Called {
        match outcome {
            Outcome::Answered(answer) => Called::Answer(answer),
            Outcome::Failed(_) | Outcome::Crashed if self.has(Mutant::RedriveDropsFailed) => {
                Called::Answer(Value::Null)
            }
            Outcome::Failed(failure) => Called::Failed {
                error_type: failure.class().to_owned(),
                message: failure.to_string(),
            },
            Outcome::Crashed => {
                self.excuse_mail(trigger, call);
                Called::Failed {
                    error_type: "Runtime.ExitError".to_owned(),
                    message: "its process ended".to_owned(),
                }
            }
        }
    }

    /// How a consumer is called with a letter.
    fn redrive_of(&self, letter: &DeadLetter) -> Invocation {
        let mut ids = letter.call_ids();
        if self.has(Mutant::RedrivenUnderNewId) {
            ids = vec![self.platform.next_request()];
        }
        Invocation {
            payload: letter.payload.clone(),
            request_id: ids.first().cloned().unwrap_or_default(),
            redrive_of: ids,
            traceparent: None,
        }
    }
}
