//! Calling functions, and telling about it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lambda_host::{Invocation, Invoke, InvokeError, InvokeRequest, LambdaHost, Outcome};
use serde_json::Value;
use uuid::Uuid;

use crate::faults::{FaultKind, Injector};
use crate::steps::{Step, StepKind, StepSink};
use crate::subjects::{Subject, subjects};

/// How soon it is looked again for a process that is to be killed.
const KILL_AGAIN: Duration = Duration::from_millis(1);

/// The functions of the stack. Clones are the same.
#[derive(Clone)]
pub struct Functions {
    host: LambdaHost,
    steps: Arc<dyn StepSink>,
    in_flight: Arc<AtomicUsize>,
    faults: Option<Arc<Injector>>,
}

/// Counts an invocation as long as it lives.
struct InFlight(Arc<AtomicUsize>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Functions {
    pub(crate) fn new(
        host: LambdaHost,
        steps: Arc<dyn StepSink>,
        faults: Option<Arc<Injector>>,
    ) -> Self {
        Self {
            host,
            steps,
            in_flight: Arc::default(),
            faults,
        }
    }

    /// The host of their processes.
    #[must_use]
    pub fn host(&self) -> &LambdaHost {
        &self.host
    }

    /// Invocations that run or wait for a place.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    /// Runs one invocation; in the middle of it its process may be killed on purpose.
    async fn run(&self, mut request: InvokeRequest) -> Result<Invocation, InvokeError> {
        let faults = self.faults.as_ref();
        let doom = faults.and_then(|faults| Some((faults, faults.kill_after(&request.function)?)));
        let Some((faults, after)) = doom else {
            return self.host.invoke_request(request).await;
        };
        let id = request
            .request_id
            .get_or_insert_with(|| Uuid::new_v4().to_string());
        let (function, id) = (request.function.clone(), id.clone());
        let killing = async {
            // It may have to wait for a process first.
            tokio::time::sleep(after).await;
            while !self.host.kill_invocation(&function, &id) {
                tokio::time::sleep(KILL_AGAIN).await;
            }
            faults.done(FaultKind::Kill);
            std::future::pending().await
        };
        tokio::select! {
            result = self.host.invoke_request(request) => result,
            never = killing => never,
        }
    }

    fn tell(
        &self,
        function: &str,
        subjects: Vec<Subject>,
        result: &Result<Invocation, InvokeError>,
    ) {
        let answer: Value = match result {
            Ok(Invocation {
                outcome: Outcome::Answer(answer),
                ..
            }) => serde_json::from_slice(answer).unwrap_or_default(),
            _ => Value::Null,
        };
        let error = match result {
            Ok(invocation) => invocation
                .failure()
                .map(|(kind, message)| format!("{kind}: {message}")),
            Err(error) => Some(error.to_string()),
        };
        let reported = reported(&answer);
        let mut failed_before = false;
        for subject in subjects {
            // The platform goes on from the first record that was reported.
            failed_before |= subject
                .record
                .as_ref()
                .is_some_and(|record| reported.contains(record.as_str()));
            let (kind, note) = match &error {
                Some(error) => (StepKind::Failed, error.clone()),
                None if failed_before => (StepKind::Failed, "comes again".to_owned()),
                None => (StepKind::Done, status(&answer)),
            };
            let stream = if subject.stream.is_empty() {
                stream_of_answer(&answer)
            } else {
                subject.stream
            };
            self.steps.step(Step {
                kind,
                stream,
                event: subject.event,
                function: function.to_owned(),
                duration: result.as_ref().ok().map(|invocation| invocation.duration),
                memory: result
                    .as_ref()
                    .ok()
                    .and_then(|invocation| invocation.max_memory_bytes),
                note,
            });
        }
    }
}

impl Invoke for Functions {
    async fn invoke(&self, request: InvokeRequest) -> Result<Invocation, InvokeError> {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        let in_flight = InFlight(Arc::clone(&self.in_flight));
        let told = self.steps.wanted().then(|| {
            let payload = serde_json::from_slice(&request.payload).unwrap_or_default();
            (request.function.clone(), subjects(&payload))
        });
        let this = self.clone();
        // A task of its own, so that it is counted and told to its end whoever gives up waiting.
        let running = tokio::spawn(async move {
            let result = this.run(request).await;
            if let Some((function, subjects)) = told {
                this.tell(&function, subjects, &result);
            }
            drop(in_flight);
            result
        });
        running.await.unwrap_or(Err(InvokeError::ShuttingDown))
    }
}

/// The records that a batch's answer reports.
fn reported(answer: &Value) -> BTreeSet<&str> {
    let failures = answer.get("batchItemFailures").and_then(Value::as_array);
    failures
        .into_iter()
        .flatten()
        .filter_map(|failure| failure["itemIdentifier"].as_str())
        .collect()
}

/// The HTTP status of an answer, if it has one.
fn status(answer: &Value) -> String {
    answer
        .get("statusCode")
        .map(Value::to_string)
        .unwrap_or_default()
}

/// The stream of the order that an HTTP answer is about, if it is about one.
fn stream_of_answer(answer: &Value) -> String {
    let body = answer.get("body").and_then(Value::as_str);
    let body: Option<Value> = body.and_then(|body| serde_json::from_str(body).ok());
    let order = body.as_ref().and_then(|body| body["orderId"].as_str());
    order
        .map(|order| format!("order-{order}"))
        .unwrap_or_default()
}
