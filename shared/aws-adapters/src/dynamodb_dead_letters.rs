//! Dead letters in a table: one item per letter, partition key `letterId` (S), the letter's fields
//! as attributes, its payload as JSON text.
//!
//! A payload that does not fit into an item (400 KB; a message may have 1 MiB) is kept in items of
//! its own, under a name that follows from its content: they are written before the letter and
//! never change, so a letter never has a part of another payload. Open letters are in the index `open`
//! (partition key `open`: `waiting` or `parked`), which only they have the attributes for.

use crate::dynamodb_event_store::describe;
use crate::dynamodb_item::{Item, from_json, to_json};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::operation::scan::ScanOutput;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure, Select};
use event_sourcing::dead_letter::{
    DeadLetter, DeadLetters, DeadLettersError, Filter, LetterSummary, Status, Waiting,
};
use event_sourcing::ids::derive;
use serde_json::{Map, Value};

/// The index of open letters.
const INDEX: &str = "open";
/// A longer payload is kept beside the letter, in parts of so many bytes: the history needs room.
const PART_BYTES: usize = 100 * 1024;
/// Attributes of an item that are no field of a letter.
const BESIDE: [&str; 4] = ["open", "readyAt", "payloadId", "payloadParts"];

/// Keeps dead letters in a table.
#[derive(Debug, Clone)]
pub struct DynamoDbDeadLetters {
    client: Client,
    table: String,
}

impl DynamoDbDeadLetters {
    /// The letters in `table`.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
        }
    }

    async fn item(&self, key: &str) -> Result<Option<Item>, DeadLettersError> {
        let request = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("letterId", AttributeValue::S(key.to_owned()))
            .consistent_read(true);
        let answer = Box::pin(request.send()).await;
        answer.map(|answer| answer.item).map_err(unavailable)
    }

    /// The letter in an item, with its payload from wherever it is kept.
    async fn letter(&self, item: &Item) -> Result<DeadLetter, DeadLettersError> {
        let mut fields = fields(item)?;
        let text = match item.get("payload") {
            Some(text) => text.as_s().cloned().unwrap_or_default(),
            None => self.parts(item).await?,
        };
        let payload = serde_json::from_str(&text).map_err(|error| corrupt(item, error))?;
        fields.insert("payload".to_owned(), payload);
        serde_json::from_value(Value::Object(fields)).map_err(|error| corrupt(item, error))
    }

    async fn parts(&self, item: &Item) -> Result<String, DeadLettersError> {
        let kept = |name: &str| item.get(name);
        let id = kept("payloadId").and_then(|id| id.as_s().ok());
        let count = kept("payloadParts").and_then(|count| count.as_n().ok()?.parse().ok());
        let (Some(id), Some(count)) = (id, count) else {
            return Err(corrupt(item, "it has no payload"));
        };
        let mut text = String::new();
        for number in 0..count {
            let part = self.item(&part_key(id, number)).await?;
            let part = part.as_ref().and_then(|part| part.get("text")?.as_s().ok());
            text.push_str(part.ok_or_else(|| corrupt(item, "a part of its payload is gone"))?);
        }
        Ok(text)
    }

    /// Keeps a long payload, and says where.
    async fn keep_parts(&self, text: &str) -> Result<(String, usize), DeadLettersError> {
        let id = derive(&[text]);
        let parts = parts_of(text);
        for (number, part) in parts.iter().enumerate() {
            let request = self
                .client
                .put_item()
                .table_name(&self.table)
                .item("letterId", AttributeValue::S(part_key(&id, number)))
                .item("text", AttributeValue::S((*part).to_owned()));
            let sent = Box::pin(request.send()).await;
            sent.map_err(unavailable)?;
        }
        Ok((id, parts.len()))
    }

    /// A page of the index of open letters.
    async fn open(
        &self,
        status: Status,
        start: Option<Item>,
        select: Select,
    ) -> Result<QueryOutput, DeadLettersError> {
        let request = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(INDEX)
            .select(select)
            .key_condition_expression("#open = :status")
            .expression_attribute_names("#open", "open")
            .expression_attribute_values(":status", AttributeValue::S(status.as_str().to_owned()))
            .set_exclusive_start_key(start);
        let page = Box::pin(request.send()).await;
        page.map_err(unavailable)
    }

    /// A page of summaries, of open letters only or of all.
    async fn page(&self, open: bool, start: Option<Item>) -> Result<ScanOutput, DeadLettersError> {
        // Parts of payloads have neither.
        let is_meant = if open {
            "attribute_exists(#open)"
        } else {
            "attribute_exists(#consumer)"
        };
        let names = LetterSummary::FIELDS.map(|field| format!("#{field}"));
        let mut request = self
            .client
            .scan()
            .table_name(&self.table)
            .filter_expression(is_meant)
            .projection_expression(names.join(", "))
            .consistent_read(true)
            .set_exclusive_start_key(start);
        for (name, field) in names.into_iter().zip(LetterSummary::FIELDS) {
            request = request.expression_attribute_names(name, field);
        }
        if open {
            request = request.expression_attribute_names("#open", "open");
        }
        let page = Box::pin(request.send()).await;
        page.map_err(unavailable)
    }

    async fn to_item(&self, letter: &DeadLetter) -> Result<Item, DeadLettersError> {
        let refused = |reason: String| DeadLettersError::Refused {
            letter_id: letter.letter_id.clone(),
            reason,
        };
        let Ok(Value::Object(mut fields)) = serde_json::to_value(letter) else {
            return Err(refused("it cannot be written as JSON".to_owned()));
        };
        fields.remove("payload");
        let mut item = Item::new();
        for (name, value) in fields {
            let value = from_json(&value, 1).map_err(|error| refused(error.to_string()))?;
            item.insert(name, value);
        }
        let text = letter.payload.to_string();
        if text.len() <= PART_BYTES {
            item.insert("payload".to_owned(), AttributeValue::S(text));
        } else {
            let (id, parts) = self.keep_parts(&text).await?;
            item.insert("payloadId".to_owned(), AttributeValue::S(id));
            item.insert(
                "payloadParts".to_owned(),
                AttributeValue::N(parts.to_string()),
            );
        }
        if letter.status.is_open() {
            let ready_at = letter.ready_at().unwrap_or(letter.last_failed_at);
            for (name, value) in [
                ("open", letter.status.as_str().to_owned()),
                ("readyAt", ready_at.to_string()),
            ] {
                item.insert(name.to_owned(), AttributeValue::S(value));
            }
        }
        Ok(item)
    }
}

