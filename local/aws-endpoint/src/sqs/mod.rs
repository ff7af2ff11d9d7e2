//! SQS: `awsim-sqs`' standard queues, with AWS's limits in front, receive
//! counts put right, and a snapshot on disk before a change is answered.

mod kept;
mod messages;
mod queues;

use std::net::SocketAddr;
use std::path::Path;

use awsim_core::{RequestContext, ServiceHandler};
use awsim_sqs::SqsService;
use serde_json::{Value, json};
use tokio::sync::{Mutex, Notify};

use crate::meter::Usage;
use crate::{ApiError, EndpointError};
use kept::Kept;

/// Largest message, and largest batch: 1 MiB since August 2025.
pub const MAX_MESSAGE_BYTES: usize = 1024 * 1024;

/// How many messages a queue holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueDepth {
    /// Ready to be received.
    pub visible: usize,
    /// Received and not yet deleted.
    pub in_flight: usize,
    /// Sent with a delay that is not over.
    pub delayed: usize,
}

pub(crate) struct Sqs {
    service: SqsService,
    context: RequestContext,
    base_url: String,
    /// Wakes long polls when something was sent.
    sent: Notify,
    /// Held while messages are taken, and by what changes where exhausted ones
    /// go: a dead-letter queue that is found is there until they are in it.
    redrive: Mutex<()>,
    kept: Option<Kept>,
}

impl Sqs {
    pub(crate) fn open(
        directory: Option<&Path>,
        address: SocketAddr,
        region: &str,
        account: &str,
    ) -> Result<Self, EndpointError> {
        let service = SqsService::new();
        let kept = directory.map(|directory| Kept::new(&directory.join("queues.json")));
        if let Some(kept) = &kept {
            kept.restore(&service)?;
        }
        let mut context = RequestContext::new_with_account("sqs", region, account);
        context.endpoint_authority = Some(address.to_string());
        Ok(Self {
            service,
            context,
            base_url: format!("http://{address}/{account}"),
            sent: Notify::new(),
            redrive: Mutex::default(),
            kept,
        })
    }

    pub(crate) async fn call(
        &self,
        operation: &str,
        mut request: Value,
        usage: &mut Usage,
    ) -> Result<Value, ApiError> {
        let queue = queue_of(&request).map(str::to_owned);
        if let Some(queue) = &queue {
            usage.resource(queue);
        }
        match operation {
            "CreateQueue" => self.create(request).await,
            "SetQueueAttributes" => self.set_attributes(request).await,
            "GetQueueUrl" => {
                let name = request["QueueName"].as_str().unwrap_or_default().to_owned();
                self.engine(operation, request).await?;
                Ok(json!({"QueueUrl": self.url(&name)}))
            }
            "ListQueues" => {
                let mut answer = self.engine(operation, request).await?;
                for url in answer["QueueUrls"].as_array_mut().into_iter().flatten() {
                    let name = url.as_str().and_then(last_segment).unwrap_or_default();
                    *url = json!(self.url(name));
                }
                Ok(answer)
            }
            "GetQueueAttributes" => {
                if request["AttributeNames"]
                    .as_array()
                    .is_none_or(Vec::is_empty)
                {
                    // AWS gives what is asked for, the engine everything.
                    request["AttributeNames"] = json!(["QueueArn"]);
                    self.engine(operation, request).await?;
                    return Ok(json!({}));
                }
                self.engine(operation, request).await
            }
            "SendMessage" => {
                let size = self.check_message(&request, queue.as_deref())?;
                usage.add_entry(queue.as_deref().unwrap_or_default(), size);
                let answer = self.engine(operation, request).await?;
                self.keep().await?;
                self.sent.notify_waiters();
                Ok(answer)
            }
            "SendMessageBatch" | "DeleteMessageBatch" | "ChangeMessageVisibilityBatch" => {
                self.batch(operation, request, usage).await
            }
            "ReceiveMessage" => self.receive(request, queue.as_deref(), usage).await,
            "DeleteMessage" => {
                self.delete(request).await?;
                self.keep().await?;
                Ok(json!({}))
            }
            "ChangeMessageVisibility" => {
                self.change_visibility(request).await?;
                self.keep().await?;
                Ok(json!({}))
            }
            "DeleteQueue" => {
                let redrive = self.redrive.lock().await;
                let answer = self.engine(operation, request).await?;
                drop(redrive);
                self.keep().await?;
                Ok(answer)
            }
            "PurgeQueue" | "TagQueue" | "UntagQueue" => {
                let answer = self.engine(operation, request).await?;
                self.keep().await?;
                Ok(answer)
            }
            "ListQueueTags" | "ListDeadLetterSourceQueues" => self.engine(operation, request).await,
            _ => Err(ApiError::unknown_operation("sqs", operation)),
        }
    }

    async fn engine(&self, operation: &str, request: Value) -> Result<Value, ApiError> {
        let mut answer = self
            .service
            .handle(operation, request, &self.context)
            .await
            .map_err(|error| {
                let mut error = ApiError::from(error);
                error.status = 400;
                error
            })?;
        if let Value::Object(members) = &mut answer {
            members.remove("__headers");
        }
        Ok(answer)
    }

    async fn keep(&self) -> Result<(), ApiError> {
        let Some(kept) = &self.kept else {
            return Ok(());
        };
        kept.save(&self.service)
            .await
            .map_err(|error| ApiError::internal(error.to_string()))
    }

    pub(crate) fn url(&self, name: &str) -> String {
        format!("{}/{name}", self.base_url)
    }

    pub(crate) fn depth(&self, name: &str) -> Option<QueueDepth> {
        let store = self.service.store();
        let state = store.get(&self.context.account_id, &self.context.region);
        let mut queue = state.queues.get_mut(name)?;
        queue.tick();
        Some(QueueDepth {
            visible: queue.approximate_number_of_messages(),
            in_flight: queue.approximate_number_of_messages_not_visible(),
            delayed: queue.approximate_number_of_messages_delayed(),
        })
    }
}

fn queue_of(request: &Value) -> Option<&str> {
    let url = request.get("QueueUrl").or_else(|| request.get("QueueName"));
    last_segment(url?.as_str()?)
}

fn last_segment(url: &str) -> Option<&str> {
    url.rsplit('/').next().filter(|name| !name.is_empty())
}

/// The shape that AWS's JSON protocol names for an error of its older query
/// protocol; the engine and `x-amzn-query-error` speak the older one.
pub(crate) fn error_shape(code: &str) -> &str {
    match code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(code) {
        "NonExistentQueue" => "QueueDoesNotExist",
        "QueueAlreadyExists" => "QueueNameExists",
        shape => shape,
    }
}
