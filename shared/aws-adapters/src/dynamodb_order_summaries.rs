//! The read model of orders in a table: rows by `orderId`, a keys-only index by user, and an index
//! of the orders about which something is left to do.

mod emptying;
mod open_orders;

pub use open_orders::{OPEN, OpenOrder, PARTS, Standing};

use crate::dynamodb_event_store::describe;
use crate::dynamodb_item::{self, Item};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, KeysAndAttributes, ReturnValuesOnConditionCheckFailure,
};
use domain::ids::{OrderId, UserId};
use domain::order_summary::{OrderSummary, SummaryChange};
use event_sourcing::retry::{Retry, Retryable};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;

/// The index by user, sorted by the time of placing.
pub const BY_USER: &str = "by-user";

/// Why a row could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SummaryError {
    /// The table did not answer.
    #[error("the table of order summaries did not answer ({0}); try again")]
    Unavailable(String),
    /// A row is not what we write.
    #[error("the row of order {order_id} cannot be read ({reason}); rebuild the projection")]
    Corrupt {
        /// Which order.
        order_id: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Retryable for SummaryError {
    fn retry(&self) -> Retry {
        match self {
            Self::Unavailable(_) => Retry::Later,
            Self::Corrupt { .. } => Retry::Never,
        }
    }
}

/// What a conditional write of a row came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// The row was written.
    Done,
    /// The row was not at the version that the change builds on.
    At {
        /// Its version; `None` where there is no row.
        version: Option<u64>,
    },
}

/// One page of a user's orders.
#[derive(Debug, Clone, PartialEq)]
pub struct SummaryPage {
    /// The newest orders first.
    pub orders: Vec<OrderSummary>,
    /// Where the next page starts; `None` after the last one.
    pub next: Option<PageStart>,
}

/// Where a page starts: after this order.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PageStart {
    /// The last order of the page before.
    pub order_id: OrderId,
    /// When it was placed.
    pub placed_at: String,
}

/// Rows of orders.
#[derive(Debug, Clone)]
pub struct DynamoDbOrderSummaries {
    client: Client,
    table: String,
}

