//! The dead-letter queues: what was given up lies there until somebody deletes it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_adapters::sqs_dead_letter_queue::{Message, QueueError, attribute};
use event_sourcing::dead_letter::{DeadLetterQueue, GivenUp, NotTaken};

use super::{World, lock};
use crate::faults::Fault;
use crate::mutants::Mutant;

/// Most messages of one receive.
const MAX_MESSAGES: usize = 10;
/// How long a message that was received is out of others' sight.
const OUT_OF_SIGHT: Duration = Duration::from_mins(2);

/// Messages by consumer.
#[derive(Debug, Default)]
pub struct Queues {
    sent: u64,
    messages: BTreeMap<String, Vec<Lying>>,
}

#[derive(Debug)]
struct Lying {
    message: Message,
    in_sight_from: Duration,
}

impl Queues {
    /// From when on a message is in sight, if there is any at all.
    #[must_use]
    pub fn next_in_sight(&self) -> Option<Duration> {
        let all = self.messages.values().flatten();
        all.map(|lying| lying.in_sight_from).min()
    }

    /// Every message that nobody deleted, with its consumer.
    pub fn left(&self) -> impl Iterator<Item = (&str, &Message)> {
        self.messages
            .iter()
            .flat_map(|(consumer, lying)| lying.iter().map(|one| (consumer.as_str(), &one.message)))
    }
}

impl World {
    /// A message comes to lie in the dead-letter queue of a consumer.
    pub(crate) fn dead_letter(
        &self,
        consumer: &str,
        body: String,
        attributes: BTreeMap<String, String>,
    ) {
        let mut queues = lock(&self.queues);
        queues.sent += 1;
        let id = format!("message-{}", queues.sent);
        self.note(format_args!("{consumer} has the dead letter {id}"));
        let message = Message {
            receipt: id.clone(),
            id,
            body,
            attributes,
            sent_at: self.true_time(),
        };
        let in_sight_from = self.elapsed();
        let lying = Lying {
            message,
            in_sight_from,
        };
        queues
            .messages
            .entry(consumer.to_owned())
            .or_default()
            .push(lying);
    }

    /// Messages in sight, which then are not for a while.
    pub(crate) async fn receive(&self, consumer: &str) -> Result<Vec<Message>, QueueError> {
        self.step().await;
        if self.hits(Fault::Throttled) {
            return Err(no_answer(consumer));
        }
        let received = self.take(consumer);
        self.step().await;
        Ok(received)
    }

    fn take(&self, consumer: &str) -> Vec<Message> {
        let now = self.elapsed();
        let mut queues = lock(&self.queues);
        let Some(lying) = queues.messages.get_mut(consumer) else {
            return Vec::new();
        };
        let mut received = Vec::new();
        let in_sight = lying.iter_mut().filter(|one| one.in_sight_from <= now);
        for one in in_sight.take(MAX_MESSAGES) {
            received.push(one.message.clone());
            // A queue delivers at least once: sometimes to two at a time.
            if !self.hits(Fault::DuplicateDelivery) {
                one.in_sight_from = now + OUT_OF_SIGHT;
            }
        }
        if self.has(Mutant::DeletedBeforeSaved) {
            lying.retain(|one| !received.contains(&one.message));
        }
        received
    }

    pub(crate) async fn delete(&self, consumer: &str, message: &Message) -> Result<(), QueueError> {
        self.step().await;
        if self.hits(Fault::Throttled) {
            return Err(no_answer(consumer));
        }
        if let Some(lying) = lock(&self.queues).messages.get_mut(consumer) {
            lying.retain(|one| one.message.id != message.id);
        }
        self.step().await;
        Ok(())
    }
}

fn no_answer(consumer: &str) -> QueueError {
    QueueError {
        queue: format!("{consumer}-dlq"),
        reason: "throttled".to_owned(),
    }
}

/// The port by which a consumer gives up itself.
pub struct OwnQueue {
    /// Where.
    pub world: Arc<World>,
    /// Who.
    pub consumer: String,
}

impl DeadLetterQueue for OwnQueue {
    async fn give_up(&self, given_up: &GivenUp) -> Result<(), NotTaken> {
        let Self { world, consumer } = self;
        let not_taken = || NotTaken(no_answer(consumer).into());
        world.step().await;
        if world.hits(Fault::Throttled) {
            return if world.has(Mutant::RefusalIgnored) {
                Ok(())
            } else {
                Err(not_taken())
            };
        }
        let mut attributes = BTreeMap::from([
            (
                attribute::CLASS.to_owned(),
                given_up.class.as_str().to_owned(),
            ),
            (attribute::CAUSE.to_owned(), given_up.cause.clone()),
            (
                attribute::ATTEMPTS.to_owned(),
                given_up.attempts.to_string(),
            ),
            (
                attribute::FIRST_FAILED_AT.to_owned(),
                world.true_time().to_string(),
            ),
        ]);
        if let Some(id) = &given_up.request_id {
            attributes.insert(attribute::REQUEST_ID.to_owned(), id.clone());
        }
        world.dead_letter(consumer, given_up.payload.to_string(), attributes);
        world.step().await;
        if world.hits(Fault::UnavailableButWritten) {
            return Err(not_taken());
        }
        Ok(())
    }
}
