//! `AWS::Serverless::Function`: what to start, with which environment and limits.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::error::TemplateError;
use crate::intrinsic::{Declaration, Resolver};
use crate::policy::{self, Statement};
use crate::properties::Properties;

/// Longest that AWS keeps an asynchronous event: six hours.
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>
pub const MAXIMUM_EVENT_AGE: Duration = Duration::from_hours(6);

/// Variables that Lambda reserves, besides `AWS_LAMBDA_…`.
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>
const RESERVED_VARIABLES: [&str; 10] = [
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
    "_HANDLER",
];

/// One Lambda function, everything resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    /// Logical id in the template, such as `PlaceOrderFunction`.
    pub logical_id: String,
    /// `FunctionName`, else `<stack>-<logical id>`.
    pub name: String,
    /// The function's ARN, without a qualifier.
    pub arn: String,
    /// The Cargo binary: `Metadata.BuildProperties.Binary`, else the last part of `CodeUri`.
    pub binary: String,
    /// `CodeUri` as written: the folder of the crate.
    pub code_uri: String,
    /// `Handler` as written.
    pub handler: String,
    /// Longest time of one invocation, 1 to 900 s; 3 s if the template does not say.
    pub timeout: Duration,
    /// Memory in MB, 128 to 10,240; 128 if the template does not say.
    pub memory_mb: u32,
    /// The environment variables of the template, without those that Lambda adds.
    pub environment: BTreeMap<String, String>,
    /// `LoggingConfig.ApplicationLogLevel`, which Lambda tells the function.
    pub log_level: Option<String>,
    /// `LoggingConfig.LogGroup`: where its lines go, unless to the group that Lambda makes.
    pub log_group: Option<String>,
    /// At most this many invocations at a time; `None` is the account's limit.
    pub reserved_concurrency: Option<u32>,
    /// Retries after a failed asynchronous invocation, 0 to 2; 2 if the template does not say.
    pub async_retries: u32,
    /// An asynchronous event older than this is given up; 60 s to 6 h, 6 h if not said.
    pub maximum_event_age: Duration,
    /// ARN of the queue that gets asynchronous events that were given up, with their failure.
    pub on_failure: Option<String>,
    /// ARN of the queue that gets the results of asynchronous invocations that succeeded.
    pub on_success: Option<String>,
    /// ARN of the queue that gets the bare asynchronous events that were given up.
    pub dead_letter: Option<String>,
    /// `Policies`, resolved; none when managed policies or SAM's policy templates are among them,
    /// which say elsewhere what they allow.
    pub permissions: Option<Vec<Statement>>,
}

pub(crate) fn read(
    resolver: &Resolver<'_>,
    declaration: &Declaration,
    properties: &mut Properties<'_>,
) -> Result<Function, TemplateError> {
    properties.without_local_effect(&[
        "Architectures",
        "AssumeRolePolicyDocument",
        "AutoPublishAlias",
        "AutoPublishAliasAllProperties",
        "AutoPublishCodeSha256",
        "DeploymentPreference",
        "Description",
        "EphemeralStorage",
        "KmsKeyArn",
        "PermissionsBoundary",
        "PropagateTags",
        "ProvisionedConcurrencyConfig",
        "RecursiveLoop",
        "Role",
        "RolePath",
        "RuntimeManagementConfig",
        "SourceKMSKeyArn",
        "Tags",
        "Tracing",
        "VersionDescription",
        "VpcConfig",
        // read in the function's second pass
        "Events",
        "FunctionName",
    ]);
    let runtime = properties.required_text("Runtime")?;
    if !matches!(runtime.as_str(), "provided.al2023" | "provided.al2") {
        let problem = format!(
            "is `{runtime}`; the local run starts Rust binaries, so it must be provided.al2023"
        );
        return Err(properties.invalid("Runtime", problem));
    }
    if properties
        .list("Layers")?
        .is_some_and(|layers| !layers.is_empty())
    {
        let problem = "must be empty: the local run has no layers";
        return Err(properties.invalid("Layers", problem));
    }
    let code_uri = properties.required_text("CodeUri")?;
    let (log_level, log_group) = logging(properties)?;
    let mut function = Function {
        logical_id: declaration.logical_id.clone(),
        name: resolver.physical_name(declaration)?,
        arn: resolver.arn(declaration)?,
        binary: binary(declaration, properties, &code_uri)?,
        code_uri,
        handler: properties
            .text("Handler")?
            .unwrap_or_else(|| "bootstrap".to_owned()),
        timeout: properties
            .seconds("Timeout", (1, 900))?
            .unwrap_or(Duration::from_secs(3)),
        memory_mb: properties
            .unsigned("MemorySize", (128, 10_240))?
            .unwrap_or(128),
        environment: environment(properties)?,
        log_level,
        log_group,
        reserved_concurrency: properties
            .unsigned("ReservedConcurrentExecutions", (0, 1_000_000))?,
        async_retries: 2,
        maximum_event_age: MAXIMUM_EVENT_AGE,
        on_failure: None,
        on_success: None,
        dead_letter: dead_letter(resolver, properties)?,
        permissions: permissions(properties)?,
    };
    if let Some(mut config) = properties.map("EventInvokeConfig")? {
        let retries = config.unsigned("MaximumRetryAttempts", (0, 2))?;
        function.async_retries = retries.unwrap_or(function.async_retries);
        let age = config.seconds("MaximumEventAgeInSeconds", (60, 21_600))?;
        function.maximum_event_age = age.unwrap_or(function.maximum_event_age);
        if let Some(mut destinations) = config.map("DestinationConfig")? {
            function.on_failure = destination(resolver, &mut destinations, "OnFailure")?;
            function.on_success = destination(resolver, &mut destinations, "OnSuccess")?;
            destinations.finish()?;
        }
        config.finish()?;
    }
    Ok(function)
}

