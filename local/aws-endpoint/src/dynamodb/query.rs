//! `Query` and `Scan`: pages of 1 MB, as AWS cuts them.
//!
//! The engine is asked for whole items in key order, without filter or
//! projection; pages, filters, projections and counts are made here.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::{Map, Value, json};

use super::attributes::{Item, item_size, type_of};
use super::capacity::{CapacityReport, Consistency, Consumed, read_units};
use super::expression::{Condition, KeyCondition, Placeholders, Projection, RangeCondition};
use super::schema::{Index, IndexProjection, KeySchema};
use super::{DynamoDb, Table, flag, take_item};
use crate::ApiError;
use crate::meter::Usage;

/// AWS reads at most this much per page, before the filter.
const MAX_PAGE_BYTES: usize = 1024 * 1024;

/// Most segments of a scan
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Scan.html>).
const MAX_SEGMENTS: u64 = 1_000_000;

/// A Query or Scan, understood.
struct Reading<'table> {
    table: &'table Table,
    index: Option<&'table Index>,
    filter: Option<Condition>,
    projection: Option<Projection>,
    counts_only: bool,
    consistency: Consistency,
    limit: Option<usize>,
    segment: Option<Segment>,
    report: CapacityReport,
}

/// A part of a parallel scan. All items of a partition key are in one of them, as they are in one
/// partition; the engine's own go by the whole key.
#[derive(Clone, Copy)]
struct Segment {
    number: u64,
    of: u64,
}

/// What one page holds.
#[derive(Default)]
struct Page {
    items: Vec<Value>,
    matched: usize,
    scanned: usize,
    bytes: usize,
    last_key: Option<Item>,
}

impl DynamoDb {
    pub(super) async fn query(
        &self,
        mut request: Value,
        usage: &mut Usage,
    ) -> Result<Value, ApiError> {
        let table = self.table(&request)?;
        usage.resource(&table.definition.name);
        let aliases = Placeholders::take(&mut request)?;
        let reading = Reading::parse(&table, &request, &aliases)?;
        let keys = reading.keys();
        let condition = KeyCondition::of(&request, keys, &aliases)?;
        aliases.check_all_used()?;
        if let Some(filter) = &reading.filter
            && let Some(key) = filter.attributes().into_iter().find(|a| keys.contains(a))
        {
            return Err(ApiError::validation(format!(
                "Filter Expression can only contain non-primary key attributes: Primary key \
                 attribute: {key}"
            )));
        }
        let mut engine_request = engine_query(keys, &condition);
        if let Some(forward) = flag(&request, "ScanIndexForward")? {
            engine_request["ScanIndexForward"] = json!(forward);
        }
        self.run("Query", &reading, request, engine_request, usage)
            .await
    }

    pub(super) async fn scan(
        &self,
        mut request: Value,
        usage: &mut Usage,
    ) -> Result<Value, ApiError> {
        let table = self.table(&request)?;
        usage.resource(&table.definition.name);
        let aliases = Placeholders::take(&mut request)?;
        let mut reading = Reading::parse(&table, &request, &aliases)?;
        reading.segment = Segment::of(&request)?;
        aliases.check_all_used()?;
        self.run("Scan", &reading, request, json!({}), usage).await
    }

    async fn run(
        &self,
        operation: &str,
        reading: &Reading<'_>,
        mut request: Value,
        mut engine_request: Value,
        usage: &mut Usage,
    ) -> Result<Value, ApiError> {
        let table = &reading.table.definition;
        engine_request["TableName"] = json!(table.name);
        if let Some(index) = reading.index {
            engine_request["IndexName"] = json!(index.name);
        }
        let start = match request.get("ExclusiveStartKey") {
            None | Some(Value::Null) => None,
            Some(_) => Some(take_item(&mut request, "ExclusiveStartKey")?),
        };
        if let Some(start) = &start {
            reading.check_start_key(start)?;
        }
        let page = self
            .read_page(operation, reading, engine_request, start)
            .await?;
        let mut consumed = Consumed::default();
        let units = read_units(page.bytes) * reading.consistency.factor();
        let index_name = reading.index.map(|index| index.name.as_str());
        consumed.read(&table.name, index_name, units);
        consumed.meter(usage);
        let mut answer = Map::from_iter([
            ("Count".to_owned(), json!(page.matched)),
            ("ScannedCount".to_owned(), json!(page.scanned)),
        ]);
        if !reading.counts_only {
            answer.insert("Items".to_owned(), Value::Array(page.items));
        }
        if let Some(key) = page.last_key {
            answer.insert("LastEvaluatedKey".to_owned(), Value::Object(key));
        }
        if let Some(capacity) = consumed.report(reading.report).pop() {
            answer.insert("ConsumedCapacity".to_owned(), capacity);
        }
        Ok(Value::Object(answer))
    }