impl DeadLetters for DynamoDbDeadLetters {
    async fn get(&self, letter_id: &str) -> Result<Option<DeadLetter>, DeadLettersError> {
        match self.item(letter_id).await? {
            Some(item) => self.letter(&item).await.map(Some),
            None => Ok(None),
        }
    }

    async fn save(&self, mut letter: DeadLetter) -> Result<DeadLetter, DeadLettersError> {
        let before = letter.revision;
        letter.revision += 1;
        let item = self.to_item(&letter).await?;
        let mut request = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item.clone()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        request = if before == 0 {
            request.condition_expression("attribute_not_exists(letterId)")
        } else {
            request
                .condition_expression("#revision = :before")
                .expression_attribute_names("#revision", "revision")
                .expression_attribute_values(":before", AttributeValue::N(before.to_string()))
        };
        match Box::pin(request.send()).await {
            Ok(_) => Ok(letter),
            Err(error) => match error.as_service_error() {
                // The answer to an earlier attempt was lost.
                Some(PutItemError::ConditionalCheckFailedException(failed))
                    if failed.item() == Some(&item) =>
                {
                    Ok(letter)
                }
                Some(PutItemError::ConditionalCheckFailedException(_)) => {
                    Err(DeadLettersError::Conflict {
                        letter_id: letter.letter_id,
                    })
                }
                Some(refused) if refused.meta().code() == Some("ValidationException") => {
                    Err(DeadLettersError::Refused {
                        letter_id: letter.letter_id,
                        reason: describe(&error),
                    })
                }
                _ => Err(unavailable(error)),
            },
        }
    }

    async fn list(&self, filter: &Filter) -> Result<Vec<LetterSummary>, DeadLettersError> {
        let mut letters = Vec::new();
        let mut start = None;
        loop {
            let page = self.page(filter.is_open(), start).await?;
            for item in page.items() {
                let letter = summary(item)?;
                if filter.matches(&letter) {
                    letters.push(letter);
                }
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                letters.sort_by(|a, b| a.letter_id.cmp(&b.letter_id));
                return Ok(letters);
            }
        }
    }

    async fn waiting(&self) -> Result<Vec<Waiting>, DeadLettersError> {
        let mut waiting = Vec::new();
        let mut start = None;
        loop {
            let page = self.open(Status::Waiting, start, Select::AllProjectedAttributes);
            let page = page.await?;
            for item in page.items() {
                waiting.push(read_waiting(item).ok_or_else(|| corrupt(item, "no index entry"))?);
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(waiting);
            }
        }
    }

    async fn parked(&self) -> Result<usize, DeadLettersError> {
        let mut parked = 0;
        let mut start = None;
        loop {
            let page = self.open(Status::Parked, start, Select::Count).await?;
            parked += usize::try_from(page.count).unwrap_or(0);
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(parked);
            }
        }
    }
}

fn summary(item: &Item) -> Result<LetterSummary, DeadLettersError> {
    serde_json::from_value(Value::Object(fields(item)?)).map_err(|error| corrupt(item, error))
}

/// The fields of a letter that an item has.
fn fields(item: &Item) -> Result<Map<String, Value>, DeadLettersError> {
    let of_letter = item
        .iter()
        .filter(|(name, _)| !BESIDE.contains(&name.as_str()));
    of_letter
        .map(|(name, value)| match to_json(name, value) {
            Ok(value) => Ok((name.clone(), value)),
            Err(error) => Err(corrupt(item, error)),
        })
        .collect()
}

fn read_waiting(item: &Item) -> Option<Waiting> {
    let text = |name: &str| item.get(name)?.as_s().ok().cloned();
    let event = item.get("event").and_then(|event| event.as_m().ok());
    let of_event = |name: &str| event?.get(name);
    Some(Waiting {
        letter_id: text("letterId")?,
        consumer: text("consumer")?,
        stream_id: of_event("streamId").and_then(|id| id.as_s().ok().cloned()),
        version: of_event("version").and_then(|version| version.as_n().ok()?.parse().ok()),
        ready_at: text("readyAt")?.parse().ok()?,
    })
}

/// A consumer's name has no colon, so no letter has such an id.
fn part_key(id: &str, number: usize) -> String {
    format!("payload:{id}/{number}")
}

fn parts_of(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let mut end = rest.len().min(3 * PART_BYTES);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (part, after) = rest.split_at(end);
        parts.push(part);
        rest = after;
    }
    parts
}

fn unavailable(error: impl std::error::Error + 'static) -> DeadLettersError {
    DeadLettersError::Unavailable(describe(&error).into())
}

fn corrupt(item: &Item, reason: impl ToString) -> DeadLettersError {
    let id = item.get("letterId").and_then(|id| id.as_s().ok());
    DeadLettersError::Corrupt {
        letter_id: id.cloned().unwrap_or_default(),
        reason: reason.to_string(),
    }
}
