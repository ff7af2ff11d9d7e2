//! One write of one item: what a request says, and what comes of it.

use std::sync::Arc;

use serde_json::Value;

use super::attributes::{Item, check_depth, item_size};
use super::engine::Change;
use super::expression::{Condition, Placeholders, Update};
use super::{DynamoDb, Table, item_id, take_item};
use crate::ApiError;

/// AWS's limit for one item, names and values.
pub(super) const MAX_ITEM_BYTES: usize = 400 * 1024;

/// What a write does to its item.
#[derive(Debug)]
pub(super) enum Effect {
    Put(Item),
    Update(Update),
    Delete,
    Check,
}

/// A parsed and validated write.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) table: Arc<Table>,
    pub(super) key: Item,
    pub(super) effect: Effect,
    pub(super) condition: Option<Condition>,
    /// `ReturnValuesOnConditionCheckFailure: ALL_OLD`.
    pub(super) shows_item_on_failure: bool,
}

/// Why a write does not happen, once its item is known.
#[derive(Debug)]
pub(super) enum Refusal {
    ConditionFailed,
    Invalid(ApiError),
}

impl Write {
    /// Reads a Put, Update, Delete or `ConditionCheck`, alone or as an action of
    /// a transaction.
    pub(super) fn parse(
        database: &DynamoDb,
        action: &str,
        request: &mut Value,
    ) -> Result<Self, ApiError> {
        let table = database.table(request)?;
        let aliases = Placeholders::take(request)?;
        let condition = Condition::of(request, "ConditionExpression", &aliases)?;
        let (key, effect) = if action == "Put" {
            let item = take_item(request, "Item")?;
            table.definition.check_item(&item)?;
            if item_size(&item) > MAX_ITEM_BYTES {
                return Err(ApiError::validation(
                    "Item size has exceeded the maximum allowed size",
                ));
            }
            (table.definition.key_of(&item), Effect::Put(item))
        } else {
            let key = take_item(request, "Key")?;
            table.definition.check_key(&key)?;
            let effect = match action {
                "Update" => Effect::Update(parse_update(&table, request, &aliases)?),
                "Delete" => Effect::Delete,
                _ => Effect::Check,
            };
            (table.definition.key_of(&key), effect)
        };
        aliases.check_all_used()?;
        if matches!(effect, Effect::Check) && condition.is_none() {
            return Err(ApiError::validation(
                "1 validation error detected: Value null at 'conditionExpression' failed to \
                 satisfy constraint: Member must not be null",
            ));
        }
        let shown = request.get("ReturnValuesOnConditionCheckFailure");
        let shows_item_on_failure = match shown.and_then(Value::as_str) {
            None | Some("NONE") => false,
            Some("ALL_OLD") => true,
            Some(other) => {
                return Err(ApiError::validation(format!(
                    "1 validation error detected: Value '{other}' at \
                     'returnValuesOnConditionCheckFailure' failed to satisfy constraint: Member \
                     must satisfy enum value set: [ALL_OLD, NONE]"
                )));
            }
        };
        Ok(Self {
            table,
            key,
            effect,
            condition,
            shows_item_on_failure,
        })
    }

    pub(super) fn id(&self) -> String {
        item_id(&self.table.definition.name, &self.key)
    }

    /// The item after the write, none for no item.
    pub(super) fn outcome(&self, before: Option<&Item>) -> Result<Option<Item>, Refusal> {
        let nothing = Item::new();
        if let Some(condition) = &self.condition
            && !condition.holds(before.unwrap_or(&nothing))
        {
            return Err(Refusal::ConditionFailed);
        }
        match &self.effect {
            Effect::Put(item) => Ok(Some(item.clone())),
            Effect::Delete => Ok(None),
            Effect::Check => Ok(before.cloned()),
            Effect::Update(update) => {
                let checked = || {
                    let after = update.apply(before.unwrap_or(&self.key))?;
                    self.table.definition.check_item(&after)?;
                    check_depth(&after)?;
                    if item_size(&after) > MAX_ITEM_BYTES {
                        return Err(ApiError::validation(
                            "Item size to update has exceeded the maximum allowed size",
                        ));
                    }
                    Ok(Some(after))
                };
                checked().map_err(Refusal::Invalid)
            }
        }
    }

    pub(super) fn change(&self, before: Option<Item>, after: Option<Item>) -> Change {
        Change {
            table: Arc::clone(&self.table),
            key: self.key.clone(),
            before,
            after,
        }
    }
}

fn parse_update(
    table: &Table,
    request: &Value,
    aliases: &Placeholders,
) -> Result<Update, ApiError> {
    let update = Update::of(request, aliases)?.unwrap_or_default();
    let keys = &table.definition.keys;
    if let Some(key) = update.attributes().find(|name| keys.contains(name)) {
        return Err(ApiError::validation(format!(
            "One or more parameter values were invalid: Cannot update attribute {key}. This \
             attribute is part of the key"
        )));
    }
    Ok(update)
}
