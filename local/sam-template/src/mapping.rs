//! Event source mappings: SAM's DynamoDB, Kinesis and SQS events, `AWS::Lambda::EventSourceMapping`.

use std::time::Duration;

use serde_json::Value;

use crate::error::{Place, TemplateError};
use crate::function::queue_arn;
use crate::intrinsic::{Declaration, Resolver};
use crate::node::Node;
use crate::pattern::EventPattern;
use crate::properties::Properties;
use crate::stack::Stack;

/// A mapping that reads a stream or queue and invokes a function, AWS's defaults filled in.
///
/// Defaults and limits:
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-params.html>,
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-parameters.html>,
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-parameters.html>.
#[derive(Debug, Clone)]
pub struct Mapping {
    /// `<function><event>` for a SAM event, the logical id otherwise.
    pub logical_id: String,
    /// Logical id of the function.
    pub function: String,
    /// What is read.
    pub source: MappingSource,
    /// Whether it runs; true if the template does not say.
    pub enabled: bool,
    /// Records or messages at most in one invocation; 100 for streams and 10 for queues.
    pub batch_size: u32,
    /// How long records are gathered; 0 (the default) takes what is there.
    pub batching_window: Duration,
    /// Whether the function's answer names the items that failed.
    pub report_batch_item_failures: bool,
    /// Whether a failed batch is split in two (streams).
    pub bisect_batch_on_function_error: bool,
    /// Retries of a failed batch (streams); `None`, the default, is until the records expire.
    pub maximum_retry_attempts: Option<u32>,
    /// Records older than this are given up (streams); `None`, the default, is until they expire.
    pub maximum_record_age: Option<Duration>,
    /// Concurrent batches per shard (streams), 1 to 10; 1 if the template does not say.
    pub parallelization_factor: u32,
    /// Length of the tumbling windows (streams), up to 15 minutes; `None` is no windows.
    pub tumbling_window: Option<Duration>,
    /// Where a stream mapping starts.
    pub starting_position: StartingPosition,
    /// Concurrent invocations at most (queues), 2 to 1,000; `None` is no limit.
    pub maximum_concurrency: Option<u32>,
    /// A record is read if one of these matches, or there is none: see [`Mapping::accepts`].
    pub filters: Vec<EventPattern>,
    /// ARN of the queue that is told of batches given up (streams).
    pub on_failure: Option<String>,
}

/// What a mapping reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MappingSource {
    /// The stream of a table.
    TableStream {
        /// Name of the table.
        table: String,
    },
    /// An SQS queue.
    Queue {
        /// ARN of the queue.
        arn: String,
        /// Name of the queue.
        name: String,
    },
    /// A Kinesis stream.
    Kinesis {
        /// Name of the stream.
        stream: String,
    },
}

/// Where a stream mapping starts. Queues have no position; theirs is `TrimHorizon`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartingPosition {
    /// With the oldest record.
    TrimHorizon,
    /// With the records that come after the mapping was made.
    Latest,
}

impl Mapping {
    /// Whether the filters let a record through: a stream record as in the function's event, or
    /// an SQS message as in the function's event (its `body` is parsed if it is a JSON object).
    /// A Kinesis record's `data` must have been decoded to JSON by the caller.
    /// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html>
    #[must_use]
    pub fn accepts(&self, record: &Value) -> bool {
        if self.filters.is_empty() {
            return true;
        }
        let body = record.get("body").and_then(Value::as_str);
        let body = body.and_then(|text| serde_json::from_str(text).ok());
        match body.filter(Value::is_object) {
            Some(body) if matches!(self.source, MappingSource::Queue { .. }) => {
                let mut record = record.clone();
                record["body"] = body;
                self.filters.iter().any(|filter| filter.matches(&record))
            }
            _ => self.filters.iter().any(|filter| filter.matches(record)),
        }
    }
}

/// The ARN property's name in the SAM event types; none for `AWS::Lambda::EventSourceMapping`.
pub(crate) fn source_property(event_type: &str) -> &'static str {
    match event_type {
        "DynamoDB" | "Kinesis" => "Stream",
        "SQS" => "Queue",
        _ => "EventSourceArn",
    }
}

