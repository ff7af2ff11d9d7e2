//! `AWS::SQS::Queue` as the attributes of a `CreateQueue` request.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::error::TemplateError;
use crate::function::queue_arn;
use crate::intrinsic::{Declaration, Resolver};
use crate::properties::Properties;

/// One queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Logical id in the template.
    pub logical_id: String,
    /// `QueueName`, else `<stack>-<logical id>`.
    pub name: String,
    /// The queue's ARN.
    pub arn: String,
    /// The queue's URL at the local AWS endpoint.
    pub url: String,
    /// `Attributes` of a `CreateQueue` request: only those that the template sets.
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html>
    pub attributes: BTreeMap<String, String>,
    /// How long a received message stays hidden; 30 s if the template does not say.
    pub visibility_timeout: Duration,
    /// Where messages go that were received too often.
    pub redrive: Option<Redrive>,
    /// Whether the queue is a FIFO queue.
    pub fifo: bool,
}

/// A queue's redrive policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redrive {
    /// ARN of the dead-letter queue.
    pub dead_letter: String,
    /// Receives after which a message moves, 1 to 1,000.
    pub maximum_receive_count: u32,
}

/// Whole-number attributes with AWS's limits.
const NUMBERS: [(&str, (i64, i64)); 5] = [
    ("DelaySeconds", (0, 900)),
    ("MaximumMessageSize", (1_024, 1_048_576)),
    ("MessageRetentionPeriod", (60, 1_209_600)),
    ("ReceiveMessageWaitTimeSeconds", (0, 20)),
    ("VisibilityTimeout", (0, 43_200)),
];

pub(crate) fn read(
    resolver: &Resolver<'_>,
    declaration: &Declaration,
    properties: &mut Properties<'_>,
) -> Result<Queue, TemplateError> {
    properties.without_local_effect(&[
        "KmsDataKeyReusePeriodSeconds",
        "KmsMasterKeyId",
        "QueueName",
        "SqsManagedSseEnabled",
        "Tags",
    ]);
    let mut attributes = BTreeMap::new();
    for (name, limits) in NUMBERS {
        if let Some(number) = properties.integer(name, limits)? {
            attributes.insert(name.to_owned(), number.to_string());
        }
    }
    let fifo = properties.boolean("FifoQueue")?.unwrap_or(false);
    let name = resolver.physical_name(declaration)?;
    if fifo != name.strip_suffix(".fifo").is_some() {
        let problem = format!("is {fifo}, but the name is `{name}`; FIFO queues end in `.fifo`");
        return Err(properties.invalid("FifoQueue", problem));
    }
    if fifo {
        attributes.insert("FifoQueue".to_owned(), "true".to_owned());
    }
    if let Some(value) = properties.boolean("ContentBasedDeduplication")? {
        attributes.insert("ContentBasedDeduplication".to_owned(), value.to_string());
    }
    for name in ["DeduplicationScope", "FifoThroughputLimit"] {
        if let Some(value) = properties.text(name)? {
            attributes.insert(name.to_owned(), value);
        }
    }
    let redrive = redrive(resolver, properties)?;
    if let Some(redrive) = &redrive {
        let policy = json!({
            "deadLetterTargetArn": redrive.dead_letter,
            "maxReceiveCount": redrive.maximum_receive_count,
        });
        attributes.insert("RedrivePolicy".to_owned(), policy.to_string());
    }
    if let Some(policy) = properties.json("RedriveAllowPolicy") {
        let text = policy
            .as_str()
            .map_or_else(|| policy.to_string(), str::to_owned);
        attributes.insert("RedriveAllowPolicy".to_owned(), text);
    }
    let visibility = attributes.get("VisibilityTimeout");
    let visibility = visibility.and_then(|seconds| seconds.parse().ok());
    let id = &declaration.logical_id;
    Ok(Queue {
        logical_id: id.clone(),
        name,
        arn: resolver.arn(declaration)?,
        url: resolver.resource_reference(id, &properties.place(""))?,
        attributes,
        visibility_timeout: Duration::from_secs(visibility.unwrap_or(30)),
        redrive,
        fifo,
    })
}

fn redrive(
    resolver: &Resolver<'_>,
    properties: &mut Properties<'_>,
) -> Result<Option<Redrive>, TemplateError> {
    let Some(mut policy) = properties.map("RedrivePolicy")? else {
        return Ok(None);
    };
    let dead_letter = policy.required_text("deadLetterTargetArn")?;
    queue_arn(resolver, &policy, "deadLetterTargetArn", &dead_letter)?;
    policy.required("maxReceiveCount")?;
    let count = policy.unsigned("maxReceiveCount", (1, 1_000))?;
    policy.finish()?;
    Ok(count.map(|maximum_receive_count| Redrive {
        dead_letter,
        maximum_receive_count,
    }))
}
