//! Dead letters: messages that a consumer gave up, kept until they are redriven, or until an
//! operator has decided about them.
//!
//! A letter is `waiting` for its next round, `parked` for an operator, or closed (`redriven`,
//! `resolved`, `purged`). Everything that happens to it is an entry of its history. Deciding is
//! pure: [`take_in`] (a message becomes a letter, or joins the one there is), [`claim`] and
//! [`after_round`] (a round begins, a round ends), [`due_in_order`] (whose turn it is),
//! [`park`], [`release`], [`resolve`] and [`purge`] (what an operator does). [`Filter`] says which
//! letters are meant, [`LetterSummary`] is what a list tells of each. [`DeadLetters`] keeps
//! letters; a change of one is saved under the revision that it was decided on, so two of them
//! never overwrite each other.

#[cfg(feature = "contract")]
pub mod contract;
mod in_memory;
mod intake;
mod listing;
mod operator;
mod port;
mod queue;
mod round;
mod turn;

pub use in_memory::InMemoryDeadLetters;
pub use intake::{Received, take_in};
pub use listing::{Filter, LetterSummary};
pub use operator::{ActRefused, Operator, park, purge, release, resolve};
#[cfg(feature = "runtime")]
pub use port::update;
pub use port::{DeadLetters, DeadLettersError};
pub use queue::{DeadLetterQueue, GivenUp, InMemoryDeadLetterQueue, NotTaken};
pub use round::{Claimed, Outcome, REDRIVER, RedrivePolicy, after_round, claim, postpone};
pub use turn::{Waiting, due_in_order};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How many message ids a letter remembers: a queue delivers a message twice soon, or never.
const REMEMBERED_MESSAGES: usize = 100;
/// How many calls a letter remembers; each of them is one delivery of its event that was given up.
const REMEMBERED_CALLS: usize = 500;
/// So many bytes of ids are handed over in one call: Lambda's client context has 3,583 bytes in
/// base64 (<https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>).
const HANDED_OVER_BYTES: usize = 2000;
/// Longest cause that is kept, in bytes.
const MAX_CAUSE_BYTES: usize = 2048;
/// Longest note of an entry, in bytes.
const MAX_NOTE_BYTES: usize = 512;
/// Most entries of a history: with them and a small payload, a letter fits into an item of a table.
const MAX_ENTRIES: usize = 300;

/// A message that a consumer gave up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// `<consumer>/<event id>`, or `<consumer>/<message id>` for what is no event.
    pub letter_id: String,
    /// Who gave it up: the name of a function's program, `process-payment`.
    pub consumer: String,
    /// How the last attempt failed that told something of this letter: `Waiting` tells of its
    /// consumer only, and replaces nothing else.
    pub class: Class,
    /// Why that attempt failed.
    pub cause: String,
    /// What the consumer is called with; a text when it is no JSON.
    pub payload: Value,
    /// The event in it, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<EventRef>,
    /// The calls that were given up and are to be redriven; of a closed letter, those that it was
    /// closed for. A retry keeps its call's id, and so does a redrive.
    #[serde(default)]
    pub request_ids: Vec<String>,
    /// How often the consumer was called, in all.
    pub attempts: u32,
    /// When it failed first.
    pub first_failed_at: Timestamp,
    /// When it failed last.
    pub last_failed_at: Timestamp,
    /// How many rounds have failed since it began to wait.
    pub round: u32,
    /// What is to happen with it.
    pub status: Status,
    /// When its next round is, while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// Until when a redriver is at it: nobody else touches it before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_until: Option<Timestamp>,
    /// The queue's ids of the messages that went into it, the last ones.
    pub messages: Vec<String>,
    /// What has happened to it.
    pub history: Vec<Entry>,
    /// How often it was saved; a change is saved only over the revision that it was decided on.
    pub revision: u64,
}

/// Which event a letter is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventRef {
    /// Its id.
    pub event_id: String,
    /// Its type.
    pub event_type: String,
    /// Its stream, when it is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_id: Option<String>,
    /// Its position there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
}

impl EventRef {
    /// What a letter keeps of `event`.
    #[must_use]
    pub fn of(event: &crate::envelope::Envelope) -> Self {
        Self {
            event_id: event.event_id.clone(),
            event_type: event.event_type.clone(),
            stream_id: event.stream_id.clone(),
            version: event.version,
        }
    }
}

/// How an attempt failed; see [`crate::failure::Failure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Class {
    /// It may succeed later.
    Transient,
    /// It will not succeed as it is.
    Permanent,
    /// What it needs is known to be down.
    Waiting,
}

impl Class {
    /// The class in an `errorType`. What names none (a crash, a timeout) may succeed later.
    #[must_use]
    pub fn of_error_type(error_type: &str) -> Self {
        match error_type {
            "Permanent" => Self::Permanent,
            "Waiting" => Self::Waiting,
            _ => Self::Transient,
        }
    }

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "Transient",
            Self::Permanent => "Permanent",
            Self::Waiting => "Waiting",
        }
    }
}

