//! `TransactWriteItems` and `TransactGetItems`.

use serde_json::{Map, Value, json};

use super::attributes::{Item, item_size};
use super::capacity::{CapacityReport, Consistency, Consumed, read_units};
use super::expression::{Placeholders, Projection};
use super::in_flight::TokenState;
use super::write::{Refusal, Write};
use super::{DynamoDb, item_id, take_item};
use crate::ApiError;
use crate::meter::Usage;

const MAX_ACTIONS: usize = 100;
const MAX_BYTES: usize = 4 * 1024 * 1024;
const FACTOR: f64 = 2.0;

impl DynamoDb {
    pub(super) async fn transact_write(
        &self,
        mut request: Value,
        usage: &mut Usage,
    ) -> Result<Value, ApiError> {
        let report = CapacityReport::of(&request)?;
        let token = self.tokens.begin(&request)?;
        let writes = self.parse_actions(&mut request)?;
        for write in &writes {
            usage.resource(&write.table.definition.name);
        }
        let guard = match token {
            TokenState::First(guard) => guard,
            TokenState::Replay => return self.replay(&writes, report, usage).await,
        };
        let ids = writes.iter().map(Write::id).collect();
        let _entered = if self.transaction_conflicts {
            let entered = self.in_flight.enter(ids);
            Some(entered.map_err(|taken| conflict(&taken))?)
        } else {
            None
        };
        let _commit = self.commits.write().await;
        let mut befores = Vec::with_capacity(writes.len());
        for write in &writes {
            let name = &write.table.definition.name;
            befores.push(self.engine.get(name, &write.key).await?);
        }
        let outcomes = writes.iter().zip(&befores);
        let outcomes: Vec<Result<Option<Item>, Refusal>> = outcomes
            .map(|(write, before)| write.outcome(before.as_ref()))
            .collect();
        let mut consumed = Consumed::default();
        if outcomes.iter().any(Result::is_err) {
            for (write, before) in writes.iter().zip(&befores) {
                consumed.refused_write(&write.table.definition.name, before.as_ref(), FACTOR);
            }
            consumed.meter(usage);
            return Err(canceled(reasons(&writes, befores, outcomes)));
        }
        let afters: Vec<Option<Item>> = outcomes.into_iter().flatten().collect();
        let total: usize = afters.iter().flatten().map(item_size).sum();
        if total > MAX_BYTES {
            return Err(too_large());
        }
        for ((write, before), after) in writes.iter().zip(&befores).zip(&afters) {
            consumed.write(
                &write.table.definition,
                before.as_ref(),
                after.as_ref(),
                FACTOR,
            );
        }
        consumed.meter(usage);
        let changes = writes.iter().zip(befores).zip(afters);
        self.commit(
            changes
                .map(|((write, before), after)| write.change(before, after))
                .collect(),
        )
        .await?;
        if let Some(guard) = guard {
            guard.done();
        }
        Ok(with_capacity(Map::new(), &consumed, report))
    }

    fn parse_actions(&self, request: &mut Value) -> Result<Vec<Write>, ApiError> {
        let actions = take_actions(request)?;
        let mut writes = Vec::with_capacity(actions.len());
        for mut action in actions {
            let mut kinds = ["Put", "Update", "Delete", "ConditionCheck"]
                .into_iter()
                .filter(|kind| action.get(*kind).is_some_and(Value::is_object));
            let (Some(kind), None) = (kinds.next(), kinds.next()) else {
                return Err(ApiError::validation(
                    "TransactItems can only contain one of Check, Put, Update or Delete",
                ));
            };
            if kind == "Update" && action["Update"]["UpdateExpression"].is_null() {
                return Err(ApiError::validation(
                    "1 validation error detected: Value null at 'updateExpression' failed to \
                     satisfy constraint: Member must not be null",
                ));
            }
            writes.push(Write::parse(self, kind, &mut action[kind])?);
        }
        refuse_repeats(writes.iter().map(Write::id).collect())?;
        Ok(writes)
    }

    /// Answers a repeated `ClientRequestToken`: no effect, and the capacity of
    /// reading the items.
    async fn replay(
        &self,
        writes: &[Write],
        report: CapacityReport,
        usage: &mut Usage,
    ) -> Result<Value, ApiError> {
        let mut consumed = Consumed::default();
        for write in writes {
            let name = &write.table.definition.name;
            let item = self.engine.get(name, &write.key).await?;
            let units = read_units(item.as_ref().map_or(0, item_size));
            consumed.read(name, None, units * Consistency::Transactional.factor());
        }
        consumed.meter(usage);
        Ok(with_capacity(Map::new(), &consumed, report))
    }