fn permissions(properties: &mut Properties<'_>) -> Result<Option<Vec<Statement>>, TemplateError> {
    let policies = match properties.json("Policies") {
        None => Vec::new(),
        Some(Value::Array(policies)) => policies,
        Some(policy) => vec![policy],
    };
    policy::statements(&policies).map_err(|problem| properties.invalid("Policies", problem))
}

/// The Cargo binary that SAM's `rust-cargolambda` build would take.
fn binary(
    declaration: &Declaration,
    properties: &Properties<'_>,
    code_uri: &str,
) -> Result<String, TemplateError> {
    let id = &declaration.logical_id;
    let mut metadata = Properties::of(id, "Metadata", &declaration.metadata)?;
    metadata.without_local_effect(&["SamResourceId"]);
    metadata.choice("BuildMethod", &["rust-cargolambda", "makefile"])?;
    let mut named = None;
    if let Some(mut build) = metadata.map("BuildProperties")? {
        named = build.text("Binary")?;
        build.finish()?;
    }
    metadata.finish()?;
    let folder = code_uri.trim_end_matches('/').rsplit('/').next();
    let folder = folder.filter(|name| !matches!(*name, "" | "." | ".."));
    named.or_else(|| folder.map(str::to_owned)).ok_or_else(|| {
        let problem = format!(
            "is `{code_uri}`, which does not name the binary; add \
                 Metadata.BuildProperties.Binary"
        );
        properties.invalid("CodeUri", problem)
    })
}

fn environment(properties: &mut Properties<'_>) -> Result<BTreeMap<String, String>, TemplateError> {
    let mut environment = BTreeMap::new();
    if let Some(mut section) = properties.map("Environment")? {
        let variables = section.node("Variables");
        for entry in variables.map_or(&[] as &[_], |node| node.entries()) {
            let text = entry.node.scalar_text();
            let text = text.ok_or_else(|| {
                let found = entry.node.kind_name();
                let problem = format!("`{}` must be a string, but is {found}", entry.key);
                section.invalid("Variables", problem)
            })?;
            if RESERVED_VARIABLES.contains(&entry.key.as_str())
                || entry.key.starts_with("AWS_LAMBDA_")
            {
                let problem = format!("has `{}`, which Lambda sets itself", entry.key);
                return Err(section.invalid("Variables", problem));
            }
            environment.insert(entry.key.clone(), text);
        }
        section.finish()?;
    }
    Ok(environment)
}

/// `LoggingConfig`: its level and its group; the form of lines has no local effect.
fn logging(
    properties: &mut Properties<'_>,
) -> Result<(Option<String>, Option<String>), TemplateError> {
    let Some(mut config) = properties.map("LoggingConfig")? else {
        return Ok((None, None));
    };
    config.without_local_effect(&["LogFormat", "SystemLogLevel"]);
    let level = config.text("ApplicationLogLevel")?;
    let group = config.text("LogGroup")?;
    config.finish()?;
    Ok((level, group))
}

/// `DeadLetterQueue: {Type: SQS, TargetArn}`.
fn dead_letter(
    resolver: &Resolver<'_>,
    properties: &mut Properties<'_>,
) -> Result<Option<String>, TemplateError> {
    let Some(mut config) = properties.map("DeadLetterQueue")? else {
        return Ok(None);
    };
    config.required("Type")?;
    config.choice("Type", &["SQS"])?;
    let arn = config.required_text("TargetArn")?;
    queue_arn(resolver, &config, "TargetArn", &arn)?;
    config.finish()?;
    Ok(Some(arn))
}

/// `OnFailure`/`OnSuccess`: `{Type: SQS, Destination: <arn>}`.
fn destination(
    resolver: &Resolver<'_>,
    destinations: &mut Properties<'_>,
    name: &'static str,
) -> Result<Option<String>, TemplateError> {
    let Some(mut destination) = destinations.map(name)? else {
        return Ok(None);
    };
    destination.choice("Type", &["SQS"])?;
    let arn = destination.required_text("Destination")?;
    queue_arn(resolver, &destination, "Destination", &arn)?;
    destination.finish()?;
    Ok(Some(arn))
}

/// Checks that `arn` is of a queue in this template.
pub(crate) fn queue_arn(
    resolver: &Resolver<'_>,
    properties: &Properties<'_>,
    name: &'static str,
    arn: &str,
) -> Result<(), TemplateError> {
    let owner = resolver.owner_of(arn)?;
    match owner.map(|owner| owner.type_name.as_str()) {
        Some("AWS::SQS::Queue") if arn.starts_with("arn:") => Ok(()),
        Some("AWS::SQS::Queue") => {
            let problem = format!("is `{arn}`; it takes the queue's Arn (`!GetAtt <Queue>.Arn`)");
            Err(properties.invalid(name, problem))
        }
        Some(other) => {
            let problem = format!("is of an {other}; locally only a queue can take these events");
            Err(properties.invalid(name, problem))
        }
        None => {
            let problem = format!("is `{arn}`, which is no queue of this template");
            Err(properties.invalid(name, problem))
        }
    }
}
