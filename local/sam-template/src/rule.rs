//! EventBridge rules and their targets: SAM's `EventBridgeRule` events and `AWS::Events::Rule`.

use std::time::Duration;

use crate::error::TemplateError;
use crate::function::queue_arn;
use crate::input::{JsonPath, TargetInput};
use crate::intrinsic::Resolver;
use crate::pattern::EventPattern;
use crate::physical::bus_name;
use crate::properties::Properties;
use crate::role::role_arn;
use crate::schedule::{Cadence, Schedule, ScheduledBy};

/// An event bus of the template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bus {
    /// Logical id in the template.
    pub logical_id: String,
    /// The bus's name.
    pub name: String,
    /// The bus's ARN.
    pub arn: String,
}

/// A rule that selects events of a bus by a pattern.
#[derive(Debug, Clone)]
pub struct Rule {
    /// `Name`/`RuleName`, else the name SAM or CloudFormation would derive it from.
    pub name: String,
    /// The rule's ARN.
    pub arn: String,
    /// Name of the bus, `default` without one.
    pub bus: String,
    /// Which events it selects.
    pub pattern: EventPattern,
    /// `State: ENABLED`, which is the default.
    pub enabled: bool,
    /// Where the events go.
    pub targets: Vec<RuleTarget>,
}

/// One target of a rule or schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleTarget {
    /// The target's id, unique in its rule.
    pub id: String,
    /// Where the event goes.
    pub target: Target,
    /// ARN of the role that delivers it; none where the target's own policy says who may.
    pub role: Option<String>,
    /// How often and how long delivery is retried.
    pub retry: RetryPolicy,
    /// ARN of the queue for events that could not be delivered.
    pub dead_letter: Option<String>,
    /// What the target gets in place of the event.
    pub input: TargetInput,
}

/// Where an event goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// An asynchronous invocation.
    Function {
        /// Logical id of the function.
        logical_id: String,
    },
    /// An SQS message.
    Queue {
        /// ARN of the queue.
        arn: String,
        /// `SqsParameters.MessageGroupId`, for a FIFO queue.
        message_group_id: Option<String>,
    },
    /// A record in a Kinesis stream.
    Kinesis {
        /// Name of the stream.
        stream: String,
        /// `KinesisParameters.PartitionKeyPath`: where the partition key is; the event's id without
        /// one, or where nothing is there.
        partition_key: Option<JsonPath>,
    },
    /// A record in a Firehose stream.
    Firehose {
        /// Name of the delivery stream.
        stream: String,
    },
    /// A message to a topic.
    Topic {
        /// ARN of the topic.
        arn: String,
    },
    /// Another event bus.
    Bus {
        /// Name of the bus.
        name: String,
    },
}

/// How often and how long EventBridge retries a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Retries after the first attempt, 0 to 185.
    pub maximum_retry_attempts: u32,
    /// An event older than this is given up, 60 s to 24 h.
    pub maximum_event_age: Duration,
}

impl Default for RetryPolicy {
    /// 185 retries over 24 hours.
    /// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html>
    fn default() -> Self {
        Self {
            maximum_retry_attempts: 185,
            maximum_event_age: Duration::from_hours(24),
        }
    }
}

/// What a rule, of either kind, turned out to be.
pub(crate) enum RuleOrSchedule {
    Rule(Rule),
    Schedule(Schedule),
}

/// Reads an `AWS::Events::Rule`.
pub(crate) fn read(
    resolver: &Resolver<'_>,
    name: String,
    arn: String,
    properties: &mut Properties<'_>,
) -> Result<RuleOrSchedule, TemplateError> {
    properties.without_local_effect(&["Description", "Name", "RoleArn", "Tags"]);
    let bus = bus(resolver, properties)?;
    let enabled = enabled(properties)?;
    let mut targets = Vec::new();
    for mut target in properties.maps("Targets")? {
        let id = target.required_text("Id")?;
        if targets.iter().any(|one: &RuleTarget| one.id == id) {
            return Err(target.invalid("Id", format!("is `{id}`, as another target's")));
        }
        let destination = destination(resolver, &mut target)?;
        let mut read = rule_target(resolver, id, destination, &mut target)?;
        read.role = role(resolver, &read.target, &mut target)?;
        targets.push(read);
        target.finish()?;
    }
    if targets.len() > 5 {
        let problem = format!("has {} targets; AWS takes 5 for a rule", targets.len());
        return Err(properties.invalid("Targets", problem));
    }
    let schedule = properties.text("ScheduleExpression")?;
    if properties.node("EventPattern").is_none()
        && let Some(expression) = schedule
    {
        if bus != "default" {
            let problem = "goes with the default bus only";
            return Err(properties.invalid("ScheduleExpression", problem));
        }
        let cadence = cadence(properties, "ScheduleExpression", &expression)?;
        return Ok(RuleOrSchedule::Schedule(Schedule {
            name,
            arn,
            cadence,
            enabled,
            by: ScheduledBy::Rule,
            targets,
        }));
    }
    if properties.node("ScheduleExpression").is_some() {
        let problem = "stands beside EventPattern; the local run takes one of the two";
        return Err(properties.invalid("ScheduleExpression", problem));
    }
    let pattern = pattern(properties, "EventPattern")?;
    Ok(RuleOrSchedule::Rule(Rule {
        name,
        arn,
        bus,
        pattern,
        enabled,
        targets,
    }))
}

