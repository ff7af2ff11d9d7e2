//! What `Ref` and `Fn::GetAtt` give for each resource type: names, ARNs and URLs as in AWS.

use crate::error::{Place, TemplateError, hint};
use crate::intrinsic::{Declaration, Resolver};
use crate::node::Node;

/// The label of every table's stream. AWS takes the time at which the stream was enabled.
const STREAM_LABEL: &str = "1970-01-01T00:00:00.000";

/// A name that the template gives, so that it is taken once in an account and region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExplicitName {
    /// The resource's type; names of two types do not meet.
    pub type_name: String,
    /// The name.
    pub name: String,
}

/// The property that gives a resource its physical name, by resource type.
fn name_property(type_name: &str) -> Option<&'static str> {
    Some(match type_name {
        "AWS::Serverless::Function" => "FunctionName",
        "AWS::DynamoDB::Table" => "TableName",
        "AWS::SQS::Queue" => "QueueName",
        "AWS::Events::EventBus"
        | "AWS::Events::Rule"
        | "AWS::Kinesis::Stream"
        | "AWS::SSM::Parameter"
        | "AWS::SecretsManager::Secret" => "Name",
        "AWS::KinesisFirehose::DeliveryStream" => "DeliveryStreamName",
        "AWS::SNS::Topic" => "TopicName",
        "AWS::S3::Bucket" => "BucketName",
        "AWS::KMS::Alias" => "AliasName",
        "AWS::Logs::LogGroup" => "LogGroupName",
        "AWS::CloudWatch::Alarm" => "AlarmName",
        "AWS::CloudWatch::Dashboard" => "DashboardName",
        "AWS::IAM::ManagedPolicy" => "ManagedPolicyName",
        "AWS::IAM::Role" => "RoleName",
        // An API's name is for people: another one may have it.
        _ => return None,
    })
}

