//! What SAM does before CloudFormation sees the template: Globals, the implicit API, and the
//! queues it makes for `DeadLetterConfig: {Type: SQS}`.

use crate::error::{Place, TemplateError, hint};
use crate::intrinsic::Declaration;
use crate::node::{Entry, Kind, Node};

/// Logical id of the API that SAM makes for `HttpApi` events without an `ApiId`.
const IMPLICIT_API: &str = "ServerlessHttpApi";

/// The properties SAM takes under `Globals.Function`.
/// <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-specification-template-anatomy-globals.html>
const FUNCTION_GLOBALS: [&str; 29] = [
    "Architectures",
    "AssumeRolePolicyDocument",
    "AutoPublishAlias",
    "AutoPublishAliasAllProperties",
    "CodeUri",
    "DeadLetterQueue",
    "DeploymentPreference",
    "Description",
    "Environment",
    "EphemeralStorage",
    "EventInvokeConfig",
    "Handler",
    "KmsKeyArn",
    "Layers",
    "LoggingConfig",
    "MemorySize",
    "PermissionsBoundary",
    "PropagateTags",
    "ProvisionedConcurrencyConfig",
    "RecursiveLoop",
    "ReservedConcurrentExecutions",
    "RolePath",
    "Runtime",
    "RuntimeManagementConfig",
    "SourceKMSKeyArn",
    "Tags",
    "Timeout",
    "Tracing",
    "VpcConfig",
];

const HTTP_API_GLOBALS: [&str; 10] = [
    "AccessLogSettings",
    "Auth",
    "CorsConfiguration",
    "DefaultRouteSettings",
    "Domain",
    "FailOnWarnings",
    "PropagateTags",
    "RouteSettings",
    "StageVariables",
    "Tags",
];

/// Merges Globals into the resources and adds the resources that SAM would make.
pub(crate) fn expand(
    globals: Option<&Node>,
    resources: &mut Vec<Declaration>,
) -> Result<(), TemplateError> {
    add_implicit_api(resources);
    for section in globals.map_or(&[] as &[Entry], Node::entries) {
        let (type_name, allowed): (_, &[&str]) = match section.key.as_str() {
            "Function" => ("AWS::Serverless::Function", &FUNCTION_GLOBALS),
            "HttpApi" => ("AWS::Serverless::HttpApi", &HTTP_API_GLOBALS),
            other => {
                return Err(TemplateError::UnknownProperty {
                    resource: "Globals".to_owned(),
                    path: other.to_owned(),
                    line: section.line,
                    hint: hint(other, ["Function", "HttpApi"]),
                });
            }
        };
        for entry in section.node.entries() {
            if !allowed.contains(&entry.key.as_str()) {
                return Err(TemplateError::UnknownProperty {
                    resource: "Globals".to_owned(),
                    path: format!("{}.{}", section.key, entry.key),
                    line: entry.line,
                    hint: hint(&entry.key, allowed.iter().copied()),
                });
            }
        }
        let of_type = |one: &&mut Declaration| one.type_name == type_name;
        for resource in resources.iter_mut().filter(of_type) {
            resource.properties = merged(&section.node, &resource.properties);
        }
    }
    add_dead_letter_queues(resources)
}

/// Maps are merged, lists appended, anything else (and any intrinsic) is the resource's own.
fn merged(global: &Node, own: &Node) -> Node {
    let line = own.line;
    if global.intrinsic().is_some() || own.intrinsic().is_some() {
        return own.clone();
    }
    match (&global.kind, &own.kind) {
        (_, Kind::Null) => global.clone(),
        (Kind::List(first), Kind::List(then)) => {
            let kind = Kind::List(first.iter().chain(then).cloned().collect());
            Node { line, kind }
        }
        (Kind::Map(first), Kind::Map(then)) => {
            let mut entries = first.clone();
            for entry in then {
                match entries.iter_mut().find(|one| one.key == entry.key) {
                    Some(shared) => {
                        shared.node = merged(&shared.node, &entry.node);
                        shared.line = entry.line;
                    }
                    None => entries.push(entry.clone()),
                }
            }
            let kind = Kind::Map(entries);
            Node { line, kind }
        }
        _ => own.clone(),
    }
}

fn events(function: &Declaration) -> &[Entry] {
    let events = function.properties.get("Events");
    events.map_or(&[], Node::entries)
}

