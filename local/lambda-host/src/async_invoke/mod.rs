//! Asynchronous invocation: an event is accepted, then the function gets it until it succeeds,
//! has used up its retries or is too old.
//! <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>

mod attempt;
mod observer;
mod pending;
mod record;

pub use observer::{AsyncEvent, AsyncObserver, NoObserver};
pub use pending::{Journal, NoJournal, Origin, PendingInvocation};
pub use record::Condition;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use serde::de::IgnoredAny;
use tokio::sync::watch;
use uuid::Uuid;

use crate::clock::{RetryClock, WallClock};
use crate::delivery_faults::{DeliveryFaults, NoDeliveryFaults};
use crate::destination::{AnyDestination, Destination};
use crate::function::lock;
use crate::invocation::{AnyInvoke, Invoke};
use crate::limits::ASYNC_PAYLOAD_BYTES;
use attempt::millis;

/// How events for one function are retried and where they end (`EventInvokeConfig`).
#[derive(Debug, Clone)]
pub struct AsyncConfig {
    /// ARN of the function, without version.
    pub function_arn: String,
    /// Retries after a function error, 0 to 2. Default 2.
    pub maximum_retry_attempts: u32,
    /// An event that would be older at its next attempt is given up. Default 6 hours.
    pub maximum_event_age: Duration,
    /// Gets a record of each event that the function answered.
    pub on_success: Option<String>,
    /// Gets a record of each event that was given up.
    pub on_failure: Option<String>,
    /// Queue that gets each event itself that was given up (`DeadLetterConfig`).
    pub dead_letter: Option<String>,
}

impl AsyncConfig {
    /// Lambda's defaults, without destinations.
    #[must_use]
    pub fn new(function_arn: impl Into<String>) -> Self {
        Self {
            function_arn: function_arn.into(),
            maximum_retry_attempts: 2,
            maximum_event_age: Duration::from_hours(6),
            on_success: None,
            on_failure: None,
            dead_letter: None,
        }
    }
}

/// What an invoker uses besides functions and destinations.
#[derive(Clone)]
pub struct AsyncOptions {
    /// Delays between attempts.
    pub clock: RetryClock,
    /// Keeps accepted events over a restart.
    pub journal: Arc<dyn Journal>,
    /// Is told what happens.
    pub observer: Arc<dyn AsyncObserver>,
    /// What goes wrong on purpose.
    pub faults: Arc<dyn DeliveryFaults>,
}

impl Default for AsyncOptions {
    fn default() -> Self {
        Self {
            clock: RetryClock::local(),
            journal: Arc::new(NoJournal),
            observer: Arc::new(NoObserver),
            faults: Arc::new(NoDeliveryFaults),
        }
    }
}

/// Why an event was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// No such function. Configure it, or correct the name.
    #[error("function not found: {function}; configure it for asynchronous invocation first")]
    NotFound {
        /// The name asked for.
        function: String,
    },
    /// Larger than 1 MB. Send less.
    #[error(
        "request must be smaller than {limit} bytes for the asynchronous invoke operation, but has {bytes}"
    )]
    RequestTooLarge {
        /// Size of the event.
        bytes: usize,
        /// The quota.
        limit: usize,
    },
    /// Not JSON. Send JSON.
    #[error("could not parse request body into JSON: {0}")]
    InvalidRequestContent(#[source] serde_json::Error),
    /// The journal did not keep it. Submit it again when the journal can be written.
    #[error("the journal cannot be written; the event was not accepted")]
    Journal(#[source] std::io::Error),
    /// The invoker was stopped. Submit it to the next one.
    #[error("asynchronous invocation was stopped; the event was not accepted")]
    Stopped,
}

/// Accepts events and sees them through. Clones are the same invoker.
#[derive(Clone)]
pub struct AsyncInvoker {
    inner: Arc<Inner>,
}

struct Inner {
    invoke: AnyInvoke,
    destination: AnyDestination,
    options: AsyncOptions,
    wall: WallClock,
    configs: Mutex<BTreeMap<String, Arc<AsyncConfig>>>,
    pending: Mutex<BTreeMap<String, PendingInvocation>>,
    stopped: watch::Sender<bool>,
}

impl fmt::Debug for AsyncInvoker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AsyncInvoker")
            .field("pending", &self.pending())
            .finish_non_exhaustive()
    }
}

