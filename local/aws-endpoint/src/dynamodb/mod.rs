//! `DynamoDB`: AWS's rules in front of the storage engine.
//!
//! Every write goes the same way (`write`): under one lock the before images
//! are read, conditions evaluated, the after images and what they cost worked
//! out, limits checked; the changes are logged (`streams`), stored by the
//! engine in one transaction, and shown to the streams' readers.

pub(crate) mod attributes;
mod batch;
mod capacity;
#[cfg(test)]
mod conflict_tests;
pub(crate) mod engine;
mod expression;
mod in_flight;
mod number;
mod query;
mod read;
mod schema;
mod single;
mod supported;
mod tables;
mod transaction;
mod write;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::{Value, json};

use crate::meter::Usage;
use crate::streams::{Outbox, TableStream};
use crate::{ApiError, EndpointError};
use attributes::{Item, normalize_item};
use engine::{Change, Engine};
use in_flight::{InFlight, Tokens};
use schema::TableDefinition;
pub(crate) use tables::Settings;

/// A table and its stream.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) definition: TableDefinition,
    pub(crate) stream: Option<TableStream>,
    /// The `CreateTable` request, with what `UpdateTable` changed since.
    request: Value,
    created_millis: u64,
}

pub(crate) struct DynamoDb {
    engine: Engine,
    tables: RwLock<BTreeMap<String, Arc<Table>>>,
    /// Held for writing by every write, for reading by reads that look at
    /// several items and must not see half a commit.
    commits: tokio::sync::RwLock<()>,
    in_flight: InFlight,
    tokens: Tokens,
    pub(crate) outbox: Outbox,
    transaction_conflicts: bool,
    region: String,
    account: String,
    /// Where table definitions are kept; none for an ephemeral endpoint.
    definitions_file: Option<std::path::PathBuf>,
}

impl DynamoDb {
    pub(crate) async fn call(
        &self,
        operation: &str,
        mut request: Value,
        usage: &mut Usage,
    ) -> Result<Value, ApiError> {
        refuse_legacy(&request)?;
        match operation {
            "PutItem" => self.put_item(request, usage).await,
            "UpdateItem" => self.update_item(request, usage).await,
            "DeleteItem" => self.delete_item(request, usage).await,
            "GetItem" => self.get_item(request, usage).await,
            "Query" => self.query(request, usage).await,
            "Scan" => self.scan(request, usage).await,
            "BatchGetItem" => self.batch_get(request, usage).await,
            "BatchWriteItem" => self.batch_write(request, usage).await,
            "TransactGetItems" => self.transact_get(request, usage).await,
            "TransactWriteItems" => self.transact_write(request, usage).await,
            "CreateTable" => self.create_table_over_api(&request).await,
            "UpdateTable" => self.update_table(&request).await,
            "DeleteTable" => self.delete_table(&request).await,
            "DescribeTable" => self.describe_table(&request).await,
            "ListTables" | "DescribeLimits" => self.engine.call(operation, request).await,
            "DescribeTimeToLive" | "DescribeContinuousBackups" => {
                let name = self.table(&request)?.definition.name.clone();
                request["TableName"] = json!(name);
                self.engine.call(operation, request).await
            }
            _ => Err(ApiError::unknown_operation("dynamodb", operation)),
        }
    }

    /// The table a request (or one action of it) names, by name or ARN.
    fn table(&self, request: &Value) -> Result<Arc<Table>, ApiError> {
        let name = request.get("TableName").and_then(Value::as_str);
        let name = name.ok_or_else(|| {
            ApiError::validation(
                "1 validation error detected: Value null at 'tableName' failed to satisfy \
                 constraint: Member must not be null",
            )
        })?;
        self.table_named(name).ok_or_else(|| {
            ApiError::new(
                "ResourceNotFoundException",
                format!("Requested resource not found: Table: {name} not found"),
            )
        })
    }

    pub(crate) fn table_named(&self, name: &str) -> Option<Arc<Table>> {
        let name = name.rsplit_once(":table/").map_or(name, |(_, name)| name);
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        tables.get(name).cloned()
    }

    pub(crate) fn streams(&self) -> Vec<TableStream> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        tables
            .values()
            .filter_map(|table| table.stream.clone())
            .collect()
    }

    /// Logs changes, stores them and shows them to the streams. The caller
    /// holds the write lock. Changes that change nothing are left out.
    async fn commit(&self, changes: Vec<Change>) -> Result<(), ApiError> {
        let changes: Vec<Change> = changes
            .into_iter()
            .filter(|change| change.before != change.after)
            .collect();
        if changes.is_empty() {
            return Ok(());
        }
        let unlogged = |error: EndpointError| ApiError::internal(error.to_string());
        let intent = self.outbox.begin(&changes).map_err(unlogged)?;
        if let Err(error) = self.engine.apply(&changes).await {
            self.outbox.abort().map_err(unlogged)?;
            return Err(ApiError::internal(format!(
                "the storage engine refused a write: {error}"
            )));
        }
        Outbox::publish(intent);
        Ok(())
    }
}

/// Parameters from before expressions existed: refused rather than ignored.
fn refuse_legacy(request: &Value) -> Result<(), ApiError> {
    const LEGACY: [&str; 7] = [
        "AttributesToGet",
        "AttributeUpdates",
        "ConditionalOperator",
        "Expected",
        "KeyConditions",
        "QueryFilter",
        "ScanFilter",
    ];
    let given = |name: &&&str| !matches!(request.get(**name), None | Some(Value::Null));
    match LEGACY.iter().find(given) {
        None => Ok(()),
        Some(name) => Err(ApiError::unsupported(format!(
            "the legacy parameter {name}; use expressions"
        ))),
    }
}

/// Takes an item or key out of a request and brings it into normal form.
fn take_item(request: &mut Value, member: &str) -> Result<Item, ApiError> {
    match request.get_mut(member).map(Value::take) {
        Some(Value::Object(mut item)) => {
            normalize_item(&mut item)?;
            Ok(item)
        }
        Some(Value::Null) | None => Err(ApiError::validation(format!(
            "1 validation error detected: Value null at '{member}' failed to satisfy constraint: \
             Member must not be null"
        ))),
        Some(_) => Err(ApiError::serialization(format!(
            "{member} must be an object"
        ))),
    }
}

/// A member that must be true or false where it is given.
fn flag(request: &Value, member: &str) -> Result<Option<bool>, ApiError> {
    match request.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(*value)),
        Some(_) => Err(ApiError::serialization(format!(
            "{member} must be a boolean"
        ))),
    }
}

/// What identifies an item: its table and its key.
fn item_id(table: &str, key: &Item) -> String {
    let mut id = table.to_owned();
    for value in key.values() {
        id.push('\0');
        id.push_str(&value.to_string());
    }
    id
}
