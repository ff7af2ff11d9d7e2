//! Capacity units by AWS's rules
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html>,
//! for indexes <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html>).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::attributes::{Item, item_size};
use super::schema::TableDefinition;
use crate::ApiError;
use crate::meter::Usage;

/// Units to write `bytes`: one per started KB, at least one.
pub(crate) fn write_units(bytes: usize) -> f64 {
    units(bytes, 1024)
}

/// Units to read `bytes` with strong consistency: one per started 4 KB, at
/// least one.
pub(crate) fn read_units(bytes: usize) -> f64 {
    units(bytes, 4096)
}

fn units(bytes: usize, block: usize) -> f64 {
    let blocks = u32::try_from(bytes.div_ceil(block).max(1)).unwrap_or(u32::MAX);
    f64::from(blocks)
}

/// How a read is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consistency {
    Eventual,
    Strong,
    Transactional,
}

impl Consistency {
    pub(crate) fn factor(self) -> f64 {
        match self {
            Self::Eventual => 0.5,
            Self::Strong => 1.0,
            Self::Transactional => 2.0,
        }
    }
}

/// What one request consumed, by table and index.
#[derive(Debug, Default, Clone)]
pub(crate) struct Consumed {
    tables: BTreeMap<String, TableUnits>,
}

#[derive(Debug, Default, Clone)]
struct TableUnits {
    read: f64,
    write: f64,
    indexes: BTreeMap<String, f64>,
    index_read: f64,
    index_write: f64,
}

impl Consumed {
    pub(crate) fn read(&mut self, table: &str, index: Option<&str>, units: f64) {
        let of_table = self.tables.entry(table.to_owned()).or_default();
        match index {
            None => of_table.read += units,
            Some(index) => {
                *of_table.indexes.entry(index.to_owned()).or_default() += units;
                of_table.index_read += units;
            }
        }
    }

    /// Charges a write that took an item from one image to another, on the
    /// table and on every index whose entry changed.
    pub(crate) fn write(
        &mut self,
        table: &TableDefinition,
        before: Option<&Item>,
        after: Option<&Item>,
        factor: f64,
    ) {
        let size = |item: Option<&Item>| item.map_or(0, item_size);
        let units = write_units(size(before).max(size(after))) * factor;
        let of_table = self.tables.entry(table.name.clone()).or_default();
        of_table.write += units;
        for index in &table.indexes {
            let entry = |item: Option<&Item>| index.entry(item?, &table.keys);
            let units = match (entry(before), entry(after)) {
                (None, None) => continue,
                (Some(entry), None) | (None, Some(entry)) => write_units(item_size(&entry)),
                (Some(old), Some(new)) if old == new => continue,
                (Some(old), Some(new)) => {
                    let same_key = index
                        .keys
                        .attributes()
                        .all(|key| old.get(&key.name) == new.get(&key.name));
                    if same_key {
                        write_units(item_size(&old).max(item_size(&new)))
                    } else {
                        write_units(item_size(&old)) + write_units(item_size(&new))
                    }
                }
            };
            *of_table.indexes.entry(index.name.clone()).or_default() += units * factor;
            of_table.index_write += units * factor;
        }
    }

    /// Charges a write that did not happen because its condition failed: by
    /// the size of the item that was there.
    pub(crate) fn refused_write(&mut self, table: &str, before: Option<&Item>, factor: f64) {
        let of_table = self.tables.entry(table.to_owned()).or_default();
        of_table.write += write_units(before.map_or(0, item_size)) * factor;
    }

    /// Adds this to what the meter counts for the call.
    pub(crate) fn meter(&self, usage: &mut Usage) {
        for (table, units) in &self.tables {
            usage.resource(table).read_units += units.read + units.index_read;
            usage.resource(table).write_units += units.write + units.index_write;
        }
    }

