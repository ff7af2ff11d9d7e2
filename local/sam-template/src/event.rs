//! The `Events` of a function, each to its route, rule, mapping or schedule.

use crate::error::{TemplateError, hint};
use crate::intrinsic::Resolver;
use crate::properties::Properties;
use crate::rule::{self, Target};
use crate::schedule::{Schedule, ScheduledBy};
use crate::stack::Stack;
use crate::{api, mapping};

const EVENT_TYPES: [&str; 7] = [
    "DynamoDB",
    "EventBridgeRule",
    "HttpApi",
    "Kinesis",
    "SQS",
    "Schedule",
    "ScheduleV2",
];

pub(crate) fn read_all(
    resolver: &Resolver<'_>,
    function: &str,
    properties: &mut Properties<'_>,
    stack: &mut Stack,
) -> Result<(), TemplateError> {
    for (name, mut event) in properties.named_maps("Events")? {
        let event_type = event.required_text("Type")?;
        let Some(mut inner) = event.map("Properties")? else {
            if event_type == "HttpApi" {
                // Without properties it is the catch-all route.
                let empty = crate::node::Node::null(event.place("Type").line);
                let mut inner = Properties::of(function, "", &empty)?;
                stack
                    .routes
                    .push(api::route(resolver, function, &mut inner)?);
                event.finish()?;
                continue;
            }
            let place = event.place("Properties");
            return Err(TemplateError::Missing { place });
        };
        let derived = format!("{function}{name}");
        match event_type.as_str() {
            "HttpApi" => {
                let route = api::route(resolver, function, &mut inner)?;
                let twice = stack
                    .routes
                    .iter()
                    .any(|one| one.api == route.api && one.key() == route.key());
                if twice {
                    let problem = format!("is a second `{}` of the same API", route.key());
                    return Err(inner.invalid("Path", problem));
                }
                stack.routes.push(route);
            }
            "EventBridgeRule" => {
                let rule = rule::of_event(resolver, &derived, function, &mut inner)?;
                stack.rules.push(rule);
            }
            "DynamoDB" | "Kinesis" | "SQS" => {
                let function = function.to_owned();
                let mapping = mapping::read(resolver, derived, function, &event_type, &mut inner)?;
                stack.mappings.push(mapping);
            }
            "Schedule" => {
                let schedule = schedule(resolver, &derived, function, &mut inner)?;
                stack.schedules.push(schedule);
            }
            "ScheduleV2" => {
                let schedule = schedule_v2(resolver, &derived, function, &mut inner)?;
                stack.schedules.push(schedule);
            }
            other => {
                let hint = hint(other, EVENT_TYPES);
                let problem = format!(
                    "is `{other}`, which the local run does not know{hint} (it knows {})",
                    EVENT_TYPES.join(", ")
                );
                return Err(event.invalid("Type", problem));
            }
        }
        inner.finish()?;
        event.finish()?;
    }
    Ok(())
}

/// An event of type Schedule: a rule on the default bus.
fn schedule(
    resolver: &Resolver<'_>,
    derived: &str,
    function: &str,
    event: &mut Properties<'_>,
) -> Result<Schedule, TemplateError> {
    event.without_local_effect(&["Description"]);
    let expression = event.required_text("Schedule")?;
    let cadence = rule::cadence(event, "Schedule", &expression)?;
    let name = event.text("Name")?;
    let name = name.unwrap_or_else(|| format!("{}-{derived}", resolver.context.stack_name));
    let mut id = format!("{derived}LambdaTarget");
    if let Some(mut target) = event.map("Target")? {
        id = target.required_text("Id")?;
        target.finish()?;
    }
    let stated = rule::enabled(event)?;
    let enabled = event.boolean("Enabled")?.unwrap_or(stated);
    let target = Target::Function {
        logical_id: function.to_owned(),
    };
    Ok(Schedule {
        arn: rule::rule_arn(resolver, "default", &name),
        name,
        cadence,
        enabled,
        by: ScheduledBy::Rule,
        targets: vec![rule::rule_target(resolver, id, target, event)?],
    })
}

/// An event of type `ScheduleV2`: a schedule of EventBridge Scheduler.
fn schedule_v2(
    resolver: &Resolver<'_>,
    derived: &str,
    function: &str,
    event: &mut Properties<'_>,
) -> Result<Schedule, TemplateError> {
    event.without_local_effect(&[
        "Description",
        "KmsKeyArn",
        "OmitName",
        "PermissionsBoundary",
        "RoleArn",
    ]);
    let expression = event.required_text("ScheduleExpression")?;
    let cadence = rule::cadence(event, "ScheduleExpression", &expression)?;
    let zone = event.text("ScheduleExpressionTimezone")?;
    if let Some(zone) = zone.filter(|zone| zone != "UTC") {
        let problem = format!("is `{zone}`; the local run knows only UTC");
        return Err(event.invalid("ScheduleExpressionTimezone", problem));
    }
    if let Some(mut window) = event.map("FlexibleTimeWindow")? {
        // AWS may start anywhere in the window; the local run takes its start.
        window.without_local_effect(&["MaximumWindowInMinutes", "Mode"]);
        window.finish()?;
    }
    let name = event.text("Name")?.unwrap_or_else(|| derived.to_owned());
    let group = event
        .text("GroupName")?
        .unwrap_or_else(|| "default".to_owned());
    let enabled = rule::enabled(event)?;
    let target = Target::Function {
        logical_id: function.to_owned(),
    };
    let id = format!("{derived}LambdaTarget");
    let context = resolver.context;
    Ok(Schedule {
        arn: format!(
            "arn:aws:scheduler:{}:{}:schedule/{group}/{name}",
            context.region, context.account_id
        ),
        name,
        cadence,
        enabled,
        by: ScheduledBy::Scheduler,
        targets: vec![rule::rule_target(resolver, id, target, event)?],
    })
}
