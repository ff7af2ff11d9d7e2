//! `PutItem`, `UpdateItem`, `DeleteItem`.

use serde_json::{Map, Value};

use super::DynamoDb;
use super::attributes::Item;
use super::capacity::{CapacityReport, Consumed};
use super::write::{Effect, Refusal, Write};
use crate::ApiError;
use crate::meter::Usage;

impl DynamoDb {
    pub(super) async fn put_item(
        &self,
        request: Value,
        usage: &mut Usage,
    ) -> Result<Value, ApiError> {
        self.write_one("Put", &["NONE", "ALL_OLD"], request, usage)
            .await
    }

    pub(super) async fn delete_item(
        &self,
        request: Value,
        usage: &mut Usage,
    ) -> Result<Value, ApiError> {
        self.write_one("Delete", &["NONE", "ALL_OLD"], request, usage)
            .await
    }

    pub(super) async fn update_item(
        &self,
        request: Value,
        usage: &mut Usage,
    ) -> Result<Value, ApiError> {
        let return_values = ["NONE", "ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW"];
        self.write_one("Update", &return_values, request, usage)
            .await
    }

    async fn write_one(
        &self,
        action: &str,
        allowed: &[&str],
        mut request: Value,
        usage: &mut Usage,
    ) -> Result<Value, ApiError> {
        let report = CapacityReport::of(&request)?;
        let returned = request.get("ReturnValues").and_then(Value::as_str);
        let returned = returned.unwrap_or("NONE").to_owned();
        if !allowed.contains(&returned.as_str()) {
            return Err(ApiError::validation(format!(
                "Return values set to invalid value: {returned}; {action} allows {allowed:?}"
            )));
        }
        let write = Write::parse(self, action, &mut request)?;
        let table = &write.table.definition;
        usage.resource(&table.name);
        if self.transaction_conflicts && self.in_flight.conflicts(&[write.id()])[0] {
            return Err(ApiError::new(
                "TransactionConflictException",
                "Transaction is ongoing for the item",
            ));
        }
        let _commit = self.commits.write().await;
        let before = self.engine.get(&table.name, &write.key).await?;
        let mut consumed = Consumed::default();
        let after = match write.outcome(before.as_ref()) {
            Ok(after) => after,
            Err(Refusal::Invalid(error)) => return Err(error),
            Err(Refusal::ConditionFailed) => {
                consumed.refused_write(&table.name, before.as_ref(), 1.0);
                consumed.meter(usage);
                return Err(condition_failed(&write, before));
            }
        };
        consumed.write(table, before.as_ref(), after.as_ref(), 1.0);
        consumed.meter(usage);
        let mut answer = Map::new();
        let shown = shown_attributes(&write, &returned, before.as_ref(), after.as_ref());
        if let Some(attributes) = shown.filter(|attributes| !attributes.is_empty()) {
            answer.insert("Attributes".to_owned(), Value::Object(attributes));
        }
        if let Some(capacity) = consumed.report(report).pop() {
            answer.insert("ConsumedCapacity".to_owned(), capacity);
        }
        self.commit(vec![write.change(before, after)]).await?;
        Ok(Value::Object(answer))
    }
}

fn condition_failed(write: &Write, before: Option<Item>) -> ApiError {
    let error = ApiError::new(
        "ConditionalCheckFailedException",
        "The conditional request failed",
    );
    match before {
        Some(item) if write.shows_item_on_failure => error.with_detail("Item", Value::Object(item)),
        _ => error,
    }
}

fn shown_attributes(
    write: &Write,
    returned: &str,
    before: Option<&Item>,
    after: Option<&Item>,
) -> Option<Item> {
    let touched = |item: &Item| match &write.effect {
        Effect::Update(update) => update.touched().apply(item),
        _ => Item::new(),
    };
    match returned {
        "ALL_OLD" => before.cloned(),
        "ALL_NEW" => after.cloned(),
        "UPDATED_OLD" => before.map(touched),
        "UPDATED_NEW" => after.map(touched),
        _ => None,
    }
}
