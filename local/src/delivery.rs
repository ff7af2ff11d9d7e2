//! From a rule or schedule to its target: EventBridge's own retries and dead letters, which are
//! about *delivery*. Once Lambda has accepted an event, Lambda's retries and destination apply.
//!
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html>,
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html>

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use lambda_host::async_invoke::{AsyncInvoker, Origin, SubmitError};
use lambda_host::clock::RetryClock;
use sam_template::{RuleTarget, Target, input};
use serde_json::Value;
use tokio::time::Instant;

use crate::faults::Injector;
use crate::queues::{Queues, SendError, queue_name};
use crate::receivers::{PutError, Receivers, partition_key};
use crate::steps::{Step, StepKind, StepSink};
use crate::subjects::subjects;

/// Which rule or schedule an event came through, and in which trace.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    pub name: String,
    pub arn: String,
    pub origin: Origin,
    /// X-Ray header, where the event came with one.
    pub trace: Option<String>,
}

/// Delivers to targets. Clones are the same.
#[derive(Clone)]
pub(crate) struct Delivery {
    inner: Arc<Inner>,
}

struct Inner {
    invoker: AsyncInvoker,
    queues: Queues,
    receivers: Receivers,
    /// Name and ARN of each function by its logical id.
    functions: BTreeMap<String, (String, String)>,
    clock: RetryClock,
    steps: Arc<dyn StepSink>,
    retrying: AtomicUsize,
    faults: Option<Arc<Injector>>,
}

/// Why one attempt failed.
#[derive(Debug)]
struct Refusal {
    code: &'static str,
    message: String,
    kind: RefusalKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RefusalKind {
    /// It can succeed later.
    Transient,
    /// It never will.
    Permanent,
    /// Nothing is taken any more: the stack ends.
    Ending,
}

impl Delivery {
    pub(crate) fn new(
        invoker: AsyncInvoker,
        (queues, receivers): (Queues, Receivers),
        functions: BTreeMap<String, (String, String)>,
        clock: RetryClock,
        steps: Arc<dyn StepSink>,
        faults: Option<Arc<Injector>>,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                invoker,
                queues,
                receivers,
                functions,
                clock,
                steps,
                retrying: AtomicUsize::new(0),
                faults,
            }),
        }
    }

    /// Deliveries that failed and are tried again.
    pub(crate) fn retrying(&self) -> usize {
        self.inner.retrying.load(Ordering::Acquire)
    }

    /// Delivers an event to one target. Returns when the target has it, or when it is known that
    /// it has to be tried again, which then goes on by itself. Never returns when the stack ends
    /// before: whoever waits for it must not think that it was taken.
    pub(crate) async fn deliver(
        &self,
        sender: &Sender,
        target: &RuleTarget,
        event: &Value,
        ingested: &str,
    ) {
        let origin = input::Origin {
            rule_arn: &sender.arn,
            rule_name: &sender.name,
            ingestion_time: ingested,
        };
        let body = target.input.apply(event, origin);
        let Err(refusal) = self.inner.attempt(sender, target, event, &body).await else {
            return;
        };
        match refusal.kind {
            RefusalKind::Ending => std::future::pending().await,
            RefusalKind::Transient if target.retry.maximum_retry_attempts > 0 => {
                self.inner.retrying.fetch_add(1, Ordering::AcqRel);
                let inner = Arc::clone(&self.inner);
                let (sender, target, event) = (sender.clone(), target.clone(), event.clone());
                tokio::spawn(async move {
                    inner.retry(&sender, &target, &event, &body, refusal).await;
                    inner.retrying.fetch_sub(1, Ordering::AcqRel);
                });
            }
            RefusalKind::Transient => {
                let exhausted = Some("MaximumRetryAttempts");
                self.inner
                    .give_up(sender, target, event, &refusal, 0, exhausted)
                    .await;
            }
            RefusalKind::Permanent => {
                self.inner
                    .give_up(sender, target, event, &refusal, 0, None)
                    .await;
            }
        }
    }
}

