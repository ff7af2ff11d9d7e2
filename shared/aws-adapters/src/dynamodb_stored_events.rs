//! The events of a period, by a scan of the event store: half a read unit per 4 KB of the whole
//! table, whatever the period. No index, so no write unit on the append path.

use crate::dynamodb_event_store::describe;
use crate::dynamodb_item::{self, Item};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use event_sourcing::envelope::Envelope;
use event_sourcing::reconciling::{Page, ReconcileError, StoredEvents};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// The filter compares texts, which are in other zones and of other precision with other producers;
/// so far it looks beyond the period, and the times themselves are compared here.
const SLACK: SignedDuration = SignedDuration::from_hours(24);

/// The events in a table.
#[derive(Debug, Clone)]
pub struct DynamoDbStoredEvents {
    client: Client,
    table: String,
}

/// The last item of a page, as a position has it.
#[derive(Serialize, Deserialize)]
struct After {
    stream: String,
    version: u64,
}

impl DynamoDbStoredEvents {
    /// The events in `table`.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
        }
    }
}

impl StoredEvents for DynamoDbStoredEvents {
    /// Reads as cheaply as can be: a period that ended some minutes ago is complete nevertheless.
    async fn stored(
        &self,
        from: Timestamp,
        until: Timestamp,
        page: Option<&str>,
    ) -> Result<Page<Envelope>, ReconcileError> {
        let text = |time: Option<Timestamp>, edge: Timestamp| {
            AttributeValue::S(time.unwrap_or(edge).to_string())
        };
        let earliest = from.saturating_sub(SLACK).ok();
        let latest = until.saturating_add(SLACK).ok();
        let request = self
            .client
            .scan()
            .table_name(&self.table)
            .filter_expression("#timestamp BETWEEN :earliest AND :latest")
            .expression_attribute_names("#timestamp", "timestamp")
            .expression_attribute_values(":earliest", text(earliest, Timestamp::MIN))
            .expression_attribute_values(":latest", text(latest, Timestamp::MAX))
            .set_exclusive_start_key(page.map(start_key).transpose()?);
        let answer = Box::pin(request.send())
            .await
            .map_err(|error| ReconcileError::Unavailable(describe(&error).into()))?;
        let next = answer.last_evaluated_key().map(after).transpose()?;
        let mut found = answer
            .items
            .into_iter()
            .flatten()
            .map(dynamodb_item::into_envelope)
            .collect::<Result<Vec<_>, _>>()
            .map_err(unreadable)?;
        found.retain(|event| (from..until).contains(&event.at()));
        Ok(Page { found, next })
    }
}

fn unreadable(reason: impl ToString) -> ReconcileError {
    ReconcileError::Unreadable(reason.to_string())
}

fn start_key(page: &str) -> Result<Item, ReconcileError> {
    let after: After = serde_json::from_str(page).map_err(unreadable)?;
    Ok(HashMap::from([
        ("streamId".to_owned(), AttributeValue::S(after.stream)),
        (
            "version".to_owned(),
            AttributeValue::N(after.version.to_string()),
        ),
    ]))
}

fn after(key: &Item) -> Result<String, ReconcileError> {
    let stream = key.get("streamId").and_then(|value| value.as_s().ok());
    let version = key.get("version").and_then(|value| value.as_n().ok());
    let (Some(stream), Some(version)) = (stream, version.and_then(|text| text.parse().ok())) else {
        return Err(unreadable("the table's key is not streamId and version"));
    };
    serde_json::to_string(&After {
        stream: stream.clone(),
        version,
    })
    .map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_goes_on_where_the_one_before_ended() {
        let key = start_key(r#"{"stream":"order-1","version":3}"#).unwrap();
        assert_eq!(key["version"], AttributeValue::N("3".into()));
        assert_eq!(start_key(&after(&key).unwrap()).unwrap(), key);
        assert!(matches!(
            start_key("nonsense"),
            Err(ReconcileError::Unreadable(_))
        ));
    }
}
