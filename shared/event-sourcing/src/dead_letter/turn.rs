//! Whose turn it is.

use super::DeadLetter;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// What is to be known of a waiting letter for deciding whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The letter.
    pub letter_id: String,
    /// Its consumer.
    pub consumer: String,
    /// The stream of its event, when that is recorded.
    pub stream_id: Option<String>,
    /// The event's position there.
    pub version: Option<u64>,
    /// From when on a redriver may take it.
    pub ready_at: Timestamp,
}

impl Waiting {
    /// What is to be known of `letter`, if it waits.
    #[must_use]
    pub fn of(letter: &DeadLetter) -> Option<Self> {
        let event = letter.event.as_ref();
        Some(Self {
            letter_id: letter.letter_id.clone(),
            consumer: letter.consumer.clone(),
            stream_id: event.and_then(|event| event.stream_id.clone()),
            version: event.and_then(|event| event.version),
            ready_at: letter.ready_at()?,
        })
    }

    /// What is kept in order: the letters of one stream and one consumer; one without a stream is
    /// by itself.
    #[must_use]
    pub fn lane(&self) -> (&str, &str) {
        let stream = self.stream_id.as_deref();
        (&self.consumer, stream.unwrap_or(&self.letter_id))
    }
}

/// The letters that are due, in lanes: one consumer's of one stream, its versions ascending. A
/// letter does not pass an earlier one that waits for its own time; one whose predecessor fails is
/// to be left for the next time. Lanes begin with the one that is due longest.
#[must_use]
pub fn due_in_order(waiting: &[Waiting], now: Timestamp) -> Vec<Vec<&Waiting>> {
    let mut lanes: BTreeMap<(&str, &str), Vec<&Waiting>> = BTreeMap::new();
    for letter in waiting {
        lanes.entry(letter.lane()).or_default().push(letter);
    }
    let mut due: Vec<Vec<&Waiting>> = lanes
        .into_values()
        .map(|mut lane| {
            lane.sort_by_key(|letter| (letter.version, letter.ready_at));
            lane.into_iter()
                .take_while(|letter| letter.ready_at <= now)
                .collect()
        })
        .filter(|lane: &Vec<_>| !lane.is_empty())
        .collect();
    due.sort_by_key(|lane| lane.first().map(|letter| letter.ready_at));
    due
}