impl Inner {
    async fn attempt(
        &self,
        sender: &Sender,
        target: &RuleTarget,
        event: &Value,
        body: &str,
    ) -> Result<(), Refusal> {
        let role = target.role.as_deref();
        match &target.target {
            Target::Function { logical_id } => {
                let Some((name, _)) = self.functions.get(logical_id) else {
                    return Err(Refusal {
                        code: "NO_RESOURCE",
                        message: format!("there is no function {logical_id}"),
                        kind: RefusalKind::Permanent,
                    });
                };
                let payload = Bytes::copy_from_slice(body.as_bytes());
                let submit = || {
                    self.invoker
                        .submit(name, &payload, sender.trace.clone(), sender.origin.clone())
                        .map(|_| ())
                        .map_err(of_submit)
                };
                let twice = self
                    .faults
                    .as_ref()
                    .is_some_and(|it| it.delivers_twice(name));
                if twice {
                    submit()?;
                }
                submit()
            }
            Target::Queue { arn, .. } => self
                .queues
                .send(arn, body, &BTreeMap::new())
                .await
                .map_err(of_send),
            Target::Kinesis {
                stream,
                partition_key: path,
            } => {
                let key = partition_key(event, path.as_ref());
                let put = self.receivers.put_record(role, stream, &key, body);
                put.await.map_err(of_put)
            }
            Target::Firehose { stream } => {
                let delivered = self.receivers.deliver(role, stream, body);
                delivered.await.map_err(of_put)
            }
            Target::Topic { arn } => {
                let published = self.receivers.publish(arn, body);
                published.await.map_err(of_put)
            }
            Target::Bus { name } => Err(Refusal {
                code: "NO_RESOURCE",
                message: format!("the local run does not deliver to the bus {name}"),
                kind: RefusalKind::Permanent,
            }),
        }
    }

    async fn retry(
        &self,
        sender: &Sender,
        target: &RuleTarget,
        event: &Value,
        body: &str,
        mut refusal: Refusal,
    ) {
        let started = Instant::now();
        let mut retries = 0;
        loop {
            let delay = self.clock.system_error_delay(retries + 1);
            let exhausted = if retries >= target.retry.maximum_retry_attempts {
                Some("MaximumRetryAttempts")
            } else if started.elapsed() + delay > target.retry.maximum_event_age {
                Some("MaximumEventAgeInSeconds")
            } else {
                None
            };
            if exhausted.is_some() {
                self.give_up(sender, target, event, &refusal, retries, exhausted)
                    .await;
                return;
            }
            let note = format!("in {} ms: {}", delay.as_millis(), refusal.message);
            self.tell(StepKind::Retried, target, event, note);
            tokio::time::sleep(delay).await;
            retries += 1;
            match self.attempt(sender, target, event, body).await {
                Ok(()) => return,
                Err(again) if again.kind == RefusalKind::Ending => return,
                Err(again) if again.kind == RefusalKind::Permanent => {
                    self.give_up(sender, target, event, &again, retries, None)
                        .await;
                    return;
                }
                Err(again) => refusal = again,
            }
        }
    }

    /// Sends the event itself, as it was on the bus, to the target's dead-letter queue.
    async fn give_up(
        &self,
        sender: &Sender,
        target: &RuleTarget,
        event: &Value,
        refusal: &Refusal,
        retries: u32,
        exhausted: Option<&str>,
    ) {
        let Some(queue) = &target.dead_letter else {
            let note = format!("{}: {}", refusal.code, refusal.message);
            return self.tell(StepKind::Lost, target, event, note);
        };
        let mut attributes = BTreeMap::from([
            ("RULE_ARN".to_owned(), sender.arn.clone()),
            ("TARGET_ARN".to_owned(), self.target_arn(&target.target)),
            ("ERROR_CODE".to_owned(), refusal.code.to_owned()),
            ("ERROR_MESSAGE".to_owned(), refusal.message.clone()),
            ("RETRY_ATTEMPTS".to_owned(), retries.to_string()),
        ]);
        if let Some(condition) = exhausted {
            attributes.insert("EXHAUSTED_RETRY_CONDITION".to_owned(), condition.to_owned());
        }
        match self
            .queues
            .give_up(queue, &event.to_string(), &attributes)
            .await
        {
            Ok(()) => {
                let note = format!("{}: {}", queue_name(queue), refusal.message);
                self.tell(StepKind::DeadLetter, target, event, note);
            }
            Err(error) => self.tell(StepKind::Lost, target, event, error.to_string()),
        }
    }

