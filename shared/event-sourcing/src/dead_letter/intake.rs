//! A message of a dead-letter queue becomes a letter.

use super::{
    Act, Class, DeadLetter, EventRef, MAX_CAUSE_BYTES, REDRIVER, REMEMBERED_MESSAGES,
    RedrivePolicy, Status, cut,
};
use jiff::Timestamp;
use serde_json::Value;

/// What a message of a dead-letter queue says.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// The queue's id of the message; the same whenever the queue delivers it.
    pub message_id: String,
    /// Who gave it up.
    pub consumer: String,
    /// How the last attempt failed.
    pub class: Class,
    /// Why.
    pub cause: String,
    /// What the consumer is to be called with.
    pub payload: Value,
    /// The event in it, where there is one.
    pub event: Option<EventRef>,
    /// The call that was given up, where the platform tells.
    pub request_id: Option<String>,
    /// How often the consumer was called.
    pub attempts: u32,
    /// When it failed first.
    pub first_failed_at: Timestamp,
    /// When it failed last.
    pub last_failed_at: Timestamp,
    /// Whether the consumer can be called with it at all.
    pub callable: bool,
}

impl Received {
    /// The id of its letter.
    #[must_use]
    pub fn letter_id(&self) -> String {
        let of = self.event.as_ref().map(|event| event.event_id.as_str());
        format!("{}/{}", self.consumer, of.unwrap_or(&self.message_id))
    }

    /// The call that was given up; where the platform does not tell of one (what could not be
    /// delivered was never begun), the message itself stands for it.
    fn call_id(&self) -> String {
        let told = self.request_id.as_ref();
        told.unwrap_or(&self.message_id).clone()
    }
}

/// The letter that a message becomes, or joins; `None` when it has gone into its letter before.
///
/// An open letter stays as it is: what is parked stays parked, so a poison message that comes
/// again and again is not redriven again and again. A closed one opens for the call that was given
/// up since, and for no earlier one: what those began is done. What nothing can be called with is
/// parked at once.
#[must_use]
pub fn take_in(
    stored: Option<DeadLetter>,
    received: Received,
    policy: &RedrivePolicy,
    random: f64,
    now: Timestamp,
) -> Option<DeadLetter> {
    let due = policy.due_after(0, random, now);
    let Some(mut letter) = stored else {
        return Some(new_letter(received, due, now));
    };
    if letter.messages.contains(&received.message_id) {
        return None;
    }
    let call = received.call_id();
    letter.messages.push(received.message_id);
    let forgotten = letter.messages.len().saturating_sub(REMEMBERED_MESSAGES);
    letter.messages.drain(..forgotten);
    letter.attempts = letter.attempts.saturating_add(received.attempts);
    letter.first_failed_at = letter.first_failed_at.min(received.first_failed_at);
    if letter.last_failed_at <= received.last_failed_at {
        letter.failed(received.class, &received.cause, received.last_failed_at);
    }
    letter.note(now, REDRIVER, Act::GivenUpAgain, received.cause);
    if letter.status.is_open() {
        letter.remember_call(call);
    } else if !letter.request_ids.contains(&call) {
        letter.payload = received.payload;
        letter.request_ids = vec![call];
        letter.round = 0;
        letter.wait_until(due);
        park_uncallable(&mut letter, received.callable, now);
    }
    Some(letter)
}

fn new_letter(received: Received, due: Timestamp, now: Timestamp) -> DeadLetter {
    let mut letter = DeadLetter {
        letter_id: received.letter_id(),
        request_ids: vec![received.call_id()],
        consumer: received.consumer,
        class: received.class,
        cause: cut(received.cause, MAX_CAUSE_BYTES),
        payload: received.payload,
        event: received.event,
        attempts: received.attempts,
        first_failed_at: received.first_failed_at,
        last_failed_at: received.last_failed_at,
        round: 0,
        status: Status::Waiting,
        due_at: Some(due),
        claimed_until: None,
        messages: vec![received.message_id],
        history: Vec::new(),
        revision: 0,
    };
    let cause = letter.cause.clone();
    letter.note(now, REDRIVER, Act::TakenIn, cause);
    park_uncallable(&mut letter, received.callable, now);
    letter
}

fn park_uncallable(letter: &mut DeadLetter, callable: bool, now: Timestamp) {
    if !callable {
        letter.rest_as(Status::Parked);
        let note = "nothing can be called with it; look at its payload, then purge or resolve it";
        letter.note(now, REDRIVER, Act::Parked, note);
    }
}
