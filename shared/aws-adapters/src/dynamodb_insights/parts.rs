//! Parts, and what is noted of minutes that are closed.

use super::{
    DynamoDbInsights, Put, bytes, bytes_of, classify, damaged, expiry, minute_of, send, text,
    text_of,
};
use crate::dynamodb_item::Item;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use streaming_analytics::ids::Ids;
use streaming_analytics::insights_table::{MinuteTable, PartTable, Progress, PutPart, TableError};
use streaming_analytics::part::{Columns, LambdaWindow, Part, PartKey};
use streaming_analytics::window::Minute;

fn scope(minute: Minute) -> String {
    format!("part#{minute}")
}

fn key(minute: Minute, item: &Item) -> Option<PartKey> {
    let mut words = text_of(item, "at")?.rsplitn(3, '#');
    let seq = words.next()?.parse().ok()?;
    let start = words.next()?.parse().ok()?;
    let shard = words.next()?.to_owned();
    Some(PartKey {
        minute,
        window: LambdaWindow { shard, start },
        seq,
    })
}

fn ids(item: &Item) -> Result<Ids, TableError> {
    // A part of late and malformed records only has none; an empty value would be no use.
    let bytes = bytes_of(item, "ids").unwrap_or_default();
    Ids::from_bytes(bytes).ok_or_else(|| damaged(item, "ids are none"))
}

fn part(item: &Item) -> Result<Part, TableError> {
    let columns = Columns {
        ids: bytes_of(item, "ids").unwrap_or_default().to_vec(),
        rest: bytes_of(item, "rest").unwrap_or_default().to_vec(),
    };
    Part::from_columns(&columns).map_err(|error| damaged(item, error))
}

impl DynamoDbInsights {
    fn put_columns(&self, of: &Part) -> Result<PutItemFluentBuilder, TableError> {
        let columns = of
            .to_columns()
            .map_err(|error| TableError::Refused(error.to_string()))?;
        let mut put = self
            .put(scope(of.key.minute), of.key.to_string())
            .item("rest", bytes(columns.rest))
            .item(
                "expiresAt",
                expiry(of.key.minute.end(), self.retention.parts),
            );
        if !columns.ids.is_empty() {
            put = put.item("ids", bytes(columns.ids));
        }
        Ok(put)
    }
}

async fn put(put: PutItemFluentBuilder) -> Result<PutPart, TableError> {
    Ok(match send(put).await? {
        Put::Done => PutPart::Written,
        Put::There(there) => PutPart::There(Box::new(part(&there)?)),
    })
}

impl MinuteTable for DynamoDbInsights {
    async fn progress(&self) -> Result<Progress, TableError> {
        let Some(item) = self.item("progress", "minutes").await? else {
            return Ok(Progress::default());
        };
        Ok(Progress {
            closed_through: minute_of(&item, "closedThrough")?,
            made_through: minute_of(&item, "madeThrough")?,
        })
    }

    async fn parts_of(&self, minute: Minute) -> Result<Vec<Part>, TableError> {
        let query = self.query(&scope(minute)).consistent_read(true);
        self.all(query).await?.iter().map(part).collect()
    }
}

impl PartTable for DynamoDbInsights {
    async fn ids_of(&self, minute: Minute) -> Result<Vec<(PartKey, Ids)>, TableError> {
        let query = self
            .query(&scope(minute))
            .consistent_read(true)
            .projection_expression("#scope, #at, ids")
            .expression_attribute_names("#at", "at");
        let items = self.all(query).await?;
        let read = |item: &Item| {
            let key = key(minute, item).ok_or_else(|| damaged(item, "its key is none"))?;
            Ok((key, ids(item)?))
        };
        items.iter().map(read).collect()
    }

    async fn put_part(&self, of: &Part) -> Result<PutPart, TableError> {
        put(self
            .put_columns(of)?
            .condition_expression("attribute_not_exists(rest)"))
        .await
    }

    async fn replace_part(&self, of: &Part, stored: &Part) -> Result<PutPart, TableError> {
        let stored = stored
            .to_columns()
            .map_err(|error| TableError::Refused(error.to_string()))?;
        put(self
            .put_columns(of)?
            .condition_expression("attribute_not_exists(rest) OR rest = :stored")
            .expression_attribute_values(":stored", bytes(stored.rest)))
        .await
    }

    async fn note_correction(&self, part: &PartKey) -> Result<(), TableError> {
        let put = self
            .put("correction", part.minute.to_string())
            .item("noted", text(part.to_string()));
        Box::pin(put.send())
            .await
            .map(drop)
            .map_err(|error| classify(&error))
    }
}