    /// Reads engine pages until AWS's page is full or nothing is left.
    async fn read_page(
        &self,
        operation: &str,
        reading: &Reading<'_>,
        mut engine_request: Value,
        mut start: Option<Item>,
    ) -> Result<Page, ApiError> {
        let _snapshot = self.commits.read().await;
        let mut page = Page::default();
        loop {
            if let Some(limit) = reading.limit {
                engine_request["Limit"] = json!(limit - page.scanned);
            }
            if let Some(start) = &start {
                engine_request["ExclusiveStartKey"] = json!(start);
            }
            let mut answer = self.engine.call(operation, engine_request.clone()).await?;
            let Some(Value::Array(items)) = answer.get_mut("Items").map(Value::take) else {
                return Err(ApiError::internal("the storage engine gave no items"));
            };
            for item in items {
                let Value::Object(item) = item else { continue };
                if reading.skips(&item) {
                    start = Some(reading.cursor(&item));
                    continue;
                }
                let size = item_size(&item);
                if page.bytes + size > MAX_PAGE_BYTES {
                    page.last_key = start;
                    return Ok(page);
                }
                start = Some(reading.cursor(&item));
                page.add(reading, item, size);
                if reading.limit == Some(page.scanned) {
                    page.last_key = start;
                    return Ok(page);
                }
            }
            match answer.get_mut("LastEvaluatedKey").map(Value::take) {
                Some(Value::Object(key)) => start = Some(key),
                _ => return Ok(page),
            }
        }
    }
}

impl Page {
    fn add(&mut self, reading: &Reading<'_>, item: Item, size: usize) {
        self.bytes += size;
        self.scanned += 1;
        if reading
            .filter
            .as_ref()
            .is_some_and(|filter| !filter.holds(&item))
        {
            return;
        }
        self.matched += 1;
        if !reading.counts_only {
            let shown = match &reading.projection {
                Some(projection) => projection.apply(&item),
                None => item,
            };
            self.items.push(Value::Object(shown));
        }
    }
}

impl<'table> Reading<'table> {
    fn parse(
        table: &'table Table,
        request: &Value,
        aliases: &Placeholders,
    ) -> Result<Self, ApiError> {
        let index = match request.get("IndexName").and_then(Value::as_str) {
            Some(name) => Some(table.definition.index(name)?),
            None => None,
        };
        let consistent = flag(request, "ConsistentRead")?.unwrap_or(false);
        if consistent && index.is_some() {
            return Err(ApiError::validation(
                "Consistent reads are not supported on global secondary indexes",
            ));
        }
        let limit = match request.get("Limit") {
            None | Some(Value::Null) => None,
            Some(limit) => {
                let limit = limit.as_u64().filter(|limit| *limit >= 1);
                let limit = limit.and_then(|limit| usize::try_from(limit).ok());
                Some(limit.ok_or_else(|| {
                    ApiError::validation(
                        "1 validation error detected: Value at 'limit' failed to satisfy \
                         constraint: Member must have value greater than or equal to 1",
                    )
                })?)
            }
        };
        let projection = Projection::of(request, aliases)?;
        if let (Some(index), Some(projection)) = (index, &projection) {
            check_projected(index, &table.definition.keys, projection)?;
        }
        Ok(Self {
            table,
            index,
            filter: Condition::of(request, "FilterExpression", aliases)?,
            counts_only: parse_select(request, index, projection.is_some())?,
            projection,
            consistency: if consistent {
                Consistency::Strong
            } else {
                Consistency::Eventual
            },
            limit,
            segment: None,
            report: CapacityReport::of(request)?,
        })
    }

    /// Whether an item is in another segment.
    fn skips(&self, item: &Item) -> bool {
        let partition = item.get(&self.keys().partition.name);
        match (self.segment, partition) {
            (Some(segment), Some(partition)) => !segment.has(partition),
            _ => false,
        }
    }

    fn keys(&self) -> &'table KeySchema {
        self.index
            .map_or(&self.table.definition.keys, |index| &index.keys)
    }

    /// The `LastEvaluatedKey` after an item: the keys of the index, if one is
    /// read, and those of the table.
    fn cursor(&self, item: &Item) -> Item {
        self.keys()
            .attributes()
            .chain(self.table.definition.keys.attributes())
            .filter_map(|key| Some((key.name.clone(), item.get(&key.name)?.clone())))
            .collect()
    }

    fn check_start_key(&self, start: &Item) -> Result<(), ApiError> {
        let mut expected: Vec<_> = self
            .keys()
            .attributes()
            .chain(self.table.definition.keys.attributes())
            .collect();
        expected.sort_by(|a, b| a.name.cmp(&b.name));
        expected.dedup_by(|a, b| a.name == b.name);
        let fits = start.len() == expected.len()
            && expected
                .iter()
                .all(|key| start.get(&key.name).map(type_of) == Some(key.key_type));
        if fits {
            Ok(())
        } else {
            Err(ApiError::validation(
                "The provided starting key is invalid: The provided key element does not match \
                 the schema",
            ))
        }
    }
}

