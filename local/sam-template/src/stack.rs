//! The whole template, typed and resolved.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::api::{self, HttpApi};
use crate::auth;
use crate::data_stream::{self, KinesisStream};
use crate::delivery_stream::{self, DeliveryStream};
use crate::error::{Place, TemplateError, hint};
use crate::function::{self, Function};
use crate::globals;
use crate::inert;
use crate::intrinsic::{Declaration, Resolver};
use crate::mapping::{self, Mapping};
use crate::node::{Entry, Kind, Node};
use crate::parameter;
use crate::physical::ExplicitName;
use crate::places::{Bucket, Topic};
use crate::properties::Properties;
use crate::queue::{self, Queue};
use crate::role::{self, Role};
use crate::route::{self, Route, RouteMatch};
use crate::rule::{self, Bus, Rule, RuleOrSchedule};
use crate::schedule::Schedule;
use crate::stored::{self, StoredParameter};
use crate::table::{self, Table};
use crate::watching::{self, Alarm, Dashboard};
use crate::{Context, event};

/// What a template sets up, in the order of the template: everything resolved, AWS's defaults
/// filled in, and nothing left out.
#[derive(Debug, Clone, Default)]
pub struct Stack {
    /// `AWS::Serverless::Function`.
    pub functions: Vec<Function>,
    /// `AWS::DynamoDB::Table`.
    pub tables: Vec<Table>,
    /// `AWS::SQS::Queue`, and the queues SAM makes for `DeadLetterConfig: {Type: SQS}`.
    pub queues: Vec<Queue>,
    /// `AWS::Events::EventBus`; the default bus is always there and not in the list.
    pub buses: Vec<Bus>,
    /// `EventBridgeRule` events and `AWS::Events::Rule` with a pattern.
    pub rules: Vec<Rule>,
    /// DynamoDB, Kinesis and SQS events and `AWS::Lambda::EventSourceMapping`.
    pub mappings: Vec<Mapping>,
    /// `AWS::Serverless::HttpApi` and the implicit one.
    pub apis: Vec<HttpApi>,
    /// `HttpApi` events.
    pub routes: Vec<Route>,
    /// Schedule and `ScheduleV2` events and `AWS::Events::Rule` with a schedule.
    pub schedules: Vec<Schedule>,
    /// `AWS::SSM::Parameter`.
    pub parameters: Vec<StoredParameter>,
    /// `AWS::Kinesis::Stream`.
    pub kinesis_streams: Vec<KinesisStream>,
    /// `AWS::KinesisFirehose::DeliveryStream`.
    pub delivery_streams: Vec<DeliveryStream>,
    /// `AWS::S3::Bucket`.
    pub buckets: Vec<Bucket>,
    /// `AWS::SNS::Topic`.
    pub topics: Vec<Topic>,
    /// `AWS::IAM::Role`.
    pub roles: Vec<Role>,
    /// `AWS::CloudWatch::Alarm`.
    pub alarms: Vec<Alarm>,
    /// `AWS::CloudWatch::Dashboard`.
    pub dashboards: Vec<Dashboard>,
    /// The names that the template gives to resources, instead of leaving it to CloudFormation.
    pub names: Vec<ExplicitName>,
    /// `AWS::KMS::Key`.
    pub keys: Vec<Key>,
    /// The Outputs section, resolved.
    pub outputs: BTreeMap<String, String>,
    /// (logical id, type) of the resources that have no behaviour here.
    pub other: Vec<(String, String)>,
    /// (logical id, property) by which such a resource would act on AWS, such as the
    /// `Subscription` of a topic.
    pub acting: Vec<(String, String)>,
}

/// An `AWS::KMS::Key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Logical id in the template.
    pub logical_id: String,
    /// The key's ARN.
    pub arn: String,
}

const SECTIONS: [&str; 10] = [
    "AWSTemplateFormatVersion",
    "Conditions",
    "Description",
    "Globals",
    "Mappings",
    "Metadata",
    "Outputs",
    "Parameters",
    "Resources",
    "Transform",
];

