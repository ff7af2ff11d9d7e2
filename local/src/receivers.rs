//! What takes events besides functions and queues: data streams, delivery streams, topics; and
//! what the roles allow with which they are put there.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use aws_endpoint::{ApiError, Endpoint};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sam_template::policy::{self, Statement};
use sam_template::{JsonPath, Target};
use serde_json::{Value, json};

/// As whom rules call, in the meter.
const RULES: &str = "events.amazonaws.com";

/// The receivers of the stack. Clones are the same.
#[derive(Clone)]
pub(crate) struct Receivers {
    endpoint: Weak<Endpoint>,
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Statements of each role by its ARN; none for one whose policies stand elsewhere.
    roles: BTreeMap<String, Option<Vec<Statement>>>,
    /// ARN of each data stream by its name.
    data_streams: BTreeMap<String, String>,
    /// ARN of each delivery stream by its name.
    delivery_streams: BTreeMap<String, String>,
}

/// Why an event was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PutError {
    /// The role does not allow it.
    #[error("{role} does not allow {action} on {resource}")]
    NotAllowed {
        role: String,
        action: &'static str,
        resource: String,
    },
    /// The endpoint is shutting down.
    #[error("the AWS endpoint is shutting down")]
    Gone,
    /// The receiver refused it.
    #[error(transparent)]
    Refused(#[from] ApiError),
}

impl Receivers {
    pub(crate) fn of(endpoint: Weak<Endpoint>, stack: &sam_template::Stack) -> Self {
        let roles = stack.roles.iter();
        let data = stack.kinesis_streams.iter();
        let deliveries = stack.delivery_streams.iter();
        let inner = Inner {
            roles: roles
                .map(|role| (role.arn.clone(), role.permissions.clone()))
                .collect(),
            data_streams: data
                .map(|one| (one.name.clone(), one.arn.clone()))
                .collect(),
            delivery_streams: deliveries
                .map(|one| (one.name.clone(), one.arn.clone()))
                .collect(),
        };
        Self {
            endpoint,
            inner: Arc::new(inner),
        }
    }

    /// ARN of a target that is none of a function, as far as it is known.
    pub(crate) fn arn(&self, target: &Target) -> Option<String> {
        match target {
            Target::Kinesis { stream, .. } => self.inner.data_streams.get(stream).cloned(),
            Target::Firehose { stream } => self.inner.delivery_streams.get(stream).cloned(),
            Target::Queue { arn, .. } | Target::Topic { arn } => Some(arn.clone()),
            Target::Bus { name } => Some(name.clone()),
            Target::Function { .. } => None,
        }
    }

    /// Puts a record into a data stream.
    pub(crate) async fn put_record(
        &self,
        role: Option<&str>,
        stream: &str,
        partition_key: &str,
        body: &str,
    ) -> Result<(), PutError> {
        let arn = self.inner.data_streams.get(stream);
        self.check(role, "kinesis:PutRecord", arn)?;
        let request = json!({
            "StreamName": stream,
            "PartitionKey": partition_key,
            "Data": BASE64.encode(body),
        });
        self.call("kinesis", "PutRecord", request).await
    }

    /// Puts a record into a delivery stream.
    pub(crate) async fn deliver(
        &self,
        role: Option<&str>,
        stream: &str,
        body: &str,
    ) -> Result<(), PutError> {
        let arn = self.inner.delivery_streams.get(stream);
        self.check(role, "firehose:PutRecord", arn)?;
        let record = json!({"Data": BASE64.encode(body)});
        let request = json!({"DeliveryStreamName": stream, "Record": record});
        self.call("firehose", "PutRecord", request).await
    }

    /// Publishes a message to a topic.
    pub(crate) async fn publish(&self, topic: &str, body: &str) -> Result<(), PutError> {
        let request = json!({"TopicArn": topic, "Message": body});
        self.call("sns", "Publish", request).await
    }

    async fn call(
        &self,
        service: &'static str,
        operation: &'static str,
        request: Value,
    ) -> Result<(), PutError> {
        let endpoint = self.endpoint.upgrade().ok_or(PutError::Gone)?;
        endpoint.call_as(RULES, service, operation, request).await?;
        Ok(())
    }

    /// Whether the role allows it. Of a target without one, and of a role with managed policies, it
    /// is said elsewhere.
    fn check(
        &self,
        role: Option<&str>,
        action: &'static str,
        resource: Option<&String>,
    ) -> Result<(), PutError> {
        let (Some(role), Some(resource)) = (role, resource) else {
            return Ok(());
        };
        match self.inner.roles.get(role) {
            Some(Some(statements)) if !allows(statements, action, resource) => {
                Err(PutError::NotAllowed {
                    role: role.to_owned(),
                    action,
                    resource: resource.clone(),
                })
            }
            _ => Ok(()),
        }
    }
}

/// Whether one of the statements allows this, and none denies it.
pub(crate) fn allows(statements: &[Statement], action: &str, resource: &str) -> bool {
    policy::allowing(statements, action, resource, &BTreeMap::new()).is_some()
}

/// The partition key of an event: what is at the path, or else its id.
pub(crate) fn partition_key(event: &Value, path: Option<&JsonPath>) -> String {
    let told = path.and_then(|path| path.find(event));
    match told.filter(|told| !told.is_null()).unwrap_or(&event["id"]) {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partition_key_is_what_the_path_leads_to_or_else_the_id() {
        let event = json!({"id": "e-1", "detail": {"streamId": "order-1", "version": 3}});
        let key = |path: Option<&str>| {
            let path = path.map(|path| JsonPath::parse(path).unwrap());
            partition_key(&event, path.as_ref())
        };
        assert_eq!(key(Some("$.detail.streamId")), "order-1");
        assert_eq!(key(Some("$.detail.version")), "3");
        assert_eq!(key(Some("$.detail.orderId")), "e-1");
        assert_eq!(key(None), "e-1");
    }
}
