//! Creating queues, their attributes, and what a `RedrivePolicy` may say.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{MAX_MESSAGE_BYTES, Sqs, queue_of};
use crate::ApiError;

/// `maxReceiveCount` of a `RedrivePolicy`
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html>).
const RECEIVE_COUNTS: std::ops::RangeInclusive<u64> = 1..=1000;

impl Sqs {
    /// `CreateQueue`, where AWS wants the dead-letter queue to exist already.
    pub(super) async fn create(&self, request: Value) -> Result<Value, ApiError> {
        self.check_target_exists(&request)?;
        self.create_in_any_order(request).await
    }

    async fn create_in_any_order(&self, mut request: Value) -> Result<Value, ApiError> {
        let name = request["QueueName"].as_str().unwrap_or_default().to_owned();
        if name.strip_suffix(".fifo").is_some() {
            return Err(ApiError::new(
                "InvalidParameterValue",
                format!("the local AWS endpoint has no FIFO queues ({name})"),
            ));
        }
        redrive_target(&request)?;
        let attributes = &mut request["Attributes"];
        if attributes.is_null() {
            *attributes = json!({});
        }
        let Value::Object(attributes) = attributes else {
            return Err(ApiError::serialization("Attributes must be an object"));
        };
        // The engine's default is from before August 2025. Of a queue that
        // exists, only attributes that were asked for are compared.
        if self.depth(&name).is_none() {
            attributes
                .entry("MaximumMessageSize")
                .or_insert_with(|| json!(MAX_MESSAGE_BYTES.to_string()));
        }
        self.engine("CreateQueue", request).await?;
        self.keep().await?;
        Ok(json!({"QueueUrl": self.url(&name)}))
    }

    pub(super) async fn set_attributes(&self, request: Value) -> Result<Value, ApiError> {
        self.check_exists(queue_of(&request).unwrap_or_default())?;
        self.check_target_exists(&request)?;
        self.set_attributes_in_any_order(request).await
    }

    async fn set_attributes_in_any_order(&self, request: Value) -> Result<Value, ApiError> {
        redrive_target(&request)?;
        let redrive = self.redrive.lock().await;
        let answer = self.engine("SetQueueAttributes", request).await?;
        drop(redrive);
        self.keep().await?;
        Ok(answer)
    }

    /// Creates a queue, or finds it and gives it these attributes. A template
    /// names its queues in any order, so a dead-letter queue may come later.
    pub(crate) async fn ensure_queue(
        &self,
        name: &str,
        attributes: &BTreeMap<String, String>,
    ) -> Result<String, ApiError> {
        let url = self.url(name);
        if self.depth(name).is_none() {
            let request = json!({"QueueName": name, "Attributes": attributes});
            self.create_in_any_order(request).await?;
        } else if !attributes.is_empty() {
            let request = json!({"QueueUrl": url, "Attributes": attributes});
            self.set_attributes_in_any_order(request).await?;
        }
        Ok(url)
    }

    fn check_target_exists(&self, request: &Value) -> Result<(), ApiError> {
        match redrive_target(request)? {
            Some(target) if !self.is_queue(&target) => Err(invalid_policy(
                request,
                "Dead letter target does not exist.",
            )),
            _ => Ok(()),
        }
    }

    fn is_queue(&self, arn: &str) -> bool {
        let store = self.service.store();
        let state = store.get(&self.context.account_id, &self.context.region);
        state.queue_name_by_arn(arn).is_some()
    }

    /// Whether exhausted messages of a queue would go to a queue that does not
    /// exist. The engine would lose them; on AWS they stay.
    pub(super) fn has_lost_target(&self, queue: &str) -> bool {
        let target = {
            let store = self.service.store();
            let state = store.get(&self.context.account_id, &self.context.region);
            let queue = state.queues.get(queue);
            queue.and_then(|queue| {
                Some(
                    queue
                        .redrive_policy
                        .as_ref()?
                        .dead_letter_target_arn
                        .clone(),
                )
            })
        };
        target.is_some_and(|target| !self.is_queue(&target))
    }

    /// Lets a queue keep exhausted messages, or follow its policy again.
    pub(super) fn suspend_redrive(&self, queue: &str, suspended: bool) {
        let store = self.service.store();
        let state = store.get(&self.context.account_id, &self.context.region);
        if let Some(mut queue) = state.queues.get_mut(queue) {
            if suspended {
                queue.redrive_policy = None;
            } else {
                queue.refresh_redrive_policy();
            }
        }
    }
}

/// ARN of the dead-letter queue in a request's `RedrivePolicy`. An empty
/// policy takes the one that a queue has away.
fn redrive_target(request: &Value) -> Result<Option<String>, ApiError> {
    let policy = match &request["Attributes"]["RedrivePolicy"] {
        Value::Null => return Ok(None),
        Value::String(text) if text.is_empty() => return Ok(None),
        Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
        _ => Value::Null,
    };
    let Value::Object(policy) = policy else {
        let why = "Redrive policy is not a valid JSON map.";
        return Err(invalid_policy(request, why));
    };
    let missing = |member: &str| {
        let why = format!("Redrive policy does not contain mandatory attribute: {member}.");
        invalid_policy(request, &why)
    };
    let count = policy
        .get("maxReceiveCount")
        .ok_or_else(|| missing("maxReceiveCount"))?;
    // Both 3 and "3" are taken.
    let number = count
        .as_u64()
        .or_else(|| count.as_str().and_then(|text| text.parse().ok()));
    if !number.is_some_and(|number| RECEIVE_COUNTS.contains(&number)) {
        let why = format!(
            "Invalid value for maxReceiveCount: {count}, valid values are from 1 to 1000 both \
             inclusive."
        );
        return Err(invalid_policy(request, &why));
    }
    let target = policy
        .get("deadLetterTargetArn")
        .ok_or_else(|| missing("deadLetterTargetArn"))?;
    match target.as_str().filter(|arn| arn.starts_with("arn:")) {
        Some(arn) => Ok(Some(arn.to_owned())),
        None => Err(invalid_policy(
            request,
            "Invalid value for deadLetterTargetArn.",
        )),
    }
}

fn invalid_policy(request: &Value, why: &str) -> ApiError {
    let policy = &request["Attributes"]["RedrivePolicy"];
    let shown = policy.as_str().unwrap_or("that is not a string");
    ApiError::new(
        "InvalidParameterValue",
        format!("Value {shown} for parameter RedrivePolicy is invalid. Reason: {why}"),
    )
}
