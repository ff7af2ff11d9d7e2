//! Creating, describing and deleting tables, and opening the database.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::engine::{Change, Engine};
use super::in_flight::{InFlight, Tokens};
use super::schema::TableDefinition;
use super::supported::{check_create, check_update};
use super::{DynamoDb, Table, flag};
use crate::clock::{now_millis, rfc3339_seconds};
use crate::streams::log::{ChangeLog, LoggedCommit, Recovered};
use crate::streams::{Outbox, StreamOrigin, TableStream, trim};
use crate::{ApiError, EndpointError};

/// A table definition as it is kept in the data directory.
#[derive(Debug, Serialize, Deserialize)]
struct KeptTable {
    created_millis: u64,
    request: Value,
}

/// What the database is opened with.
pub(crate) struct Settings<'a> {
    pub(crate) directory: &'a Path,
    pub(crate) durable: bool,
    pub(crate) region: &'a str,
    pub(crate) account: &'a str,
    pub(crate) transaction_conflicts: bool,
}

impl DynamoDb {
    /// Opens the database, with the tables, items, streams and checkpoints
    /// that its directory holds.
    pub(crate) async fn open(settings: Settings<'_>) -> Result<Self, EndpointError> {
        let directory = settings.directory;
        let engine = Engine::open(
            directory.join("dynamodb"),
            settings.region,
            settings.account,
        )
        .await?;
        let mut database = Self {
            engine,
            tables: RwLock::default(),
            commits: tokio::sync::RwLock::default(),
            in_flight: InFlight::default(),
            tokens: Tokens::default(),
            outbox: Outbox::default(),
            transaction_conflicts: settings.transaction_conflicts,
            region: settings.region.to_owned(),
            account: settings.account.to_owned(),
            definitions_file: settings.durable.then(|| directory.join("tables.json")),
        };
        if settings.durable {
            for kept in database.read_definitions()? {
                database
                    .open_table(kept.request, kept.created_millis)
                    .await?;
            }
            let (log, recovered) = ChangeLog::open(&directory.join("changes.jsonl"))?;
            database.recover(&log, recovered).await?;
            database.outbox = Outbox::new(Some(log));
        }
        Ok(database)
    }

    /// Completes the last commit if the process died before the engine had
    /// it, and fills the streams.
    async fn recover(
        &self,
        log: &ChangeLog,
        mut recovered: Recovered,
    ) -> Result<(), EndpointError> {
        if let Some(last) = recovered.commits.last() {
            let changes = self.changes_of(last);
            let mut missing = false;
            for change in &changes {
                let name = &change.table.definition.name;
                missing |= self.engine.get(name, &change.key).await? != change.after;
            }
            if missing {
                self.engine.apply(&changes).await?;
            }
        }
        trim(&mut recovered, |table| {
            self.table_named(table)
                .is_some_and(|table| table.stream.is_some())
        });
        for stream in self.streams() {
            let name = stream.origin().table.clone();
            let checkpoints = recovered
                .checkpoints
                .iter()
                .filter(|((table, _), _)| *table == name)
                .map(|((_, consumer), sequence)| (consumer.clone(), *sequence))
                .collect();
            let last = recovered.last_sequences.get(&name).copied().unwrap_or(0);
            stream.restore(&recovered.commits, last, checkpoints);
        }
        log.rewrite(&recovered)
    }

    fn changes_of(&self, commit: &LoggedCommit<'_>) -> Vec<Change> {
        let writes = commit.writes.iter();
        writes
            .filter_map(|write| {
                Some(Change {
                    table: self.table_named(&write.table)?,
                    key: write.key.clone().into_owned(),
                    before: None,
                    after: write.new.clone().map(std::borrow::Cow::into_owned),
                })
            })
            .collect()
    }

    fn read_definitions(&self) -> Result<Vec<KeptTable>, EndpointError> {
        let Some(path) = self.definitions_file.as_ref().filter(|path| path.exists()) else {
            return Ok(Vec::new());
        };
        let failed = |what: String| EndpointError::Storage {
            path: path.clone(),
            what,
        };
        let text = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
        serde_json::from_slice(&text).map_err(|error| failed(error.to_string()))
    }

    fn write_definitions(&self) -> Result<(), EndpointError> {
        let Some(path) = &self.definitions_file else {
            return Ok(());
        };
        let kept: Vec<KeptTable> = {
            let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
            let keep = |table: &Arc<Table>| KeptTable {
                created_millis: table.created_millis,
                request: table.request.clone(),
            };
            tables.values().map(keep).collect()
        };
        crate::files::replace(path, &json!(kept).to_string().into_bytes())
    }

    async fn open_table(
        &self,
        request: Value,
        created_millis: u64,
    ) -> Result<Arc<Table>, ApiError> {
        let definition = TableDefinition::parse(&request)?;
        self.engine.create_table(&definition, &request).await?;
        let stream = definition.stream_view.as_ref().map(|view| {
            let seconds = i64::try_from(created_millis / 1000).unwrap_or(0);
            let label = rfc3339_seconds(seconds).replace('Z', ".000");
            TableStream::new(StreamOrigin {
                table: definition.name.clone(),
                arn: format!("{}/stream/{label}", self.table_arn(&definition.name)),
                label,
                view: view.clone(),
                partition_key: definition.keys.partition.name.clone(),
                sort_key: definition.keys.sort.as_ref().map(|key| key.name.clone()),
                region: self.region.clone(),
            })
        });
        let name = definition.name.clone();
        let table = Arc::new(Table {
            definition,
            stream,
            request,
            created_millis,
        });
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        tables.insert(name, Arc::clone(&table));
        Ok(table)
    }

