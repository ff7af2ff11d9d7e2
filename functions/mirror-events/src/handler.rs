//! The mirror has each stream's events in their order, at least once, whatever order their
//! deliveries come in: a delivery says only that its stream has moved, and what the mirror lacks is
//! read from the store.

use crate::ports::{Positions, Topic, TopicError};
use aws_adapters::dynamodb_mirror_positions::Claim;
use backon::BackoffBuilder as _;
use event_sourcing::clock::Clock;
use event_sourcing::envelope::Envelope;
use event_sourcing::failure::Failure;
use event_sourcing::retry::{FullJitter, budget};
use event_sourcing::store::EventStore;
use jiff::{SignedDuration, Timestamp};
use std::sync::{Mutex, PoisonError};

/// How long a call has a stream to itself; longer than a call can take.
const HELD: SignedDuration = SignedDuration::from_secs(60);
/// How long nobody asks a cluster that did not answer, but for redrives.
const COOL_DOWN: SignedDuration = SignedDuration::from_secs(10);
/// Most bytes of values in one append. A cluster takes 1 MiB with its own bytes, unless it is told
/// otherwise (`message.max.bytes`, <https://kafka.apache.org/documentation/#brokerconfigs>).
const MAX_APPEND_BYTES: usize = 900_000;

/// Mirrors streams.
#[derive(Debug)]
pub struct Handler<S, P, T, C> {
    store: S,
    positions: P,
    topic: T,
    clock: C,
    /// Until when the cluster is taken to be down.
    down_until: Mutex<Timestamp>,
}

impl<S: EventStore, P: Positions, T: Topic, C: Clock> Handler<S, P, T, C> {
    /// A mirror of `store` in `topic`.
    pub fn new(store: S, positions: P, topic: T, clock: C) -> Self {
        Self {
            store,
            positions,
            topic,
            clock,
            down_until: Mutex::new(Timestamp::MIN),
        }
    }

    /// Mirrors the stream of an event up to that event at least, and tells how many events the
    /// topic got; none when it had them.
    ///
    /// # Errors
    /// [`Failure::Waiting`] while the cluster is down, [`Failure::Transient`] when another call has
    /// the stream for long, [`Failure::Permanent`] for an event that is not stored.
    pub async fn handle(
        &self,
        event: &Envelope,
        call: &str,
        is_redrive: bool,
    ) -> Result<usize, Failure> {
        let Some((stream, version)) = event.position() else {
            return Err(Failure::Permanent(format!(
                "event {} has no stream and version; only recorded events are mirrored",
                event.event_id
            )));
        };
        if !is_redrive && self.clock.now() < *self.down_until() {
            return Err(Failure::Waiting(
                "the cluster of the mirror did not answer a moment ago".into(),
            ));
        }
        let Some(mirrored) = self.claim(stream, version, call).await? else {
            return Ok(0);
        };
        let (reached, result) = self.copy(stream, mirrored, version).await;
        let noted = self.positions.let_go(stream, reached, call).await;
        let count = result?;
        noted.map_err(|error| Failure::from_error(&error))?;
        tracing::info!(stream_id = stream, version = reached, count, "mirrored");
        Ok(count)
    }

    /// The stream for this call alone, and how far it is mirrored; `None` when the mirror has the
    /// version.
    async fn claim(&self, stream: &str, version: u64, call: &str) -> Result<Option<u64>, Failure> {
        let mut waits = FullJitter::CALL.build();
        loop {
            let now = self.clock.now();
            let until = now.checked_add(HELD).unwrap_or(Timestamp::MAX);
            let claimed = self.positions.claim(stream, version, call, now, until);
            let cause = match claimed.await {
                Ok(Claim::Granted { mirrored }) => return Ok(Some(mirrored)),
                Ok(Claim::Done) => return Ok(None),
                Ok(Claim::Held) => format!("another call is mirroring stream {stream}"),
                Err(error) => error.to_string(),
            };
            match waits.next() {
                Some(wait) if budget::allows(wait) => tokio::time::sleep(wait).await,
                _ => return Err(Failure::Transient(cause)),
            }
        }
    }

    /// Copies what comes after `mirrored`; tells which version was reached, also when it fails.
    async fn copy(
        &self,
        stream: &str,
        mirrored: u64,
        version: u64,
    ) -> (u64, Result<usize, Failure>) {
        let read = budget::in_time(self.store.read(stream, mirrored + 1)).await;
        let events = match read {
            Ok(Ok(events)) => events,
            Ok(Err(error)) => return (mirrored, Err(Failure::from_error(&error))),
            Err(late) => return (mirrored, Err(Failure::Transient(late.to_string()))),
        };
        if events.last().and_then(|last| last.version) < Some(version) {
            let cause = format!("version {version} of stream {stream} is not in the event store");
            return (mirrored, Err(Failure::Permanent(cause)));
        }
        let mut reached = mirrored;
        for part in parts(&events) {
            let appended = budget::in_time(self.topic.append(&key(&part[0], stream), part)).await;
            let appended =
                appended.unwrap_or_else(|late| Err(TopicError::Unavailable(late.to_string())));
            if let Err(error) = appended {
                return (reached, Err(self.failed(&error)));
            }
            reached = part.last().and_then(|last| last.version).unwrap_or(reached);
            *self.down_until() = Timestamp::MIN;
        }
        (reached, Ok(events.len()))
    }

    fn failed(&self, error: &TopicError) -> Failure {
        match error {
            TopicError::Unavailable(_) => {
                let until = self.clock.now().checked_add(COOL_DOWN);
                *self.down_until() = until.unwrap_or(Timestamp::MAX);
                Failure::Waiting(error.to_string())
            }
            TopicError::Refused(_) => Failure::Permanent(error.to_string()),
        }
    }

    fn down_until(&self) -> std::sync::MutexGuard<'_, Timestamp> {
        self.down_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The key of a stream's events: the order's id for all that is about an order, as producers write
/// it, else the stream.
fn key(event: &Envelope, stream: &str) -> String {
    let order = event.data.get("orderId").and_then(|id| id.as_str());
    order.unwrap_or(stream).to_owned()
}

/// The events in parts that a cluster takes at once, in order, each of one key.
fn parts(events: &[Envelope]) -> Vec<&[Envelope]> {
    let size = |event: &Envelope| serde_json::to_string(event).map_or(0, |text| text.len());
    let mut parts = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (at, event) in events.iter().enumerate() {
        let more = size(event);
        let is_full = bytes + more > MAX_APPEND_BYTES;
        let is_other = at > start && key(event, "") != key(&events[start], "");
        if at > start && (is_full || is_other) {
            parts.push(&events[start..at]);
            (start, bytes) = (at, 0);
        }
        bytes += more;
    }
    parts.push(&events[start..]);
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests;
