//! Results, how far they are made, and who reads them.

use super::windows::{Row, devices, partition, partitions, written};
use super::{
    DynamoDbInsights, buckets, bytes, bytes_of, classify, damaged, expiry, number, number_of,
    parse_minute, send, text, text_of,
};
use crate::dynamodb_item::Item;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use domain::ids::{DeviceId, RuleName};
use jiff::Timestamp;
use streaming_analytics::devices::{DeviceKey, DeviceSpan};
use streaming_analytics::insights_table::{
    Correction, DeviceWindow, InsightsTable, Progress, ResultTable, TableError,
};
use streaming_analytics::result::{MinuteResult, RollUp};
use streaming_analytics::window::{Day, Hour, Minute};

impl DynamoDbInsights {
    /// Writes devices, then the row, so that who reads the row finds them.
    async fn put_row<R: Row>(&self, row: &R) -> Result<(), TableError> {
        let mut bare = row.clone();
        let of_row = std::mem::take(&mut bare.totals().devices);
        let (start, revision) = (row.start(), row.revision());
        let kept = R::kept(&self.retention);
        let scope = devices(R::LENGTH, start);
        let buckets = self
            .put_devices(&scope, &of_row, revision, (row.end(), kept))
            .await?;
        let totals = bare
            .write()
            .map_err(|error| TableError::Refused(error.to_string()))?;
        let mut put = self
            .put(partition(R::LENGTH, start), written(start))
            .item("totals", bytes(totals))
            .item("revision", number(revision))
            .item("buckets", number(buckets))
            .condition_expression("attribute_not_exists(revision) OR revision <= :revision")
            .expression_attribute_values(":revision", number(revision));
        if let Some(kept) = kept {
            put = put.item("expiresAt", expiry(row.end(), kept));
        }
        send(put).await.map(drop)
    }

    /// A row with its devices.
    async fn row<R: Row>(&self, start: Timestamp) -> Result<Option<R>, TableError> {
        let scope = partition(R::LENGTH, start);
        let Some(item) = self.item(&scope, &written(start)).await? else {
            return Ok(None);
        };
        let mut row: R = read(&item)?;
        let buckets = number_of(&item, "buckets").unwrap_or_default();
        row.totals().devices = self.devices(&devices(R::LENGTH, start), buckets).await?;
        Ok(Some(row))
    }

    /// Rows of a span without their devices.
    async fn rows<R: Row>(&self, from: Timestamp, until: Timestamp) -> Result<Vec<R>, TableError> {
        let mut rows = Vec::new();
        for scope in partitions(R::LENGTH, from, until) {
            // Both ends are inside a span; the end is left out below.
            let query = self
                .query(&scope)
                .key_condition_expression("#scope = :scope AND #at BETWEEN :from AND :until")
                .expression_attribute_names("#at", "at")
                .expression_attribute_values(":from", text(written(from)))
                .expression_attribute_values(":until", text(written(until)));
            for item in self.all(query).await? {
                let row: R = read(&item)?;
                if row.start() < until {
                    rows.push(row);
                }
            }
        }
        Ok(rows)
    }

    /// Devices of one id in a window.
    async fn readings(
        &self,
        length: &str,
        start: Timestamp,
        device: &DeviceId,
    ) -> Result<Vec<(DeviceKey, DeviceSpan)>, TableError> {
        let item = self
            .item(&partition(length, start), &written(start))
            .await?;
        let buckets: u32 = item
            .and_then(|item| number_of(&item, "buckets"))
            .unwrap_or_default();
        if buckets == 0 {
            return Ok(Vec::new());
        }
        let bucket = buckets::of(device.as_str(), buckets);
        let found = self.bucket(&devices(length, start), bucket).await?;
        let found = found.into_iter().filter(|(key, _)| key.device == *device);
        Ok(found.collect())
    }
}

fn read<R: Row>(item: &Item) -> Result<R, TableError> {
    let bytes = bytes_of(item, "totals").unwrap_or_default();
    R::read(bytes).map_err(|error| damaged(item, error))
}