pub(crate) fn read(
    resolver: &Resolver<'_>,
    logical_id: String,
    function: String,
    event_type: &str,
    properties: &mut Properties<'_>,
) -> Result<Mapping, TemplateError> {
    properties.without_local_effect(&["KmsKeyArn", "MetricsConfig", "Tags"]);
    let source_name = source_property(event_type);
    let arn = properties.required_text(source_name)?;
    let owner = resolver.owner_of(&arn)?.filter(|_| arn.starts_with("arn:"));
    let source = match owner {
        Some(owner) => source(resolver, owner, &arn)?,
        None => None,
    };
    let fits = match &source {
        Some(MappingSource::TableStream { .. }) => event_type == "DynamoDB",
        Some(MappingSource::Kinesis { .. }) => event_type == "Kinesis",
        Some(MappingSource::Queue { .. }) => event_type == "SQS",
        None => false,
    };
    let Some(source) = source.filter(|_| fits || source_name == "EventSourceArn") else {
        let expected = match event_type {
            "DynamoDB" => "a table's stream (`!GetAtt <Table>.StreamArn`)",
            "Kinesis" => "a Kinesis stream (`!GetAtt <Stream>.Arn`)",
            "SQS" => "a queue (`!GetAtt <Queue>.Arn`)",
            _ => "a table's stream, a queue or a Kinesis stream",
        };
        let problem = format!("is `{arn}`; it takes the ARN of {expected} of this template");
        return Err(properties.invalid(source_name, problem));
    };
    let is_queue = matches!(source, MappingSource::Queue { .. });
    let mut mapping = Mapping {
        logical_id,
        function,
        source,
        enabled: properties.boolean("Enabled")?.unwrap_or(true),
        batch_size: properties
            .unsigned("BatchSize", (1, 10_000))?
            .unwrap_or(if is_queue { 10 } else { 100 }),
        batching_window: properties
            .seconds("MaximumBatchingWindowInSeconds", (0, 300))?
            .unwrap_or(Duration::ZERO),
        report_batch_item_failures: reports_failures(properties)?,
        bisect_batch_on_function_error: false,
        maximum_retry_attempts: None,
        maximum_record_age: None,
        parallelization_factor: 1,
        tumbling_window: None,
        starting_position: StartingPosition::TrimHorizon,
        maximum_concurrency: None,
        filters: filters(properties)?,
        on_failure: None,
    };
    if is_queue {
        queue_settings(&mut mapping, owner, properties)?;
    } else {
        stream_settings(resolver, &mut mapping, properties)?;
    }
    Ok(mapping)
}

fn source(
    resolver: &Resolver<'_>,
    owner: &Declaration,
    arn: &str,
) -> Result<Option<MappingSource>, TemplateError> {
    let name = resolver.physical_name(owner)?;
    Ok(match owner.type_name.as_str() {
        "AWS::DynamoDB::Table" if arn.contains("/stream/") => {
            Some(MappingSource::TableStream { table: name })
        }
        "AWS::SQS::Queue" => Some(MappingSource::Queue {
            arn: arn.to_owned(),
            name,
        }),
        "AWS::Kinesis::Stream" => Some(MappingSource::Kinesis { stream: name }),
        _ => None,
    })
}

fn queue_settings(
    mapping: &mut Mapping,
    queue: Option<&Declaration>,
    properties: &mut Properties<'_>,
) -> Result<(), TemplateError> {
    properties.without_local_effect(&["ProvisionedPollerConfig"]);
    if let Some(mut scaling) = properties.map("ScalingConfig")? {
        mapping.maximum_concurrency = scaling.unsigned("MaximumConcurrency", (2, 1_000))?;
        scaling.finish()?;
    }
    let fifo = queue.is_some_and(|queue| queue.properties.get("FifoQueue").is_some());
    if mapping.batch_size > 10 && fifo {
        let problem = "is above 10, which is the most for a FIFO queue";
        return Err(properties.invalid("BatchSize", problem));
    }
    if mapping.batch_size > 10 && mapping.batching_window.is_zero() {
        let problem = "is above 10; AWS then wants MaximumBatchingWindowInSeconds of at least 1";
        return Err(properties.invalid("BatchSize", problem));
    }
    Ok(())
}

