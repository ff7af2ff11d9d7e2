//! `GetItem`.

use serde_json::{Map, Value};

use super::attributes::item_size;
use super::capacity::{CapacityReport, Consistency, Consumed, read_units};
use super::expression::{Placeholders, Projection};
use super::{DynamoDb, flag, take_item};
use crate::ApiError;
use crate::meter::Usage;

impl DynamoDb {
    pub(super) async fn get_item(
        &self,
        mut request: Value,
        usage: &mut Usage,
    ) -> Result<Value, ApiError> {
        let report = CapacityReport::of(&request)?;
        let table = self.table(&request)?;
        let name = &table.definition.name;
        usage.resource(name);
        let aliases = Placeholders::take(&mut request)?;
        let projection = Projection::of(&request, &aliases)?;
        aliases.check_all_used()?;
        let key = take_item(&mut request, "Key")?;
        table.definition.check_key(&key)?;
        let consistency = if flag(&request, "ConsistentRead")?.unwrap_or(false) {
            Consistency::Strong
        } else {
            Consistency::Eventual
        };
        let item = self.engine.get(name, &key).await?;
        let mut consumed = Consumed::default();
        let size = item.as_ref().map_or(0, item_size);
        consumed.read(name, None, read_units(size) * consistency.factor());
        consumed.meter(usage);
        let mut answer = Map::new();
        if let Some(item) = item {
            let shown = match &projection {
                Some(projection) => projection.apply(&item),
                None => item,
            };
            answer.insert("Item".to_owned(), Value::Object(shown));
        }
        if let Some(capacity) = consumed.report(report).pop() {
            answer.insert("ConsumedCapacity".to_owned(), capacity);
        }
        Ok(Value::Object(answer))
    }
}
