//! Event source mapping of an SQS queue: receives messages, hands them to a function in batches,
//! deletes those that are done; the others come back when their visibility timeout ends.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>

mod observer;
mod poller;
mod source;

pub use observer::{NoQueueObserver, QueueEvent, QueueObserver};
pub use source::{QueueMessage, QueueSource};

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::clock::RetryClock;
use crate::invocation::{AnyInvoke, Invoke};

/// Tells which messages the function gets (`FilterCriteria`); the others are deleted.
pub type MessageFilter = Arc<dyn Fn(&Value) -> bool + Send + Sync>;

/// How a queue is mapped to a function.
#[derive(Clone)]
pub struct QueueMappingSettings {
    /// Name of the function.
    pub function: String,
    /// Most messages in a batch. Default 10.
    pub batch_size: usize,
    /// How long to gather a batch, from its first message on. Default 0: what is there.
    pub batching_window: Duration,
    /// Whether the answer says which messages failed. Default false.
    pub report_batch_item_failures: bool,
    /// Most batches under way at a time (`ScalingConfig`). Default 5, as many as AWS polls with.
    pub maximum_concurrency: u32,
    /// Messages that it refuses are deleted. Default none.
    pub filter: Option<MessageFilter>,
    /// The queue's visibility timeout: so long is a throttled batch tried again. Default 30 seconds.
    pub visibility_timeout: Duration,
    /// Delays between retries.
    pub clock: RetryClock,
    /// Is told what happens.
    pub observer: Arc<dyn QueueObserver>,
}

impl QueueMappingSettings {
    /// Lambda's defaults.
    #[must_use]
    pub fn new(function: impl Into<String>) -> Self {
        Self {
            function: function.into(),
            batch_size: 10,
            batching_window: Duration::ZERO,
            report_batch_item_failures: false,
            maximum_concurrency: 5,
            filter: None,
            visibility_timeout: Duration::from_secs(30),
            clock: RetryClock::local(),
            observer: Arc::new(NoQueueObserver),
        }
    }
}

impl fmt::Debug for QueueMappingSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("QueueMappingSettings")
            .field("function", &self.function)
            .field("batch_size", &self.batch_size)
            .field("maximum_concurrency", &self.maximum_concurrency)
            .finish_non_exhaustive()
    }
}

/// What the pollers of a mapping share.
struct Shared<Q> {
    settings: QueueMappingSettings,
    source: Arc<Q>,
    invoke: AnyInvoke,
    in_flight: Arc<AtomicUsize>,
}

/// A running mapping. Dropped, it stops.
#[derive(Debug)]
pub struct QueueMapping {
    pollers: Vec<JoinHandle<()>>,
    in_flight: Arc<AtomicUsize>,
    stop: watch::Sender<bool>,
}

impl QueueMapping {
    /// Starts the mapping. Must be called within a tokio runtime.
    pub fn start<Q: QueueSource>(
        settings: QueueMappingSettings,
        source: Arc<Q>,
        invoke: Arc<impl Invoke>,
    ) -> Self {
        let stop = watch::channel(false).0;
        let in_flight = Arc::new(AtomicUsize::new(0));
        let pollers = settings.maximum_concurrency.max(1);
        let shared = Arc::new(Shared {
            settings,
            source,
            invoke,
            in_flight: Arc::clone(&in_flight),
        });
        let pollers = (0..pollers)
            .map(|_| tokio::spawn(poller::run(Arc::clone(&shared), stop.subscribe())))
            .collect();
        Self {
            pollers,
            in_flight,
            stop,
        }
    }

    /// Messages that were received and are neither deleted nor left to come back.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    /// Stops the mapping: no more receives. Invocations under way are waited for and settled;
    /// messages that were received and not handed over are made visible again.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        for poller in std::mem::take(&mut self.pollers) {
            let _ = poller.await;
        }
    }
}

impl Drop for QueueMapping {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}