/// What is to happen with a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// It is redriven when it is due.
    Waiting,
    /// It has failed too often, or nothing can be called with it: an operator decides.
    Parked,
    /// The consumer took it.
    Redriven,
    /// An operator settled the matter in another way.
    Resolved,
    /// An operator dropped it.
    Purged,
}

impl Status {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Parked => "parked",
            Self::Redriven => "redriven",
            Self::Resolved => "resolved",
            Self::Purged => "purged",
        }
    }

    /// Whether something is still to happen.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Waiting | Self::Parked)
    }
}

/// Something that happened to a letter. What happens again in the same way, with nothing else in
/// between, is counted in the same entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// When, the last time.
    pub at: Timestamp,
    /// Who did it: a function, or an operator's name.
    pub by: String,
    /// What.
    pub act: Act,
    /// Why, or with which outcome.
    pub note: String,
    /// How many times.
    pub times: u32,
}

/// What can happen to a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Act {
    /// A message became the letter.
    TakenIn,
    /// The same event was given up again.
    GivenUpAgain,
    /// A round failed.
    RoundFailed,
    /// A round was postponed: what the consumer needs is down. It does not count.
    Postponed,
    /// A round succeeded.
    Redriven,
    /// It waits for an operator now.
    Parked,
    /// An operator made it due, with all its rounds before it.
    Released,
    /// An operator settled the matter in another way.
    Resolved,
    /// An operator dropped it.
    Purged,
    /// Entries that were left out, so many of them, for the history had grown too long.
    LeftOut,
}

impl DeadLetter {
    /// From when on a redriver may take it: none unless it waits.
    #[must_use]
    pub fn ready_at(&self) -> Option<Timestamp> {
        match self.status {
            Status::Waiting => self.due_at.max(self.claimed_until),
            _ => None,
        }
    }

    /// The ids that its redrive is called with: those of the calls that were given up, so that the
    /// consumer knows whatever it began in one of them. The first one stays the same until the
    /// letter is closed; it is what the redrives themselves begin things under. What is too much
    /// for one call is left for the next one.
    #[must_use]
    pub fn call_ids(&self) -> Vec<String> {
        let mut bytes = 0;
        let mut ids: Vec<_> = self
            .request_ids
            .iter()
            .take_while(|id| {
                let is_first = bytes == 0;
                bytes += id.len() + 5;
                is_first || bytes <= HANDED_OVER_BYTES
            })
            .cloned()
            .collect();
        if ids.is_empty() {
            ids.push(self.letter_id.clone());
        }
        ids
    }

    /// Notes that this call was given up, too.
    fn remember_call(&mut self, id: String) {
        if !self.request_ids.contains(&id) {
            self.request_ids.push(id);
        }
        if self.request_ids.len() > REMEMBERED_CALLS {
            self.request_ids.remove(1);
        }
    }

    /// Whether a redriver is at it.
    #[must_use]
    pub fn is_claimed(&self, now: Timestamp) -> bool {
        self.claimed_until.is_some_and(|until| until > now)
    }

    /// Notes what happened.
    fn note(&mut self, at: Timestamp, by: &str, act: Act, note: impl Into<String>) {
        let note = cut(note.into(), MAX_NOTE_BYTES);
        if let Some(last) = self.history.last_mut()
            && (last.act, last.by.as_str(), &last.note) == (act, by, &note)
            && matches!(act, Act::GivenUpAgain | Act::Postponed)
        {
            last.at = at;
            last.times += 1;
            return;
        }
        self.history.push(Entry {
            at,
            by: by.to_owned(),
            act,
            note,
            times: 1,
        });
        self.leave_out();
    }

    /// Notes how an attempt failed. An outcome that is unknown stays so while what would tell it
    /// is down.
    fn failed(&mut self, class: Class, cause: &str, at: Timestamp) {
        self.last_failed_at = at;
        let tells_nothing = class == Class::Waiting && self.class != Class::Waiting;
        if self.status.is_open() && tells_nothing {
            return;
        }
        self.class = class;
        self.cause = cut(cause.to_owned(), MAX_CAUSE_BYTES);
    }

    /// Keeps a history that grows without end within its bound: how it began, and the last.
    fn leave_out(&mut self) {
        if self.history.len() <= MAX_ENTRIES {
            return;
        }
        let oldest = self.history.remove(1);
        let before = match oldest.act {
            Act::LeftOut => oldest.times,
            _ => 1,
        };
        if let Some(next) = self.history.get_mut(1) {
            next.act = Act::LeftOut;
            next.note = String::from("older entries");
            next.times = before.saturating_add(1);
        }
    }

    fn wait_until(&mut self, due: Timestamp) {
        self.status = Status::Waiting;
        self.due_at = Some(due);
        self.claimed_until = None;
    }

    fn rest_as(&mut self, status: Status) {
        self.status = status;
        self.due_at = None;
        self.claimed_until = None;
    }
}

/// A text of so many bytes at most.
fn cut(mut text: String, bytes: usize) -> String {
    if text.len() > bytes {
        let mut end = bytes;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests;