impl Segment {
    fn of(request: &Value) -> Result<Option<Self>, ApiError> {
        let member = |name: &str| request.get(name).filter(|value| !value.is_null());
        let refused = |reason: &str| Err(ApiError::validation(reason));
        match (member("Segment"), member("TotalSegments")) {
            (None, None) => Ok(None),
            (Some(_), None) => refused(
                "The TotalSegments parameter is required but was not present in the request \
                 when Segment parameter is present",
            ),
            (None, Some(_)) => refused(
                "The Segment parameter is required but was not present in the request when \
                 parameter TotalSegments is present",
            ),
            (Some(number), Some(of)) => match (number.as_u64(), of.as_u64()) {
                (Some(number), Some(of)) if number < of && of <= MAX_SEGMENTS => {
                    Ok(Some(Self { number, of }))
                }
                _ => refused(
                    "Segment must be from 0 to TotalSegments - 1, and TotalSegments at most \
                     1000000",
                ),
            },
        }
    }

    fn has(self, partition: &Value) -> bool {
        let mut hasher = DefaultHasher::new();
        partition.to_string().hash(&mut hasher);
        hasher.finish() % self.of == self.number
    }
}

/// Refuses attributes that an index does not store.
fn check_projected(
    index: &Index,
    table: &KeySchema,
    projection: &Projection,
) -> Result<(), ApiError> {
    let missing: Vec<&str> = projection
        .attributes()
        .filter(|attribute| !index.stores(attribute, table))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(ApiError::validation(format!(
        "One or more parameter values were invalid: Global secondary index {} does not project \
         [{}]",
        index.name,
        missing.join(", ")
    )))
}

/// Checks `Select`; true when only the count is asked for.
fn parse_select(
    request: &Value,
    index: Option<&Index>,
    has_projection: bool,
) -> Result<bool, ApiError> {
    let select = request.get("Select").and_then(Value::as_str);
    let refuse = |why: &str| Err(ApiError::validation(why));
    match (select, index) {
        (None | Some("SPECIFIC_ATTRIBUTES"), _) if has_projection => Ok(false),
        (None, _) | (Some("ALL_PROJECTED_ATTRIBUTES"), Some(_)) => Ok(false),
        (Some("COUNT"), _) if !has_projection => Ok(true),
        (Some("ALL_ATTRIBUTES"), Some(index)) if index.projection != IndexProjection::All => {
            Err(ApiError::validation(format!(
                "One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not \
                 supported for global secondary index {} because its projection type is not ALL",
                index.name
            )))
        }
        (Some("ALL_ATTRIBUTES"), _) if !has_projection => Ok(false),
        (Some("ALL_PROJECTED_ATTRIBUTES"), None) => {
            refuse("ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName")
        }
        (Some("SPECIFIC_ATTRIBUTES"), _) => refuse(
            "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES",
        ),
        (Some("COUNT" | "ALL_ATTRIBUTES"), _) => refuse(
            "Cannot specify the ProjectionExpression when choosing to get ALL_ATTRIBUTES or COUNT",
        ),
        (Some(other), _) => Err(ApiError::validation(format!(
            "1 validation error detected: Value '{other}' at 'select' failed to satisfy \
             constraint: Member must satisfy enum value set: [SPECIFIC_ATTRIBUTES, COUNT, \
             ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES]"
        ))),
    }
}

/// The key condition in the one spelling that the engine's parser is sure to
/// understand.
fn engine_query(keys: &KeySchema, condition: &KeyCondition) -> Value {
    let mut expression = "#h = :h".to_owned();
    let mut names = json!({"#h": keys.partition.name});
    let mut values = json!({":h": condition.partition});
    if let (Some(sort), Some(range)) = (&keys.sort, &condition.range) {
        names["#r"] = json!(sort.name);
        match range {
            RangeCondition::Compare(comparison, value) => {
                expression.extend([" AND #r ", comparison, " :r"]);
                values[":r"] = value.clone();
            }
            RangeCondition::Between(low, high) => {
                expression.push_str(" AND #r BETWEEN :l AND :u");
                values[":l"] = low.clone();
                values[":u"] = high.clone();
            }
            RangeCondition::BeginsWith(prefix) => {
                expression.push_str(" AND begins_with(#r, :r)");
                values[":r"] = prefix.clone();
            }
        }
    }
    json!({
        "KeyConditionExpression": expression,
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
    })
}
