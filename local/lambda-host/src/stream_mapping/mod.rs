//! Event source mapping of a stream (`DynamoDB`, Kinesis): reads records, hands them to a function
//! in batches, in the order of each partition key, and retries until they are done with.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-windows.html>
//!
//! The records of a stream are spread over lanes (shards times parallelization factor), by a hash
//! of their key where the source does not say which shard has them. A shard that came from others
//! by a resharding is read when those are done with. A lane has one batch under way at a time and goes on only when that is settled:
//! every record of it answered for, or given up. Only then does its checkpoint move.

mod batch;
mod failure_record;
mod lane;
mod lanes;
mod observer;
mod place;
mod settle;
mod source;
mod window;
mod window_calls;

pub use failure_record::DropCondition;
pub use observer::{BatchInfo, MappingEvent, MappingObserver, NoMappingObserver};
pub use place::shard_id;
pub use source::{Record, RecordSource, Shard};

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::clock::{RetryClock, WallClock};
use crate::delivery_faults::{DeliveryFaults, NoDeliveryFaults};
use crate::destination::{AnyDestination, Destination};
use crate::invocation::{AnyInvoke, Invoke};
use lanes::{Lanes, Settled};

/// What kind of stream it is: the metadata of a batch that is given up is named after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamKind {
    /// The stream of a table.
    DynamoDb,
    /// A data stream.
    Kinesis,
}

impl StreamKind {
    pub(crate) fn batch_info_key(self) -> &'static str {
        match self {
            Self::DynamoDb => "DDBStreamBatchInfo",
            Self::Kinesis => "KinesisBatchInfo",
        }
    }
}

/// Where a mapping without checkpoint begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartingPosition {
    /// With the oldest record.
    TrimHorizon,
    /// After the newest record.
    Latest,
}

/// Tells which records the function gets (`FilterCriteria`).
pub type RecordFilter = Arc<dyn Fn(&Value) -> bool + Send + Sync>;

/// How a stream is mapped to a function.
#[derive(Clone)]
pub struct StreamMappingSettings {
    /// Name of the function.
    pub function: String,
    /// ARN of the function.
    pub function_arn: String,
    /// ARN of the stream.
    pub stream_arn: String,
    /// Kind of the stream.
    pub kind: StreamKind,
    /// Most records in a batch. Default 100.
    pub batch_size: usize,
    /// How long to gather a batch, from its first record on. Default 0: what is there.
    pub batching_window: Duration,
    /// Shards that the stream has, where its source does not cut it. Default 1.
    pub shards: u32,
    /// Batches of one shard that are under way at a time, 1 to 10. Default 1.
    pub parallelization_factor: u32,
    /// Length of the tumbling windows, in which a state is carried from call to call. Default none:
    /// no windows.
    pub tumbling_window: Option<Duration>,
    /// Where to begin without a checkpoint. Default `TRIM_HORIZON`.
    pub starting_position: StartingPosition,
    /// Records that it refuses are skipped. Default none.
    pub filter: Option<RecordFilter>,
    /// Whether the answer says which records failed. Default false.
    pub report_batch_item_failures: bool,
    /// Whether a failed batch is split. Default false.
    pub bisect_batch_on_function_error: bool,
    /// Retries of a failed batch; none retries forever. Default none (-1 in a template).
    pub maximum_retry_attempts: Option<u32>,
    /// Older records are given up; none keeps them. Default none (-1 in a template).
    pub maximum_record_age: Option<Duration>,
    /// Gets the metadata of a batch that is given up.
    pub on_failure: Option<String>,
    /// Delays between retries.
    pub clock: RetryClock,
    /// Is told what happens.
    pub observer: Arc<dyn MappingObserver>,
    /// What goes wrong on purpose.
    pub faults: Arc<dyn DeliveryFaults>,
}

