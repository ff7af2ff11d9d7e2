//! Messages of the dead-letter queues become letters. A message is deleted after its letters are
//! saved, so none is lost; a letter remembers its messages, so none counts twice.

use super::{Handler, has_time};
use crate::call::{Call, Counts};
use crate::config::Consumer;
use crate::ports::Platform;
use aws_adapters::dead_letter_message::{self, GivenUpBatch, event_in};
use aws_adapters::sqs_dead_letter_queue::Message;
use event_sourcing::clock::Clock;
use event_sourcing::dead_letter::{
    DeadLetters, DeadLettersError, EventRef, Received, Status, take_in, update,
};
use event_sourcing::failure::Failure;
use std::time::Duration;

/// Most receives of one queue in one call: the others get their turn, and so do due letters.
const RECEIVES: usize = 50;
/// Ten messages are taken in within this.
const TAKES: Duration = Duration::from_secs(20);

impl<L: DeadLetters, P: Platform, C: Clock> Handler<L, P, C> {
    /// Empties the queues, as far as the time allows; a queue that does not answer is left for the
    /// next time.
    pub(super) async fn take_in(&self, call: &Call, counts: &mut Counts) {
        for consumer in self.consumers.iter().filter(|one| call.is_about(&one.name)) {
            for _ in 0..RECEIVES {
                if !has_time(TAKES) {
                    return;
                }
                match self.platform.receive(consumer).await {
                    Ok(messages) if messages.is_empty() => break,
                    Ok(messages) => {
                        for message in messages {
                            self.take(consumer, &message, counts).await;
                        }
                    }
                    Err(error) => {
                        tracing::error!(consumer = consumer.name, reason = %error, "not received");
                        break;
                    }
                }
            }
        }
    }

    async fn take(&self, consumer: &Consumer, message: &Message, counts: &mut Counts) {
        let taken = match self.letters_of(consumer, message).await {
            Ok(letters) => self.save(letters, counts).await,
            Err(failure) => Err(failure),
        };
        let done = match taken {
            Ok(()) => {
                let deleted = self.platform.delete(consumer, message).await;
                deleted.map_err(|error| error.to_string())
            }
            Err(failure) => {
                counts.left += 1;
                Err(failure.to_string())
            }
        };
        if let Err(reason) = done {
            tracing::error!(
                consumer = consumer.name,
                message_id = message.id,
                reason,
                "the message stays in its queue"
            );
        }
    }

    /// What a message says: one letter, or one for each record of a batch that is found again.
    async fn letters_of(
        &self,
        consumer: &Consumer,
        message: &Message,
    ) -> Result<Vec<Received>, Failure> {
        let (letter, batch) = dead_letter_message::read(&consumer.name, message);
        match batch {
            Some(batch) => self.restored(consumer, letter, &batch).await,
            None => Ok(vec![letter]),
        }
    }

    async fn restored(
        &self,
        consumer: &Consumer,
        letter: Received,
        batch: &GivenUpBatch,
    ) -> Result<Vec<Received>, Failure> {
        let records = self.platform.restore(consumer, batch).await?;
        if records.is_empty() {
            return Ok(vec![letter]);
        }
        let of_record = |record: aws_adapters::stream_history::Restored| Received {
            message_id: format!("{}/{}", letter.message_id, record.position),
            event: event_in(&record.payload).as_ref().map(EventRef::of),
            payload: record.payload,
            callable: true,
            ..letter.clone()
        };
        Ok(records.into_iter().map(of_record).collect())
    }

    async fn save(&self, letters: Vec<Received>, counts: &mut Counts) -> Result<(), Failure> {
        for received in letters {
            let now = self.clock.now();
            let random = fastrand::f64();
            let saved = update(&self.letters, &received.letter_id(), |stored| {
                let received = received.clone();
                Ok::<_, DeadLettersError>(take_in(stored, received, &self.policy, random, now))
            })
            .await
            .map_err(|error| Failure::from_error(&error))?;
            let Some(letter) = saved else {
                continue;
            };
            counts.taken_in += 1;
            if letter.status == Status::Parked && letter.revision == 1 {
                counts.parked += 1;
            }
            tracing::warn!(
                letter_id = letter.letter_id,
                consumer = letter.consumer,
                class = letter.class.as_str(),
                cause = letter.cause,
                status = letter.status.as_str(),
                attempts = letter.attempts,
                "taken in"
            );
        }
        Ok(())
    }
}