    fn target_arn(&self, target: &Target) -> String {
        match target {
            Target::Function { logical_id } => self
                .functions
                .get(logical_id)
                .map(|(_, arn)| arn.clone())
                .unwrap_or_default(),
            other => self.receivers.arn(other).unwrap_or_default(),
        }
    }

    fn tell(&self, kind: StepKind, target: &RuleTarget, event: &Value, note: String) {
        if !self.steps.wanted() {
            return;
        }
        let arn = self.target_arn(&target.target);
        for subject in subjects(event) {
            self.steps.step(Step {
                kind,
                stream: subject.stream,
                event: subject.event,
                function: queue_name(&arn).to_owned(),
                duration: None,
                memory: None,
                note: note.clone(),
            });
        }
    }
}

fn of_submit(error: SubmitError) -> Refusal {
    let (code, kind) = match &error {
        SubmitError::NotFound { .. } => ("NO_RESOURCE", RefusalKind::Permanent),
        SubmitError::RequestTooLarge { .. } => ("INVALID_PARAMETER", RefusalKind::Permanent),
        SubmitError::InvalidRequestContent(_) => ("INVALID_JSON", RefusalKind::Permanent),
        SubmitError::Journal(_) => ("INTERNAL_ERROR", RefusalKind::Transient),
        SubmitError::Stopped => ("INTERNAL_ERROR", RefusalKind::Ending),
    };
    Refusal {
        code,
        message: error.to_string(),
        kind,
    }
}

fn of_send(error: SendError) -> Refusal {
    let (code, kind) = match &error {
        SendError::NoQueue(_) => ("NO_RESOURCE", RefusalKind::Permanent),
        SendError::Gone => ("INTERNAL_ERROR", RefusalKind::Ending),
        SendError::Refused(error) if error.code.contains("NonExistentQueue") => {
            ("NO_RESOURCE", RefusalKind::Permanent)
        }
        SendError::Refused(error) if error.is_throttle() => ("THROTTLING", RefusalKind::Transient),
        SendError::Refused(error) if error.status >= 500 => {
            ("INTERNAL_ERROR", RefusalKind::Transient)
        }
        SendError::Refused(_) => ("INVALID_PARAMETER", RefusalKind::Permanent),
    };
    Refusal {
        code,
        message: error.to_string(),
        kind,
    }
}

/// The codes of
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html>.
fn of_put(error: PutError) -> Refusal {
    let (code, kind) = match &error {
        PutError::NotAllowed { .. } => ("NO_PERMISSIONS", RefusalKind::Permanent),
        PutError::Gone => ("INTERNAL_ERROR", RefusalKind::Ending),
        PutError::Refused(error) if error.is_throttle() => ("THROTTLING", RefusalKind::Transient),
        PutError::Refused(error) if error.status >= 500 => {
            ("INTERNAL_ERROR", RefusalKind::Transient)
        }
        PutError::Refused(error)
            if matches!(
                error.code.as_str(),
                "NotFound" | "ResourceNotFoundException"
            ) =>
        {
            ("NO_RESOURCE", RefusalKind::Permanent)
        }
        PutError::Refused(_) => ("INVALID_PARAMETER", RefusalKind::Permanent),
    };
    Refusal {
        code,
        message: error.to_string(),
        kind,
    }
}

#[cfg(test)]
mod tests;
