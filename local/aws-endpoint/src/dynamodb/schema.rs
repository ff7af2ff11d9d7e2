//! A table's definition: keys, indexes, stream; and the checks it implies.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::attributes::{Item, decode, type_of};
use crate::ApiError;

/// One key attribute and its type (`S`, `N` or `B`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyAttribute {
    pub(crate) name: String,
    pub(crate) key_type: &'static str,
}

/// Partition key and, where there is one, sort key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeySchema {
    pub(crate) partition: KeyAttribute,
    pub(crate) sort: Option<KeyAttribute>,
}

/// What an index stores beside its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IndexProjection {
    All,
    KeysOnly,
    Include(Vec<String>),
}

/// A global secondary index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) name: String,
    pub(crate) keys: KeySchema,
    pub(crate) projection: IndexProjection,
}

/// A table as the endpoint needs to know it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TableDefinition {
    pub(crate) name: String,
    pub(crate) keys: KeySchema,
    pub(crate) indexes: Vec<Index>,
    /// `StreamViewType`, for a table with a stream.
    pub(crate) stream_view: Option<String>,
    /// `DeletionProtectionEnabled`
    pub(crate) deletion_protected: bool,
}

const MAX_PARTITION_KEY: usize = 2048;
const MAX_SORT_KEY: usize = 1024;

impl KeySchema {
    pub(crate) fn attributes(&self) -> impl Iterator<Item = &KeyAttribute> {
        std::iter::once(&self.partition).chain(&self.sort)
    }

    pub(crate) fn contains(&self, attribute: &str) -> bool {
        self.attributes().any(|key| key.name == attribute)
    }

    fn of(request: &Value, types: &BTreeMap<&str, &'static str>) -> Result<Self, ApiError> {
        let invalid = |why: String| {
            ApiError::validation(format!("One or more parameter values were invalid: {why}"))
        };
        let (mut partition, mut sort) = (None, None);
        let elements = request.get("KeySchema").and_then(Value::as_array);
        for element in elements.into_iter().flatten() {
            let name = element["AttributeName"].as_str().unwrap_or_default();
            let key_type = *types.get(name).ok_or_else(|| {
                invalid(format!(
                    "Some index key attributes are not defined in AttributeDefinitions: {name}"
                ))
            })?;
            let slot = match element["KeyType"].as_str() {
                Some("HASH") => &mut partition,
                Some("RANGE") => &mut sort,
                other => return Err(invalid(format!("unknown KeyType {other:?} of {name}"))),
            };
            let attribute = KeyAttribute {
                name: name.to_owned(),
                key_type,
            };
            if slot.replace(attribute).is_some() {
                return Err(invalid(
                    "Too many keys of one KeyType in KeySchema".to_owned(),
                ));
            }
        }
        let partition =
            partition.ok_or_else(|| invalid("KeySchema needs a HASH key".to_owned()))?;
        if partition.key_type != "S" {
            // The storage engine looks partitions up by the raw text of the
            // value, which finds nothing for numbers.
            return Err(ApiError::unsupported(format!(
                "a partition key that is not a string ({})",
                partition.name
            )));
        }
        Ok(Self { partition, sort })
    }
}

impl Index {
    /// The item as the index stores it; none when the item is not in it.
    pub(crate) fn entry(&self, item: &Item, table: &KeySchema) -> Option<Item> {
        if !self
            .keys
            .attributes()
            .all(|key| item.contains_key(&key.name))
        {
            return None;
        }
        Some(
            item.iter()
                .filter(|(name, _)| self.stores(name, table))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        )
    }

    /// Whether the index stores an attribute, beside the keys of the table.
    pub(crate) fn stores(&self, attribute: &str, table: &KeySchema) -> bool {
        let is_key = self.keys.contains(attribute) || table.contains(attribute);
        match &self.projection {
            IndexProjection::All => true,
            IndexProjection::KeysOnly => is_key,
            IndexProjection::Include(more) => is_key || more.iter().any(|name| name == attribute),
        }
    }
}

