//! A table of events that is made anew from an archive: for looking into, or to go on with.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::operation::describe_table::DescribeTableError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType,
    ReturnValuesOnConditionCheckFailure, ScalarAttributeType, TableDescription, TableStatus,
};
use event_sourcing::chain;
use event_sourcing::envelope::Envelope;

use crate::dynamodb_event_store::{IS_NEW, describe};
use crate::dynamodb_item::{from_envelope, to_envelope};

/// The keys of a table of events, with their kinds.
const KEYS: [(&str, KeyType, ScalarAttributeType); 2] = [
    ("streamId", KeyType::Hash, ScalarAttributeType::S),
    ("version", KeyType::Range, ScalarAttributeType::N),
];
/// Whether a table can be used already is asked so often, so long apart.
const ASKED: (u32, Duration) = (120, Duration::from_millis(500));

/// Why an event is not in the table.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The table is another one.
    #[error("table {table} is there and is none of events ({reason}); name another")]
    OtherTable {
        /// Which.
        table: String,
        /// What is otherwise.
        reason: String,
    },
    /// It was not created, or not found.
    #[error(
        "table {table} cannot be used: {reason}; the operator needs dynamodb:CreateTable, \
         dynamodb:DescribeTable and dynamodb:PutItem on it"
    )]
    Table {
        /// Which.
        table: String,
        /// What was said.
        reason: String,
    },
    /// An event was not put.
    #[error("{0}")]
    Put(String),
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restored {
    /// It was put.
    New,
    /// It was there.
    There,
    /// Another event is in its place, and stays.
    Differs,
}

/// The table. Clones share connections.
#[derive(Debug, Clone)]
pub struct RestoredEvents {
    client: Client,
    table: String,
}

impl RestoredEvents {
    /// The table of this name; it is created, with the keys of the event store and paid by
    /// request, unless it is there.
    ///
    /// # Errors
    /// [`RestoreError`], when it cannot be had, or is a table of something else.
    pub async fn open(client: Client, table: &str) -> Result<Self, RestoreError> {
        let restored = Self {
            client,
            table: table.to_owned(),
        };
        let mut found = restored.found().await?;
        if found.is_none() {
            restored.create().await?;
        }
        for _ in 0..ASKED.0 {
            if let Some(found) = &found
                && found.table_status == Some(TableStatus::Active)
            {
                return restored.is_of_events(found).map(|()| restored);
            }
            tokio::time::sleep(ASKED.1).await;
            found = restored.found().await?;
        }
        Err(restored.failed("it is still not active"))
    }

    /// Puts an event in its place, unless that is taken.
    ///
    /// # Errors
    /// [`RestoreError::Put`], when the event is none that a table takes, or there is no answer.
    pub async fn put(&self, event: &Envelope) -> Result<Restored, RestoreError> {
        let item = from_envelope(event).map_err(|error| RestoreError::Put(error.to_string()))?;
        let sent = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression(IS_NEW)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send();
        let Err(error) = Box::pin(sent).await else {
            return Ok(Restored::New);
        };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                let there = failed.item().and_then(|item| to_envelope(item).ok());
                let is_same = there.is_some_and(|it| chain::hash_of(&it) == chain::hash_of(event));
                Ok(if is_same {
                    Restored::There
                } else {
                    Restored::Differs
                })
            }
            _ => Err(RestoreError::Put(describe(&error))),
        }
    }

    async fn found(&self) -> Result<Option<TableDescription>, RestoreError> {
        let asked = self.client.describe_table().table_name(&self.table).send();
        match Box::pin(asked).await {
            Ok(found) => Ok(found.table),
            Err(error) => match error.as_service_error() {
                Some(DescribeTableError::ResourceNotFoundException(_)) => Ok(None),
                _ => Err(self.failed(describe(&error))),
            },
        }
    }

    async fn create(&self) -> Result<(), RestoreError> {
        let mut request = self
            .client
            .create_table()
            .table_name(&self.table)
            .billing_mode(BillingMode::PayPerRequest);
        for (name, role, kind) in KEYS {
            let key = KeySchemaElement::builder().attribute_name(name);
            let attribute = AttributeDefinition::builder().attribute_name(name);
            let built = |error: aws_sdk_dynamodb::error::BuildError| self.failed(describe(&error));
            request = request
                .key_schema(key.key_type(role).build().map_err(built)?)
                .attribute_definitions(attribute.attribute_type(kind).build().map_err(built)?);
        }
        match Box::pin(request.send()).await {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                // Somebody else was faster.
                Some(CreateTableError::ResourceInUseException(_)) => Ok(()),
                _ => Err(self.failed(describe(&error))),
            },
        }
    }

    fn is_of_events(&self, found: &TableDescription) -> Result<(), RestoreError> {
        let keys = found.key_schema().iter();
        let keys: Vec<_> = keys
            .map(|key| (key.attribute_name(), key.key_type().clone()))
            .collect();
        let expected = KEYS.map(|(name, role, _)| (name, role));
        if keys == expected {
            return Ok(());
        }
        let keys: Vec<_> = keys.into_iter().map(|(name, _)| name).collect();
        Err(RestoreError::OtherTable {
            table: self.table.clone(),
            reason: format!("its keys are {}", keys.join(", ")),
        })
    }

    fn failed(&self, reason: impl Into<String>) -> RestoreError {
        RestoreError::Table {
            table: self.table.clone(),
            reason: reason.into(),
        }
    }
}
