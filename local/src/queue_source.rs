//! A queue, as a mapping reads it.

use std::sync::Weak;
use std::time::Duration;

use aws_endpoint::Endpoint;
use lambda_host::queue_mapping::{QueueMessage, QueueSource};
use serde_json::{Map, Value, json};

/// Waits shorter than a second are cut into looks this far apart.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A queue of the endpoint.
pub(crate) struct LocalQueue {
    endpoint: Weak<Endpoint>,
    name: String,
    arn: String,
    region: String,
}

impl LocalQueue {
    pub(crate) fn new(endpoint: Weak<Endpoint>, name: String, arn: String, region: String) -> Self {
        Self {
            endpoint,
            name,
            arn,
            region,
        }
    }

    async fn call(&self, operation: &str, mut request: Value) -> Result<Value, String> {
        let endpoint = self.endpoint.upgrade().ok_or("the AWS endpoint is gone")?;
        request["QueueUrl"] = json!(endpoint.queue_url(&self.name));
        endpoint
            .call("sqs", operation, request)
            .await
            .map_err(|error| error.to_string())
    }

    /// One batch operation over up to 10 handles at a time.
    async fn each(&self, operation: &str, handles: &[String], more: &Value) -> Result<(), String> {
        for part in handles.chunks(10) {
            let entries: Vec<Value> = part
                .iter()
                .enumerate()
                .map(|(index, handle)| {
                    let mut entry = more.clone();
                    entry["Id"] = json!(index.to_string());
                    entry["ReceiptHandle"] = json!(handle);
                    entry
                })
                .collect();
            let answer = self.call(operation, json!({"Entries": entries})).await?;
            if let Some(failed) = answer["Failed"]
                .as_array()
                .and_then(|failed| failed.first())
            {
                return Err(failed.to_string());
            }
        }
        Ok(())
    }

    /// The message as a function gets it.
    fn record(&self, message: &Value) -> Value {
        let attributes = message["MessageAttributes"].as_object();
        let attributes: Map<String, Value> = attributes
            .into_iter()
            .flatten()
            .map(|(name, value)| {
                let mut attribute = json!({
                    "dataType": value["DataType"],
                    "stringListValues": [],
                    "binaryListValues": [],
                });
                for (from, to) in [
                    ("StringValue", "stringValue"),
                    ("BinaryValue", "binaryValue"),
                ] {
                    if let Some(value) = value.get(from) {
                        attribute[to] = value.clone();
                    }
                }
                (name.clone(), attribute)
            })
            .collect();
        json!({
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message.get("Attributes").unwrap_or(&json!({})),
            "messageAttributes": attributes,
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": self.arn,
            "awsRegion": self.region,
        })
    }
}

impl QueueSource for LocalQueue {
    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<QueueMessage>, String> {
        let request = json!({
            "MaxNumberOfMessages": max.clamp(1, 10),
            "WaitTimeSeconds": wait.as_secs().min(20),
            "AttributeNames": ["All"],
            "MessageAttributeNames": ["All"],
        });
        let answer = self.call("ReceiveMessage", request).await?;
        let messages: Vec<QueueMessage> = answer["Messages"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|message| QueueMessage {
                message_id: message["MessageId"].as_str().unwrap_or_default().to_owned(),
                receipt_handle: message["ReceiptHandle"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
                json: self.record(message),
            })
            .collect();
        if messages.is_empty() && wait.as_secs() == 0 {
            tokio::time::sleep(wait.min(LOOK_AGAIN)).await;
        }
        Ok(messages)
    }

    async fn delete(&self, receipt_handles: Vec<String>) -> Result<(), String> {
        self.each("DeleteMessageBatch", &receipt_handles, &json!({}))
            .await
    }

    async fn change_visibility(
        &self,
        receipt_handles: Vec<String>,
        visible_after: Duration,
    ) -> Result<(), String> {
        let more = json!({"VisibilityTimeout": visible_after.as_secs()});
        self.each("ChangeMessageVisibilityBatch", &receipt_handles, &more)
            .await
    }
}