const ATTRIBUTES: [&str; 7] = [
    "Condition",
    "DeletionPolicy",
    "DependsOn",
    "Metadata",
    "Properties",
    "Type",
    "UpdateReplacePolicy",
];

impl Stack {
    /// Reads a SAM or CloudFormation template.
    ///
    /// # Errors
    /// [`TemplateError`] for the first thing that is not valid or not known, with its place.
    pub fn from_yaml(yaml: &str, context: &Context) -> Result<Self, TemplateError> {
        let template = Node::parse(yaml)?;
        if let Some(entry) = template
            .entries()
            .iter()
            .find(|entry| !SECTIONS.contains(&entry.key.as_str()))
        {
            return Err(TemplateError::UnknownSection {
                section: entry.key.clone(),
                line: entry.line,
                hint: hint(&entry.key, SECTIONS),
            });
        }
        let place = Place::new("Resources", "", template.line);
        let Some(resources) = template.get("Resources") else {
            return Err(TemplateError::Missing { place });
        };
        let mut declarations = Vec::new();
        for entry in resources.entries() {
            declarations.push(declaration(entry)?);
        }
        globals::expand(template.get("Globals"), &mut declarations)?;
        let section = |name: &str| template.get(name).cloned().unwrap_or(Node::null(1));
        let resolver = Resolver {
            context,
            parameters: parameter::values(template.get("Parameters"), context)?,
            mappings: section("Mappings"),
            conditions: section("Conditions"),
            resources: declarations,
            naming: RefCell::new(Vec::new()),
        };
        resolver.check_conditions()?;
        check_dependencies(resources, &resolver)?;
        let mut stack = Self::default();
        for declaration in &resolver.resources {
            stack.add(&resolver, declaration)?;
        }
        mapping::check_visibility(&stack, &resolver)?;
        auth::check_names(&stack, &resolver)?;
        stack.outputs = outputs(&resolver, &section("Outputs"))?;
        Ok(stack)
    }

    /// The function with this logical id.
    #[must_use]
    pub fn function(&self, logical_id: &str) -> Option<&Function> {
        self.functions
            .iter()
            .find(|one| one.logical_id == logical_id)
    }

    /// The queue with this ARN.
    #[must_use]
    pub fn queue_by_arn(&self, arn: &str) -> Option<&Queue> {
        self.queues.iter().find(|one| one.arn == arn)
    }

    /// The role with this ARN.
    #[must_use]
    pub fn role(&self, arn: &str) -> Option<&Role> {
        self.roles.iter().find(|one| one.arn == arn)
    }

