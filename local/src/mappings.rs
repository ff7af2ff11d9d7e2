//! The event source mappings of the template.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_endpoint::{DataStream, Endpoint, TableStream};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lambda_host::clock::RetryClock;
use lambda_host::delivery_faults::DeliveryFaults;
use lambda_host::queue_mapping::{QueueMapping, QueueMappingSettings};
use lambda_host::stream_mapping::{
    self, RecordSource, StreamKind, StreamMapping, StreamMappingSettings,
};
use sam_template::{Mapping, MappingSource, StartingPosition};
use serde_json::Value;

use crate::data_source::DataSource;
use crate::error::LocalError;
use crate::functions::Functions;
use crate::queue_source::LocalQueue;
use crate::queues::Queues;
use crate::table_source::{SHARDS, TableSource};
use crate::watching::Watching;

/// What the mappings of a stack share.
pub(crate) struct MappingContext<'a> {
    pub endpoint: &'a Arc<Endpoint>,
    pub functions: &'a Functions,
    pub queues: &'a Queues,
    /// Name and ARN of each function by its logical id.
    pub names: &'a BTreeMap<String, (String, String)>,
    pub clock: RetryClock,
    pub watching: &'a Arc<Watching>,
    /// What goes wrong on purpose.
    pub faults: Arc<dyn DeliveryFaults>,
    pub region: &'a str,
    pub account: &'a str,
    pub stack: &'a sam_template::Stack,
}

/// The running mappings.
#[derive(Default)]
pub(crate) struct Mappings {
    streams: Vec<(StreamMapping, Stream)>,
    queues: Vec<(QueueMapping, String)>,
}

/// A stream that is read.
enum Stream {
    Table(TableStream),
    Data(DataStream),
}

impl Stream {
    fn arn(&self) -> &str {
        match self {
            Self::Table(stream) => stream.arn(),
            Self::Data(stream) => stream.arn(),
        }
    }

    fn last_sequence(&self) -> u64 {
        match self {
            Self::Table(stream) => stream.last_sequence(),
            Self::Data(stream) => stream.last_sequence(),
        }
    }
}

impl Mappings {
    /// Starts every enabled mapping.
    pub(crate) fn start(context: &MappingContext<'_>) -> Result<Self, LocalError> {
        let mut running = Self::default();
        for mapping in context.stack.mappings.iter().filter(|one| one.enabled) {
            match &mapping.source {
                MappingSource::TableStream { table } => {
                    let stream = context.endpoint.stream(table).ok_or_else(|| {
                        not_driven(
                            mapping,
                            format!("reads the stream of {table}, which has none"),
                        )
                    })?;
                    let source = TableSource::new(
                        Arc::downgrade(context.endpoint),
                        stream.clone(),
                        table.clone(),
                        mapping.logical_id.clone(),
                    );
                    let stream = Stream::Table(stream);
                    let started = start_stream(context, mapping, &stream, source)?;
                    running.streams.push((started, stream));
                }
                MappingSource::Queue { arn, name } => {
                    let started = start_queue(context, mapping, arn, name)?;
                    running.queues.push((started, name.clone()));
                }
                MappingSource::Kinesis { stream } => {
                    let stream = context.endpoint.data_stream(stream).ok_or_else(|| {
                        not_driven(mapping, format!("reads {stream}, which is no stream"))
                    })?;
                    let role = format!(
                        "arn:aws:iam::{}:role/{}Role",
                        context.account, mapping.function
                    );
                    let source = DataSource::new(
                        stream.clone(),
                        mapping.logical_id.clone(),
                        context.region.to_owned(),
                        role,
                    );
                    let stream = Stream::Data(stream);
                    let started = start_stream(context, mapping, &stream, source)?;
                    running.streams.push((started, stream));
                }
            }
        }
        Ok(running)
    }

    /// Whether every mapping is done with everything that there is now; says what is not.
    pub(crate) fn unsettled(&self, endpoint: &Endpoint) -> Option<String> {
        for (mapping, stream) in &self.streams {
            let (settled, last) = (mapping.settled_through(), stream.last_sequence());
            if settled < last {
                return Some(format!("{settled} of {last} records of {}", stream.arn()));
            }
        }
        for (mapping, queue) in &self.queues {
            let depth = endpoint.queue(queue).unwrap_or_default();
            let left = depth.visible + depth.in_flight + depth.delayed;
            if left > 0 || mapping.in_flight() > 0 {
                return Some(format!("{left} messages in {queue}"));
            }
        }
        None
    }

    /// Tumbling windows that are open.
    pub(crate) fn open_windows(&self) -> usize {
        let streams = self.streams.iter();
        streams.map(|(mapping, _)| mapping.open_windows()).sum()
    }

