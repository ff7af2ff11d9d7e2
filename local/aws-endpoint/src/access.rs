//! Which permissions a call needs: IAM's actions and resources.
//!
//! By the services' tables in
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html>.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// One permission that a call needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Access {
    /// E.g. `dynamodb:PutItem`.
    pub action: String,
    /// ARN of what it is done to.
    pub resource: String,
    /// Keys that conditions of a policy can ask for, such as `ses:FromAddress`.
    pub context: BTreeMap<String, String>,
}

/// Decides whether a caller may do something.
pub trait Permissions: Send + Sync {
    /// Whether it may.
    fn allows(&self, caller: &str, access: &Access) -> bool;
}

/// Where resources are, for their ARNs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site<'a> {
    pub(crate) region: &'a str,
    pub(crate) account: &'a str,
}

impl Site<'_> {
    fn arn(&self, service: &str, rest: &str) -> String {
        let Self { region, account } = self;
        format!("arn:aws:{service}:{region}:{account}:{rest}")
    }

    /// The ARN of something that is called by its name or by its ARN.
    fn named(&self, service: &str, kind: &str, name: &str) -> String {
        if name.starts_with("arn:") {
            name.to_owned()
        } else {
            self.arn(service, &format!("{kind}{name}"))
        }
    }

    /// What a call needs, each once; nothing for what everybody may do.
    pub(crate) fn accesses(
        &self,
        service: &str,
        operation: &str,
        request: &Value,
    ) -> BTreeSet<Access> {
        match service {
            "dynamodb" => self.of_tables(operation, request),
            "dynamodbstreams" => one("dynamodb", operation, self.stream(request)),
            "sqs" => {
                let queue = text(request, "QueueUrl").rsplit('/').next();
                let name = queue.filter(|name| !name.is_empty());
                let name = name.unwrap_or(text(request, "QueueName"));
                one(
                    "sqs",
                    operation.trim_end_matches("Batch"),
                    self.arn("sqs", name),
                )
            }
            "events" => {
                let entries = request["Entries"].as_array().into_iter().flatten();
                entries
                    .flat_map(|entry| {
                        let bus = entry["EventBusName"].as_str().unwrap_or("default");
                        one("events", operation, self.named("events", "event-bus/", bus))
                    })
                    .collect()
            }
            "ssm" => self.of_parameters(operation, request),
            // A group's permission is asked for with the streams in it.
            "logs" => {
                let group = text(request, "logGroupName");
                let rest = format!("log-group:{group}:log-stream:");
                one("logs", operation, self.arn("logs", &rest))
            }
            "ses" => self.of_mail(operation, request),
            "firehose" => {
                let stream = text(request, "DeliveryStreamName");
                one(
                    "firehose",
                    operation,
                    self.arn("firehose", &format!("deliverystream/{stream}")),
                )
            }
            "s3" => {
                let bucket = text(request, "Bucket");
                match operation {
                    "ListObjectsV2" => one("s3", "ListBucket", format!("arn:aws:s3:::{bucket}")),
                    // A head is allowed to whoever may get.
                    _ => {
                        let key = text(request, "Key");
                        one("s3", "GetObject", format!("arn:aws:s3:::{bucket}/{key}"))
                    }
                }
            }
            "sns" => one("sns", operation, text(request, "TopicArn").to_owned()),
            "kinesis" => {
                let stream = crate::kinesis::name_in(request);
                one(
                    "kinesis",
                    operation,
                    self.named("kinesis", "stream/", stream),
                )
            }
            "kms" => self.of_keys(operation, request),
            "lambda" => {
                let function = text(request, "FunctionName");
                let arn = self.named("lambda", "function:", function);
                one("lambda", "InvokeFunction", arn)
            }
            _ => BTreeSet::new(),
        }
    }

    fn of_tables(&self, operation: &str, request: &Value) -> BTreeSet<Access> {
        let table = |name: &str| self.named("dynamodb", "table/", name);
        match operation {
            "TransactWriteItems" | "TransactGetItems" => {
                let items = request["TransactItems"].as_array().into_iter().flatten();
                let parts = items.filter_map(Value::as_object).flatten();
                parts
                    .flat_map(|(kind, part)| {
                        let action = match kind.as_str() {
                            "ConditionCheck" => "ConditionCheckItem".to_owned(),
                            kind => format!("{kind}Item"),
                        };
                        one("dynamodb", &action, table(text(part, "TableName")))
                    })
                    .collect()
            }
            "BatchGetItem" | "BatchWriteItem" => {
                let tables = request["RequestItems"].as_object().into_iter().flatten();
                tables
                    .flat_map(|(name, _)| one("dynamodb", operation, table(name)))
                    .collect()
            }
            _ => {
                let mut resource = table(text(request, "TableName"));
                if let Some(index) = request["IndexName"].as_str() {
                    resource = format!("{resource}/index/{index}");
                }
                one("dynamodb", operation, resource)
            }
        }
    }

    /// A stream, by its ARN or by an iterator, which begins with it.
    fn stream(&self, request: &Value) -> String {
        let iterator = text(request, "ShardIterator").rsplit_once('|');
        let told = request["StreamArn"].as_str();
        let arn = told.or(iterator.map(|(arn, _)| arn));
        arn.map_or_else(|| self.arn("dynamodb", "table/*"), str::to_owned)
    }

    fn of_parameters(&self, operation: &str, request: &Value) -> BTreeSet<Access> {
        let many = request["Names"].as_array().into_iter().flatten();
        let names = many
            .filter_map(Value::as_str)
            .chain(request["Name"].as_str());
        names
            .flat_map(|name| {
                let name = name.trim_start_matches('/');
                one("ssm", operation, self.named("ssm", "parameter/", name))
            })
            .collect()
    }

    fn of_mail(&self, operation: &str, request: &Value) -> BTreeSet<Access> {
        let from = text(request, "FromEmailAddress");
        BTreeSet::from([Access {
            action: format!("ses:{operation}"),
            resource: self.arn("ses", &format!("identity/{from}")),
            context: BTreeMap::from([("ses:FromAddress".to_owned(), from.to_owned())]),
        }])
    }

    /// A call that names no key is of whatever key wrapped the text: none that a policy names.
    fn of_keys(&self, operation: &str, request: &Value) -> BTreeSet<Access> {
        let pairs = request["EncryptionContext"].as_object();
        let of_pair = |(name, value): (&String, &Value)| {
            let value = value.as_str().unwrap_or_default();
            (format!("kms:EncryptionContext:{name}"), value.to_owned())
        };
        BTreeSet::from([Access {
            action: format!("kms:{operation}"),
            resource: self.named("kms", "key/", text(request, "KeyId")),
            context: pairs.into_iter().flatten().map(of_pair).collect(),
        }])
    }
}

