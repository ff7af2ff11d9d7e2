//! What was given up and is not done with: messages that lie in dead-letter queues, and letters
//! that wait or are parked.

use std::collections::BTreeMap;

use aws_endpoint::Endpoint;
use serde_json::{Value, json};

use crate::error::LocalError;
use crate::queues::DeadLetter;
use crate::store_view::Store;

/// Logical id of the table of letters.
const TABLE: &str = "DeadLetters";
/// How long a message that is looked at is out of others' sight, in seconds.
const LOOK: u64 = 1;

/// A letter of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    pub consumer: String,
    /// The event it is about, where it is about one.
    pub event_id: Option<String>,
    /// Whether it waits or is parked.
    pub open: bool,
}

/// The letters of a template's table; none where it has no such table.
pub(crate) async fn letters(
    store: Store<'_>,
    template: &sam_template::Stack,
) -> Result<Vec<Letter>, LocalError> {
    let mut tables = template.tables.iter();
    let Some(table) = tables.find(|table| table.logical_id == TABLE) else {
        return Ok(Vec::new());
    };
    let items = store.scan(&table.name).await?;
    Ok(items.iter().filter_map(letter).collect())
}

/// None for a part of a payload.
fn letter(item: &Value) -> Option<Letter> {
    Some(Letter {
        consumer: item["consumer"].as_str()?.to_owned(),
        event_id: item["event"]["eventId"].as_str().map(str::to_owned),
        open: item["open"].is_string(),
    })
}

/// The messages that lie in a queue. They stay there.
pub(crate) async fn messages(
    endpoint: &Endpoint,
    queue: &str,
) -> Result<Vec<DeadLetter>, LocalError> {
    let mut found = BTreeMap::new();
    loop {
        let request = json!({
            "QueueUrl": endpoint.queue_url(queue),
            "MaxNumberOfMessages": 10,
            "VisibilityTimeout": LOOK,
            "MessageAttributeNames": ["All"],
        });
        let answer = endpoint.call("sqs", "ReceiveMessage", request).await?;
        let page = answer["Messages"].as_array().map_or(&[][..], Vec::as_slice);
        let known = found.len();
        for message in page {
            let id = message["MessageId"].as_str().unwrap_or_default().to_owned();
            found.insert(id, read(queue, message));
        }
        // Those that were seen first come into sight again.
        if found.len() == known {
            return Ok(found.into_values().collect());
        }
    }
}

fn read(queue: &str, message: &Value) -> DeadLetter {
    let attributes = message["MessageAttributes"].as_object().into_iter();
    DeadLetter {
        queue: queue.to_owned(),
        body: message["Body"].as_str().unwrap_or_default().to_owned(),
        attributes: attributes
            .flatten()
            .filter_map(|(name, value)| {
                let value = value["StringValue"].as_str()?;
                Some((name.clone(), value.to_owned()))
            })
            .collect(),
        records: Vec::new(),
    }
}