impl DynamoDbOrderSummaries {
    /// The rows in `table`.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
        }
    }

    /// The row of an order, read as cheaply as can be (it may be some milliseconds old).
    ///
    /// # Errors
    /// [`SummaryError`].
    pub async fn get(&self, order: &OrderId) -> Result<Option<OrderSummary>, SummaryError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("orderId", AttributeValue::S(order.as_str().to_owned()))
            .send()
            .await
            .map_err(|error| SummaryError::Unavailable(describe(&error)))?;
        answer.item().map(from_item).transpose()
    }

    /// Writes a row whose version is higher than that of the row that is there.
    ///
    /// # Errors
    /// [`SummaryError`].
    pub async fn put_if_newer(
        &self,
        row: &OrderSummary,
        standing: Standing,
    ) -> Result<Written, SummaryError> {
        let mut item = to_item(row)?;
        if standing == Standing::Open {
            item.extend(open_orders::attributes(&row.order_id, Timestamp::now()));
        }
        let sent = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(orderId) OR #version < :version")
            .expression_attribute_names("#version", "version")
            .expression_attribute_values(":version", AttributeValue::N(row.version.to_string()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(Written::Done),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(failed)) => Ok(Written::At {
                    version: failed.item().and_then(version_of),
                }),
                _ => Err(SummaryError::Unavailable(describe(&error))),
            },
        }
    }

    /// Adds changes to the row at version `from` without reading it.
    ///
    /// # Errors
    /// [`SummaryError`].
    pub async fn advance(
        &self,
        order: &OrderId,
        from: u64,
        changes: &[SummaryChange],
        standing: Standing,
    ) -> Result<Written, SummaryError> {
        let Some(last) = changes.last() else {
            return Ok(Written::Done);
        };
        let mut set =
            String::from("SET #version = :version, #timeline = list_append(#timeline, :entries)");
        let entries = changes
            .iter()
            .map(|change| attribute(order, &change.entry))
            .collect::<Result<Vec<_>, _>>()?;
        let mut request = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("orderId", AttributeValue::S(order.as_str().to_owned()))
            .expression_attribute_names("#version", "version")
            .expression_attribute_names("#timeline", "timeline")
            .expression_attribute_values(
                ":version",
                AttributeValue::N(last.entry.version.to_string()),
            )
            .expression_attribute_values(":from", AttributeValue::N(from.to_string()))
            .expression_attribute_values(":entries", AttributeValue::L(entries))
            .condition_expression("#version = :from")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        if let Some(status) = changes.iter().rev().find_map(|change| change.status) {
            set.push_str(", #status = :status");
            request = request
                .expression_attribute_names("#status", "status")
                .expression_attribute_values(":status", attribute(order, &status)?);
        }
        if let Some(reason) = changes
            .iter()
            .rev()
            .find_map(|change| change.reason.clone())
        {
            set.push_str(", #reason = :reason");
            request = request
                .expression_attribute_names("#reason", "reason")
                .expression_attribute_values(":reason", AttributeValue::S(reason));
        }
        if changes.iter().any(|change| change.refunded) {
            set.push_str(", #refunded = :true");
            request = request
                .expression_attribute_names("#refunded", "refunded")
                .expression_attribute_values(":true", AttributeValue::Bool(true));
        }
        match standing {
            Standing::Open => {
                set.push_str(open_orders::STAY);
                for (name, value) in open_orders::attributes(order, Timestamp::now()) {
                    request = request.expression_attribute_values(format!(":{name}"), value);
                }
            }
            Standing::Settled => set.push_str(open_orders::LEAVE),
        }
        match request.update_expression(set).send().await {
            Ok(_) => Ok(Written::Done),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => Ok(Written::At {
                    version: failed.item().and_then(version_of),
                }),
                _ => Err(SummaryError::Unavailable(describe(&error))),
            },
        }
    }

    /// A page of a user's orders, the newest first.
    ///
    /// # Errors
    /// [`SummaryError`].
    pub async fn by_user(
        &self,
        user: &UserId,
        limit: u16,
        after: Option<&PageStart>,
    ) -> Result<SummaryPage, SummaryError> {
        let text = |value: &str| AttributeValue::S(value.to_owned());
        let start = after.map(|after| {
            HashMap::from([
                ("userId".to_owned(), text(user.as_str())),
                ("placedAt".to_owned(), text(&after.placed_at)),
                ("orderId".to_owned(), text(after.order_id.as_str())),
            ])
        });
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(BY_USER)
            .key_condition_expression("userId = :user")
            .expression_attribute_values(":user", text(user.as_str()))
            .scan_index_forward(false)
            .limit(i32::from(limit))
            .set_exclusive_start_key(start)
            .send()
            .await
            .map_err(|error| SummaryError::Unavailable(describe(&error)))?;
        let key = |item: &Item, name: &str| {
            item.get(name)
                .and_then(|value| value.as_s().ok())
                .cloned()
                .unwrap_or_default()
        };
        let ids: Vec<_> = answer
            .items()
            .iter()
            .map(|item| key(item, "orderId"))
            .collect();
        let next = answer.last_evaluated_key().and_then(|last| {
            Some(PageStart {
                order_id: OrderId::parse(key(last, "orderId")).ok()?,
                placed_at: key(last, "placedAt"),
            })
        });
        Ok(SummaryPage {
            orders: self.rows(&ids).await?,
            next,
        })
    }

    /// The rows of at most 100 orders, in the order of the ids.
    async fn rows(&self, ids: &[String]) -> Result<Vec<OrderSummary>, SummaryError> {
        let mut found = HashMap::new();
        let mut keys: Vec<Item> = ids
            .iter()
            .map(|id| HashMap::from([("orderId".to_owned(), AttributeValue::S(id.clone()))]))
            .collect();
        while !keys.is_empty() {
            let request = KeysAndAttributes::builder()
                .set_keys(Some(keys))
                .build()
                .map_err(|error| SummaryError::Unavailable(error.to_string()))?;
            let answer = self
                .client
                .batch_get_item()
                .request_items(&self.table, request)
                .send()
                .await
                .map_err(|error| SummaryError::Unavailable(describe(&error)))?;
            for item in answer
                .responses()
                .into_iter()
                .flat_map(|tables| tables.values())
                .flatten()
            {
                let row = from_item(item)?;
                found.insert(row.order_id.as_str().to_owned(), row);
            }
            keys = answer
                .unprocessed_keys()
                .and_then(|tables| tables.get(&self.table))
                .map(|left| left.keys().to_vec())
                .unwrap_or_default();
        }
        Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
    }
}

fn version_of(item: &Item) -> Option<u64> {
    item.get("version")?.as_n().ok()?.parse().ok()
}

fn corrupt(order: &str, reason: impl ToString) -> SummaryError {
    SummaryError::Corrupt {
        order_id: order.to_owned(),
        reason: reason.to_string(),
    }
}

fn attribute(
    order: &OrderId,
    value: &impl serde::Serialize,
) -> Result<AttributeValue, SummaryError> {
    let json = serde_json::to_value(value).map_err(|error| corrupt(order.as_str(), error))?;
    dynamodb_item::from_json(&json, 1).map_err(|error| corrupt(order.as_str(), error))
}

fn to_item(row: &OrderSummary) -> Result<Item, SummaryError> {
    match attribute(&row.order_id, row)? {
        AttributeValue::M(item) => Ok(item),
        _ => Err(corrupt(row.order_id.as_str(), "a row is an object")),
    }
}

fn from_item(item: &Item) -> Result<OrderSummary, SummaryError> {
    let order = item
        .get("orderId")
        .and_then(|value| value.as_s().ok())
        .map_or("?", String::as_str);
    let fields = item
        .iter()
        .map(|(name, value)| Ok((name.clone(), dynamodb_item::to_json(name, value)?)))
        .collect::<Result<_, dynamodb_item::ItemError>>()
        .map_err(|error| corrupt(order, error))?;
    OrderSummary::deserialize(Value::Object(fields)).map_err(|error| corrupt(order, error))
}