    /// The `ConsumedCapacity` members a request asked for, one per table.
    pub(crate) fn report(&self, mode: CapacityReport) -> Vec<Value> {
        if mode == CapacityReport::None {
            return Vec::new();
        }
        self.tables
            .iter()
            .map(|(table, units)| {
                let own = units.read + units.write;
                let total = own + units.index_read + units.index_write;
                let mut report = Map::new();
                report.insert("TableName".to_owned(), json!(table));
                report.insert("CapacityUnits".to_owned(), json!(total));
                if mode == CapacityReport::Indexes {
                    report.insert("Table".to_owned(), json!({"CapacityUnits": own}));
                    if !units.indexes.is_empty() {
                        let indexes: Map<String, Value> = units
                            .indexes
                            .iter()
                            .map(|(name, units)| (name.clone(), json!({"CapacityUnits": units})))
                            .collect();
                        report.insert("GlobalSecondaryIndexes".to_owned(), Value::Object(indexes));
                    }
                }
                Value::Object(report)
            })
            .collect()
    }
}

/// `ReturnConsumedCapacity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CapacityReport {
    None,
    Total,
    Indexes,
}

impl CapacityReport {
    pub(crate) fn of(request: &Value) -> Result<Self, ApiError> {
        match request
            .get("ReturnConsumedCapacity")
            .and_then(Value::as_str)
        {
            None | Some("NONE") => Ok(Self::None),
            Some("TOTAL") => Ok(Self::Total),
            Some("INDEXES") => Ok(Self::Indexes),
            Some(other) => Err(ApiError::validation(format!(
                "1 validation error detected: Value '{other}' at 'returnConsumedCapacity' failed \
                 to satisfy constraint: Member must satisfy enum value set: [INDEXES, TOTAL, NONE]"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CapacityReport, Consumed, read_units, write_units};
    use crate::dynamodb::attributes::Item;
    use crate::dynamodb::schema::TableDefinition;
    use serde_json::{Value, json};

    fn orders() -> TableDefinition {
        TableDefinition::parse(&json!({
            "TableName": "Orders",
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "AttributeDefinitions": [
                {"AttributeName": "id", "AttributeType": "S"},
                {"AttributeName": "user", "AttributeType": "S"}],
            "GlobalSecondaryIndexes": [{
                "IndexName": "byUser", "Projection": {"ProjectionType": "KEYS_ONLY"},
                "KeySchema": [{"AttributeName": "user", "KeyType": "HASH"}]}]
        }))
        .expect("a table")
    }

    fn order(user: Option<&str>, text: &str) -> Item {
        let mut item = json!({"id": {"S": "1"}, "text": {"S": text}});
        if let Some(user) = user {
            item["user"] = json!({"S": user});
        }
        serde_json::from_value(item).expect("an item")
    }

    fn charged(before: Option<Item>, after: Option<Item>) -> Value {
        let mut consumed = Consumed::default();
        consumed.write(&orders(), before.as_ref(), after.as_ref(), 1.0);
        let report = consumed.report(CapacityReport::Indexes).remove(0);
        json!([
            report["Table"]["CapacityUnits"],
            report["GlobalSecondaryIndexes"]["byUser"]["CapacityUnits"]
        ])
    }

    #[test]
    fn units_round_up_by_kilobyte_and_by_four() {
        assert_eq!(
            json!([0, 1024, 1025].map(write_units)),
            json!([1.0, 1.0, 2.0])
        );
        assert_eq!(
            json!([0, 4096, 4097].map(read_units)),
            json!([1.0, 1.0, 2.0])
        );
    }

    #[test]
    fn an_index_is_charged_only_when_its_entry_changes() {
        let long = "x".repeat(2000);
        for (before, after, expected) in [
            (None, Some(order(Some("u"), "a")), json!([1.0, 1.0])),
            (None, Some(order(None, "a")), json!([1.0, null])),
            (
                Some(order(Some("u"), "a")),
                Some(order(Some("u"), "b")),
                json!([1.0, null]),
            ),
            (
                Some(order(Some("u"), "a")),
                Some(order(Some("v"), "a")),
                json!([1.0, 2.0]),
            ),
            (
                Some(order(Some("u"), "a")),
                Some(order(None, "a")),
                json!([1.0, 1.0]),
            ),
            (Some(order(Some("u"), &long)), None, json!([2.0, 1.0])),
            (None, None, json!([1.0, null])),
        ] {
            assert_eq!(charged(before, after), expected);
        }
    }
}