fn add_implicit_api(resources: &mut Vec<Declaration>) {
    let needs_api = |entry: &Entry| {
        let properties = entry.node.get("Properties");
        entry.node.get("Type").and_then(Node::as_str) == Some("HttpApi")
            && properties.is_none_or(|node| node.get("ApiId").is_none())
    };
    let user = resources
        .iter()
        .filter(|one| one.type_name == "AWS::Serverless::Function")
        .find(|one| events(one).iter().any(needs_api));
    let declared = resources.iter().any(|one| one.logical_id == IMPLICIT_API);
    if let Some(line) = user.map(|one| one.line).filter(|_| !declared) {
        resources.push(Declaration {
            logical_id: IMPLICIT_API.to_owned(),
            type_name: "AWS::Serverless::HttpApi".to_owned(),
            line,
            properties: Node::null(line),
            metadata: Node::null(line),
            condition: None,
        });
    }
}

/// `DeadLetterConfig: {Type: SQS, QueueLogicalId?}` of an event becomes a queue and its ARN.
fn add_dead_letter_queues(resources: &mut Vec<Declaration>) -> Result<(), TemplateError> {
    let mut made = Vec::new();
    for function in resources.iter_mut() {
        if function.type_name != "AWS::Serverless::Function" {
            continue;
        }
        let function_id = function.logical_id.clone();
        let Some(Kind::Map(events)) = get_mut(&mut function.properties, "Events") else {
            continue;
        };
        for event in events {
            let Some(Kind::Map(_)) = get_mut(&mut event.node, "Properties") else {
                continue;
            };
            let config = entry_mut(&mut event.node, "Properties")
                .and_then(|entry| entry_mut(&mut entry.node, "DeadLetterConfig"));
            let Some(config) = config else { continue };
            let Some(kind) = config.node.get("Type").and_then(Node::scalar_text) else {
                continue;
            };
            let path = format!(
                "Properties.Events.{}.Properties.DeadLetterConfig",
                event.key
            );
            let place = Place::new(&function_id, &path, config.line);
            if kind != "SQS" || config.node.get("Arn").is_some() {
                let problem = "takes either Arn, or Type: SQS with or without QueueLogicalId";
                let problem = problem.to_owned();
                return Err(TemplateError::Invalid { place, problem });
            }
            if let Some(other) = config
                .node
                .entries()
                .iter()
                .find(|entry| entry.key != "Type" && entry.key != "QueueLogicalId")
            {
                return Err(TemplateError::UnknownProperty {
                    resource: function_id,
                    path: format!("{path}.{}", other.key),
                    line: other.line,
                    hint: hint(&other.key, ["Arn", "Type", "QueueLogicalId"]),
                });
            }
            let id = config
                .node
                .get("QueueLogicalId")
                .and_then(Node::scalar_text);
            let id = id.unwrap_or_else(|| format!("{function_id}{}Queue", event.key));
            let line = config.line;
            let arn = Node::text(line, format!("{id}.Arn"));
            config.node = Node::map(line, [("Arn", Node::map(line, [("Fn::GetAtt", arn)]))]);
            made.push(Declaration {
                logical_id: id,
                type_name: "AWS::SQS::Queue".to_owned(),
                line,
                properties: Node::null(line),
                metadata: Node::null(line),
                condition: function.condition.clone(),
            });
        }
    }
    resources.extend(made);
    Ok(())
}

fn entry_mut<'n>(node: &'n mut Node, key: &str) -> Option<&'n mut Entry> {
    match &mut node.kind {
        Kind::Map(entries) => entries.iter_mut().find(|entry| entry.key == key),
        _ => None,
    }
}

fn get_mut<'n>(node: &'n mut Node, key: &str) -> Option<&'n mut Kind> {
    entry_mut(node, key).map(|entry| &mut entry.node.kind)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn maps_are_merged_lists_appended_and_scalars_overridden() {
        let global = Node::parse(
            "Timeout: 3\nLayers: [a]\nEnvironment: {Variables: {A: 1, B: 2}}\nMemorySize: 128\n",
        );
        let own =
            Node::parse("Timeout: 9\nLayers: [b]\nEnvironment: {Variables: {B: !Ref X, C: 3}}\n");
        let expected = json!({
            "Timeout": 9,
            "Layers": ["a", "b"],
            "Environment": {"Variables": {"A": 1, "B": {"Ref": "X"}, "C": 3}},
            "MemorySize": 128,
        });
        assert_eq!(merged(&global.unwrap(), &own.unwrap()).to_json(), expected);
    }
}