impl AsyncInvoker {
    /// An invoker without functions.
    #[must_use]
    pub fn new(
        invoke: Arc<impl Invoke>,
        destination: Arc<impl Destination>,
        options: AsyncOptions,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                invoke,
                destination,
                options,
                wall: WallClock::new(),
                configs: Mutex::default(),
                pending: Mutex::default(),
                stopped: watch::channel(false).0,
            }),
        }
    }

    /// Sets how events for a function are treated, from their next attempt on.
    pub fn configure(&self, function: impl Into<String>, config: AsyncConfig) {
        lock(&self.inner.configs).insert(function.into(), Arc::new(config));
    }

    /// Accepts an event and returns at once with its request id. Must be called within a tokio
    /// runtime.
    ///
    /// # Errors
    /// [`SubmitError`]; then the event is not accepted and nothing of it is kept.
    pub fn submit(
        &self,
        function: &str,
        payload: &Bytes,
        trace: Option<String>,
        source: Origin,
    ) -> Result<String, SubmitError> {
        if *self.inner.stopped.borrow() {
            return Err(SubmitError::Stopped);
        }
        if !lock(&self.inner.configs).contains_key(function) {
            return Err(SubmitError::NotFound {
                function: function.to_owned(),
            });
        }
        if payload.len() > ASYNC_PAYLOAD_BYTES {
            return Err(SubmitError::RequestTooLarge {
                bytes: payload.len(),
                limit: ASYNC_PAYLOAD_BYTES,
            });
        }
        let payload: &[u8] = if payload.is_empty() { b"{}" } else { payload };
        let payload = std::str::from_utf8(payload)
            .map_err(serde::de::Error::custom)
            .and_then(|text| serde_json::from_str::<IgnoredAny>(text).map(|_| text))
            .map_err(SubmitError::InvalidRequestContent)?;
        let now = self.inner.wall.now_ms();
        let delay = self.inner.options.faults.delay(function);
        let pending = PendingInvocation {
            id: Uuid::new_v4().to_string(),
            function: function.to_owned(),
            payload: payload.to_owned(),
            trace,
            source,
            submitted_ms: now,
            not_before_ms: now + millis(delay.unwrap_or_default()),
            attempts: 0,
            throttles: 0,
            last_response: None,
        };
        self.inner
            .options
            .journal
            .record(&pending)
            .map_err(SubmitError::Journal)?;
        self.inner.tell(&pending, &AsyncEvent::Submitted);
        let id = pending.id.clone();
        self.begin(pending);
        Ok(id)
    }

    /// Number of events that are accepted and not done with.
    #[must_use]
    pub fn pending(&self) -> usize {
        lock(&self.inner.pending).len()
    }

    /// The events that are accepted and not done with, running ones included.
    #[must_use]
    pub fn snapshot(&self) -> Vec<PendingInvocation> {
        lock(&self.inner.pending).values().cloned().collect()
    }

    /// Takes up events of an earlier [`AsyncInvoker::snapshot`] or journal, with their age and
    /// their attempts. Those that it has already are left out. Must be called within a tokio
    /// runtime.
    pub fn restore(&self, pending: Vec<PendingInvocation>) {
        for pending in pending {
            let is_new = !lock(&self.inner.pending).contains_key(&pending.id);
            if is_new {
                self.begin(pending);
            }
        }
    }

    /// Stops taking and trying events. What is pending stays so, for [`AsyncInvoker::snapshot`]
    /// and the journal; an invocation under way is not interrupted.
    pub fn stop(&self) {
        self.inner.stopped.send_replace(true);
    }

    fn begin(&self, pending: PendingInvocation) {
        let id = pending.id.clone();
        lock(&self.inner.pending).insert(id.clone(), pending);
        let inner = Arc::clone(&self.inner);
        tokio::spawn(async move { inner.see_through(&id).await });
    }
}

impl Inner {
    fn tell(&self, pending: &PendingInvocation, event: &AsyncEvent<'_>) {
        self.options.observer.on_event(pending, event);
    }
}