    /// The route that takes a request to any of the APIs; see [`route::find`].
    #[must_use]
    pub fn route(&self, method: &str, path: &str) -> Option<RouteMatch<'_>> {
        route::find(&self.routes, method, path)
    }

    fn add(
        &mut self,
        resolver: &Resolver<'_>,
        declaration: &Declaration,
    ) -> Result<(), TemplateError> {
        let id = &declaration.logical_id;
        let at = Place::new(id, "Properties", declaration.line);
        if let Some(condition) = &declaration.condition
            && !resolver.condition(condition, &at)?
        {
            return Ok(());
        }
        // An unknown type is said before anything inside it.
        let type_name = declaration.type_name.as_str();
        if !inert::types().any(|known| known == type_name) {
            return Err(TemplateError::UnknownResourceType {
                resource: id.clone(),
                type_name: type_name.to_owned(),
                line: declaration.line,
                hint: hint(type_name, inert::types()),
            });
        }
        let node = resolver.resolve(&declaration.properties, &at)?;
        let node = node.unwrap_or(Node::null(declaration.line));
        let mut properties = Properties::of(id, "Properties", &node)?;
        self.names.extend(resolver.explicit_name(declaration)?);
        match type_name {
            "AWS::Serverless::Function" => {
                let function = function::read(resolver, declaration, &mut properties)?;
                self.functions.push(function);
                event::read_all(resolver, id, &mut properties, self)?;
            }
            "AWS::Serverless::HttpApi" => {
                self.apis
                    .push(api::read(resolver, declaration, &mut properties)?);
            }
            "AWS::DynamoDB::Table" => {
                self.tables
                    .push(table::read(resolver, declaration, &mut properties)?);
            }
            "AWS::SQS::Queue" => {
                self.queues
                    .push(queue::read(resolver, declaration, &mut properties)?);
            }
            "AWS::Events::EventBus" => {
                properties.without_local_effect(&[
                    "DeadLetterConfig",
                    "Description",
                    "KmsKeyIdentifier",
                    "LogConfig",
                    "Name",
                    "Policy",
                    "Tags",
                ]);
                self.buses.push(Bus {
                    logical_id: id.clone(),
                    name: resolver.physical_name(declaration)?,
                    arn: resolver.arn(declaration)?,
                });
            }
            "AWS::Events::Rule" => self.add_rule(resolver, declaration, &mut properties)?,
            "AWS::Lambda::EventSourceMapping" => {
                let function = mapped_function(resolver, &mut properties)?;
                let id = id.clone();
                let mapping = mapping::read(resolver, id, function, "", &mut properties)?;
                self.mappings.push(mapping);
            }
            "AWS::SSM::Parameter" => {
                let parameter = stored::read(resolver, declaration, &mut properties)?;
                self.parameters.push(parameter);
            }
            _ => self.add_further(resolver, declaration, &mut properties)?,
        }
        properties.finish()
    }

    /// The types that are about streams, archives, watching and keys.
    fn add_further(
        &mut self,
        resolver: &Resolver<'_>,
        declaration: &Declaration,
        properties: &mut Properties<'_>,
    ) -> Result<(), TemplateError> {
        let id = &declaration.logical_id;
        match declaration.type_name.as_str() {
            "AWS::Kinesis::Stream" => {
                let stream = data_stream::read(resolver, declaration, properties)?;
                self.kinesis_streams.push(stream);
            }
            "AWS::KinesisFirehose::DeliveryStream" => {
                let stream = delivery_stream::read(resolver, declaration, properties)?;
                self.delivery_streams.push(stream);
            }
            "AWS::IAM::Role" => {
                let role = role::read(resolver, declaration, properties)?;
                self.roles.push(role);
            }
            "AWS::S3::Bucket" => {
                self.buckets.push(Bucket {
                    logical_id: id.clone(),
                    name: resolver.physical_name(declaration)?,
                    arn: resolver.arn(declaration)?,
                });
                self.add_other(declaration, properties);
            }
            "AWS::SNS::Topic" => {
                self.topics.push(Topic {
                    logical_id: id.clone(),
                    name: resolver.physical_name(declaration)?,
                    arn: resolver.arn(declaration)?,
                });
                self.add_other(declaration, properties);
            }
            "AWS::CloudWatch::Alarm" => {
                let alarm = watching::alarm(resolver, declaration, properties)?;
                self.alarms.push(alarm);
                self.add_other(declaration, properties);
            }
            "AWS::CloudWatch::Dashboard" => {
                let dashboard = watching::dashboard(resolver, declaration, properties)?;
                self.dashboards.push(dashboard);
                self.add_other(declaration, properties);
            }
            "AWS::KMS::Key" => {
                self.keys.push(Key {
                    logical_id: id.clone(),
                    arn: resolver.arn(declaration)?,
                });
                self.add_other(declaration, properties);
            }
            _ => self.add_other(declaration, properties),
        }
        Ok(())
    }

    fn add_rule(
        &mut self,
        resolver: &Resolver<'_>,
        declaration: &Declaration,
        properties: &mut Properties<'_>,
    ) -> Result<(), TemplateError> {
        let name = resolver.physical_name(declaration)?;
        let arn = resolver.arn(declaration)?;
        match rule::read(resolver, name, arn, properties)? {
            RuleOrSchedule::Rule(rule) => self.rules.push(rule),
            RuleOrSchedule::Schedule(schedule) => self.schedules.push(schedule),
        }
        Ok(())
    }

    fn add_other(&mut self, declaration: &Declaration, properties: &mut Properties<'_>) {
        let type_name = declaration.type_name.as_str();
        properties.without_local_effect(inert::properties(type_name));
        for property in inert::acting(type_name) {
            if properties.node(property).is_some() {
                let id = declaration.logical_id.clone();
                self.acting.push((id, property.to_owned()));
            }
        }
        let other = (
            declaration.logical_id.clone(),
            declaration.type_name.clone(),
        );
        self.other.push(other);
    }
}