impl TableDefinition {
    /// Reads a `CreateTable` request.
    ///
    /// # Errors
    /// `ValidationException` for what AWS refuses and for what this endpoint
    /// does not serve.
    pub(crate) fn parse(request: &Value) -> Result<Self, ApiError> {
        let name = request["TableName"].as_str().unwrap_or_default();
        let valid_name = (3..=255).contains(&name.len())
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
        if !valid_name {
            return Err(ApiError::validation(format!(
                "TableName must be 3 to 255 of a-z, A-Z, 0-9, '_', '-' and '.', not \"{name}\""
            )));
        }
        let mut types = BTreeMap::new();
        for definition in request["AttributeDefinitions"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let key_type = match definition["AttributeType"].as_str() {
                Some("S") => "S",
                Some("N") => "N",
                Some("B") => "B",
                other => {
                    return Err(ApiError::validation(format!(
                        "unknown AttributeType {other:?} in {name}"
                    )));
                }
            };
            types.insert(
                definition["AttributeName"].as_str().unwrap_or_default(),
                key_type,
            );
        }
        let has_local_indexes = request["LocalSecondaryIndexes"]
            .as_array()
            .is_some_and(|indexes| !indexes.is_empty());
        if has_local_indexes {
            return Err(ApiError::unsupported(format!(
                "LocalSecondaryIndexes (table {name}); use a global secondary index"
            )));
        }
        let keys = KeySchema::of(request, &types)?;
        let indexes = request["GlobalSecondaryIndexes"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|index| parse_index(index, &types))
            .collect::<Result<Vec<_>, _>>()?;
        let mut in_keys: Vec<&str> = keys
            .attributes()
            .chain(indexes.iter().flat_map(|index| index.keys.attributes()))
            .map(|key| key.name.as_str())
            .collect();
        in_keys.sort_unstable();
        in_keys.dedup();
        if in_keys.len() != types.len() {
            return Err(ApiError::validation(format!(
                "One or more parameter values were invalid: Number of attributes in KeySchema \
                 does not exactly match number of attributes defined in AttributeDefinitions \
                 (table {name})"
            )));
        }
        Ok(Self {
            name: name.to_owned(),
            keys,
            indexes,
            stream_view: stream_view(request)?,
            deletion_protected: super::flag(request, "DeletionProtectionEnabled")?.unwrap_or(false),
        })
    }

    pub(crate) fn index(&self, name: &str) -> Result<&Index, ApiError> {
        self.indexes
            .iter()
            .find(|index| index.name == name)
            .ok_or_else(|| {
                ApiError::validation(format!(
                    "The table does not have the specified index: {name}"
                ))
            })
    }

    /// The key of an item of this table.
    pub(crate) fn key_of(&self, item: &Item) -> Item {
        self.keys
            .attributes()
            .filter_map(|key| Some((key.name.clone(), item.get(&key.name)?.clone())))
            .collect()
    }

    /// Checks the `Key` of a request: exactly the key attributes, well-formed.
    pub(crate) fn check_key(&self, key: &Item) -> Result<(), ApiError> {
        let matches = key.len() == self.keys.attributes().count()
            && self
                .keys
                .attributes()
                .all(|attribute| key.get(&attribute.name).map(type_of) == Some(attribute.key_type));
        if !matches {
            return Err(ApiError::validation(
                "The provided key element does not match the schema",
            ));
        }
        self.check_key_values(key)
    }

    /// Checks a whole item: key attributes present and of their types, index
    /// keys of theirs where present, none of them empty or too long.
    pub(crate) fn check_item(&self, item: &Item) -> Result<(), ApiError> {
        for attribute in self.keys.attributes() {
            let Some(value) = item.get(&attribute.name) else {
                return Err(ApiError::validation(format!(
                    "One or more parameter values were invalid: Missing the key {} in the item",
                    attribute.name
                )));
            };
            if type_of(value) != attribute.key_type {
                return Err(ApiError::validation(format!(
                    "One or more parameter values were invalid: Type mismatch for key {} \
                     expected: {} actual: {}",
                    attribute.name,
                    attribute.key_type,
                    type_of(value)
                )));
            }
        }
        self.check_key_values(item)?;
        self.indexes
            .iter()
            .try_for_each(|index| index.check_keys(item))
    }