impl ResultTable for DynamoDbInsights {
    async fn advance(&self, from: Progress, to: Progress) -> Result<bool, TableError> {
        let mut put = self.put("progress", "minutes");
        let mut conditions = Vec::new();
        for (name, from, to) in [
            ("closedThrough", from.closed_through, to.closed_through),
            ("madeThrough", from.made_through, to.made_through),
        ] {
            if let Some(to) = to {
                put = put.item(name, text(to.to_string()));
            }
            conditions.push(match from {
                None => format!("attribute_not_exists({name})"),
                Some(from) => {
                    put =
                        put.expression_attribute_values(format!(":{name}"), text(from.to_string()));
                    format!("{name} = :{name}")
                }
            });
        }
        let put = put.condition_expression(conditions.join(" AND "));
        match Box::pin(put.send()).await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(false),
            Err(error) => Err(classify(&error)),
        }
    }

    async fn corrections(&self, limit: usize) -> Result<Vec<Correction>, TableError> {
        let query = self
            .query("correction")
            .consistent_read(true)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let page = Box::pin(query.send()).await;
        let page = page.map_err(|error| classify(&error))?;
        let correction = |item: &Item| {
            let minute = text_of(item, "at").and_then(parse_minute);
            Ok(Correction {
                minute: minute.ok_or_else(|| damaged(item, "at is no minute"))?,
                noted: text_of(item, "noted").unwrap_or_default().to_owned(),
            })
        };
        page.items().iter().map(correction).collect()
    }

    async fn forget_correction(&self, correction: &Correction) -> Result<(), TableError> {
        let delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .key("scope", text("correction"))
            .key("at", text(correction.minute.to_string()))
            .condition_expression("noted = :noted")
            .expression_attribute_values(":noted", text(&correction.noted));
        match Box::pin(delete.send()).await {
            Ok(_) => Ok(()),
            // Noted again, or forgotten by somebody else.
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(()),
            Err(error) => Err(classify(&error)),
        }
    }

    async fn minute(&self, minute: Minute) -> Result<Option<MinuteResult>, TableError> {
        self.row(minute.start()).await
    }

    async fn put_minute(&self, result: &MinuteResult) -> Result<(), TableError> {
        self.put_row(result).await
    }

    async fn hour(&self, hour: Hour) -> Result<Option<RollUp<Hour>>, TableError> {
        self.row(hour.start()).await
    }

    async fn put_hour(&self, hour: &RollUp<Hour>) -> Result<(), TableError> {
        self.put_row(hour).await
    }

    async fn put_day(&self, day: &RollUp<Day>) -> Result<(), TableError> {
        self.put_row(day).await
    }

    async fn alarm_states(&self) -> Result<Vec<(RuleName, Vec<u8>)>, TableError> {
        let query = self.query("alarm").consistent_read(true);
        let state = |item: &Item| {
            let name = text_of(item, "at").unwrap_or_default();
            let name = RuleName::parse(name).map_err(|error| damaged(item, error))?;
            Ok((name, bytes_of(item, "state").unwrap_or_default().to_vec()))
        };
        self.all(query).await?.iter().map(state).collect()
    }

    async fn keep_alarm_state(&self, rule: &RuleName, state: &[u8]) -> Result<(), TableError> {
        let put = self.put("alarm", rule.as_str());
        send(put.item("state", bytes(state.to_vec())))
            .await
            .map(drop)
    }

    async fn forget_alarm_state(&self, rule: &RuleName) -> Result<(), TableError> {
        let delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .key("scope", text("alarm"))
            .key("at", text(rule.as_str()));
        Box::pin(delete.send())
            .await
            .map(drop)
            .map_err(|error| classify(&error))
    }
}

impl InsightsTable for DynamoDbInsights {
    async fn minutes(&self, from: Minute, until: Minute) -> Result<Vec<MinuteResult>, TableError> {
        self.rows(from.start(), until.start()).await
    }

    async fn hours(&self, from: Hour, until: Hour) -> Result<Vec<RollUp<Hour>>, TableError> {
        self.rows(from.start(), until.start()).await
    }

    async fn days(&self, from: Day, until: Day) -> Result<Vec<RollUp<Day>>, TableError> {
        self.rows(from.start(), until.start()).await
    }

    async fn device(
        &self,
        device: &DeviceId,
        windows: &[DeviceWindow],
    ) -> Result<Vec<(DeviceWindow, DeviceKey, DeviceSpan)>, TableError> {
        let mut found = Vec::new();
        for window in windows {
            let (length, start) = match window {
                DeviceWindow::Minute(minute) => (MinuteResult::LENGTH, minute.start()),
                DeviceWindow::Hour(hour) => (RollUp::<Hour>::LENGTH, hour.start()),
                DeviceWindow::Day(day) => (RollUp::<Day>::LENGTH, day.start()),
            };
            let readings = self.readings(length, start, device).await?;
            found.extend(readings.into_iter().map(|(key, span)| (*window, key, span)));
        }
        Ok(found)
    }
}