fn text<'a>(request: &'a Value, name: &str) -> &'a str {
    request[name].as_str().unwrap_or_default()
}

fn one(service: &str, action: &str, resource: String) -> BTreeSet<Access> {
    BTreeSet::from([Access {
        action: format!("{service}:{action}"),
        resource,
        context: BTreeMap::new(),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SITE: Site<'_> = Site {
        region: "eu-west-1",
        account: "1",
    };

    fn needed(service: &str, operation: &str, request: Value) -> Vec<String> {
        let accesses = SITE.accesses(service, operation, &request);
        let line = |access: &Access| format!("{} {}", access.action, access.resource);
        accesses.iter().map(line).collect()
    }

    #[test]
    fn a_transaction_needs_what_its_parts_need() {
        let request = json!({"TransactItems": [
            {"Put": {"TableName": "EventStore"}},
            {"Update": {"TableName": "Stock"}},
            {"Update": {"TableName": "Stock"}},
            {"ConditionCheck": {"TableName": "Stock"}},
        ]});
        assert_eq!(
            needed("dynamodb", "TransactWriteItems", request),
            [
                "dynamodb:ConditionCheckItem arn:aws:dynamodb:eu-west-1:1:table/Stock",
                "dynamodb:PutItem arn:aws:dynamodb:eu-west-1:1:table/EventStore",
                "dynamodb:UpdateItem arn:aws:dynamodb:eu-west-1:1:table/Stock",
            ]
        );
    }

    #[test]
    fn what_a_key_is_used_for_is_told_to_the_policy() {
        let request = json!({"KeyId": "arn:aws:kms:eu-west-1:1:key/k",
            "EncryptionContext": {"purpose": "personal-data", "userId": "ann"}});
        let needed = SITE.accesses("kms", "Decrypt", &request);
        let context = [("purpose", "personal-data"), ("userId", "ann")];
        let expected = Access {
            action: "kms:Decrypt".to_owned(),
            resource: "arn:aws:kms:eu-west-1:1:key/k".to_owned(),
            context: context
                .map(|(name, value)| (format!("kms:EncryptionContext:{name}"), value.to_owned()))
                .into(),
        };
        assert_eq!(needed, BTreeSet::from([expected]));
    }

    #[test]
    fn each_service_names_its_resource_as_policies_do() {
        let stream = "arn:aws:dynamodb:eu-west-1:1:table/EventStore/stream/x";
        for (service, operation, request, expected) in [
            (
                "dynamodb",
                "Query",
                json!({"TableName": "Orders", "IndexName": "open"}),
                "dynamodb:Query arn:aws:dynamodb:eu-west-1:1:table/Orders/index/open",
            ),
            (
                "dynamodb",
                "BatchWriteItem",
                json!({"RequestItems": {"Orders": []}}),
                "dynamodb:BatchWriteItem arn:aws:dynamodb:eu-west-1:1:table/Orders",
            ),
            (
                "dynamodbstreams",
                "GetRecords",
                json!({"ShardIterator": format!("{stream}|7")}),
                "dynamodb:GetRecords arn:aws:dynamodb:eu-west-1:1:table/EventStore/stream/x",
            ),
            (
                "sqs",
                "SendMessageBatch",
                json!({"QueueUrl": "http://127.0.0.1:1/1/a-dlq"}),
                "sqs:SendMessage arn:aws:sqs:eu-west-1:1:a-dlq",
            ),
            (
                "events",
                "PutEvents",
                json!({"Entries": [{"EventBusName": "orders"}, {"EventBusName": "orders"}]}),
                "events:PutEvents arn:aws:events:eu-west-1:1:event-bus/orders",
            ),
            (
                "s3",
                "HeadObject",
                json!({"Bucket": "b", "Key": "day=1/a"}),
                "s3:GetObject arn:aws:s3:::b/day=1/a",
            ),
            (
                "s3",
                "ListObjectsV2",
                json!({"Bucket": "b", "prefix": "day=1/"}),
                "s3:ListBucket arn:aws:s3:::b",
            ),
            (
                "firehose",
                "PutRecord",
                json!({"DeliveryStreamName": "d"}),
                "firehose:PutRecord arn:aws:firehose:eu-west-1:1:deliverystream/d",
            ),
            (
                "sns",
                "Publish",
                json!({"TopicArn": "arn:aws:sns:eu-west-1:1:t"}),
                "sns:Publish arn:aws:sns:eu-west-1:1:t",
            ),
            (
                "kinesis",
                "PutRecords",
                json!({"StreamName": "s"}),
                "kinesis:PutRecords arn:aws:kinesis:eu-west-1:1:stream/s",
            ),
            (
                "kinesis",
                "GetRecords",
                json!({"ShardIterator": "arn:aws:kinesis:eu-west-1:1:stream/s|shard|7"}),
                "kinesis:GetRecords arn:aws:kinesis:eu-west-1:1:stream/s",
            ),
            (
                "ssm",
                "GetParameter",
                json!({"Name": "/a/b"}),
                "ssm:GetParameter arn:aws:ssm:eu-west-1:1:parameter/a/b",
            ),
            (
                "logs",
                "FilterLogEvents",
                json!({"logGroupName": "/g"}),
                "logs:FilterLogEvents arn:aws:logs:eu-west-1:1:log-group:/g:log-stream:",
            ),
            (
                "lambda",
                "Invoke",
                json!({"FunctionName": "a:live"}),
                "lambda:InvokeFunction arn:aws:lambda:eu-west-1:1:function:a:live",
            ),
        ] {
            assert_eq!(needed(service, operation, request), [expected]);
        }
        assert!(needed("sts", "GetCallerIdentity", json!({})).is_empty());
    }
}
