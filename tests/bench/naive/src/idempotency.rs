//! Each event once: a table of what was handled, as Powertools for AWS Lambda keeps it.
//!
//! In progress is put under a condition, then the work is done, then the entry says that it is
//! complete and what came of it; work that failed leaves no entry, so that it can come again.
//! (<https://docs.aws.amazon.com/powertools/python/latest/utilities/idempotency/>)

use std::future::Future;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use event_sourcing::failure::Failure;
use serde_json::Value;

use crate::item::{Item, failed, number, text, text_of};
use crate::tables::Tables;

/// So long an entry is kept.
const KEPT: Duration = Duration::from_hours(1);
/// After so long somebody who said that it is in progress has died: the time that a function has.
const IN_PROGRESS: Duration = Duration::from_secs(30);
/// Nobody has handled it, or who said so has died or is forgotten.
const FREE: &str = "attribute_not_exists(id) OR expiration < :now OR \
    (#status = :in_progress AND in_progress_expiration < :now_millis)";

/// Does the work of `key` unless it was done, and comes to what came of it.
///
/// # Errors
/// What the work failed with; [`Failure::Transient`] while somebody else is at it.
pub async fn once<W>(tables: &Tables, key: &str, work: W) -> Result<Value, Failure>
where
    W: Future<Output = Result<Value, Failure>>,
{
    if let Some(done) = begin(tables, key).await? {
        return Ok(done);
    }
    match work.await {
        Ok(result) => {
            complete(tables, key, &result).await?;
            Ok(result)
        }
        Err(failure) => {
            forget(tables, key).await?;
            Err(failure)
        }
    }
}

/// Says that it is in progress; comes to what came of it where that is known.
async fn begin(tables: &Tables, key: &str) -> Result<Option<Value>, Failure> {
    let now = since_1970();
    let put = tables
        .dynamodb
        .put_item()
        .table_name(&tables.idempotency)
        .item("id", text(key))
        .item("status", text("INPROGRESS"))
        .item("expiration", number((now + KEPT).as_secs()))
        .item(
            "in_progress_expiration",
            number((now + IN_PROGRESS).as_millis()),
        )
        .condition_expression(FREE)
        .expression_attribute_names("#status", "status")
        .expression_attribute_values(":now", number(now.as_secs()))
        .expression_attribute_values(":now_millis", number(now.as_millis()))
        .expression_attribute_values(":in_progress", text("INPROGRESS"))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    let error = match Box::pin(put.send()).await {
        Ok(_) => return Ok(None),
        Err(error) => error.into_service_error(),
    };
    if !error.is_conditional_check_failed_exception() {
        return Err(failed(error));
    }
    let taken = match &error {
        aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException(
            refused,
        ) => refused.item().cloned(),
        _ => None,
    };
    outcome(&taken.unwrap_or_default(), key).map(Some)
}

fn outcome(entry: &Item, key: &str) -> Result<Value, Failure> {
    if text_of(entry, "status") == "COMPLETED" {
        return Ok(serde_json::from_str(text_of(entry, "data")).unwrap_or_default());
    }
    Err(Failure::Transient(format!("{key} is in progress")))
}

async fn complete(tables: &Tables, key: &str, result: &Value) -> Result<(), Failure> {
    let update = tables
        .dynamodb
        .update_item()
        .table_name(&tables.idempotency)
        .key("id", text(key))
        .update_expression("SET #data = :data, expiration = :expiration, #status = :status")
        .expression_attribute_names("#data", "data")
        .expression_attribute_names("#status", "status")
        .expression_attribute_values(":data", text(result.to_string()))
        .expression_attribute_values(":expiration", number((since_1970() + KEPT).as_secs()))
        .expression_attribute_values(":status", text("COMPLETED"));
    Box::pin(update.send()).await.map_err(failed)?;
    Ok(())
}

async fn forget(tables: &Tables, key: &str) -> Result<(), Failure> {
    let delete = tables
        .dynamodb
        .delete_item()
        .table_name(&tables.idempotency)
        .key("id", text(key));
    Box::pin(delete.send()).await.map_err(failed)?;
    Ok(())
}

fn since_1970() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default()
}
