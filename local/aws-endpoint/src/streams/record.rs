//! One stream record, in the form a function gets it in `Records[]`.

use serde_json::{Value, json};
use uuid::Uuid;

use super::log::LoggedWrite;
use super::{StreamOrigin, sequence_number, shard_key};
use crate::dynamodb::attributes::item_size;

/// A record read from a [`TableStream`](super::TableStream).
#[derive(Debug, Clone, PartialEq)]
pub struct StreamRecord {
    /// Position in the table's stream: 1, 2, 3 …
    pub sequence: u64,
    /// Value of the item's partition key; records of one key stay in order.
    pub partition_key: String,
    /// When the change was made, milliseconds since the Unix epoch.
    pub at_millis: u64,
    /// The record as Lambda puts it into `Records[]`.
    pub record: Value,
}

/// A record as it is kept in memory: as text, which is several times smaller
/// than the parsed form.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) sequence: u64,
    pub(super) at_millis: u64,
    partition_key: Box<str>,
    text: Box<str>,
}

impl Kept {
    pub(super) fn read(&self) -> StreamRecord {
        StreamRecord {
            sequence: self.sequence,
            partition_key: self.partition_key.to_string(),
            at_millis: self.at_millis,
            record: self.parsed(),
        }
    }

    /// # Panics
    /// Never, unless there is a bug here: `render` wrote the text, and items
    /// nest 32 levels at most, which is half of what the parser takes. A null
    /// record in its place would be taken for a change and lost.
    fn parsed(&self) -> Value {
        match serde_json::from_str(&self.text) {
            Ok(record) => record,
            Err(error) => panic!("stream record {} cannot be read: {error}", self.sequence),
        }
    }
}

pub(super) fn render(
    origin: &StreamOrigin,
    sequence: u64,
    at_millis: u64,
    write: &LoggedWrite<'_>,
) -> Kept {
    let event_name = match (write.existed, &write.new) {
        (false, _) => "INSERT",
        (true, Some(_)) => "MODIFY",
        (true, None) => "REMOVE",
    };
    let new = write
        .new
        .as_ref()
        .filter(|_| matches!(origin.view.as_str(), "NEW_IMAGE" | "NEW_AND_OLD_IMAGES"));
    let size = item_size(&write.key)
        + new.map_or(0, |image| item_size(image))
        + write.old.as_ref().map_or(0, |image| item_size(image));
    let mut data = json!({
        "ApproximateCreationDateTime": at_millis / 1000,
        "Keys": write.key,
        "SequenceNumber": sequence_number(sequence),
        "SizeBytes": size,
        "StreamViewType": origin.view,
    });
    if let Some(image) = new {
        data["NewImage"] = json!(image);
    }
    if let Some(image) = &write.old {
        data["OldImage"] = json!(image);
    }
    let name = format!("{}/{sequence}", origin.arn);
    let record = json!({
        "eventID": Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()).simple().to_string(),
        "eventName": event_name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": origin.region,
        "dynamodb": data,
        "eventSourceARN": origin.arn,
    });
    Kept {
        sequence,
        at_millis,
        partition_key: shard_key(write.key.get(&origin.partition_key)).into(),
        text: record.to_string().into(),
    }
}