fn stream_settings(
    resolver: &Resolver<'_>,
    mapping: &mut Mapping,
    properties: &mut Properties<'_>,
) -> Result<(), TemplateError> {
    properties.required("StartingPosition")?;
    let position = properties.choice("StartingPosition", &["TRIM_HORIZON", "LATEST"])?;
    if position.as_deref() == Some("LATEST") {
        mapping.starting_position = StartingPosition::Latest;
    }
    let bisect = properties.boolean("BisectBatchOnFunctionError")?;
    mapping.bisect_batch_on_function_error = bisect.unwrap_or(false);
    let retries = properties.integer("MaximumRetryAttempts", (-1, 10_000))?;
    mapping.maximum_retry_attempts = retries.and_then(|number| u32::try_from(number).ok());
    let age = properties.integer("MaximumRecordAgeInSeconds", (-1, 604_800))?;
    if age.is_some_and(|age| (0..60).contains(&age)) {
        let problem = "must be -1 (until the record expires) or 60 to 604800";
        return Err(properties.invalid("MaximumRecordAgeInSeconds", problem));
    }
    let age = age.and_then(|age| u64::try_from(age).ok());
    mapping.maximum_record_age = age.map(Duration::from_secs);
    let factor = properties.unsigned("ParallelizationFactor", (1, 10))?;
    mapping.parallelization_factor = factor.unwrap_or(1);
    let window = properties.seconds("TumblingWindowInSeconds", (0, 900))?;
    mapping.tumbling_window = window.filter(|window| !window.is_zero());
    if mapping.tumbling_window.is_some() && mapping.parallelization_factor > 1 {
        let problem = "must be 1 with a tumbling window";
        return Err(properties.invalid("ParallelizationFactor", problem));
    }
    if let Some(mut destinations) = properties.map("DestinationConfig")? {
        if let Some(mut failure) = destinations.map("OnFailure")? {
            failure.choice("Type", &["SQS"])?;
            let arn = failure.required_text("Destination")?;
            queue_arn(resolver, &failure, "Destination", &arn)?;
            failure.finish()?;
            mapping.on_failure = Some(arn);
        }
        destinations.finish()?;
    }
    Ok(())
}

fn reports_failures(properties: &mut Properties<'_>) -> Result<bool, TemplateError> {
    let types = properties.texts("FunctionResponseTypes")?;
    match types.iter().find(|one| *one != "ReportBatchItemFailures") {
        None => Ok(!types.is_empty()),
        Some(other) => {
            let problem = format!("has `{other}`; AWS knows only ReportBatchItemFailures");
            Err(properties.invalid("FunctionResponseTypes", problem))
        }
    }
}

fn filters(properties: &mut Properties<'_>) -> Result<Vec<EventPattern>, TemplateError> {
    let mut filters = Vec::new();
    let Some(mut criteria) = properties.map("FilterCriteria")? else {
        return Ok(filters);
    };
    for mut filter in criteria.maps("Filters")? {
        filter.required("Pattern")?;
        let Some(text) = filter.node("Pattern").and_then(Node::as_str) else {
            return Err(filter.invalid("Pattern", "must be a string of JSON"));
        };
        let pattern = EventPattern::parse_text(text);
        filters.push(pattern.map_err(|source| TemplateError::Pattern {
            place: filter.place("Pattern"),
            source: Box::new(source),
        })?);
        filter.finish()?;
    }
    criteria.finish()?;
    if filters.len() > 10 {
        let problem = format!("has {} filters; AWS takes 10", filters.len());
        return Err(properties.invalid("FilterCriteria", problem));
    }
    Ok(filters)
}

/// Lambda refuses to read a queue whose messages come back before the function's timeout.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>
pub(crate) fn check_visibility(
    stack: &Stack,
    resolver: &Resolver<'_>,
) -> Result<(), TemplateError> {
    for mapping in &stack.mappings {
        let MappingSource::Queue { arn, .. } = &mapping.source else {
            continue;
        };
        let (Some(queue), Some(function)) =
            (stack.queue_by_arn(arn), stack.function(&mapping.function))
        else {
            continue;
        };
        if queue.visibility_timeout < function.timeout {
            let declared = resolver.existing(&queue.logical_id, &Place::new("", "", 0))?;
            let path = "Properties.VisibilityTimeout";
            let problem = format!(
                "is {} s, less than the Timeout of `{}`, which reads the queue ({} s); Lambda \
                 refuses that, and six times the Timeout is advised",
                queue.visibility_timeout.as_secs(),
                function.logical_id,
                function.timeout.as_secs()
            );
            let place = Place::new(&queue.logical_id, path, declared.line);
            return Err(TemplateError::Invalid { place, problem });
        }
    }
    Ok(())
}
