//! How far each stream was mirrored, in a table: one item per stream, partition key `streamId` (S).
//! `mirrored` (N) is the last version that the mirror has, `heldBy` and `heldUntil` (milliseconds
//! since 1970) are there while a call is at the stream.

use crate::dynamodb_event_store::describe;
use crate::dynamodb_item::Item;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure as OnFailure,
};
use event_sourcing::retry::{Retry, Retryable};
use jiff::Timestamp;

/// What asking for a stream came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It is the caller's, until the time that it said.
    Granted {
        /// The last version that the mirror has; 0 for none.
        mirrored: u64,
    },
    /// The mirror has the version already.
    Done,
    /// Another call is at the stream.
    Held,
}

/// The table did not answer, or refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the table of mirrored streams did not take it ({0}); ask again later")]
pub struct PositionsError(pub String);

impl Retryable for PositionsError {
    fn retry(&self) -> Retry {
        Retry::Later
    }
}

/// The table of mirrored streams.
#[derive(Debug, Clone)]
pub struct DynamoDbMirrorPositions {
    client: Client,
    table: String,
}

impl DynamoDbMirrorPositions {
    /// The positions in `table`.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
        }
    }

    /// Asks for a stream, to mirror it up to `version` at least: for the call `by`, which ends
    /// before `until`. A call that asks again gets it again.
    ///
    /// # Errors
    /// [`PositionsError`]; it may have been granted nevertheless.
    pub async fn claim(
        &self,
        stream: &str,
        version: u64,
        by: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Claim, PositionsError> {
        let request = self
            .item(stream)
            .update_expression("SET heldBy = :by, heldUntil = :until")
            .condition_expression(
                "(attribute_not_exists(mirrored) OR mirrored < :version) \
                 AND (attribute_not_exists(heldUntil) OR heldUntil < :now OR heldBy = :by)",
            )
            .expression_attribute_values(":by", AttributeValue::S(by.to_owned()))
            .expression_attribute_values(":version", number(version))
            .expression_attribute_values(":now", number(now.as_millisecond()))
            .expression_attribute_values(":until", number(until.as_millisecond()))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(OnFailure::AllOld);
        Ok(match changed(request).await? {
            Changed::To(item) => Claim::Granted {
                mirrored: mirrored(&item),
            },
            Changed::Not(item) if mirrored(&item) >= version => Claim::Done,
            Changed::Not(_) => Claim::Held,
        })
    }

    /// Notes that the mirror has the stream up to `version`, and lets go of it. Nothing happens
    /// when another call has it by now.
    ///
    /// # Errors
    /// [`PositionsError`]; then events will be mirrored once more.
    pub async fn let_go(&self, stream: &str, version: u64, by: &str) -> Result<(), PositionsError> {
        let request = self
            .item(stream)
            .update_expression("SET mirrored = :version REMOVE heldBy, heldUntil")
            .condition_expression("heldBy = :by")
            .expression_attribute_values(":by", AttributeValue::S(by.to_owned()))
            .expression_attribute_values(":version", number(version))
            .return_values_on_condition_check_failure(OnFailure::AllOld);
        changed(request).await.map(|_| ())
    }

    fn item(&self, stream: &str) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .key("streamId", AttributeValue::S(stream.to_owned()))
    }
}

/// What a conditional change came to, with the item.
enum Changed {
    To(Item),
    Not(Item),
}

async fn changed(request: UpdateItemFluentBuilder) -> Result<Changed, PositionsError> {
    // Boxed: the SDK's futures are large, and callers nest them.
    match Box::pin(request.send()).await {
        Ok(answer) => Ok(Changed::To(answer.attributes.unwrap_or_default())),
        Err(error) => match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                Ok(Changed::Not(failed.item().cloned().unwrap_or_default()))
            }
            _ => Err(PositionsError(describe(&error))),
        },
    }
}

fn mirrored(item: &Item) -> u64 {
    let number = item.get("mirrored").and_then(|value| value.as_n().ok());
    number.and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn number(number: impl std::fmt::Display) -> AttributeValue {
    AttributeValue::N(number.to_string())
}
