//! One poller: receive, hand over, settle, again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Shared;
use super::observer::QueueEvent;
use super::source::{QueueMessage, QueueSource};
use crate::batch_answer::BatchAnswer;
use crate::invocation::{Invocation, InvokeError, InvokeRequest};
use crate::limits::MAPPING_PAYLOAD_BYTES;

/// Most messages of one receive.
const RECEIVE_LIMIT: usize = 10;
/// Longest wait of one receive: how long a stop may take.
const RECEIVE_WAIT: Duration = Duration::from_secs(1);
/// A delete is tried this often before the messages are left to come back.
const DELETE_ATTEMPTS: u32 = 5;

/// Polls until the mapping stops.
pub(super) async fn run<Q: QueueSource>(shared: Arc<Shared<Q>>, stop: watch::Receiver<bool>) {
    let poller = Poller { shared, stop };
    while !poller.is_stopped() {
        let messages = poller.gather().await;
        let count = messages.len();
        for batch in cut(messages) {
            poller.settle(batch).await;
        }
        poller.shared.in_flight.fetch_sub(count, Ordering::AcqRel);
    }
}

struct Poller<Q> {
    shared: Arc<Shared<Q>>,
    stop: watch::Receiver<bool>,
}

impl<Q: QueueSource> Poller<Q> {
    fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// Receives until the batch is full or its window is over; filtered messages are deleted.
    async fn gather(&self) -> Vec<QueueMessage> {
        let settings = &self.shared.settings;
        let size = settings.batch_size.max(1);
        let mut messages: Vec<QueueMessage> = Vec::new();
        let mut cut_at = Instant::now();
        let mut failures = 0;
        while messages.len() < size && !self.is_stopped() {
            let wait = if messages.is_empty() {
                RECEIVE_WAIT
            } else {
                let left = cut_at.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                left.min(RECEIVE_WAIT)
            };
            let max = RECEIVE_LIMIT.min(size - messages.len());
            match self.shared.source.receive(max, wait).await {
                Ok(received) => {
                    failures = 0;
                    self.shared
                        .in_flight
                        .fetch_add(received.len(), Ordering::AcqRel);
                    if messages.is_empty() {
                        cut_at = Instant::now() + settings.batching_window;
                    }
                    messages.extend(self.without_filtered(received).await);
                }
                Err(error) => {
                    failures += 1;
                    self.tell(&messages, &QueueEvent::SourceFailed { error: &error });
                    self.pause(settings.clock.system_error_delay(failures))
                        .await;
                }
            }
        }
        messages
    }

    async fn without_filtered(&self, received: Vec<QueueMessage>) -> Vec<QueueMessage> {
        let Some(filter) = &self.shared.settings.filter else {
            return received;
        };
        let (wanted, refused): (Vec<_>, Vec<_>) = received
            .into_iter()
            .partition(|message| filter(&message.json));
        if !refused.is_empty() {
            self.tell(&refused, &QueueEvent::Filtered);
            self.delete(&refused).await;
            let count = refused.len();
            self.shared.in_flight.fetch_sub(count, Ordering::AcqRel);
        }
        wanted
    }

    /// Hands the batch over and deletes what is done. A throttled batch is tried again until its
    /// messages would be visible again anyway.
    async fn settle(&self, batch: Vec<QueueMessage>) {
        let settings = &self.shared.settings;
        let received = Instant::now();
        let payload = payload(&batch);
        let mut failures = 0;
        loop {
            if self.is_stopped() {
                let handles = handles(&batch);
                // Best effort: without it they come back at their visibility timeout.
                let source = &self.shared.source;
                let _ = source.change_visibility(handles, Duration::ZERO).await;
                return;
            }
            self.tell(&batch, &QueueEvent::Started);
            let request = InvokeRequest::new(&settings.function, payload.clone());
            match self.shared.invoke.invoke_boxed(request).await {
                Ok(invocation) => return self.read_answer(batch, &invocation).await,
                Err(
                    error @ (InvokeError::RequestTooLarge { .. }
                    | InvokeError::InvalidRequestContent(_)),
                ) => {
                    let (message, failed) = (&error.to_string(), &ids(&batch));
                    let invocation = None;
                    let event = QueueEvent::Failed {
                        invocation,
                        message,
                        failed,
                    };
                    return self.tell(&batch, &event);
                }
                Err(error) => {
                    failures += 1;
                    let delay = settings.clock.system_error_delay(failures);
                    let retried = received.elapsed() + delay < settings.visibility_timeout;
                    let error = &error;
                    self.tell(&batch, &QueueEvent::NotInvoked { error, retried });
                    if !retried {
                        return;
                    }
                    self.pause(delay).await;
                }
            }
        }
    }

