//! The way of one event: attempt, wait, attempt again, until it is done with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::observer::AsyncEvent;
use super::pending::PendingInvocation;
use super::record::{Condition, dead_letter_attributes, destination_record};
use super::{AsyncConfig, Inner};
use crate::clock::unix_ms;
use crate::destination::deliver;
use crate::function::lock;
use crate::invocation::{Invocation, InvokeError, InvokeRequest};

/// What to do after an attempt.
enum Next {
    Retry(Duration),
    GiveUp(Condition),
    Succeed(Invocation),
    Stop,
}

impl Inner {
    /// Sees the event with this id through to its end, or until the invoker stops.
    pub(super) async fn see_through(&self, id: &str) {
        let mut stopped = self.stopped.subscribe();
        loop {
            let Some(mut pending) = lock(&self.pending).get(id).cloned() else {
                return;
            };
            let wait = pending.not_before_ms.saturating_sub(self.wall.now_ms());
            tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => return,
                () = tokio::time::sleep(Duration::from_millis(wait)) => {}
            }
            let config = lock(&self.configs).get(&pending.function).cloned();
            let config = config.unwrap_or_else(|| Arc::new(AsyncConfig::new(&pending.function)));
            match self.attempt(&mut pending, &config).await {
                Next::Stop => return,
                Next::Retry(delay) => {
                    if self.would_be_too_old(&pending, &config, delay) {
                        return self
                            .give_up(&pending, &config, Condition::EventAgeExceeded)
                            .await;
                    }
                    pending.not_before_ms = self.wall.now_ms() + millis(delay);
                    if let Err(error) = self.options.journal.record(&pending) {
                        self.tell(&pending, &AsyncEvent::JournalFailed { error: &error });
                    }
                    lock(&self.pending).insert(pending.id.clone(), pending.clone());
                    self.tell(&pending, &AsyncEvent::Retried { delay });
                }
                Next::GiveUp(condition) => return self.give_up(&pending, &config, condition).await,
                Next::Succeed(invocation) => {
                    return self.succeed(&pending, &config, &invocation).await;
                }
            }
        }
    }

    async fn attempt(&self, pending: &mut PendingInvocation, config: &AsyncConfig) -> Next {
        if self.would_be_too_old(pending, config, Duration::ZERO) {
            return Next::GiveUp(Condition::EventAgeExceeded);
        }
        let attempt = pending.attempts + 1;
        self.tell(pending, &AsyncEvent::Started { attempt });
        let request = InvokeRequest {
            function: pending.function.clone(),
            payload: Bytes::from(pending.payload.clone()),
            trace: pending.trace.clone(),
            request_id: Some(pending.id.clone()),
            // Lambda passes none to an asynchronous invocation.
            client_context: None,
        };
        match self.invoke.invoke_boxed(request).await {
            Ok(invocation) if invocation.succeeded() => {
                match self.options.faults.again(&pending.function) {
                    Some(delay) if !self.would_be_too_old(pending, config, delay) => {
                        Next::Retry(delay)
                    }
                    _ => Next::Succeed(invocation),
                }
            }
            Ok(invocation) => {
                pending.attempts = attempt;
                pending.throttles = 0;
                let response = invocation.response_payload();
                pending.last_response = Some(String::from_utf8_lossy(&response).into_owned());
                let invocation = &invocation;
                self.tell(
                    pending,
                    &AsyncEvent::Failed {
                        invocation,
                        attempt,
                    },
                );
                if attempt > config.maximum_retry_attempts {
                    Next::GiveUp(Condition::RetriesExhausted)
                } else {
                    Next::Retry(self.options.clock.function_error_delay(attempt))
                }
            }
            Err(InvokeError::ShuttingDown) => Next::Stop,
            Err(error) => {
                self.tell(pending, &AsyncEvent::NotInvoked { error: &error });
                if matches!(error, InvokeError::TooManyRequests { limit: 0, .. }) {
                    return Next::GiveUp(Condition::ZeroReservedConcurrency);
                }
                pending.throttles += 1;
                Next::Retry(self.options.clock.system_error_delay(pending.throttles))
            }
        }
    }

    fn would_be_too_old(
        &self,
        pending: &PendingInvocation,
        config: &AsyncConfig,
        delay: Duration,
    ) -> bool {
        let then = self.wall.now_ms() + millis(delay);
        then.saturating_sub(pending.submitted_ms) > millis(config.maximum_event_age)
    }

    async fn succeed(
        &self,
        pending: &PendingInvocation,
        config: &AsyncConfig,
        invocation: &Invocation,
    ) {
        self.tell(pending, &AsyncEvent::Succeeded { invocation });
        if let Some(arn) = &config.on_success {
            let payload = invocation.response_payload();
            let response = String::from_utf8_lossy(&payload);
            let condition = Condition::Success;
            let body = self.record(pending, config, condition, Some(&response));
            self.send(pending, arn, condition, &body, &BTreeMap::new())
                .await;
        }
        self.finish(pending);
    }

    async fn give_up(
        &self,
        pending: &PendingInvocation,
        config: &AsyncConfig,
        condition: Condition,
    ) {
        if config.on_failure.is_none() && config.dead_letter.is_none() {
            self.tell(pending, &AsyncEvent::Discarded { condition });
        }
        if let Some(arn) = &config.on_failure {
            let response = pending.last_response.as_deref();
            let body = self.record(pending, config, condition, response);
            self.send(pending, arn, condition, &body, &BTreeMap::new())
                .await;
        }
        if let Some(arn) = &config.dead_letter {
            let (code, message) = error_of(pending, condition);
            let attributes = dead_letter_attributes(pending, code, &message);
            self.send(pending, arn, condition, &pending.payload, &attributes)
                .await;
        }
        self.finish(pending);
    }

    fn record(
        &self,
        pending: &PendingInvocation,
        config: &AsyncConfig,
        condition: Condition,
        response: Option<&str>,
    ) -> String {
        let now = self.wall.now();
        destination_record(pending, &config.function_arn, condition, response, now).to_string()
    }

    async fn send(
        &self,
        pending: &PendingInvocation,
        arn: &str,
        condition: Condition,
        body: &str,
        attributes: &BTreeMap<String, String>,
    ) {
        let clock = self.options.clock;
        match deliver(&self.destination, clock, arn, body, attributes).await {
            Ok(()) => self.tell(pending, &AsyncEvent::Delivered { arn, condition }),
            Err(error) => {
                let error = &error;
                self.tell(pending, &AsyncEvent::DeliveryFailed { arn, error, body });
            }
        }
    }

    /// Forgets the event. Only now: what is interrupted before is done again.
    fn finish(&self, pending: &PendingInvocation) {
        if let Err(error) = self.options.journal.done(&pending.id) {
            self.tell(pending, &AsyncEvent::JournalFailed { error: &error });
        }
        lock(&self.pending).remove(&pending.id);
    }
}

/// `ErrorCode` and `ErrorMessage` of a dead letter: the function's own error where it ran.
fn error_of(pending: &PendingInvocation, condition: Condition) -> (u16, String) {
    match &pending.last_response {
        Some(response) => {
            let document: serde_json::Value = serde_json::from_str(response).unwrap_or_default();
            let message = document
                .get("errorMessage")
                .and_then(serde_json::Value::as_str);
            (200, message.unwrap_or(response).to_owned())
        }
        None if condition == Condition::ZeroReservedConcurrency => (
            429,
            "Function not invoked. Function is configured with zero reserved concurrent executions"
                .to_owned(),
        ),
        None => (429, "Rate Exceeded.".to_owned()),
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    unix_ms(std::time::UNIX_EPOCH + duration.min(Duration::from_secs(u64::from(u32::MAX))))
}