/// Reads an event of type `EventBridgeRule`; `target` is its function.
pub(crate) fn of_event(
    resolver: &Resolver<'_>,
    derived_name: &str,
    function: &str,
    event: &mut Properties<'_>,
) -> Result<Rule, TemplateError> {
    let bus = bus(resolver, event)?;
    let name = event.text("RuleName")?;
    let name = name.unwrap_or_else(|| format!("{}-{derived_name}", resolver.context.stack_name));
    let mut id = format!("{derived_name}LambdaTarget");
    if let Some(mut target) = event.map("Target")? {
        id = target.required_text("Id")?;
        target.finish()?;
    }
    let pattern = pattern(event, "Pattern")?;
    let enabled = enabled(event)?;
    let destination = Target::Function {
        logical_id: function.to_owned(),
    };
    let target = rule_target(resolver, id, destination, event)?;
    Ok(Rule {
        arn: rule_arn(resolver, &bus, &name),
        name,
        bus,
        pattern,
        enabled,
        targets: vec![target],
    })
}

pub(crate) fn rule_arn(resolver: &Resolver<'_>, bus: &str, name: &str) -> String {
    let context = resolver.context;
    let path = if bus == "default" {
        name.to_owned()
    } else {
        format!("{bus}/{name}")
    };
    format!(
        "arn:aws:events:{}:{}:rule/{path}",
        context.region, context.account_id
    )
}

/// The parts that targets of all kinds share: retry, dead letters, input.
pub(crate) fn rule_target(
    resolver: &Resolver<'_>,
    id: String,
    target: Target,
    properties: &mut Properties<'_>,
) -> Result<RuleTarget, TemplateError> {
    let mut retry = RetryPolicy::default();
    if let Some(mut policy) = properties.map("RetryPolicy")? {
        let attempts = policy.unsigned("MaximumRetryAttempts", (0, 185))?;
        retry.maximum_retry_attempts = attempts.unwrap_or(retry.maximum_retry_attempts);
        let age = policy.seconds("MaximumEventAgeInSeconds", (60, 86_400))?;
        retry.maximum_event_age = age.unwrap_or(retry.maximum_event_age);
        policy.finish()?;
    }
    let mut dead_letter = None;
    if let Some(mut config) = properties.map("DeadLetterConfig")? {
        let arn = config.required_text("Arn")?;
        queue_arn(resolver, &config, "Arn", &arn)?;
        config.finish()?;
        dead_letter = Some(arn);
    }
    Ok(RuleTarget {
        id,
        target,
        role: None,
        retry,
        dead_letter,
        input: input(properties)?,
    })
}

/// The role of a target. Streams take records of nobody else; of functions, queues and topics, the
/// own policy says who may.
fn role(
    resolver: &Resolver<'_>,
    to: &Target,
    target: &mut Properties<'_>,
) -> Result<Option<String>, TemplateError> {
    match to {
        Target::Kinesis { .. } | Target::Firehose { .. } => {
            role_arn(resolver, target, "RoleArn").map(Some)
        }
        Target::Function { .. }
        | Target::Queue { .. }
        | Target::Topic { .. }
        | Target::Bus { .. } => {
            target.without_local_effect(&["RoleArn"]);
            Ok(None)
        }
    }
}

fn bus(resolver: &Resolver<'_>, properties: &mut Properties<'_>) -> Result<String, TemplateError> {
    let Some(given) = properties.text("EventBusName")? else {
        return Ok("default".to_owned());
    };
    let name = bus_name(&given);
    let owner = resolver.owner_of_type(&given, "AWS::Events::EventBus")?;
    let known = owner.is_some();
    if known || name == "default" {
        return Ok(name);
    }
    let problem = format!("is `{given}`, which is no event bus of this template");
    Err(properties.invalid("EventBusName", problem))
}

