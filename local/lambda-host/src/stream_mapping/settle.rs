//! Sees a batch through: attempt, report, retry, bisect, give up.

use std::collections::{BTreeMap, VecDeque};

use super::batch::Batch;
use super::failure_record::{DropCondition, DropContext, failure_record};
use super::lane::Lane;
use super::observer::{BatchInfo, MappingEvent};
use super::source::RecordSource;
use super::window::Calling;
use crate::batch_answer::BatchAnswer;
use crate::delivery_faults::DeliveryFaults;
use crate::destination::deliver;
use crate::invocation::{Invocation, InvokeError, InvokeRequest};

/// What came of one attempt.
pub(super) enum Attempt {
    Done,
    /// The records from this one on failed; those before it are done.
    FailedFrom(usize),
    /// All of them failed.
    Failed,
    /// The function did not get them.
    NotInvoked,
}

impl<S: RecordSource> Lane<S> {
    /// Sees the batch through to its last record; false when the mapping stops before.
    pub(super) async fn settle(&mut self, batch: Batch) -> bool {
        if let Some(delay) = self.faults().delay(&self.shared.settings.function)
            && !self.pause_for(delay).await
        {
            return false;
        }
        let mut parts = VecDeque::from([batch]);
        let mut not_invoked = 0;
        while let Some(mut part) = parts.pop_front() {
            if *self.stop.borrow() {
                return false;
            }
            if let Some(age) = self.shared.settings.maximum_record_age {
                let old = part.split_off_older_than(age, self.shared.wall.now());
                if !old.records.is_empty() {
                    self.give_up(&old, DropCondition::RecordAgeExceeded).await;
                    let is_end = parts.is_empty() && part.records.is_empty();
                    self.checkpoint(old.last_sequence(), is_end).await;
                }
                if part.records.is_empty() {
                    continue;
                }
            }
            match self.attempt(&mut part, Calling::Records).await {
                Attempt::Done => {
                    not_invoked = 0;
                    if let Some(delay) = self.faults().again(&self.shared.settings.function) {
                        parts.push_front(part);
                        if !self.pause_for(delay).await {
                            return false;
                        }
                        continue;
                    }
                    if !self.keep_state().await {
                        return false;
                    }
                    self.checkpoint(part.last_sequence(), parts.is_empty())
                        .await;
                }
                Attempt::NotInvoked => {
                    // Does not count towards the retry quota: only age ends it.
                    not_invoked += 1;
                    parts.push_front(part);
                    if !self.pause(not_invoked).await {
                        return false;
                    }
                }
                Attempt::FailedFrom(index) if index > 0 => {
                    not_invoked = 0;
                    if !self.keep_state().await {
                        return false;
                    }
                    let done = part.split_off_front(index);
                    self.checkpoint(done.last_sequence(), false).await;
                    // What is left is a batch of its own, whose first record has failed once. With
                    // bisecting, the cut is a split, which does not count.
                    let splits = self.shared.settings.bisect_batch_on_function_error;
                    part.failures = u32::from(!splits);
                    if !self.retry(part, &mut parts).await {
                        return false;
                    }
                }
                Attempt::Failed | Attempt::FailedFrom(_) => {
                    not_invoked = 0;
                    if !self.bisect_or_retry(part, &mut parts).await {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// A batch that failed from its first record on. To split it does not count towards the retry
    /// quota, so what is left in the end is retried one record at a time.
    async fn bisect_or_retry(&mut self, mut part: Batch, parts: &mut VecDeque<Batch>) -> bool {
        let splits = self.shared.settings.bisect_batch_on_function_error;
        if splits && part.records.len() > 1 {
            let first_part = part.records.len() / 2;
            self.tell(&part, &MappingEvent::Bisected { first_part });
            let front = part.split_off_front(first_part);
            parts.push_front(part);
            parts.push_front(front);
            return self.pause(1).await;
        }
        part.failures += 1;
        self.retry(part, parts).await
    }

    /// Puts the batch back to be tried again, or gives it up; false when the mapping stops.
    async fn retry(&mut self, part: Batch, parts: &mut VecDeque<Batch>) -> bool {
        let quota = self.shared.settings.maximum_retry_attempts;
        if quota.is_some_and(|quota| part.failures > quota) {
            self.give_up(&part, DropCondition::RetryAttemptsExhausted)
                .await;
            self.checkpoint(part.last_sequence(), parts.is_empty())
                .await;
            return true;
        }
        let clock = self.shared.settings.clock;
        let delay = clock.system_error_delay(part.failures.max(1));
        self.tell(&part, &MappingEvent::Retried { delay });
        parts.push_front(part);
        self.pause_for(delay).await
    }

    /// Hands the batch to the function once.
    pub(super) async fn attempt(&mut self, batch: &mut Batch, calling: Calling) -> Attempt {
        let attempt = batch.failures + 1;
        self.tell(batch, &MappingEvent::Started { attempt });
        let payload = self.payload(batch, calling);
        let request = InvokeRequest::new(&self.shared.settings.function, payload);
        match self.shared.invoke.invoke_boxed(request).await {
            Ok(invocation) => {
                batch.invocations += 1;
                batch.last_request_id = Some(invocation.request_id.clone());
                let failure = invocation.failure();
                batch.last_was_error = failure.is_some();
                if let Some((error_type, message)) = failure {
                    let message = format!("{error_type}: {message}");
                    self.failed(batch, Some(&invocation), &message, 0);
                    return Attempt::Failed;
                }
                self.read_answer(batch, &invocation)
            }
            // The same batch again would be refused again: that is a failure of the batch.
            Err(
                error @ (InvokeError::RequestTooLarge { .. }
                | InvokeError::InvalidRequestContent(_)),
            ) => {
                batch.last_was_error = true;
                self.failed(batch, None, &error.to_string(), 0);
                Attempt::Failed
            }
            Err(error) => {
                self.tell(batch, &MappingEvent::NotInvoked { error: &error });
                Attempt::NotInvoked
            }
        }
    }

    fn read_answer(&mut self, batch: &Batch, invocation: &Invocation) -> Attempt {
        let reports = self.shared.settings.report_batch_item_failures;
        let payload = invocation.response_payload();
        let answer = match &mut self.window {
            Some(window) => window.read_answer(&payload, reports),
            None if reports => BatchAnswer::parse(&payload),
            None => BatchAnswer::AllDone,
        };
        match answer {
            BatchAnswer::AllDone => {
                self.tell(batch, &MappingEvent::Succeeded { invocation });
                Attempt::Done
            }
            BatchAnswer::Malformed(problem) => {
                self.failed(batch, Some(invocation), &problem, 0);
                Attempt::Failed
            }
            BatchAnswer::Failed(identifiers) => {
                let Some(index) = batch.lowest(&identifiers) else {
                    let problem = "an itemIdentifier is of no record of the batch";
                    self.failed(batch, Some(invocation), problem, 0);
                    return Attempt::Failed;
                };
                let message = format!("reported: {}", identifiers.join(", "));
                self.failed(batch, Some(invocation), &message, index);
                Attempt::FailedFrom(index)
            }
        }
    }

    /// Sends the batch's metadata to the on-failure destination, if there is one.
    async fn give_up(&self, batch: &Batch, condition: DropCondition) {
        let settings = &self.shared.settings;
        let Some(arn) = &settings.on_failure else {
            let destination = None;
            self.tell(
                batch,
                &MappingEvent::Dropped {
                    condition,
                    destination,
                },
            );
            return;
        };
        let context = DropContext {
            kind: settings.kind,
            stream_arn: &settings.stream_arn,
            function_arn: &settings.function_arn,
            shard_id: &self.shard_id,
            condition,
            now: self.shared.wall.now(),
        };
        let body = failure_record(batch, &context).to_string();
        let none = BTreeMap::new();
        match deliver(&self.shared.destination, settings.clock, arn, &body, &none).await {
            Ok(()) => {
                let destination = Some(arn.as_str());
                self.tell(
                    batch,
                    &MappingEvent::Dropped {
                        condition,
                        destination,
                    },
                );
            }
            Err(error) => {
                let (error, body) = (&error, &body);
                self.tell(batch, &MappingEvent::DeliveryFailed { arn, error, body });
            }
        }
    }

    fn faults(&self) -> &dyn DeliveryFaults {
        self.shared.settings.faults.as_ref()
    }

    fn failed(&self, batch: &Batch, invocation: Option<&Invocation>, message: &str, done: usize) {
        self.tell(
            batch,
            &MappingEvent::Failed {
                invocation,
                message,
                done,
            },
        );
    }

    pub(super) fn tell(&self, batch: &Batch, event: &MappingEvent<'_>) {
        let settings = &self.shared.settings;
        let info = BatchInfo {
            function: settings.function.clone(),
            shard_id: self.shard_id.clone(),
            first: batch.first(),
            last: batch.last(),
            records: batch.records.len(),
        };
        settings.observer.on_batch(&info, event);
    }
}