    fn check_key_values(&self, item: &Item) -> Result<(), ApiError> {
        for attribute in self.keys.attributes() {
            let length = item.get(&attribute.name).map_or(0, key_length);
            if length == 0 {
                return Err(ApiError::validation(format!(
                    "One or more parameter values are not valid. The AttributeValue for a key \
                     attribute cannot contain an empty string value. Key: {}",
                    attribute.name
                )));
            }
            check_length(&self.keys, attribute, length)?;
        }
        Ok(())
    }
}

impl Index {
    fn check_keys(&self, item: &Item) -> Result<(), ApiError> {
        for attribute in self.keys.attributes() {
            let Some(value) = item.get(&attribute.name) else {
                continue;
            };
            if type_of(value) != attribute.key_type {
                return Err(ApiError::validation(format!(
                    "One or more parameter values were invalid: Type mismatch for Index Key {} \
                     Expected: {} Actual: {} IndexName: {}",
                    attribute.name,
                    attribute.key_type,
                    type_of(value),
                    self.name
                )));
            }
            let length = key_length(value);
            if length == 0 {
                return Err(ApiError::validation(format!(
                    "One or more parameter values are not valid. A value specified for a \
                     secondary index key is not supported. The AttributeValue for a key attribute \
                     cannot contain an empty string value. IndexName: {}, IndexKey: {}",
                    self.name, attribute.name
                )));
            }
            check_length(&self.keys, attribute, length)?;
        }
        Ok(())
    }
}

fn check_length(keys: &KeySchema, attribute: &KeyAttribute, length: usize) -> Result<(), ApiError> {
    let (kind, limit) = if keys.partition.name == attribute.name {
        ("hashkey", MAX_PARTITION_KEY)
    } else {
        ("rangekey", MAX_SORT_KEY)
    };
    if length > limit {
        return Err(ApiError::validation(format!(
            "One or more parameter values were invalid: Size of {kind} has exceeded the maximum \
             size limit of {limit} bytes"
        )));
    }
    Ok(())
}

/// Bytes of a key value; numbers are never empty or too long.
fn key_length(value: &Value) -> usize {
    match super::attributes::tagged(value) {
        Some(("S", Value::String(text))) => text.len(),
        Some(("B", Value::String(text))) => decode(text).map_or(0, |bytes| bytes.len()),
        _ => 1,
    }
}

fn parse_index(index: &Value, types: &BTreeMap<&str, &'static str>) -> Result<Index, ApiError> {
    let name = index["IndexName"].as_str().unwrap_or_default();
    let projection = &index["Projection"];
    let projection = match projection["ProjectionType"].as_str() {
        Some("ALL") => IndexProjection::All,
        Some("KEYS_ONLY") => IndexProjection::KeysOnly,
        Some("INCLUDE") => IndexProjection::Include(
            projection["NonKeyAttributes"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|name| name.as_str().map(str::to_owned))
                .collect(),
        ),
        other => {
            return Err(ApiError::validation(format!(
                "One or more parameter values were invalid: Unknown ProjectionType: {other:?} \
                 (index {name})"
            )));
        }
    };
    Ok(Index {
        name: name.to_owned(),
        keys: KeySchema::of(index, types)?,
        projection,
    })
}

fn stream_view(request: &Value) -> Result<Option<String>, ApiError> {
    let specification = &request["StreamSpecification"];
    let view = specification["StreamViewType"].as_str();
    if specification.is_null() || specification["StreamEnabled"] == json!(false) {
        return Ok(None);
    }
    match view {
        Some(view @ ("KEYS_ONLY" | "NEW_IMAGE" | "OLD_IMAGE" | "NEW_AND_OLD_IMAGES")) => {
            Ok(Some(view.to_owned()))
        }
        other => Err(ApiError::validation(format!(
            "One or more parameter values were invalid: Unknown StreamViewType: {other:?}"
        ))),
    }
}
