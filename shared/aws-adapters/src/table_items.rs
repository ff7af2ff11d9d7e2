//! Items of a table as plain JSON, for operators.

use crate::dynamodb_event_store::describe;
use crate::dynamodb_item::{Item, to_json};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Map, Value};

/// Why a table was not read.
#[derive(Debug, thiserror::Error)]
#[error("table {table} cannot be read: {reason}")]
pub struct TableError {
    table: String,
    reason: String,
}

impl TableError {
    fn of(table: &str, error: &(impl std::error::Error + 'static)) -> Self {
        Self {
            table: table.to_owned(),
            reason: describe(error),
        }
    }
}

/// All items of a table, read consistently, page by page. Attributes of kinds that neither events
/// nor rows have are left out.
#[derive(Debug)]
pub struct Pages {
    client: Client,
    table: String,
    /// The partition to read; all, where none is said.
    partition: Option<(String, String)>,
    start: Option<Item>,
    over: bool,
}

impl Pages {
    /// Of a whole table.
    #[must_use]
    pub fn of(client: Client, table: &str) -> Self {
        Self {
            client,
            table: table.to_owned(),
            partition: None,
            start: None,
            over: false,
        }
    }

    /// Only of the items whose partition key, of this name, is this.
    #[must_use]
    pub fn with_key(mut self, name: &str, key: &str) -> Self {
        self.partition = Some((name.to_owned(), key.to_owned()));
        self
    }

    /// The next page; none after the last.
    ///
    /// # Errors
    /// [`TableError`], when it is not answered.
    pub async fn next(&mut self) -> Result<Option<Vec<Value>>, TableError> {
        if self.over {
            return Ok(None);
        }
        let start = self.start.take();
        let (items, next) = match &self.partition {
            None => {
                let request = self.client.scan().table_name(&self.table);
                let request = request.consistent_read(true);
                let sent = request.set_exclusive_start_key(start).send();
                let page = Box::pin(sent).await;
                let page = page.map_err(|error| TableError::of(&self.table, &error))?;
                (page.items, page.last_evaluated_key)
            }
            Some((name, key)) => {
                let request = self.client.query().table_name(&self.table);
                let request = request
                    .key_condition_expression("#name = :key")
                    .expression_attribute_names("#name", name)
                    .expression_attribute_values(":key", AttributeValue::S(key.clone()))
                    .consistent_read(true);
                let sent = request.set_exclusive_start_key(start).send();
                let page = Box::pin(sent).await;
                let page = page.map_err(|error| TableError::of(&self.table, &error))?;
                (page.items, page.last_evaluated_key)
            }
        };
        self.over = next.is_none();
        self.start = next;
        Ok(Some(items.into_iter().flatten().map(plain).collect()))
    }

    /// All that are left.
    ///
    /// # Errors
    /// As [`Pages::next`].
    pub async fn all(mut self) -> Result<Vec<Value>, TableError> {
        let mut items = Vec::new();
        while let Some(page) = self.next().await? {
            items.extend(page);
        }
        Ok(items)
    }
}

fn plain(item: Item) -> Value {
    let fields = item.into_iter();
    let fields: Map<String, Value> = fields
        .filter_map(|(name, value)| {
            let value = to_json(&name, &value).ok()?;
            Some((name, value))
        })
        .collect();
    Value::Object(fields)
}
