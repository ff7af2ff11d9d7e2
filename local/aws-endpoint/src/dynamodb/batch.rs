//! `BatchWriteItem` and `BatchGetItem`.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::attributes::{Item, item_size};
use super::capacity::{CapacityReport, Consistency, Consumed, read_units};
use super::expression::{Placeholders, Projection};
use super::write::Write;
use super::{DynamoDb, Table, flag, item_id, refuse_legacy, take_item};
use crate::ApiError;
use crate::meter::Usage;

const MAX_WRITES: usize = 25;
const MAX_KEYS: usize = 100;
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// What keys in `UnprocessedKeys` come with, so that they can be sent again as
/// they are.
const SENT_AGAIN: [&str; 3] = [
    "ConsistentRead",
    "ExpressionAttributeNames",
    "ProjectionExpression",
];

/// What a `BatchGetItem` asks of one table.
struct Wanted {
    table: Arc<Table>,
    keys: Vec<Item>,
    projection: Option<Projection>,
    consistency: Consistency,
    settings: Map<String, Value>,
}

/// How far the answer to a `BatchGetItem` has come.
#[derive(Default)]
struct Reading {
    bytes: usize,
    full: bool,
    consumed: Consumed,
}

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
        let mut reading = Reading::default();
        let (mut responses, mut unprocessed) = (Map::new(), Map::new());
        let by_table = take_by_table(&mut request)?;
        check_key_count(&by_table)?;
        for (named, wanted) in by_table {
            let mut wanted = self.parse_wanted(&named, wanted)?;
            usage.resource(&wanted.table.definition.name);
            let (found, left) = self.read_wanted(&mut wanted, &mut reading).await?;
            if !left.is_empty() {
                let mut again = wanted.settings;
                again.insert("Keys".to_owned(), Value::Array(left));
                unprocessed.insert(named.clone(), Value::Object(again));
            }
            responses.insert(named, Value::Array(found));
        }
        reading.consumed.meter(usage);
        let mut answer = json!({"Responses": responses, "UnprocessedKeys": unprocessed});
        let capacity = reading.consumed.report(report);
        if !capacity.is_empty() {
            answer["ConsumedCapacity"] = Value::Array(capacity);
        }
        Ok(answer)
    }

    /// Reads the items of one table: those found, and the keys that are left
    /// because the answer is full.
    async fn read_wanted(
        &self,
        wanted: &mut Wanted,
        reading: &mut Reading,
    ) -> Result<(Vec<Value>, Vec<Value>), ApiError> {
        let name = &wanted.table.definition.name;
        let (mut found, mut left) = (Vec::new(), Vec::new());
        for key in std::mem::take(&mut wanted.keys) {
            if reading.full {
                left.push(Value::Object(key));
                continue;
            }
            let item = self.engine.get(name, &key).await?;
            let size = item.as_ref().map_or(0, item_size);
            if reading.bytes + size > MAX_ANSWER_BYTES {
                reading.full = true;
                left.push(Value::Object(key));
                continue;
            }
            reading.bytes += size;
            let units = read_units(size) * wanted.consistency.factor();
            reading.consumed.read(name, None, units);
            found.extend(item.map(|item| {
                Value::Object(match &wanted.projection {
                    Some(projection) => projection.apply(&item),
                    None => item,
                })
            }));
        }
        Ok((found, left))
    }

    fn parse_wanted(&self, named: &str, mut request: Value) -> Result<Wanted, ApiError> {
        let Value::Object(members) = &mut request else {
            return Err(ApiError::validation(format!(
                "RequestItems must hold an object with the Keys of table {named}"
            )));
        };
        members.insert("TableName".to_owned(), json!(named));
        let settings = SENT_AGAIN
            .iter()
            .filter_map(|member| members.get_key_value(*member))
            .filter(|(_, value)| !value.is_null())
            .map(|(member, value)| (member.clone(), value.clone()))
            .collect();
        refuse_legacy(&request)?;
        let table = self.table(&request)?;
        let keys = parse_keys(&table, &mut request)?;
        let aliases = Placeholders::take(&mut request)?;
        let projection = Projection::of(&request, &aliases)?;
        aliases.check_all_used()?;
        let consistency = if flag(&request, "ConsistentRead")?.unwrap_or(false) {
            Consistency::Strong
        } else {
            Consistency::Eventual
        };
        Ok(Wanted {
            table,
            keys,
            projection,
            consistency,
            settings,
        })
    }
}

fn check_key_count(by_table: &Map<String, Value>) -> Result<(), ApiError> {
    let keys = by_table.values().map(|wanted| &wanted["Keys"]);
    let count: usize = keys.filter_map(Value::as_array).map(Vec::len).sum();
    if (1..=MAX_KEYS).contains(&count) {
        return Ok(());
    }
    Err(ApiError::validation(format!(
        "Too many items requested for the BatchGetItem call: {count}, allowed are 1 to {MAX_KEYS}"
    )))
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

fn parse_keys(table: &Table, wanted: &mut Value) -> Result<Vec<Item>, ApiError> {
    let keys = match wanted.get_mut("Keys").map(Value::take) {
        Some(Value::Array(keys)) => keys,
        _ => Vec::new(),
    };
    let definition = &table.definition;
    let (mut parsed, mut seen) = (Vec::with_capacity(keys.len()), HashSet::new());
    for key in keys {
        let key = take_item(&mut json!({"Key": key}), "Key")?;
        definition.check_key(&key)?;
        if !seen.insert(item_id(&definition.name, &definition.key_of(&key))) {
            return Err(ApiError::validation(
                "Provided list of item keys contains duplicates",
            ));
        }
        parsed.push(key);
    }
    Ok(parsed)
}

fn push(by_table: &mut Map<String, Value>, table: &str, request: Value) {
    let list = by_table.entry(table).or_insert_with(|| json!([]));
    if let Value::Array(list) = list {
        list.push(request);
    }
}