    fn table_arn(&self, name: &str) -> String {
        format!(
            "arn:aws:dynamodb:{}:{}:table/{name}",
            self.region, self.account
        )
    }

    /// Creates a table, or finds it as it was defined before.
    pub(crate) async fn ensure_table(&self, request: &Value) -> Result<(), EndpointError> {
        check_create(request)?;
        let wanted = TableDefinition::parse(request)?;
        let _commit = self.commits.write().await;
        let Some(existing) = self.table_named(&wanted.name) else {
            self.open_table(request.clone(), now_millis()).await?;
            return self.write_definitions();
        };
        let differences: Vec<&str> = [
            ("KeySchema", existing.definition.keys != wanted.keys),
            (
                "GlobalSecondaryIndexes",
                by_name(&existing.definition) != by_name(&wanted),
            ),
            (
                "StreamSpecification",
                existing.definition.stream_view != wanted.stream_view,
            ),
        ]
        .into_iter()
        .filter_map(|(member, differs)| differs.then_some(member))
        .collect();
        if differences.is_empty() {
            return Ok(());
        }
        Err(EndpointError::TableChanged {
            table: wanted.name,
            members: differences.join(", "),
            directory: self
                .definitions_file
                .as_ref()
                .and_then(|file| file.parent())
                .map_or_else(PathBuf::new, Path::to_owned),
        })
    }

    pub(super) async fn create_table_over_api(&self, request: &Value) -> Result<Value, ApiError> {
        check_create(request)?;
        let wanted = TableDefinition::parse(request)?;
        let _commit = self.commits.write().await;
        if self.table_named(&wanted.name).is_some() {
            return Err(ApiError::new(
                "ResourceInUseException",
                format!("Table already exists: {}", wanted.name),
            ));
        }
        let table = self.open_table(request.clone(), now_millis()).await?;
        self.write_definitions()
            .map_err(|error| ApiError::internal(error.to_string()))?;
        let description = self.describe(&table).await?;
        Ok(json!({"TableDescription": description}))
    }

    pub(super) async fn describe_table(&self, request: &Value) -> Result<Value, ApiError> {
        let table = self.table(request)?;
        Ok(json!({"Table": self.describe(&table).await?}))
    }

    async fn describe(&self, table: &Table) -> Result<Value, ApiError> {
        let request = json!({"TableName": table.definition.name});
        let mut answer = self.engine.call("DescribeTable", request).await?;
        let mut description = answer["Table"].take();
        description["DeletionProtectionEnabled"] = json!(table.definition.deletion_protected);
        description["CreationDateTime"] = json!(table.created_millis / 1000);
        if let Some(stream) = &table.stream {
            let origin = stream.origin();
            description["StreamSpecification"] =
                json!({"StreamEnabled": true, "StreamViewType": origin.view});
            description["LatestStreamArn"] = json!(origin.arn);
            description["LatestStreamLabel"] = json!(origin.label);
        }
        Ok(description)
    }

    /// Changes `DeletionProtectionEnabled`, the one setting of a table that
    /// can be changed here.
    pub(super) async fn update_table(&self, request: &Value) -> Result<Value, ApiError> {
        check_update(request)?;
        let protected = flag(request, "DeletionProtectionEnabled")?;
        if protected.is_none() && request["BillingMode"].is_null() {
            return Err(ApiError::validation(
                "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, \
                 GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required",
            ));
        }
        let _commit = self.commits.write().await;
        let mut table = self.table(request)?;
        if let Some(protected) = protected {
            table = self.protect(&table, protected)?;
        }
        Ok(json!({"TableDescription": self.describe(&table).await?}))
    }

    /// Replaces a table by one that differs in its protection.
    fn protect(&self, table: &Table, protected: bool) -> Result<Arc<Table>, ApiError> {
        let mut request = table.request.clone();
        request["DeletionProtectionEnabled"] = json!(protected);
        let mut definition = table.definition.clone();
        definition.deletion_protected = protected;
        let name = definition.name.clone();
        let changed = Arc::new(Table {
            definition,
            stream: table.stream.clone(),
            request,
            created_millis: table.created_millis,
        });
        self.tables
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name, Arc::clone(&changed));
        self.write_definitions()
            .map_err(|error| ApiError::internal(error.to_string()))?;
        Ok(changed)
    }

    pub(super) async fn delete_table(&self, request: &Value) -> Result<Value, ApiError> {
        let _commit = self.commits.write().await;
        let table = self.table(request)?;
        if table.definition.deletion_protected {
            return Err(ApiError::validation(
                "Resource cannot be deleted as it is currently protected against deletion. \
                 Disable deletion protection first.",
            ));
        }
        let mut description = self.describe(&table).await?;
        let name = &table.definition.name;
        self.engine
            .call("DeleteTable", json!({"TableName": name}))
            .await?;
        self.tables
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name);
        self.outbox
            .forget(name)
            .and_then(|()| self.write_definitions())
            .map_err(|error| ApiError::internal(error.to_string()))?;
        description["TableStatus"] = json!("DELETING");
        Ok(json!({"TableDescription": description}))
    }
}

fn by_name(definition: &TableDefinition) -> BTreeMap<&str, &super::schema::Index> {
    let indexes = definition.indexes.iter();
    indexes.map(|index| (index.name.as_str(), index)).collect()
}
