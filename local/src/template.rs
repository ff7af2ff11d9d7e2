//! The template: found, read, and refused where it asks for what is not done here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sam_template::{Context, Function, HttpApi, Route, RuleTarget, Stack, Target};

use crate::error::LocalError;
use crate::issuer;

/// The template that was named, or the `template.yaml` of this folder or the next one above.
///
/// # Errors
/// [`LocalError::TemplateNotFound`].
pub fn find(named: Option<&Path>, from: &Path) -> Result<PathBuf, LocalError> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    from.ancestors()
        .map(|folder| folder.join("template.yaml"))
        .find(|path| path.is_file())
        .ok_or_else(|| LocalError::TemplateNotFound(from.to_owned()))
}

/// Reads a template.
///
/// # Errors
/// [`LocalError::Template`] names the resource and the property, [`LocalError::NotDriven`] what
/// the local run does not do, [`LocalError::File`] a file that cannot be read.
pub fn read(path: &Path, context: &Context) -> Result<Stack, LocalError> {
    let yaml = std::fs::read_to_string(path).map_err(|error| LocalError::file(path, error))?;
    let stack = Stack::from_yaml(&yaml, context).map_err(|source| LocalError::Template {
        path: path.to_owned(),
        source: Box::new(source),
    })?;
    refuse_undriven(&stack)?;
    Ok(stack)
}

/// Says for whom tokens are and who issues them, unless the parameters do: the local issuer of the
/// system with this AWS endpoint.
pub(crate) fn use_local_issuer(context: &mut Context, aws_endpoint: &str) {
    let issuer = format!("{aws_endpoint}{}", issuer::PATH);
    let values = [
        ("parameter:JwtIssuer", issuer.as_str()),
        ("parameter:JwtAudience", issuer::AUDIENCE),
    ];
    for (name, value) in values {
        context.local.insert(name.to_owned(), value.to_owned());
    }
}

/// Enough to read the template, without running what it says.
#[must_use]
pub fn context_to_read() -> Context {
    let mut context = Context::default();
    let aws_endpoint = context.aws_endpoint.clone();
    use_local_issuer(&mut context, &aws_endpoint);
    context
}

/// Name of each function by what it can be called: its name, its logical id, its program. A name
/// goes before another function's program.
#[must_use]
pub fn function_names(stack: &Stack) -> BTreeMap<String, String> {
    let by = |called: fn(&Function) -> &String| {
        let functions = stack.functions.iter();
        functions.map(move |one| (called(one).clone(), one.name.clone()))
    };
    by(|one| &one.binary)
        .chain(by(|one| &one.logical_id))
        .chain(by(|one| &one.name))
        .collect()
}

/// What the template language knows and the local run does not do.
fn refuse_undriven(stack: &Stack) -> Result<(), LocalError> {
    let refuse = |resource: &str, problem: String| {
        Err(LocalError::NotDriven {
            resource: resource.to_owned(),
            problem,
        })
    };
    for rule in &stack.rules {
        refuse_targets(&rule.name, &rule.targets)?;
    }
    for schedule in &stack.schedules {
        refuse_targets(&schedule.name, &schedule.targets)?;
    }
    if let Some(table) = stack.tables.iter().find(|one| one.ttl_attribute.is_some()) {
        let problem = "has a TimeToLiveSpecification, and the local run deletes nothing by its age";
        return refuse(&table.logical_id, problem.to_owned());
    }
    if let Some((resource, property)) = stack.acting.first() {
        let problem = format!("has a {property}, which the local run does not act on");
        return refuse(resource, problem);
    }
    for api in &stack.apis {
        if let Some(problem) = undriven_of_api(api, &stack.routes) {
            return refuse(&api.logical_id, problem);
        }
    }
    if let [first, second, ..] = stack.apis.as_slice() {
        let problem = format!(
            "is a second HTTP API beside `{}`; the local run serves one",
            first.logical_id
        );
        return refuse(&second.logical_id, problem);
    }
    if let Some(queue) = stack.queues.iter().find(|queue| queue.fifo) {
        let problem = "is a FIFO queue, and the local run has standard queues only";
        return refuse(&queue.logical_id, problem.to_owned());
    }
    Ok(())
}