impl StreamMappingSettings {
    /// Lambda's defaults for a table's stream.
    #[must_use]
    pub fn new(
        function: impl Into<String>,
        function_arn: impl Into<String>,
        stream_arn: impl Into<String>,
    ) -> Self {
        Self {
            function: function.into(),
            function_arn: function_arn.into(),
            stream_arn: stream_arn.into(),
            kind: StreamKind::DynamoDb,
            batch_size: 100,
            batching_window: Duration::ZERO,
            shards: 1,
            parallelization_factor: 1,
            tumbling_window: None,
            starting_position: StartingPosition::TrimHorizon,
            filter: None,
            report_batch_item_failures: false,
            bisect_batch_on_function_error: false,
            maximum_retry_attempts: None,
            maximum_record_age: None,
            on_failure: None,
            clock: RetryClock::local(),
            observer: Arc::new(NoMappingObserver),
            faults: Arc::new(NoDeliveryFaults),
        }
    }
}

impl fmt::Debug for StreamMappingSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StreamMappingSettings")
            .field("function", &self.function)
            .field("stream_arn", &self.stream_arn)
            .field("batch_size", &self.batch_size)
            .field("shards", &self.shards)
            .field("parallelization_factor", &self.parallelization_factor)
            .finish_non_exhaustive()
    }
}

/// What the lanes of a mapping share.
struct Shared<S> {
    settings: StreamMappingSettings,
    source: Arc<S>,
    invoke: AnyInvoke,
    destination: AnyDestination,
    wall: WallClock,
    open_windows: AtomicUsize,
}

impl<S: RecordSource> Shared<S> {
    /// The sequence behind which a mapping begins that was never here.
    async fn starting_sequence(&self) -> Result<u64, String> {
        match self.settings.starting_position {
            StartingPosition::TrimHorizon => Ok(0),
            StartingPosition::Latest => self.source.last_sequence().await,
        }
    }
}

/// How many windows are open, whatever the source is.
trait OpenWindows: Send + Sync {
    fn count(&self) -> usize;
}

impl<S: RecordSource> OpenWindows for Shared<S> {
    fn count(&self) -> usize {
        self.open_windows.load(Ordering::Acquire)
    }
}

/// A running mapping. Dropped, it stops.
pub struct StreamMapping {
    lanes: Option<JoinHandle<()>>,
    settled: Arc<Settled>,
    open_windows: Arc<dyn OpenWindows>,
    stop: watch::Sender<bool>,
}

impl fmt::Debug for StreamMapping {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StreamMapping")
            .field("settled_through", &self.settled_through())
            .field("open_windows", &self.open_windows())
            .finish_non_exhaustive()
    }
}

impl StreamMapping {
    /// Starts the mapping. Must be called within a tokio runtime.
    pub fn start<S: RecordSource>(
        settings: StreamMappingSettings,
        source: Arc<S>,
        invoke: Arc<impl Invoke>,
        destination: Arc<impl Destination>,
    ) -> Self {
        let stop = watch::channel(false).0;
        let shared = Arc::new(Shared {
            settings,
            source,
            invoke,
            destination,
            wall: WallClock::new(),
            open_windows: AtomicUsize::new(0),
        });
        let settled = Arc::new(Settled::default());
        let open_windows = Arc::clone(&shared) as Arc<dyn OpenWindows>;
        let lanes = Lanes::new(shared, Arc::clone(&settled), stop.subscribe());
        Self {
            lanes: Some(tokio::spawn(lanes.run())),
            settled,
            open_windows,
            stop,
        }
    }

    /// Every record up to this sequence is done with: answered for, filtered out or given up. When
    /// it reaches the source's last sequence, the mapping is quiet, but for
    /// [`open_windows`](Self::open_windows).
    #[must_use]
    pub fn settled_through(&self) -> u64 {
        self.settled.through()
    }

    /// Tumbling windows that have records and whose final call is still to come.
    #[must_use]
    pub fn open_windows(&self) -> usize {
        self.open_windows.count()
    }

    /// Stops the mapping: no more batches, no more retries. An invocation under way is waited for,
    /// and settled if it succeeds; what is not settled comes again after the next start.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        if let Some(lanes) = self.lanes.take() {
            let _ = lanes.await;
        }
    }
}

impl Drop for StreamMapping {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}