    /// Stops them; invocations under way are waited for.
    pub(crate) async fn stop(self) {
        for (mapping, _) in self.streams {
            mapping.stop().await;
        }
        for (mapping, _) in self.queues {
            mapping.stop().await;
        }
    }
}

fn start_stream(
    context: &MappingContext<'_>,
    mapping: &Mapping,
    stream: &Stream,
    source: impl RecordSource,
) -> Result<StreamMapping, LocalError> {
    let (name, arn) = function(context, mapping)?;
    let mut settings = StreamMappingSettings::new(name, arn, stream.arn());
    settings.kind = match stream {
        Stream::Table(_) => StreamKind::DynamoDb,
        Stream::Data(_) => StreamKind::Kinesis,
    };
    settings.batch_size = mapping.batch_size as usize;
    settings.batching_window = mapping.batching_window;
    settings.shards = SHARDS;
    settings.parallelization_factor = mapping.parallelization_factor;
    settings.tumbling_window = mapping.tumbling_window;
    settings.starting_position = match mapping.starting_position {
        StartingPosition::TrimHorizon => stream_mapping::StartingPosition::TrimHorizon,
        StartingPosition::Latest => stream_mapping::StartingPosition::Latest,
    };
    settings.filter = filter(mapping);
    settings.report_batch_item_failures = mapping.report_batch_item_failures;
    settings.bisect_batch_on_function_error = mapping.bisect_batch_on_function_error;
    settings.maximum_retry_attempts = mapping.maximum_retry_attempts;
    settings.maximum_record_age = mapping.maximum_record_age;
    settings.on_failure.clone_from(&mapping.on_failure);
    settings.clock = context.clock;
    settings.observer = Arc::clone(context.watching) as _;
    settings.faults = Arc::clone(&context.faults);
    Ok(StreamMapping::start(
        settings,
        Arc::new(source),
        Arc::new(context.functions.clone()),
        Arc::new(context.queues.clone()),
    ))
}

fn start_queue(
    context: &MappingContext<'_>,
    mapping: &Mapping,
    arn: &str,
    queue: &str,
) -> Result<QueueMapping, LocalError> {
    let (name, _) = function(context, mapping)?;
    let mut settings = QueueMappingSettings::new(name);
    settings.batch_size = mapping.batch_size as usize;
    settings.batching_window = mapping.batching_window;
    settings.report_batch_item_failures = mapping.report_batch_item_failures;
    if let Some(maximum) = mapping.maximum_concurrency {
        settings.maximum_concurrency = maximum;
    }
    settings.filter = filter(mapping);
    if let Some(queue) = context.stack.queue_by_arn(arn) {
        settings.visibility_timeout = queue.visibility_timeout;
    }
    settings.clock = context.clock;
    settings.observer = Arc::clone(context.watching) as _;
    let source = LocalQueue::new(
        Arc::downgrade(context.endpoint),
        queue.to_owned(),
        arn.to_owned(),
        context.region.to_owned(),
    );
    Ok(QueueMapping::start(
        settings,
        Arc::new(source),
        Arc::new(context.functions.clone()),
    ))
}

fn filter(mapping: &Mapping) -> Option<stream_mapping::RecordFilter> {
    if mapping.filters.is_empty() {
        return None;
    }
    let mapping = mapping.clone();
    if matches!(mapping.source, MappingSource::Kinesis { .. }) {
        return Some(Arc::new(move |record| mapping.accepts(&filtered(record))));
    }
    Some(Arc::new(move |record| mapping.accepts(record)))
}

/// What the filters of a Kinesis mapping see of a record: its `kinesis` part, with the data as the
/// JSON that it is.
/// <https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis-filtering.html>
fn filtered(record: &Value) -> Value {
    let mut seen = record["kinesis"].clone();
    let data = seen["data"]
        .as_str()
        .and_then(|data| BASE64.decode(data).ok());
    let data = data.and_then(|data| serde_json::from_slice::<Value>(&data).ok());
    if let Some(data) = data {
        seen["data"] = data;
    }
    seen
}

fn function<'a>(
    context: &'a MappingContext<'_>,
    mapping: &Mapping,
) -> Result<(&'a str, &'a str), LocalError> {
    context
        .names
        .get(&mapping.function)
        .map(|(name, arn)| (name.as_str(), arn.as_str()))
        .ok_or_else(|| {
            not_driven(
                mapping,
                format!("is for {}, which is no function", mapping.function),
            )
        })
}

fn not_driven(mapping: &Mapping, problem: String) -> LocalError {
    LocalError::NotDriven {
        resource: mapping.logical_id.clone(),
        problem,
    }
}
