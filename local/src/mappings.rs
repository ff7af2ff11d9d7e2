//! The event source mappings of the template.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_endpoint::{Endpoint, TableStream};
use lambda_host::clock::RetryClock;
use lambda_host::delivery_faults::DeliveryFaults;
use lambda_host::queue_mapping::{QueueMapping, QueueMappingSettings};
use lambda_host::stream_mapping::{self, StreamKind, StreamMapping, StreamMappingSettings};
use sam_template::{Mapping, MappingSource, StartingPosition};

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
    pub stack: &'a sam_template::Stack,
}

/// The running mappings.
#[derive(Default)]
pub(crate) struct Mappings {
    streams: Vec<(StreamMapping, TableStream)>,
    queues: Vec<(QueueMapping, String)>,
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
                    let started = start_stream(context, mapping, table, &stream)?;
                    running.streams.push((started, stream));
                }
                MappingSource::Queue { arn, name } => {
                    let started = start_queue(context, mapping, arn, name)?;
                    running.queues.push((started, name.clone()));
                }
                MappingSource::Kinesis { stream } => {
                    let problem = format!("reads the Kinesis stream {stream}");
                    return Err(not_driven(mapping, problem));
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
    table: &str,
    stream: &TableStream,
) -> Result<StreamMapping, LocalError> {
    let (name, arn) = function(context, mapping)?;
    let mut settings = StreamMappingSettings::new(name, arn, stream.arn());
    settings.kind = StreamKind::DynamoDb;
    settings.batch_size = mapping.batch_size as usize;
    settings.batching_window = mapping.batching_window;
    settings.shards = SHARDS;
    settings.parallelization_factor = mapping.parallelization_factor;
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
    let source = TableSource::new(
        Arc::downgrade(context.endpoint),
        stream.clone(),
        table.to_owned(),
        mapping.logical_id.clone(),
    );
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
    Some(Arc::new(move |record| mapping.accepts(record)))
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
