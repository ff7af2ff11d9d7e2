//! Snapshots in a table: one item per stream, partition key `streamId` (S). An event store's own
//! table is not for them: its stream is the outbox.

use crate::dynamodb_event_store::describe;
use crate::dynamodb_item::{Item, MAX_ITEM_BYTES, from_json, item_bytes, to_json};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use event_sourcing::chain::Head;
use event_sourcing::snapshot::{Snapshot, SnapshotError, SnapshotStore};
use event_sourcing::store::ReadError;

/// Keeps the last snapshot of each stream in a table.
#[derive(Debug, Clone)]
pub struct DynamoDbSnapshots {
    client: Client,
    table: String,
}

impl DynamoDbSnapshots {
    /// The snapshots in `table`.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
        }
    }
}

impl SnapshotStore for DynamoDbSnapshots {
    /// Read as cheaply as can be: a snapshot that is some milliseconds old does as well.
    async fn snapshot(&self, stream: &str) -> Result<Option<Snapshot>, ReadError> {
        let request = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("streamId", AttributeValue::S(stream.to_owned()));
        let answer = Box::pin(request.send())
            .await
            .map_err(|error| ReadError::Unavailable(describe(&error).into()))?;
        // An item that is no snapshot is as good as none: the stream is folded from its start.
        Ok(answer.item().and_then(|item| read(stream, item)))
    }

    async fn keep(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        let item = written(snapshot)?;
        let request = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression(
                "attribute_not_exists(streamId) OR #fold < :fold \
                 OR (#fold = :fold AND #version < :version)",
            )
            .expression_attribute_names("#fold", "fold")
            .expression_attribute_names("#version", "version")
            .expression_attribute_values(":fold", number(u64::from(snapshot.fold)))
            .expression_attribute_values(":version", number(snapshot.head.version));
        match Box::pin(request.send()).await {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                // A newer one is there.
                Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(()),
                _ => Err(SnapshotError::Unavailable(describe(&error).into())),
            },
        }
    }
}

fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn written(snapshot: &Snapshot) -> Result<Item, SnapshotError> {
    let mut item = Item::from([
        (
            "streamId".to_owned(),
            AttributeValue::S(snapshot.stream.clone()),
        ),
        ("version".to_owned(), number(snapshot.head.version)),
        ("fold".to_owned(), number(u64::from(snapshot.fold))),
        (
            "state".to_owned(),
            from_json(&snapshot.state, 1)
                .map_err(|error| SnapshotError::Malformed(error.to_string()))?,
        ),
    ]);
    if let Some(hash) = &snapshot.head.hash {
        item.insert("hash".to_owned(), AttributeValue::S(hash.clone()));
    }
    let bytes = item_bytes(&item);
    if bytes > MAX_ITEM_BYTES {
        return Err(SnapshotError::TooLarge {
            bytes,
            limit: MAX_ITEM_BYTES,
        });
    }
    Ok(item)
}

fn read(stream: &str, item: &Item) -> Option<Snapshot> {
    let number = |name: &str| item.get(name)?.as_n().ok();
    Some(Snapshot {
        stream: stream.to_owned(),
        head: Head {
            version: number("version")?.parse().ok()?,
            hash: item.get("hash").and_then(|hash| hash.as_s().ok()).cloned(),
        },
        fold: number("fold")?.parse().ok()?,
        state: to_json("state", item.get("state")?).ok()?,
    })
}
