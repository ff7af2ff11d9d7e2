//! Functions and destinations that are ordinary values: scripted, and remembering what they got.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use lambda_host::destination::Destination;
use lambda_host::{Invocation, Invoke, InvokeError, InvokeRequest, Outcome};
use serde_json::Value;
use tokio::time::Instant;

/// What a scripted function does with an event.
pub type Reaction = Box<dyn FnMut(&Value) -> Result<Outcome, InvokeError> + Send>;

/// A function that reacts as it is told; remembers each event and when it came.
pub struct FakeFunction {
    reaction: Mutex<Reaction>,
    pub calls: Mutex<Vec<Call>>,
    pub takes: Duration,
    pub at_once: Mutex<(usize, usize)>,
}

/// One call of the function.
#[derive(Debug, Clone)]
pub struct Call {
    pub event: Value,
    pub request_id: Option<String>,
    pub trace: Option<String>,
    pub at: Instant,
}

impl FakeFunction {
    pub fn new(
        reaction: impl FnMut(&Value) -> Result<Outcome, InvokeError> + Send + 'static,
    ) -> Self {
        Self {
            reaction: Mutex::new(Box::new(reaction)),
            calls: Mutex::default(),
            takes: Duration::ZERO,
            at_once: Mutex::default(),
        }
    }

    /// Reacts with each of these in turn, then answers `{}`.
    pub fn scripted(outcomes: Vec<Result<Outcome, InvokeError>>) -> Self {
        let mut outcomes = VecDeque::from(outcomes);
        Self::new(move |_| outcomes.pop_front().unwrap_or_else(|| Ok(answer("{}"))))
    }

    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().expect("unpoisoned").clone()
    }

    /// Most calls that were under way at a time.
    pub fn most_at_once(&self) -> usize {
        self.at_once.lock().expect("unpoisoned").1
    }
}

impl Invoke for FakeFunction {
    async fn invoke(&self, request: InvokeRequest) -> Result<Invocation, InvokeError> {
        let event: Value = serde_json::from_slice(&request.payload).expect("JSON");
        let number = {
            let mut calls = self.calls.lock().expect("unpoisoned");
            calls.push(Call {
                event: event.clone(),
                request_id: request.request_id.clone(),
                trace: request.trace.clone(),
                at: Instant::now(),
            });
            calls.len()
        };
        {
            let mut at_once = self.at_once.lock().expect("unpoisoned");
            at_once.0 += 1;
            at_once.1 = at_once.1.max(at_once.0);
        }
        tokio::time::sleep(self.takes).await;
        self.at_once.lock().expect("unpoisoned").0 -= 1;
        let outcome = (self.reaction.lock().expect("unpoisoned"))(&event)?;
        Ok(Invocation {
            request_id: request
                .request_id
                .unwrap_or_else(|| format!("request-{number}")),
            outcome,
            duration: self.takes,
            init_duration: None,
            max_memory_bytes: None,
            process: 1,
        })
    }
}

/// An answer.
pub fn answer(json: &str) -> Outcome {
    Outcome::Answer(Bytes::from(json.to_owned()))
}

/// An error that the function reports.
pub fn error(message: &str) -> Outcome {
    let document = serde_json::json!({"errorType": "Oops", "errorMessage": message});
    Outcome::FunctionError {
        error_type: "Oops".to_owned(),
        message: message.to_owned(),
        payload: Bytes::from(document.to_string()),
    }
}

/// A throttle.
pub fn throttled() -> InvokeError {
    InvokeError::TooManyRequests {
        function: "f".to_owned(),
        limit: 1,
    }
}

/// One delivery: where to, body, attributes.
pub type Delivery = (String, String, BTreeMap<String, String>);

/// A destination that remembers; refuses the first few when told to.
#[derive(Default)]
pub struct FakeDestination {
    pub got: Mutex<Vec<Delivery>>,
    pub refuses: Mutex<u32>,
}

impl FakeDestination {
    pub fn refusing(times: u32) -> Self {
        Self {
            refuses: Mutex::new(times),
            ..Self::default()
        }
    }

    pub fn got(&self) -> Vec<Delivery> {
        self.got.lock().expect("unpoisoned").clone()
    }

    /// The only delivery, its body parsed.
    #[track_caller]
    pub fn only(&self) -> (String, Value, BTreeMap<String, String>) {
        let got = self.got();
        assert_eq!(got.len(), 1, "{got:?}");
        let (arn, body, attributes) = got.into_iter().next().expect("one");
        (arn, serde_json::from_str(&body).expect("JSON"), attributes)
    }
}

impl Destination for FakeDestination {
    async fn deliver(
        &self,
        arn: &str,
        body: String,
        attributes: BTreeMap<String, String>,
    ) -> Result<(), String> {
        let mut refuses = self.refuses.lock().expect("unpoisoned");
        if *refuses > 0 {
            *refuses -= 1;
            return Err("the queue is away".to_owned());
        }
        drop(refuses);
        let delivery = (arn.to_owned(), body, attributes);
        self.got.lock().expect("unpoisoned").push(delivery);
        Ok(())
    }
}

/// Waits until it is so. With tokio's clock paused this takes no time.
pub async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_hours(48);
    let mut pause = Duration::from_millis(10);
    while !condition() {
        assert!(Instant::now() < deadline, "in vain waited for: {what}");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}
