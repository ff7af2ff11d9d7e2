//! Wrapped keys in a table: one item per subject, partition key `userId` (S). `wrappedKey` (B) and
//! `madeAt` are there while there is a key, `erasedAt` and `erasedBy` from the first erasure on.

use crate::dynamodb_event_store::describe;
use crate::dynamodb_item::Item;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use event_sourcing::sealing::keys::{Kept, KeyErasure, SubjectKeyTable};
use event_sourcing::sealing::{Erasure, KeyRecord, SealingError, WrappedKey};
use jiff::Timestamp;

/// The table of wrapped keys.
#[derive(Debug, Clone)]
pub struct DynamoDbSubjectKeys {
    client: Client,
    table: String,
}

impl DynamoDbSubjectKeys {
    /// The keys in `table`.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
        }
    }

    /// A conditional change of a subject's item; the item as it is when the condition fails.
    async fn change(
        &self,
        subject: &str,
        change: impl FnOnce(UpdateItemFluentBuilder) -> UpdateItemFluentBuilder,
    ) -> Result<Option<Item>, SealingError> {
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("userId", AttributeValue::S(subject.to_owned()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        // Boxed here and below: the SDK's futures are large, and callers nest them.
        match Box::pin(change(request).send()).await {
            Ok(_) => Ok(None),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    failed.item().cloned().map(Some).ok_or_else(|| {
                        SealingError::Unavailable("the item did not come back".into())
                    })
                }
                _ => Err(classify(&error)),
            },
        }
    }
}

impl SubjectKeyTable for DynamoDbSubjectKeys {
    async fn find(&self, subject: &str) -> Result<KeyRecord, SealingError> {
        let request = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("userId", AttributeValue::S(subject.to_owned()))
            .consistent_read(true);
        let answer = Box::pin(request.send())
            .await
            .map_err(|error| classify(&error))?;
        answer.item().map_or(Ok(KeyRecord::default()), record)
    }

    async fn keep(
        &self,
        subject: &str,
        key: &WrappedKey,
        at: Timestamp,
    ) -> Result<Kept, SealingError> {
        let there = self.change(subject, |request| {
            request
                .update_expression("SET wrappedKey = :key, madeAt = :at")
                .condition_expression("attribute_not_exists(wrappedKey)")
                .expression_attribute_values(":key", AttributeValue::B(Blob::new(key.0.clone())))
                .expression_attribute_values(":at", AttributeValue::S(at.to_string()))
        });
        let Some(there) = there.await? else {
            return Ok(Kept::New);
        };
        let there = record(&there)?.key;
        there
            .map(Kept::There)
            .ok_or_else(|| unreadable("wrappedKey"))
    }
}

impl KeyErasure for DynamoDbSubjectKeys {
    async fn erase(&self, subject: &str, erasure: &Erasure) -> Result<Erasure, SealingError> {
        let there = self.change(subject, |request| {
            request
                .update_expression("SET erasedAt = :at, erasedBy = :by REMOVE wrappedKey, madeAt")
                .condition_expression(
                    "attribute_exists(wrappedKey) OR attribute_not_exists(erasedAt)",
                )
                .expression_attribute_values(":at", AttributeValue::S(erasure.at.to_string()))
                .expression_attribute_values(":by", AttributeValue::S(erasure.by.clone()))
        });
        let Some(there) = there.await? else {
            return Ok(erasure.clone());
        };
        let earlier = record(&there)?.erasure;
        earlier.ok_or_else(|| unreadable("erasedAt"))
    }
}

fn record(item: &Item) -> Result<KeyRecord, SealingError> {
    let text = |name: &'static str| item.get(name).and_then(|value| value.as_s().ok());
    let key = match item.get("wrappedKey") {
        None => None,
        Some(AttributeValue::B(key)) => Some(WrappedKey(key.as_ref().to_vec())),
        Some(_) => return Err(unreadable("wrappedKey")),
    };
    let erasure = match (item.get("erasedAt"), text("erasedBy")) {
        (None, _) => None,
        (Some(AttributeValue::S(at)), Some(by)) => Some(Erasure {
            at: at.parse().map_err(|_| unreadable("erasedAt"))?,
            by: by.clone(),
        }),
        (Some(_), _) => return Err(unreadable("erasedAt or erasedBy")),
    };
    Ok(KeyRecord { key, erasure })
}

fn unreadable(name: &str) -> SealingError {
    SealingError::Refused(format!("{name} of the item is not what it must be"))
}

fn classify<E>(error: &SdkError<E>) -> SealingError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match error.code() {
        Some("ValidationException" | "AccessDeniedException" | "ResourceNotFoundException") => {
            SealingError::Refused(describe(error))
        }
        _ => SealingError::Unavailable(describe(error)),
    }
}
