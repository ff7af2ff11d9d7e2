//! Where events end that were given up: the queues of the template, by ARN.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use aws_endpoint::{ApiError, Endpoint};
use lambda_host::destination::Destination;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::given_up::BatchRange;
use crate::history::History;

/// Longest value of a message attribute that is sent, in bytes: an error text may be long.
const ATTRIBUTE_BYTES: usize = 1024;

/// A message that a delivery gave up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Name of the queue.
    pub queue: String,
    /// The message.
    pub body: String,
    /// Its attributes.
    pub attributes: BTreeMap<String, String>,
    /// The stream records that it is about, where it only says which they are.
    pub records: Vec<Value>,
}

/// The queues of the stack. Clones are the same.
#[derive(Clone)]
pub struct Queues {
    endpoint: Weak<Endpoint>,
    names: Arc<BTreeMap<String, String>>,
    history: Arc<History>,
}

/// Why a message was not sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The template has no such queue.
    #[error("there is no queue {0}")]
    NoQueue(String),
    /// The endpoint is shutting down.
    #[error("the AWS endpoint is shutting down")]
    Gone,
    /// The queue refused it.
    #[error(transparent)]
    Refused(#[from] ApiError),
}

impl Queues {
    /// `names`: name of each queue by its ARN. What is given up goes into the history.
    pub(crate) fn new(
        endpoint: Weak<Endpoint>,
        names: BTreeMap<String, String>,
        history: Arc<History>,
    ) -> Self {
        Self {
            endpoint,
            names: Arc::new(names),
            history,
        }
    }

    /// Sends one message.
    pub(crate) async fn send(
        &self,
        arn: &str,
        body: &str,
        attributes: &BTreeMap<String, String>,
    ) -> Result<(), SendError> {
        let name = self
            .names
            .get(arn)
            .ok_or_else(|| SendError::NoQueue(arn.to_owned()))?;
        let endpoint = self.endpoint.upgrade().ok_or(SendError::Gone)?;
        let attributes: serde_json::Map<String, Value> = attributes
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| {
                let value = cut(value, ATTRIBUTE_BYTES);
                let attribute = json!({"DataType": "String", "StringValue": value});
                (name.clone(), attribute)
            })
            .collect();
        let request = json!({
            "QueueUrl": endpoint.queue_url(name),
            "MessageBody": body,
            "MessageAttributes": attributes,
        });
        endpoint.call("sqs", "SendMessage", request).await?;
        Ok(())
    }

    /// Sends what a delivery gives up.
    pub(crate) async fn give_up(
        &self,
        arn: &str,
        body: &str,
        attributes: &BTreeMap<String, String>,
    ) -> Result<(), SendError> {
        self.send(arn, body, attributes).await?;
        self.history.given_up(DeadLetter {
            queue: queue_name(arn).to_owned(),
            body: body.to_owned(),
            attributes: attributes.clone(),
            records: self.records(body),
        });
        Ok(())
    }

    /// The records that a stream mapping's message is about. They are in the stream still: its
    /// reader has not passed them.
    pub(crate) fn records(&self, body: &str) -> Vec<Value> {
        let endpoint = self.endpoint.upgrade();
        let range = BatchRange::of(body);
        endpoint
            .zip(range)
            .and_then(|(endpoint, range)| Some(range.read(&endpoint.stream(&range.table)?)))
            .unwrap_or_default()
    }
}

impl Destination for Queues {
    async fn deliver(
        &self,
        arn: &str,
        body: String,
        attributes: BTreeMap<String, String>,
    ) -> Result<(), String> {
        self.give_up(arn, &body, &attributes)
            .await
            .map_err(|error| error.to_string())
    }
}

/// The name in a queue's ARN.
#[must_use]
pub fn queue_name(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}

fn cut(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
