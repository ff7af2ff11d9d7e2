//! What lists tell of letters, and which letters are meant.

use super::{Class, DeadLetter, EventRef, Status};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A letter without its payload and its history: neither large nor personal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LetterSummary {
    /// Its id.
    pub letter_id: String,
    /// Who gave it up.
    pub consumer: String,
    /// How the last attempt failed.
    pub class: Class,
    /// Why the last attempt failed.
    pub cause: String,
    /// The event in it, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<EventRef>,
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
    /// Until when a redriver is at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_until: Option<Timestamp>,
}

impl LetterSummary {
    /// Its fields, as they are stored.
    pub const FIELDS: [&str; 12] = [
        "letterId",
        "consumer",
        "class",
        "cause",
        "event",
        "attempts",
        "firstFailedAt",
        "lastFailedAt",
        "round",
        "status",
        "dueAt",
        "claimedUntil",
    ];

    /// What a list tells of `letter`.
    #[must_use]
    pub fn of(letter: &DeadLetter) -> Self {
        Self {
            letter_id: letter.letter_id.clone(),
            consumer: letter.consumer.clone(),
            class: letter.class,
            cause: letter.cause.clone(),
            event: letter.event.clone(),
            attempts: letter.attempts,
            first_failed_at: letter.first_failed_at,
            last_failed_at: letter.last_failed_at,
            round: letter.round,
            status: letter.status,
            due_at: letter.due_at,
            claimed_until: letter.claimed_until,
        }
    }

    /// What is kept in order: the letters of one stream and one consumer; one without a stream is
    /// by itself.
    #[must_use]
    pub fn lane(&self) -> (&str, &str) {
        let stream = self.event.as_ref().and_then(|one| one.stream_id.as_deref());
        (&self.consumer, stream.unwrap_or(&self.letter_id))
    }

    /// Its place in its lane.
    #[must_use]
    pub fn version(&self) -> Option<u64> {
        self.event.as_ref().and_then(|event| event.version)
    }
}

/// Which letters to list; what is not said does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this consumer.
    pub consumer: Option<String>,
    /// Of this class.
    pub class: Option<Class>,
    /// With this in the cause, whatever its case.
    pub cause: Option<String>,
    /// In one of these states; none given: in any.
    pub statuses: Vec<Status>,
    /// About an event of this type.
    pub event_type: Option<String>,
    /// About an event of this stream.
    pub stream_id: Option<String>,
}

impl Filter {
    /// The letters to which something is still to happen.
    #[must_use]
    pub fn open() -> Self {
        Self {
            statuses: vec![Status::Waiting, Status::Parked],
            ..Self::default()
        }
    }

    /// Whether only letters are meant to which something is still to happen.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.statuses.is_empty() && self.statuses.iter().all(|status| status.is_open())
    }

    /// Whether a letter is one of those.
    #[must_use]
    pub fn matches(&self, letter: &LetterSummary) -> bool {
        fn same<T: PartialEq>(wanted: Option<&T>, is: Option<&T>) -> bool {
            wanted.is_none() || wanted == is
        }
        let event = letter.event.as_ref();
        let stream = event.and_then(|event| event.stream_id.as_ref());
        let cause = letter.cause.to_lowercase();
        same(self.consumer.as_ref(), Some(&letter.consumer))
            && same(self.class.as_ref(), Some(&letter.class))
            && same(
                self.event_type.as_ref(),
                event.map(|event| &event.event_type),
            )
            && same(self.stream_id.as_ref(), stream)
            && (self.statuses.is_empty() || self.statuses.contains(&letter.status))
            && (self.cause.as_ref()).is_none_or(|part| cause.contains(&part.to_lowercase()))
    }
}