    pub(super) async fn transact_get(
        &self,
        mut request: Value,
        usage: &mut Usage,
    ) -> Result<Value, ApiError> {
        let report = CapacityReport::of(&request)?;
        let mut gets = Vec::new();
        for mut action in take_actions(&mut request)? {
            let Some(get) = action.get_mut("Get") else {
                return Err(ApiError::validation("TransactItems can only contain Get"));
            };
            let table = self.table(get)?;
            let aliases = Placeholders::take(get)?;
            let projection = Projection::of(get, &aliases)?;
            aliases.check_all_used()?;
            let key = take_item(get, "Key")?;
            table.definition.check_key(&key)?;
            usage.resource(&table.definition.name);
            gets.push((table, key, projection));
        }
        let ids: Vec<String> = gets
            .iter()
            .map(|(table, key, _)| item_id(&table.definition.name, &table.definition.key_of(key)))
            .collect();
        refuse_repeats(ids.clone())?;
        if self.transaction_conflicts {
            let taken = self.in_flight.conflicts(&ids);
            if taken.contains(&true) {
                return Err(conflict(&taken));
            }
        }
        let _snapshot = self.commits.read().await;
        let mut consumed = Consumed::default();
        let (mut responses, mut bytes) = (Vec::with_capacity(gets.len()), 0);
        for (table, key, projection) in &gets {
            let name = &table.definition.name;
            let item = self.engine.get(name, key).await?;
            let size = item.as_ref().map_or(0, item_size);
            bytes += size;
            consumed.read(
                name,
                None,
                read_units(size) * Consistency::Transactional.factor(),
            );
            let shown = item.map(|item| match projection {
                Some(projection) => projection.apply(&item),
                None => item,
            });
            responses.push(shown.map_or_else(|| json!({}), |item| json!({"Item": item})));
        }
        if bytes > MAX_BYTES {
            return Err(too_large());
        }
        consumed.meter(usage);
        let answer = Map::from_iter([("Responses".to_owned(), Value::Array(responses))]);
        Ok(with_capacity(answer, &consumed, report))
    }
}

fn take_actions(request: &mut Value) -> Result<Vec<Value>, ApiError> {
    let actions = match request.get_mut("TransactItems").map(Value::take) {
        Some(Value::Array(actions)) => actions,
        _ => Vec::new(),
    };
    if actions.is_empty() || actions.len() > MAX_ACTIONS {
        return Err(ApiError::validation(format!(
            "1 validation error detected: Value at 'transactItems' failed to satisfy constraint: \
             Member must have length between 1 and {MAX_ACTIONS} (it has {})",
            actions.len()
        )));
    }
    Ok(actions)
}

fn refuse_repeats(mut ids: Vec<String>) -> Result<(), ApiError> {
    ids.sort_unstable();
    if ids.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(ApiError::validation(
            "Transaction request cannot include multiple operations on one item",
        ));
    }
    Ok(())
}

fn too_large() -> ApiError {
    ApiError::validation("The aggregate size of the items in the transaction cannot exceed 4 MB")
}

fn with_capacity(
    mut answer: Map<String, Value>,
    consumed: &Consumed,
    report: CapacityReport,
) -> Value {
    let capacity = consumed.report(report);
    if !capacity.is_empty() {
        answer.insert("ConsumedCapacity".to_owned(), Value::Array(capacity));
    }
    Value::Object(answer)
}

/// One reason per action, in their order.
fn reasons(
    writes: &[Write],
    befores: Vec<Option<Item>>,
    outcomes: Vec<Result<Option<Item>, Refusal>>,
) -> Vec<Value> {
    let all = writes.iter().zip(befores).zip(outcomes);
    all.map(|((write, before), outcome)| match outcome {
        Ok(_) => json!({"Code": "None"}),
        Err(Refusal::Invalid(error)) => {
            json!({"Code": "ValidationError", "Message": error.message})
        }
        Err(Refusal::ConditionFailed) => {
            let mut reason = json!({
                "Code": "ConditionalCheckFailed",
                "Message": "The conditional request failed",
            });
            if let (Some(item), true) = (before, write.shows_item_on_failure) {
                reason["Item"] = Value::Object(item);
            }
            reason
        }
    })
    .collect()
}

fn conflict(taken: &[bool]) -> ApiError {
    let reason = |taken: &bool| {
        if *taken {
            json!({"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"})
        } else {
            json!({"Code": "None"})
        }
    };
    canceled(taken.iter().map(reason).collect())
}

fn canceled(reasons: Vec<Value>) -> ApiError {
    let codes: Vec<&str> = reasons.iter().filter_map(|r| r["Code"].as_str()).collect();
    let message = format!(
        "Transaction cancelled, please refer cancellation reasons for specific reasons [{}]",
        codes.join(", ")
    );
    ApiError::new("TransactionCanceledException", message)
        .with_detail("CancellationReasons", Value::Array(reasons))
}
