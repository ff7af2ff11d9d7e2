//! All items of a table as plain JSON, for operators.

use crate::dynamodb_event_store::describe;
use crate::dynamodb_item::to_json;
use aws_sdk_dynamodb::Client;
use serde_json::{Map, Value};

/// Why a table was not read.
#[derive(Debug, thiserror::Error)]
#[error("table {table} cannot be read: {reason}")]
pub struct TableError {
    table: String,
    reason: String,
}

/// All items of a table, read consistently, page by page. Attributes of kinds that neither events
/// nor rows have are left out.
///
/// # Errors
/// [`TableError`], when a page is not answered.
pub async fn scan(client: &Client, table: &str) -> Result<Vec<Value>, TableError> {
    let mut items = Vec::new();
    let mut start = None;
    loop {
        let request = client
            .scan()
            .table_name(table)
            .consistent_read(true)
            .set_exclusive_start_key(start.take());
        let page = Box::pin(request.send()).await.map_err(|error| TableError {
            table: table.to_owned(),
            reason: describe(&error),
        })?;
        items.extend(page.items.into_iter().flatten().map(|item| {
            let fields = item.iter();
            let fields: Map<String, Value> = fields
                .filter_map(|(name, value)| Some((name.clone(), to_json(name, value).ok()?)))
                .collect();
            Value::Object(fields)
        }));
        start = page.last_evaluated_key;
        if start.is_none() {
            return Ok(items);
        }
    }
}
