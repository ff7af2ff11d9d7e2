//! Events on an EventBridge bus: every entry of every answer is looked at.

use crate::connection::Deferred;
use crate::dynamodb_event_store::describe;
use crate::trace;
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::error::ProvideErrorMetadata;
use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::{PutEventsRequestEntry, PutEventsResultEntry};
use event_sourcing::envelope::Envelope;
use event_sourcing::publisher::{EventPublisher, PublishError};
use event_sourcing::retry::{FullJitter, Retry, Retryable, budget};
use jiff::Timestamp;
use std::collections::HashSet;
use std::future::Future;

/// The `source` of every event that we publish.
pub const SOURCE: &str = "orderflow";
/// The `source` of plain events that came through Kafka.
pub const KAFKA_SOURCE: &str = "kafka";
/// Most entries of one request
/// (<https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>).
pub const MAX_ENTRIES: usize = 10;
/// Largest request, in bytes, from the same page; the smaller figure of old and new quotas.
pub const MAX_REQUEST_BYTES: usize = 256 * 1024;

/// An event as the bus takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The `eventType`.
    pub detail_type: String,
    /// The envelope as JSON.
    pub detail: String,
    /// When it happened.
    pub time: Timestamp,
    /// Its stream; empty for a plain event.
    pub resource: String,
    /// The trace it belongs to, in the form of X-Ray.
    pub trace_header: Option<String>,
}

/// Takes entries, one request at a time.
pub trait PutEvents: Send + Sync {
    /// Sends one request, which is within the limits, and answers for each of its entries.
    fn put(
        &self,
        entries: Vec<Entry>,
    ) -> impl Future<Output = Vec<Result<(), PublishError>>> + Send;
}

/// A bus on EventBridge.
#[derive(Debug, Clone)]
pub struct EventBridgeBus {
    client: Deferred<Client>,
    name: String,
    source: &'static str,
}

/// Publishes to one bus.
#[derive(Debug, Clone)]
pub struct EventBridgePublisher<B = EventBridgeBus> {
    bus: B,
    waits: FullJitter,
}

impl EventBridgePublisher {
    /// A publisher to `bus` (a name or an ARN).
    #[must_use]
    pub fn new(client: Deferred<Client>, bus: impl Into<String>) -> Self {
        let (name, source) = (bus.into(), SOURCE);
        Self::over(EventBridgeBus {
            client,
            name,
            source,
        })
    }

    /// A publisher of what came through Kafka: plain events, which are recorded first.
    #[must_use]
    pub fn from_kafka(client: Deferred<Client>, bus: impl Into<String>) -> Self {
        let (name, source) = (bus.into(), KAFKA_SOURCE);
        Self::over(EventBridgeBus {
            client,
            name,
            source,
        })
    }
}

impl<B: PutEvents> EventBridgePublisher<B> {
    /// A publisher to another bus of the same kind.
    pub fn over(bus: B) -> Self {
        Self {
            bus,
            waits: FullJitter::CALL,
        }
    }

    /// Publishes events and answers for each of them, in the given order. An event is not
    /// published before an earlier one of the same lane was taken; `lanes` has one for each.
    pub async fn publish_in_lanes(
        &self,
        events: &[Envelope],
        lanes: &[&str],
    ) -> Vec<Result<(), PublishError>> {
        let mut results: Vec<Option<Result<(), PublishError>>> = vec![None; events.len()];
        let mut waits = backon::BackoffBuilder::build(self.waits);
        while let Some(batch) = next_batch(events, lanes, &mut results) {
            let (indexes, entries): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
            let answers = budget::in_time(self.bus.put(entries)).await;
            let answers = answers.unwrap_or_else(|late| {
                vec![Err(PublishError::Unavailable(late.to_string())); indexes.len()]
            });
            let failed = answers.iter().any(Result::is_err);
            for (at, answer) in indexes.into_iter().zip(answers) {
                results[at] = Some(answer);
            }
            if failed {
                match waits.next() {
                    Some(wait) if budget::allows(wait) => tokio::time::sleep(wait).await,
                    _ => break,
                }
            }
        }
        let unsent = || {
            Err(PublishError::Unavailable(
                "not sent: the bus did not take an earlier event".into(),
            ))
        };
        results
            .into_iter()
            .map(|result| result.unwrap_or_else(unsent))
            .collect()
    }
}

/// The entry of an event, and its size.
fn entry_of(event: &Envelope) -> Result<(Entry, usize), PublishError> {
    let detail =
        serde_json::to_string(event).map_err(|error| PublishError::Refused(error.to_string()))?;
    let resource = event.stream_id.clone().unwrap_or_default();
    let bytes = 14 + SOURCE.len() + event.event_type.len() + detail.len() + resource.len();
    if bytes > MAX_REQUEST_BYTES {
        return Err(PublishError::Refused(format!(
            "it has {bytes} bytes, the bus takes {MAX_REQUEST_BYTES}"
        )));
    }
    let entry = Entry {
        detail_type: event.event_type.clone(),
        detail,
        time: event.at(),
        resource,
        trace_header: event.traceparent.as_deref().and_then(trace::header),
    };
    Ok((entry, bytes))
}

impl EventBridgeBus {
    fn request_entry(&self, entry: Entry) -> PutEventsRequestEntry {
        PutEventsRequestEntry::builder()
            .event_bus_name(&self.name)
            .source(self.source)
            .detail_type(entry.detail_type)
            .detail(entry.detail)
            .time(DateTime::from_millis(entry.time.as_millisecond()))
            .set_resources((!entry.resource.is_empty()).then(|| vec![entry.resource]))
            .set_trace_header(entry.trace_header)
            .build()
    }
}