impl Resolver<'_> {
    /// The declared resource, if its condition holds.
    ///
    /// # Errors
    /// [`TemplateError::Unresolved`] if there is none or its condition is false.
    pub(crate) fn existing(&self, id: &str, at: &Place) -> Result<&Declaration, TemplateError> {
        if at.resource == "Conditions" {
            return Err(at.unresolved(format!(
                "`{id}` is not a parameter; a condition may depend only on parameters and mappings"
            )));
        }
        let Some(found) = self.resources.iter().find(|one| one.logical_id == id) else {
            let resources = self.resources.iter().map(|one| one.logical_id.as_str());
            let known = resources.chain(self.parameters.keys().map(String::as_str));
            let hint = hint(id, known);
            return Err(at.unresolved(format!(
                "the template has no resource or parameter `{id}`{hint}"
            )));
        };
        match &found.condition {
            Some(condition) if !self.condition(condition, at)? => Err(at.unresolved(format!(
                "`{id}` is not created, because its condition `{condition}` is false"
            ))),
            _ => Ok(found),
        }
    }

    /// The name that the template gives, if it gives one.
    pub(crate) fn explicit_name(
        &self,
        resource: &Declaration,
    ) -> Result<Option<ExplicitName>, TemplateError> {
        let property = name_property(&resource.type_name);
        if property.is_none_or(|property| resource.properties.get(property).is_none()) {
            return Ok(None);
        }
        Ok(Some(ExplicitName {
            type_name: resource.type_name.clone(),
            name: self.physical_name(resource)?,
        }))
    }

    /// The explicit name, else `<stack>-<logical id>`.
    pub(crate) fn physical_name(&self, resource: &Declaration) -> Result<String, TemplateError> {
        let id = &resource.logical_id;
        let place = |line| Place::new(id, "Properties", line);
        let named = name_property(&resource.type_name)
            .and_then(|property| resource.properties.get(property));
        if let Some(node) = named {
            let at = place(node.line);
            if self.naming.borrow().contains(id) {
                return Err(at.unresolved("its name depends on itself"));
            }
            self.naming.borrow_mut().push(id.clone());
            let name = self.resolve(node, &at);
            self.naming.borrow_mut().pop();
            if let Some(node) = name? {
                let text = node.scalar_text();
                return text.ok_or_else(|| at.unresolved("its name is not a string"));
            }
        }
        let name = format!("{}-{id}", self.context.stack_name);
        Ok(match resource.type_name.as_str() {
            "AWS::SQS::Queue" if is_true(&resource.properties, "FifoQueue") => {
                format!("{name}.fifo")
            }
            "AWS::S3::Bucket" => name.to_lowercase(),
            // An API's id is not a name: AWS makes up ten letters and digits.
            "AWS::Serverless::HttpApi" => id.to_lowercase(),
            _ => name,
        })
    }

    /// What `Ref` of a resource gives.
    pub(crate) fn resource_reference(&self, id: &str, at: &Place) -> Result<String, TemplateError> {
        if let Some(fixed) = self.context.local.get(id) {
            return Ok(fixed.clone());
        }
        if let Some(role) = self.generated_role(id) {
            return Ok(role);
        }
        if let Some((function, part @ ("Alias" | "Version"))) = id.split_once('.') {
            return self.resource_attribute(function, part, at);
        }
        let resource = self.existing(id, at)?;
        let name = self.physical_name(resource)?;
        Ok(match resource.type_name.as_str() {
            "AWS::SQS::Queue" => {
                let account = &self.context.account_id;
                format!("http://{}/{account}/{name}", self.context.authority())
            }
            "AWS::SNS::Topic" | "AWS::SecretsManager::Secret" | "AWS::IAM::ManagedPolicy" => {
                self.arn(resource)?
            }
            // On a bus of its own, a rule is known as `bus|rule`.
            "AWS::Events::Rule" => match self.bus_of(resource)?.as_str() {
                "default" => name,
                bus => format!("{bus}|{name}"),
            },
            _ => name,
        })
    }

    /// What `Fn::GetAtt` of a resource gives.
    pub(crate) fn resource_attribute(
        &self,
        id: &str,
        attribute: &str,
        at: &Place,
    ) -> Result<String, TemplateError> {
        if let Some(fixed) = self.context.local.get(&format!("{id}.{attribute}")) {
            return Ok(fixed.clone());
        }
        if let Some(role) = self.generated_role(id).filter(|_| attribute == "Arn") {
            let account = &self.context.account_id;
            return Ok(format!("arn:aws:iam::{account}:role/{role}"));
        }
        let resource = self.existing(id, at)?;
        let type_name = resource.type_name.as_str();
        match (type_name, attribute) {
            ("AWS::Serverless::Function", "Alias" | "Version") => {
                self.qualified(resource, attribute, at)
            }
            ("AWS::DynamoDB::Table", "StreamArn") => {
                if resource.properties.get("StreamSpecification").is_none() {
                    return Err(at.unresolved(format!(
                        "table `{id}` has no StreamSpecification, so it has no StreamArn"
                    )));
                }
                Ok(format!("{}/stream/{STREAM_LABEL}", self.arn(resource)?))
            }
            ("AWS::SQS::Queue", "QueueName")
            | ("AWS::Events::EventBus", "Name")
            | ("AWS::SNS::Topic", "TopicName") => self.physical_name(resource),
            ("AWS::SQS::Queue", "QueueUrl") => self.resource_reference(id, at),
            ("AWS::SNS::Topic", "TopicArn") | ("AWS::SecretsManager::Secret", "Id") => {
                self.arn(resource)
            }
            ("AWS::SSM::Parameter", "Value" | "Type") => match resource.properties.get(attribute) {
                Some(node) => self.resolve_text(node, at),
                None => Err(at.unresolved(format!("parameter `{id}` has no {attribute}"))),
            },
            ("AWS::Serverless::HttpApi", "ApiId") | ("AWS::KMS::Key", "KeyId") => {
                self.physical_name(resource)
            }
            ("AWS::Serverless::HttpApi", "ApiEndpoint") => {
                let api = self.physical_name(resource)?;
                let region = &self.context.region;
                Ok(format!("https://{api}.execute-api.{region}.amazonaws.com"))
            }
            ("AWS::S3::Bucket", "DomainName") => Ok(format!(
                "{}.s3.amazonaws.com",
                self.physical_name(resource)?
            )),
            ("AWS::IAM::Role", "RoleId") => self.physical_name(resource),
            (_, "Arn") if has_arn(type_name) => self.arn(resource),
            _ => Err(at.unresolved(format!(
                "the local run knows no attribute `{attribute}` of `{id}` ({type_name}); a fixed \
                 value can be given under `{id}.{attribute}`"
            ))),
        }
    }

    /// The ARN as AWS would write it.
    pub(crate) fn arn(&self, resource: &Declaration) -> Result<String, TemplateError> {
        let name = self.physical_name(resource)?;
        let context = self.context;
        let (service, rest) = match resource.type_name.as_str() {
            "AWS::Serverless::Function" => ("lambda", format!("function:{name}")),
            "AWS::DynamoDB::Table" => ("dynamodb", format!("table/{name}")),
            "AWS::SQS::Queue" => ("sqs", name),
            "AWS::SNS::Topic" => ("sns", name),
            "AWS::Events::EventBus" => ("events", format!("event-bus/{name}")),
            "AWS::Events::Rule" => match self.bus_of(resource)?.as_str() {
                "default" => ("events", format!("rule/{name}")),
                bus => ("events", format!("rule/{bus}/{name}")),
            },
            "AWS::Kinesis::Stream" => ("kinesis", format!("stream/{name}")),
            "AWS::KinesisFirehose::DeliveryStream" => {
                ("firehose", format!("deliverystream/{name}"))
            }
            // AWS appends six random characters to a secret's name.
            "AWS::SecretsManager::Secret" => ("secretsmanager", format!("secret:{name}-000000")),
            "AWS::SSM::Parameter" => ("ssm", format!("parameter/{}", name.trim_start_matches('/'))),
            "AWS::KMS::Key" => ("kms", format!("key/{name}")),
            "AWS::Logs::LogGroup" => ("logs", format!("log-group:{name}:*")),
            "AWS::CloudWatch::Alarm" => ("cloudwatch", format!("alarm:{name}")),
            "AWS::IAM::Role" => {
                return Ok(format!("arn:aws:iam::{}:role/{name}", context.account_id));
            }
            "AWS::IAM::ManagedPolicy" => {
                return Ok(format!("arn:aws:iam::{}:policy/{name}", context.account_id));
            }
            "AWS::S3::Bucket" => return Ok(format!("arn:aws:s3:::{name}")),
            _ => ("local", name),
        };
        Ok(format!(
            "arn:aws:{service}:{}:{}:{rest}",
            context.region, context.account_id
        ))
    }

    /// The existing resource that an ARN is of.
    pub(crate) fn owner_of(&self, arn: &str) -> Result<Option<&Declaration>, TemplateError> {
        self.owner(arn, None)
    }

    /// The existing resource of a type that an ARN, or what `Ref` gives, is of. Names may repeat
    /// between types.
    pub(crate) fn owner_of_type(
        &self,
        value: &str,
        type_name: &str,
    ) -> Result<Option<&Declaration>, TemplateError> {
        self.owner(value, Some(type_name))
    }

    fn owner(
        &self,
        value: &str,
        type_name: Option<&str>,
    ) -> Result<Option<&Declaration>, TemplateError> {
        let fits =
            |one: &&Declaration| type_name.is_none_or(|type_name| one.type_name == type_name);
        for resource in self.resources.iter().filter(fits) {
            let at = Place::new(&resource.logical_id, "", resource.line);
            if let Some(condition) = &resource.condition
                && !self.condition(condition, &at)?
            {
                continue;
            }
            if has_arn(&resource.type_name) {
                let arn = self.arn(resource)?;
                let part = value.strip_prefix(&arn);
                // A function's qualifier and a table's stream follow their ARN.
                if part.is_some_and(|rest| {
                    rest.is_empty() || rest.starts_with(':') || rest.starts_with("/stream/")
                }) {
                    return Ok(Some(resource));
                }
            }
            let reference = self.resource_reference(&resource.logical_id, &at)?;
            if reference == value && (type_name.is_some() || value.contains(':')) {
                return Ok(Some(resource));
            }
        }
        Ok(None)
    }

    /// The name of the bus a rule declares, `default` without one.
    fn bus_of(&self, rule: &Declaration) -> Result<String, TemplateError> {
        let at = Place::new(&rule.logical_id, "Properties.EventBusName", rule.line);
        let node = rule.properties.get("EventBusName");
        let bus = node.map(|node| self.resolve_text(node, &at)).transpose()?;
        Ok(bus.map_or_else(|| "default".to_owned(), |bus| bus_name(&bus)))
    }

    /// SAM makes a role `<function>Role` for each function that brings none.
    fn generated_role(&self, id: &str) -> Option<String> {
        let function = id.strip_suffix("Role")?;
        let declared = |id: &str| self.resources.iter().find(|one| one.logical_id == id);
        let function = declared(function)?;
        let made = function.type_name == "AWS::Serverless::Function"
            && function.properties.get("Role").is_none()
            && declared(id).is_none();
        made.then(|| format!("{}-{id}", self.context.stack_name))
    }

    /// `Function.Alias` and `Function.Version`, which SAM makes for `AutoPublishAlias`.
    fn qualified(
        &self,
        function: &Declaration,
        part: &str,
        at: &Place,
    ) -> Result<String, TemplateError> {
        let Some(alias) = function.properties.get("AutoPublishAlias") else {
            let id = &function.logical_id;
            return Err(at.unresolved(format!(
                "function `{id}` has no AutoPublishAlias, so it has no {part}"
            )));
        };
        let alias = self.resolve_text(alias, at)?;
        let qualifier = if part == "Alias" { alias.as_str() } else { "1" };
        Ok(format!("{}:{qualifier}", self.arn(function)?))
    }
}

/// The bus's name out of its name or ARN.
pub(crate) fn bus_name(bus: &str) -> String {
    let name = bus.split_once(":event-bus/").map(|(_, name)| name);
    name.unwrap_or(bus).to_owned()
}

fn has_arn(type_name: &str) -> bool {
    (name_property(type_name).is_some() || type_name == "AWS::KMS::Key")
        && !matches!(
            type_name,
            "AWS::SSM::Parameter" | "AWS::CloudWatch::Dashboard" | "AWS::KMS::Alias"
        )
}

fn is_true(properties: &Node, name: &str) -> bool {
    let value = properties.get(name).and_then(Node::scalar_text);
    value.as_deref() == Some("true")
}
