//! Taking rows away, for a rebuild.

use super::{DynamoDbOrderSummaries, SummaryError};
use crate::dynamodb_event_store::describe;
use crate::order_tables::SWITCH_KEY;
use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, WriteRequest};
use std::collections::HashMap;

/// Rows that are looked at in one request.
const PAGE: i32 = 250;
/// Most writes of one `BatchWriteItem`.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>
const MAX_WRITES: usize = 25;

impl DynamoDbOrderSummaries {
    /// Deletes a page of rows, the one after the row `after`, and answers which row it ended with;
    /// `None` after the last page. The switch, which is no row, stays.
    ///
    /// # Errors
    /// [`SummaryError::Unavailable`]; some rows of the page may be gone then.
    pub async fn delete_some(&self, after: Option<&str>) -> Result<Option<String>, SummaryError> {
        let start = after.map(key);
        let request = self
            .client
            .scan()
            .table_name(&self.table)
            .consistent_read(true)
            .projection_expression("orderId")
            .limit(PAGE)
            .set_exclusive_start_key(start);
        let page = Box::pin(request.send())
            .await
            .map_err(|error| SummaryError::Unavailable(describe(&error)))?;
        let ids: Vec<&str> = page
            .items()
            .iter()
            .filter_map(|item| item.get("orderId")?.as_s().ok())
            .map(String::as_str)
            .filter(|id| *id != SWITCH_KEY)
            .collect();
        for ids in ids.chunks(MAX_WRITES) {
            self.delete(ids).await?;
        }
        Ok(page
            .last_evaluated_key()
            .and_then(|last| last.get("orderId")?.as_s().ok().cloned()))
    }

    async fn delete(&self, ids: &[&str]) -> Result<(), SummaryError> {
        let unavailable = |reason: String| SummaryError::Unavailable(reason);
        let mut left = ids
            .iter()
            .map(|id| {
                let request = DeleteRequest::builder().set_key(Some(key(id))).build();
                let request = request.map_err(|error| unavailable(error.to_string()))?;
                Ok(WriteRequest::builder().delete_request(request).build())
            })
            .collect::<Result<Vec<_>, SummaryError>>()?;
        while !left.is_empty() {
            let request = self
                .client
                .batch_write_item()
                .request_items(&self.table, left);
            let answer = Box::pin(request.send())
                .await
                .map_err(|error| unavailable(describe(&error)))?;
            left = answer
                .unprocessed_items
                .and_then(|mut tables| tables.remove(&self.table))
                .unwrap_or_default();
        }
        Ok(())
    }
}

fn key(id: &str) -> HashMap<String, AttributeValue> {
    HashMap::from([("orderId".to_owned(), AttributeValue::S(id.to_owned()))])
}
