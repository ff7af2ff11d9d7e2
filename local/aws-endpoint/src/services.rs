//! All services of one endpoint, and which of them a call is for.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde_json::{Value, json};

use crate::ApiError;
use crate::access::{Permissions, Site};
use crate::buckets::Buckets;
use crate::dynamodb::DynamoDb;
use crate::events::Events;
use crate::faults::Faults;
use crate::firehose::Firehose;
use crate::functions::Functions;
use crate::kinesis::Kinesis;
use crate::kms::Kms;
use crate::logs::Logs;
use crate::mail::Mail;
use crate::meter::{Meter, Usage};
use crate::parameters::Parameters;
use crate::sites::Sites;
use crate::sqs::Sqs;
use crate::streams::api;
use crate::topics::Topics;

/// All services behind one address.
pub(crate) struct Services {
    pub(crate) dynamodb: DynamoDb,
    pub(crate) sqs: Sqs,
    pub(crate) events: Events,
    pub(crate) functions: Functions,
    pub(crate) parameters: Parameters,
    pub(crate) kinesis: Kinesis,
    pub(crate) firehose: Firehose,
    pub(crate) buckets: Buckets,
    pub(crate) topics: Topics,
    pub(crate) kms: Kms,
    pub(crate) logs: Logs,
    pub(crate) mail: Mail,
    pub(crate) sites: Sites,
    pub(crate) meter: Meter,
    pub(crate) faults: Option<Arc<dyn Faults>>,
    pub(crate) latency: Duration,
    pub(crate) permissions: RwLock<Option<Arc<dyn Permissions>>>,
    pub(crate) region: String,
    pub(crate) account: String,
}

impl Services {
    /// Refuses what the caller may not do, as IAM does.
    pub(crate) fn authorize(
        &self,
        caller: &str,
        service: &str,
        operation: &str,
        request: &Value,
    ) -> Result<(), ApiError> {
        let permissions = self.permissions.read();
        let permissions = permissions.unwrap_or_else(PoisonError::into_inner).clone();
        let Some(permissions) = permissions else {
            return Ok(());
        };
        let site = Site {
            region: &self.region,
            account: &self.account,
        };
        for access in site.accesses(service, operation, request) {
            if !permissions.allows(caller, &access) {
                return Err(ApiError::access_denied(caller, service, &access));
            }
        }
        Ok(())
    }

    pub(crate) async fn call(
        &self,
        service: &str,
        operation: &str,
        request: Value,
        failing_entries: &[usize],
        usage: &mut Usage,
    ) -> Result<Value, ApiError> {
        match service {
            "dynamodb" => self.dynamodb.call(operation, request, usage).await,
            "dynamodbstreams" => api::call(&self.dynamodb.streams(), operation, &request),
            "sqs" => self.sqs.call(operation, request, usage).await,
            "events" => {
                self.events
                    .call(operation, request, failing_entries, usage)
                    .await
            }
            "ssm" => self.parameters.call(operation, &request),
            "firehose" => self.firehose.call(operation, &request, usage),
            "sns" => self.topics.call(operation, &request, usage),
            "kinesis" => self
                .kinesis
                .call(operation, &request, failing_entries, usage),
            "kms" => self.kms.call(operation, &request),
            "logs" => self.logs.call(operation, &request),
            "ses" => self.mail.call(operation, request),
            "sts" if operation == "GetCallerIdentity" => Ok(json!(caller_identity(&self.account))),
            _ => Err(ApiError::unknown_operation(service, operation)),
        }
    }
}

/// Whether a call ends when its caller hangs up. Writes do not, so that none
/// stops halfway. A receive does: a message that it took afterwards would be
/// hidden from everybody else until its visibility timeout is over.
pub(crate) fn ends_with_its_caller(service: &str, operation: &str) -> bool {
    service == "sqs" && operation == "ReceiveMessage"
}

fn caller_identity(account: &str) -> String {
    format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <GetCallerIdentityResult><Arn>arn:aws:iam::{account}:user/local</Arn>\
         <UserId>local</UserId><Account>{account}</Account></GetCallerIdentityResult>\
         <ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata>\
         </GetCallerIdentityResponse>",
        uuid::Uuid::new_v4()
    )
}
