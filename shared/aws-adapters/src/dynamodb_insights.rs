//! The table of insights: partition key `scope` (S), sort key `at` (S).
//!
//! | `scope` | `at` | what |
//! |---|---|---|
//! | `part#<minute>` | `<shard>#<window start>#<seq>` | a part: `ids` (B) and the `rest` (B) |
//! | `correction` | `<minute>` | a minute whose result may lack the part that was `noted` |
//! | `progress` | `minutes` | `closedThrough`, `madeThrough` |
//! | `minute#<day>`, `hour#<month>`, `day#<year>` | start | a result without its devices: `totals` (B), `revision`, `buckets` |
//! | `devices#<minute, hour or day>#<start>` | bucket | devices of a result, by a hash of their id |
//! | `alarm` | rule | what was kept of its alarm |
//!
//! Parts, minutes and hours expire (`expiresAt`); days are kept.

mod buckets;
mod parts;
mod results;
mod windows;

use crate::dynamodb_event_store::describe;
use crate::dynamodb_item::Item;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use jiff::{SignedDuration, Timestamp};
use streaming_analytics::insights_table::TableError;
use streaming_analytics::window::Minute;

/// How long what the table has is kept, from the end of its window on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Parts: at least as long as records are folded into them.
    pub parts: SignedDuration,
    /// Results of minutes, and their devices.
    pub minutes: SignedDuration,
    /// Roll-ups of hours, and their devices.
    pub hours: SignedDuration,
}

impl Default for Retention {
    /// Three days, 35 days, 400 days.
    fn default() -> Self {
        let days = |days: i64| SignedDuration::from_hours(24 * days);
        Self {
            parts: days(3),
            minutes: days(35),
            hours: days(400),
        }
    }
}

/// The table.
#[derive(Debug, Clone)]
pub struct DynamoDbInsights {
    client: Client,
    table: String,
    retention: Retention,
}

/// What came of a conditional write.
enum Put {
    Done,
    /// The condition did not hold; this is there.
    There(Item),
}

impl DynamoDbInsights {
    /// The insights in `table`.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>, retention: Retention) -> Self {
        Self {
            client,
            table: table.into(),
            retention,
        }
    }

    fn put(&self, scope: impl Into<String>, at: impl Into<String>) -> PutItemFluentBuilder {
        self.client
            .put_item()
            .table_name(&self.table)
            .item("scope", text(scope))
            .item("at", text(at))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    async fn item(&self, scope: &str, at: &str) -> Result<Option<Item>, TableError> {
        let request = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("scope", text(scope))
            .key("at", text(at))
            .consistent_read(true);
        // Boxed here and below: the SDK's futures are large, and callers nest them.
        let answer = Box::pin(request.send()).await;
        Ok(answer.map_err(|error| classify(&error))?.item)
    }

    fn query(&self, scope: &str) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .key_condition_expression("#scope = :scope")
            .expression_attribute_names("#scope", "scope")
            .expression_attribute_values(":scope", text(scope))
    }

    /// All items of a query, page by page.
    async fn all(&self, query: QueryFluentBuilder) -> Result<Vec<Item>, TableError> {
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let page = query.clone().set_exclusive_start_key(start);
            let page = Box::pin(page.send()).await;
            let page = page.map_err(|error| classify(&error))?;
            items.extend(page.items.into_iter().flatten());
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(items);
            }
        }
    }
}

async fn send(put: PutItemFluentBuilder) -> Result<Put, TableError> {
    match Box::pin(put.send()).await {
        Ok(_) => Ok(Put::Done),
        Err(error) => match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                let there = failed.item().cloned();
                there
                    .map(Put::There)
                    .ok_or_else(|| TableError::Unavailable("the item did not come back".into()))
            }
            _ => Err(classify(&error)),
        },
    }
}

fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

fn number(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn bytes(bytes: Vec<u8>) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

/// When something that ended `end` expires, in seconds as `DynamoDB` wants it
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html>).
fn expiry(end: Timestamp, kept: SignedDuration) -> AttributeValue {
    number(end.as_second().saturating_add(kept.as_secs()))
}

fn text_of<'i>(item: &'i Item, name: &str) -> Option<&'i str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

fn number_of<T: std::str::FromStr>(item: &Item, name: &str) -> Option<T> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

fn bytes_of<'i>(item: &'i Item, name: &str) -> Option<&'i [u8]> {
    Some(item.get(name)?.as_b().ok()?.as_ref())
}

fn minute_of(item: &Item, name: &str) -> Result<Option<Minute>, TableError> {
    let Some(text) = text_of(item, name) else {
        return Ok(None);
    };
    let minute = parse_minute(text).ok_or_else(|| damaged(item, format!("{name} is no minute")))?;
    Ok(Some(minute))
}

fn parse_minute(text: &str) -> Option<Minute> {
    Minute::of(text.parse().ok()?).ok()
}

/// Names an item that cannot be read.
fn damaged(item: &Item, reason: impl std::fmt::Display) -> TableError {
    let key = |name| text_of(item, name).unwrap_or("?");
    TableError::Damaged(format!("{} {}: {reason}", key("scope"), key("at")))
}

pub(crate) fn classify<E>(error: &SdkError<E>) -> TableError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match error.code() {
        Some("ValidationException" | "AccessDeniedException" | "ResourceNotFoundException") => {
            TableError::Refused(describe(error))
        }
        _ => TableError::Unavailable(describe(error)),
    }
}
