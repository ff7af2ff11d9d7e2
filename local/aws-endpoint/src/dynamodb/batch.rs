//! `BatchWriteItem` and `BatchGetItem`.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::attributes::{Item, item_size};
use super::capacity::{CapacityReport, Consistency, Consumed, read_units};
use super::expression::{Placeholders, Projection};
use super::write::Write;
use super::{DynamoDb, flag, item_id};
use crate::ApiError;
use crate::meter::Usage;

const MAX_WRITES: usize = 25;
const MAX_KEYS: usize = 100;
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

impl DynamoDb {
    pub(super) async fn batch_write(
        &self,
        mut request: Value,
        usage: &mut Usage,
    ) -> Result<Value, ApiError> {
        let report = CapacityReport::of(&request)?;
        let mut writes = Vec::new();
        let mut unprocessed = Map::new();
        let mut seen = HashSet::new();
        for (table, requests) in take_by_table(&mut request)? {
            let Value::Array(requests) = requests else {
                return Err(ApiError::serialization("RequestItems must hold lists"));
            };
            for original in requests {
                let write = self.parse_put_or_delete(&table, original.clone())?;
                let name = write.table.definition.name.clone();
                usage.resource(&name);
                if !seen.insert(write.id()) {
                    return Err(ApiError::validation(
                        "Provided list of item keys contains duplicates",
                    ));
                }
                if self.transaction_conflicts && self.in_flight.conflicts(&[write.id()])[0] {
                    push(&mut unprocessed, &table, original);
                } else {
                    writes.push(write);
                }
            }
        }
        if seen.is_empty() || seen.len() > MAX_WRITES {
            return Err(ApiError::validation(format!(
                "1 validation error detected: Value at 'requestItems' failed to satisfy \
                 constraint: Member must have length between 1 and {MAX_WRITES} (it has {})",
                seen.len()
            )));
        }
        let _commit = self.commits.write().await;
        let mut consumed = Consumed::default();
        let mut changes = Vec::with_capacity(writes.len());
        for write in &writes {
            let table = &write.table.definition;
            let before = self.engine.get(&table.name, &write.key).await?;
            // Neither a plain put nor a delete has a condition that could fail.
            let after = write.outcome(before.as_ref()).unwrap_or_default();
            consumed.write(table, before.as_ref(), after.as_ref(), 1.0);
            changes.push(write.change(before, after));
        }
        consumed.meter(usage);
        self.commit(changes).await?;
        let mut answer = json!({"UnprocessedItems": unprocessed});
        let capacity = consumed.report(report);
        if !capacity.is_empty() {
            answer["ConsumedCapacity"] = Value::Array(capacity);
        }
        Ok(answer)
    }

    fn parse_put_or_delete(&self, table: &str, mut request: Value) -> Result<Write, ApiError> {
        let action = match (&request["PutRequest"], &request["DeleteRequest"]) {
            (Value::Object(_), Value::Null) => "Put",
            (Value::Null, Value::Object(_)) => "Delete",
            _ => {
                return Err(ApiError::validation(
                    "Supplied AttributeValue has more than one datatypes set, must contain \
                     exactly one of PutRequest and DeleteRequest",
                ));
            }
        };
        let inner = &mut request[format!("{action}Request")];
        inner["TableName"] = json!(table);
        Write::parse(self, action, inner)
    }

    pub(super) async fn batch_get(
        &self,
        mut request: Value,
        usage: &mut Usage,
    ) -> Result<Value, ApiError> {
        let report = CapacityReport::of(&request)?;
        let mut consumed = Consumed::default();
        let (mut responses, mut unprocessed) = (Map::new(), Map::new());
        let (mut total_keys, mut bytes) = (0, 0);
        let by_table = take_by_table(&mut request)?;
        for (_, wanted) in &by_table {
            total_keys += wanted["Keys"].as_array().map_or(0, Vec::len);
        }
        if total_keys == 0 || total_keys > MAX_KEYS {
            return Err(ApiError::validation(format!(
                "Too many items requested for the BatchGetItem call: {total_keys}, allowed are 1 \
                 to {MAX_KEYS}"
            )));
        }
        for (table_name, mut wanted) in by_table {
            wanted["TableName"] = json!(table_name);
            let keys = parse_keys(&mut wanted)?;
            let table = self.table(&wanted)?;
            let name = &table.definition.name;
            usage.resource(name);
            let aliases = Placeholders::take(&mut wanted)?;
            let projection = Projection::of(&wanted, &aliases)?;
            aliases.check_all_used()?;
            let consistency = if flag(&wanted, "ConsistentRead")?.unwrap_or(false) {
                Consistency::Strong
            } else {
                Consistency::Eventual
            };
            let mut seen = HashSet::new();
            for key in &keys {
                table.definition.check_key(key)?;
                if !seen.insert(item_id(name, &table.definition.key_of(key))) {
                    return Err(ApiError::validation(
                        "Provided list of item keys contains duplicates",
                    ));
                }
            }
            let mut found = Vec::new();
            for key in keys {
                let item = if bytes < MAX_ANSWER_BYTES {
                    self.engine.get(name, &key).await?
                } else {
                    push_key(&mut unprocessed, &table_name, &wanted, key);
                    continue;
                };
                let size = item.as_ref().map_or(0, item_size);
                if bytes + size > MAX_ANSWER_BYTES {
                    bytes = MAX_ANSWER_BYTES;
                    push_key(&mut unprocessed, &table_name, &wanted, key);
                    continue;
                }
                bytes += size;
                consumed.read(name, None, read_units(size) * consistency.factor());
                found.extend(item.map(|item| {
                    Value::Object(match &projection {
                        Some(projection) => projection.apply(&item),
                        None => item,
                    })
                }));
            }
            responses.insert(table_name, Value::Array(found));
        }
        consumed.meter(usage);
        let mut answer = json!({"Responses": responses, "UnprocessedKeys": unprocessed});
        let capacity = consumed.report(report);
        if !capacity.is_empty() {
            answer["ConsumedCapacity"] = Value::Array(capacity);
        }
        Ok(answer)
    }
}

fn take_by_table(request: &mut Value) -> Result<Map<String, Value>, ApiError> {
    match request.get_mut("RequestItems").map(Value::take) {
        Some(Value::Object(by_table)) => Ok(by_table),
        _ => Err(ApiError::validation(
            "1 validation error detected: Value null at 'requestItems' failed to satisfy \
             constraint: Member must not be null",
        )),
    }
}

fn parse_keys(wanted: &mut Value) -> Result<Vec<Item>, ApiError> {
    let keys = match wanted.get_mut("Keys").map(Value::take) {
        Some(Value::Array(keys)) => keys,
        _ => Vec::new(),
    };
    keys.into_iter()
        .map(|key| super::take_item(&mut json!({"Key": key}), "Key"))
        .collect()
}

fn push(by_table: &mut Map<String, Value>, table: &str, request: Value) {
    let list = by_table.entry(table).or_insert_with(|| json!([]));
    if let Value::Array(list) = list {
        list.push(request);
    }
}

/// Adds a key to `UnprocessedKeys`, with the settings of its table's request.
fn push_key(by_table: &mut Map<String, Value>, table: &str, wanted: &Value, key: Item) {
    let entry = by_table.entry(table).or_insert_with(|| {
        let mut settings = json!({"Keys": []});
        for name in ["ConsistentRead", "ProjectionExpression"] {
            if let Some(value) = wanted.get(name) {
                settings[name] = value.clone();
            }
        }
        settings
    });
    if let Some(Value::Array(keys)) = entry.get_mut("Keys") {
        keys.push(Value::Object(key));
    }
}
