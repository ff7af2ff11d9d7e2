//! The storage engine: `awsim-dynamodb`, called in process. It keeps items
//! and indexes in `SQLite` and orders them; what an expression means, what a
//! write may do and what it costs is decided before anything reaches it.

use std::path::PathBuf;
use std::sync::Arc;

use awsim_core::{RequestContext, ServiceHandler};
use awsim_dynamodb::DynamoDbService;
use serde_json::{Value, json};

use super::attributes::{Item, item_size};
use super::schema::TableDefinition;
use crate::{ApiError, EndpointError};

/// JSON bytes of one engine transaction; the engine refuses more than 4 MiB.
const BATCH_BYTES: usize = 3_500_000;
/// Below this size as AWS counts it, the JSON cannot reach [`BATCH_BYTES`].
const SURELY_ONE_BATCH: usize = 300_000;

/// One item's way from one image to another.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) table: Arc<super::Table>,
    pub(crate) key: Item,
    pub(crate) before: Option<Item>,
    pub(crate) after: Option<Item>,
}

pub(crate) struct Engine {
    service: DynamoDbService,
    context: RequestContext,
}

impl Engine {
    /// Opens (or creates) the database in a folder.
    pub(crate) async fn open(
        directory: PathBuf,
        region: &str,
        account: &str,
    ) -> Result<Self, EndpointError> {
        let shown = directory.clone();
        // The engine panics when it cannot open its file; the blocking task
        // turns that into an error.
        let service =
            tokio::task::spawn_blocking(move || DynamoDbService::with_data_dir(directory))
                .await
                .map_err(|_| EndpointError::Storage {
                    path: shown,
                    what: "the DynamoDB database cannot be opened".to_owned(),
                })?;
        Ok(Self {
            service,
            context: RequestContext::new_with_account("dynamodb", region, account),
        })
    }

    /// Calls an operation of the engine itself.
    pub(crate) async fn call(&self, operation: &str, request: Value) -> Result<Value, ApiError> {
        let mut answer = self
            .service
            .handle(operation, request, &self.context)
            .await?;
        if let Value::Object(members) = &mut answer {
            members.remove("__headers");
        }
        Ok(answer)
    }

    pub(crate) async fn create_table(
        &self,
        definition: &TableDefinition,
        request: &Value,
    ) -> Result<(), ApiError> {
        // Without the stream: the endpoint keeps its own change log.
        let mut wanted = json!({
            "TableName": definition.name,
            "KeySchema": request["KeySchema"],
            "AttributeDefinitions": request["AttributeDefinitions"],
            "BillingMode": "PAY_PER_REQUEST",
        });
        if !definition.indexes.is_empty() {
            wanted["GlobalSecondaryIndexes"] = request["GlobalSecondaryIndexes"].clone();
        }
        self.call("CreateTable", wanted).await.map(|_| ())
    }

    pub(crate) async fn get(&self, table: &str, key: &Item) -> Result<Option<Item>, ApiError> {
        let request = json!({"TableName": table, "Key": key});
        let mut answer = self.call("GetItem", request).await?;
        match answer.get_mut("Item").map(Value::take) {
            Some(Value::Object(item)) => Ok(Some(item)),
            _ => Ok(None),
        }
    }

    /// Stores the after images: in one engine transaction, or where that would
    /// be too large for the engine in several, which the change log makes one
    /// again should the process die in between.
    pub(crate) async fn apply(&self, changes: &[Change]) -> Result<(), ApiError> {
        let afters = changes.iter().filter_map(|change| change.after.as_ref());
        let one_batch = afters.map(item_size).sum::<usize>() < SURELY_ONE_BATCH;
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for change in changes {
            let table = &change.table.definition.name;
            let action = match &change.after {
                Some(item) => json!({"Put": {"TableName": table, "Item": item}}),
                None => json!({"Delete": {"TableName": table, "Key": change.key}}),
            };
            if !one_batch {
                bytes += action.to_string().len();
                if bytes > BATCH_BYTES && !batch.is_empty() {
                    self.transact(std::mem::take(&mut batch)).await?;
                    bytes = action.to_string().len();
                }
            }
            batch.push(action);
        }
        self.transact(batch).await
    }

    async fn transact(&self, actions: Vec<Value>) -> Result<(), ApiError> {
        let request = json!({"TransactItems": actions});
        self.call("TransactWriteItems", request).await.map(|_| ())
    }
}