fn declaration(entry: &Entry) -> Result<Declaration, TemplateError> {
    let id = &entry.key;
    let node = &entry.node;
    let unknown = |entry: &&Entry| !ATTRIBUTES.contains(&entry.key.as_str());
    if let Some(attribute) = node.entries().iter().find(unknown) {
        return Err(TemplateError::UnknownProperty {
            resource: id.clone(),
            path: attribute.key.clone(),
            line: attribute.line,
            hint: hint(&attribute.key, ATTRIBUTES),
        });
    }
    let part = |name: &str| node.get(name).cloned().unwrap_or(Node::null(entry.line));
    let type_name = node.get("Type").and_then(Node::as_str);
    let type_name = type_name.ok_or_else(|| TemplateError::Missing {
        place: Place::new(id, "Type", entry.line),
    })?;
    let condition = node.get("Condition").and_then(Node::scalar_text);
    Ok(Declaration {
        logical_id: id.clone(),
        type_name: type_name.to_owned(),
        line: entry.line,
        properties: part("Properties"),
        metadata: part("Metadata"),
        condition,
    })
}

impl Resolver<'_> {
    /// Evaluates every condition, so that a broken one is found even if nothing uses it.
    fn check_conditions(&self) -> Result<(), TemplateError> {
        for entry in self.conditions.entries() {
            let at = Place::new("Conditions", &entry.key, entry.line);
            self.condition(&entry.key, &at)?;
        }
        Ok(())
    }
}

fn check_dependencies(resources: &Node, resolver: &Resolver<'_>) -> Result<(), TemplateError> {
    for entry in resources.entries() {
        let Some(depends) = entry.node.get("DependsOn") else {
            continue;
        };
        let names = match &depends.kind {
            Kind::List(items) => items.iter().filter_map(Node::scalar_text).collect(),
            _ => depends.scalar_text().map_or(Vec::new(), |name| vec![name]),
        };
        for name in names {
            if !resolver.resources.iter().any(|one| one.logical_id == name) {
                let ids = resolver.resources.iter().map(|one| one.logical_id.as_str());
                let problem = format!(
                    "names `{name}`, which is no resource of this template{}",
                    hint(&name, ids)
                );
                let place = Place::new(&entry.key, "DependsOn", depends.line);
                return Err(TemplateError::Invalid { place, problem });
            }
        }
    }
    Ok(())
}

fn outputs(
    resolver: &Resolver<'_>,
    section: &Node,
) -> Result<BTreeMap<String, String>, TemplateError> {
    let mut outputs = BTreeMap::new();
    for entry in section.entries() {
        let path = entry.key.as_str();
        let mut output = Properties::of("Outputs", path, &entry.node)?;
        output.without_local_effect(&["Description", "Export"]);
        let condition = output.text("Condition")?;
        let value = output.required("Value")?;
        output.finish()?;
        let at = Place::new("Outputs", path, value.line);
        if let Some(condition) = condition
            && !resolver.condition(&condition, &at)?
        {
            continue;
        }
        outputs.insert(entry.key.clone(), resolver.resolve_text(value, &at)?);
    }
    Ok(outputs)
}

/// The logical id behind `FunctionName`, which may be a name or an ARN.
fn mapped_function(
    resolver: &Resolver<'_>,
    properties: &mut Properties<'_>,
) -> Result<String, TemplateError> {
    let given = properties.required_text("FunctionName")?;
    let owner = resolver.owner_of_type(&given, "AWS::Serverless::Function")?;
    let owner = owner.ok_or_else(|| {
        let problem = format!("is `{given}`, which is no function of this template");
        properties.invalid("FunctionName", problem)
    })?;
    Ok(owner.logical_id.clone())
}

#[cfg(test)]
mod order_system;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod resolving;