impl PutEvents for EventBridgeBus {
    async fn put(&self, entries: Vec<Entry>) -> Vec<Result<(), PublishError>> {
        let count = entries.len();
        let entries = entries
            .into_iter()
            .map(|entry| self.request_entry(entry))
            .collect();
        let request = self.client.put_events().set_entries(Some(entries));
        match Box::pin(request.send()).await {
            Ok(answer) => {
                let mut results: Vec<_> = answer.entries().iter().map(result_of).collect();
                // An answer with fewer entries than asked says nothing about the rest.
                results.resize(
                    count,
                    Err(PublishError::Unavailable("no answer for the entry".into())),
                );
                results
            }
            Err(error) => {
                let failure = if error.code() == Some("ValidationException") {
                    PublishError::Refused(describe(&error))
                } else {
                    PublishError::Unavailable(describe(&error))
                };
                vec![Err(failure); count]
            }
        }
    }
}

fn result_of(entry: &PutEventsResultEntry) -> Result<(), PublishError> {
    match entry.error_code() {
        None => Ok(()),
        Some(code) => {
            let text = format!("{code}: {}", entry.error_message().unwrap_or_default());
            // https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html
            match code {
                "MalformedDetail" | "InvalidArgument" | "NotAuthorizedForSourceException" => {
                    Err(PublishError::Refused(text))
                }
                _ => Err(PublishError::Unavailable(text)),
            }
        }
    }
}

impl<B: PutEvents> EventPublisher for EventBridgePublisher<B> {
    async fn publish(&self, events: &[Envelope]) -> Vec<Result<(), PublishError>> {
        let lanes: Vec<_> = events
            .iter()
            .map(|event| event.stream_id.as_deref().unwrap_or_default())
            .collect();
        self.publish_in_lanes(events, &lanes).await
    }
}

/// The next request out of the events that were not taken yet: within the limits, and of
/// each lane the earliest such event only, so that order is kept whichever entries fail.
/// Events that can never be sent get their result here and hold back their lane. `None`
/// when nothing is left to send.
fn next_batch(
    events: &[Envelope],
    lanes: &[&str],
    results: &mut [Option<Result<(), PublishError>>],
) -> Option<Vec<(usize, Entry)>> {
    let mut batch = Vec::new();
    let mut bytes = 0;
    let mut open = HashSet::new();
    for (at, (event, lane)) in events.iter().zip(lanes).enumerate() {
        if batch.len() == MAX_ENTRIES {
            break;
        }
        if results[at] == Some(Ok(())) || !open.insert(lane) {
            continue;
        }
        if matches!(&results[at], Some(Err(error)) if error.retry() == Retry::Never) {
            continue;
        }
        match entry_of(event) {
            Ok((_, size)) if bytes + size > MAX_REQUEST_BYTES => break,
            Ok((entry, size)) => {
                bytes += size;
                batch.push((at, entry));
            }
            Err(error) => results[at] = Some(Err(error)),
        }
    }
    (!batch.is_empty()).then_some(batch)
}
#[cfg(test)]
mod tests {
    use super::*;

    fn event(stream: &str, version: u64, padding: usize) -> Envelope {
        let data = serde_json::json!({"padding": "x".repeat(padding)});
        Envelope::new("e", "T", jiff::Timestamp::UNIX_EPOCH, data).recorded(stream, version)
    }

    fn batch(
        events: &[Envelope],
        results: &mut [Option<Result<(), PublishError>>],
    ) -> Option<Vec<usize>> {
        let lanes: Vec<_> = events
            .iter()
            .map(|event| event.stream_id.as_deref().unwrap_or_default())
            .collect();
        let batch = next_batch(events, &lanes, results)?;
        Some(batch.into_iter().map(|(at, _)| at).collect())
    }

    #[test]
    fn a_request_holds_the_earliest_open_event_of_each_stream() {
        let events = [
            event("a", 1, 0),
            event("a", 2, 0),
            event("b", 1, 0),
            event("c", 1, 0),
        ];
        let mut results = vec![None; 4];
        assert_eq!(batch(&events, &mut results), Some(vec![0, 2, 3]));
        results[0] = Some(Ok(()));
        results[2] = Some(Err(PublishError::Unavailable("busy".into())));
        results[3] = Some(Err(PublishError::Refused("malformed".into())));
        assert_eq!(batch(&events, &mut results), Some(vec![1, 2]));
    }

    #[test]
    fn an_event_that_was_refused_holds_its_stream_back() {
        let events = [event("a", 1, 0), event("a", 2, 0)];
        let mut results = vec![Some(Err(PublishError::Refused("malformed".into()))), None];
        assert_eq!(batch(&events, &mut results), None);
    }

    #[test]
    fn a_request_keeps_to_ten_entries_and_to_its_size() {
        let small: Vec<_> = (0..12).map(|n| event(&format!("s{n}"), 1, 0)).collect();
        assert_eq!(
            batch(&small, &mut vec![None; 12]).map(|batch| batch.len()),
            Some(10)
        );
        let large: Vec<_> = (0..4)
            .map(|n| event(&format!("s{n}"), 1, 100_000))
            .collect();
        assert_eq!(batch(&large, &mut vec![None; 4]), Some(vec![0, 1]));
        let huge = [event("s", 1, 300_000)];
        let mut results = vec![None];
        assert_eq!(batch(&huge, &mut results), None);
        assert!(matches!(results[0], Some(Err(PublishError::Refused(_)))));
    }
}