    async fn read_answer(&self, batch: Vec<QueueMessage>, invocation: &Invocation) {
        let all = || ids(&batch);
        let (message, failed) = if let Some((error_type, message)) = invocation.failure() {
            (format!("{error_type}: {message}"), all())
        } else if self.shared.settings.report_batch_item_failures {
            match BatchAnswer::parse(&invocation.response_payload()) {
                BatchAnswer::AllDone => (String::new(), Vec::new()),
                BatchAnswer::Malformed(problem) => (problem, all()),
                BatchAnswer::Failed(failed) if failed.iter().all(|id| all().contains(id)) => {
                    (format!("reported: {}", failed.join(", ")), failed)
                }
                BatchAnswer::Failed(_) => (
                    "an itemIdentifier is of no message of the batch".to_owned(),
                    all(),
                ),
            }
        } else {
            (String::new(), Vec::new())
        };
        if failed.is_empty() {
            self.tell(&batch, &QueueEvent::Succeeded { invocation });
        } else {
            let (message, failed) = (&message, &failed);
            let invocation = Some(invocation);
            let event = QueueEvent::Failed {
                invocation,
                message,
                failed,
            };
            self.tell(&batch, &event);
        }
        let failed: BTreeSet<String> = failed.into_iter().collect();
        let done: Vec<QueueMessage> = batch
            .into_iter()
            .filter(|message| !failed.contains(&message.message_id))
            .collect();
        if !done.is_empty() {
            self.delete(&done).await;
        }
    }

    async fn delete(&self, messages: &[QueueMessage]) {
        for attempt in 1..=DELETE_ATTEMPTS {
            let Err(error) = self.shared.source.delete(handles(messages)).await else {
                return;
            };
            self.tell(messages, &QueueEvent::SourceFailed { error: &error });
            let clock = self.shared.settings.clock;
            tokio::time::sleep(clock.system_error_delay(attempt)).await;
        }
    }

    async fn pause(&self, delay: Duration) {
        let mut stop = self.stop.clone();
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => {}
            () = tokio::time::sleep(delay) => {}
        }
    }

    fn tell(&self, messages: &[QueueMessage], event: &QueueEvent<'_>) {
        let settings = &self.shared.settings;
        let observer = &settings.observer;
        observer.on_batch(&settings.function, &ids(messages), event);
    }
}

fn ids(messages: &[QueueMessage]) -> Vec<String> {
    let ids = messages.iter().map(|message| message.message_id.clone());
    ids.collect()
}

fn handles(messages: &[QueueMessage]) -> Vec<String> {
    let handles = messages
        .iter()
        .map(|message| message.receipt_handle.clone());
    handles.collect()
}

fn payload(messages: &[QueueMessage]) -> Bytes {
    let records: Vec<String> = messages
        .iter()
        .map(|message| message.json.to_string())
        .collect();
    Bytes::from(format!("{{\"Records\":[{}]}}", records.join(",")))
}

/// Cuts what was gathered into batches within the payload quota.
fn cut(messages: Vec<QueueMessage>) -> Vec<Vec<QueueMessage>> {
    let envelope = payload(&[]).len();
    let mut batches: Vec<Vec<QueueMessage>> = Vec::new();
    let mut bytes = usize::MAX;
    for message in messages {
        let size = message.json.to_string().len() + 1;
        if bytes.saturating_add(size) > MAPPING_PAYLOAD_BYTES {
            batches.push(Vec::new());
            bytes = envelope;
        }
        bytes += size;
        if let Some(batch) = batches.last_mut() {
            batch.push(message);
        }
    }
    batches
}