fn undriven_of_api(api: &HttpApi, routes: &[Route]) -> Option<String> {
    if api.cors.is_some() {
        return Some("has a CorsConfiguration, which the local run does not answer".to_owned());
    }
    if api.stage_variables.is_some() {
        return Some("has StageVariables, which the local run does not pass on".to_owned());
    }
    let mut keys = api.route_throttles.keys();
    let is_route = |key: &String| {
        let mut own = routes.iter().filter(|route| route.api == api.logical_id);
        own.any(|route| route.key() == *key)
    };
    let stray = keys.find(|key| !is_route(key))?;
    Some(format!(
        "has RouteSettings for {stray}, which is none of its routes"
    ))
}

fn refuse_targets(owner: &str, targets: &[RuleTarget]) -> Result<(), LocalError> {
    for target in targets {
        let what = match &target.target {
            Target::Function { .. }
            | Target::Queue {
                message_group_id: None,
                ..
            }
            | Target::Kinesis { .. }
            | Target::Firehose { .. }
            | Target::Topic { .. } => continue,
            Target::Queue { arn, .. } => format!("the FIFO queue {arn}"),
            Target::Bus { name } => format!("the bus {name}"),
        };
        return Err(LocalError::NotDriven {
            resource: owner.to_owned(),
            problem: format!("has the target {what}, which the local run does not deliver to"),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(yaml: &str) -> Result<Stack, LocalError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("template.yaml");
        std::fs::write(&path, yaml).unwrap();
        read(&path, &Context::default())
    }

    #[test]
    fn the_template_is_found_from_a_folder_below() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("a/b");
        std::fs::create_dir_all(&below).unwrap();
        let path = folder.path().join("template.yaml");
        std::fs::write(&path, "Resources: {}").unwrap();
        assert_eq!(find(None, &below).unwrap(), path);
    }

    #[test]
    fn a_rule_to_another_bus_is_refused_by_name() {
        assert_refused(
            "  Other: {Type: AWS::Events::EventBus, Properties: {Name: other}}
  ToBus:
    Type: AWS::Events::Rule
    Properties:
      EventPattern: {source: [orderflow]}
      Targets: [{Id: one, Arn: !GetAtt Other.Arn}]
",
            "has the target the bus other",
        );
    }

    #[test]
    fn an_api_with_authorizers_of_another_kind_is_refused_by_name() {
        let refused = read_text(
            "Resources:
  Api: {Type: AWS::Serverless::HttpApi, Properties: {Auth: {EnableIamAuthorizer: true}}}
",
        );
        let message = refused.unwrap_err().to_string();
        assert!(
            message.contains("`Api` Properties.Auth.EnableIamAuthorizer"),
            "{message}"
        );
    }

    #[track_caller]
    fn assert_refused(resource: &str, problem: &str) {
        let message = read_text(&format!("Resources:\n{resource}"))
            .unwrap_err()
            .to_string();
        assert!(message.contains(problem), "{message}");
    }

    #[test]
    fn what_would_be_deleted_sent_on_or_passed_on_is_refused_by_name() {
        assert_refused(
            "  Carts:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      TimeToLiveSpecification: {AttributeName: expires, Enabled: true}
",
            "`Carts` has a TimeToLiveSpecification",
        );
        assert_refused(
            "  Alarms:
    Type: AWS::SNS::Topic
    Properties: {Subscription: [{Protocol: email, Endpoint: a@example.com}]}
",
            "`Alarms` has a Subscription",
        );
        assert_refused(
            "  Files:
    Type: AWS::S3::Bucket
    Properties: {NotificationConfiguration: {EventBridgeConfiguration: {}}}
",
            "`Files` has a NotificationConfiguration",
        );
        assert_refused(
            "  Api: {Type: AWS::Serverless::HttpApi, Properties: {StageVariables: {a: b}}}
",
            "`Api` has StageVariables",
        );
    }

    #[test]
    fn settings_of_a_route_must_be_known_and_of_a_route_that_there_is() {
        assert_refused(
            "  Api:
    Type: AWS::Serverless::HttpApi
    Properties: {RouteSettings: {'GET /carts': {ThrottlingRateLimit: 1}}}
",
            "`Api` has RouteSettings for GET /carts",
        );
        assert_refused(
            "  Api:
    Type: AWS::Serverless::HttpApi
    Properties: {RouteSettings: {'GET /carts': {ThrotlingRateLimit: 1}}}
",
            "ThrottlingRateLimit",
        );
        assert_refused(
            "  Api:
    Type: AWS::Serverless::HttpApi
    Properties: {DefaultRouteSettings: {ThrottlingRateLimit: -1}}
",
            "must be a number of 0 or more",
        );
    }
}