pub(crate) fn enabled(properties: &mut Properties<'_>) -> Result<bool, TemplateError> {
    let states = [
        "ENABLED",
        "DISABLED",
        "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS",
    ];
    let state = properties.choice("State", &states)?;
    Ok(state.as_deref() != Some("DISABLED"))
}

pub(crate) fn cadence(
    properties: &Properties<'_>,
    name: &str,
    expression: &str,
) -> Result<Cadence, TemplateError> {
    Cadence::parse(expression).map_err(|source| TemplateError::Schedule {
        place: properties.place(name),
        source: Box::new(source),
    })
}

/// A pattern given as a map, or as a string of JSON.
fn pattern(
    properties: &mut Properties<'_>,
    name: &'static str,
) -> Result<EventPattern, TemplateError> {
    let node = properties.required(name)?;
    let parsed = match node.as_str() {
        Some(text) => EventPattern::parse_text(text),
        None => EventPattern::parse(&node.to_json()),
    };
    parsed.map_err(|source| TemplateError::Pattern {
        place: properties.place(name),
        source: Box::new(source),
    })
}

fn input(properties: &mut Properties<'_>) -> Result<TargetInput, TemplateError> {
    let constant = properties.text("Input")?;
    let path = properties.text("InputPath")?;
    let transformer = properties.map("InputTransformer")?;
    let invalid = |name, problem: String| properties.invalid(name, problem);
    match (constant, path, transformer) {
        (None, None, None) => Ok(TargetInput::Event),
        (Some(text), None, None) => {
            TargetInput::constant(&text).map_err(|error| invalid("Input", error.to_string()))
        }
        (None, Some(path), None) => {
            TargetInput::path(&path).map_err(|error| invalid("InputPath", error.to_string()))
        }
        (None, None, Some(mut transformer)) => {
            let template = transformer.required_text("InputTemplate")?;
            let mut paths = Vec::new();
            let map = transformer.node("InputPathsMap");
            for entry in map.map_or(&[] as &[_], |node| node.entries()) {
                let path = entry.node.scalar_text().unwrap_or_default();
                paths.push((entry.key.clone(), path));
            }
            let input = TargetInput::transformer(&paths, &template)
                .map_err(|error| transformer.invalid("InputTemplate", error.to_string()))?;
            transformer.finish()?;
            Ok(input)
        }
        _ => Err(invalid(
            "Input",
            "stands beside InputPath or InputTransformer; AWS takes one of the three".to_owned(),
        )),
    }
}

fn destination(
    resolver: &Resolver<'_>,
    target: &mut Properties<'_>,
) -> Result<Target, TemplateError> {
    let arn = target.required_text("Arn")?;
    let Some(owner) = resolver.owner_of(&arn)?.filter(|_| arn.starts_with("arn:")) else {
        let problem = format!("is `{arn}`, which is the ARN of no resource of this template");
        return Err(target.invalid("Arn", problem));
    };
    match owner.type_name.as_str() {
        "AWS::Serverless::Function" => Ok(Target::Function {
            logical_id: owner.logical_id.clone(),
        }),
        "AWS::SQS::Queue" => {
            let mut message_group_id = None;
            if let Some(mut parameters) = target.map("SqsParameters")? {
                message_group_id = parameters.text("MessageGroupId")?;
                parameters.finish()?;
            }
            Ok(Target::Queue {
                arn,
                message_group_id,
            })
        }
        "AWS::Kinesis::Stream" => {
            let mut partition_key = None;
            if let Some(mut parameters) = target.map("KinesisParameters")? {
                let path = parameters.required_text("PartitionKeyPath")?;
                let path = JsonPath::parse(&path);
                let wrong = |error: crate::input::InputError| {
                    parameters.invalid("PartitionKeyPath", error.to_string())
                };
                partition_key = Some(path.map_err(wrong)?);
                parameters.finish()?;
            }
            Ok(Target::Kinesis {
                stream: resolver.physical_name(owner)?,
                partition_key,
            })
        }
        "AWS::KinesisFirehose::DeliveryStream" => Ok(Target::Firehose {
            stream: resolver.physical_name(owner)?,
        }),
        "AWS::SNS::Topic" => Ok(Target::Topic { arn }),
        "AWS::Events::EventBus" => Ok(Target::Bus {
            name: resolver.physical_name(owner)?,
        }),
        other => {
            let problem = format!("is of an {other}, which the local run cannot deliver to");
            Err(target.invalid("Arn", problem))
        }
    }
}
