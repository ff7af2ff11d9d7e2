//! SNS: `Publish`, recorded and sent to nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::ApiError;
use crate::clock::now_millis;
use crate::meter::Usage;

/// Largest message: 256 KB.
/// <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
const MAX_MESSAGE_BYTES: usize = 256 * 1024;
/// Characters of a subject.
const MAX_SUBJECT_CHARS: usize = 100;

/// A message that a topic took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TopicMessage {
    /// The id the publisher got.
    pub message_id: String,
    /// Milliseconds since the Unix epoch.
    pub at_millis: u64,
    /// ARN of the topic.
    pub topic: String,
    /// `Subject`, empty for none.
    pub subject: String,
    /// The message.
    pub message: String,
    /// Message attributes of type String, by name.
    pub attributes: BTreeMap<String, String>,
}

#[derive(Debug, Default)]
pub(crate) struct Topics {
    arns: Mutex<BTreeSet<String>>,
    published: Mutex<Vec<TopicMessage>>,
}

impl Topics {
    pub(crate) fn create(&self, arn: &str) {
        let mut arns = self.arns.lock().unwrap_or_else(PoisonError::into_inner);
        arns.insert(arn.to_owned());
    }

    pub(crate) fn published(&self) -> Vec<TopicMessage> {
        let published = self.published.lock();
        published.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn call(
        &self,
        operation: &str,
        request: &Value,
        usage: &mut Usage,
    ) -> Result<Value, ApiError> {
        if operation != "Publish" {
            return Err(ApiError::unknown_operation("sns", operation));
        }
        let text = |name: &str| request[name].as_str().unwrap_or_default().to_owned();
        let (topic, message, subject) = (text("TopicArn"), text("Message"), text("Subject"));
        usage.add_entry(&topic, message.len());
        let arns = self.arns.lock().unwrap_or_else(PoisonError::into_inner);
        if !arns.contains(&topic) {
            let missing = ApiError::new("NotFound", "Topic does not exist");
            return Err(ApiError {
                status: 404,
                ..missing
            });
        }
        drop(arns);
        let invalid = |what: &str| ApiError::new("InvalidParameter", what);
        if message.is_empty() || message.len() > MAX_MESSAGE_BYTES {
            return Err(invalid("Invalid parameter: Message: 1 to 262144 bytes"));
        }
        if subject.chars().count() > MAX_SUBJECT_CHARS || subject.contains(['\n', '\r']) {
            return Err(invalid("Invalid parameter: Subject"));
        }
        let attributes = request["MessageAttributes"].as_object();
        let attributes = attributes.into_iter().flatten().map(|(name, value)| {
            let value = value["StringValue"].as_str().unwrap_or_default();
            (name.clone(), value.to_owned())
        });
        let message_id = Uuid::new_v4().to_string();
        let taken = TopicMessage {
            message_id: message_id.clone(),
            at_millis: now_millis(),
            topic,
            subject,
            message,
            attributes: attributes.collect(),
        };
        let mut published = self
            .published
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        published.push(taken);
        Ok(json!({"MessageId": message_id}))
    }
}

/// The request in a form of the query protocol.
pub(crate) fn request(form: &BTreeMap<String, String>) -> Value {
    let names = ["TopicArn", "Message", "Subject"];
    let told = names.into_iter().filter_map(|name| {
        let value = form.get(name)?;
        Some((name.to_owned(), json!(value)))
    });
    let mut request = Map::from_iter(told);
    let entry = |number: usize| {
        let member = |rest: &str| form.get(&format!("MessageAttributes.entry.{number}.{rest}"));
        Some((
            member("Name")?.clone(),
            json!({
                "DataType": member("Value.DataType"),
                "StringValue": member("Value.StringValue"),
            }),
        ))
    };
    let attributes = (1..).map_while(entry);
    request.insert("MessageAttributes".to_owned(), attributes.collect());
    Value::Object(request)
}

/// The answer in the query protocol.
pub(crate) fn answer(answer: &Value) -> String {
    let id = answer["MessageId"].as_str().unwrap_or_default();
    format!(
        "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult>\
         <MessageId>{id}</MessageId></PublishResult><ResponseMetadata><RequestId>{}</RequestId>\
         </ResponseMetadata></PublishResponse>",
        Uuid::new_v4()
    )
}
