//! The event store in a table: one item per event, one conditional write per append.

use crate::dynamodb_item::{self, Item, MAX_ITEM_BYTES, item_bytes};
use crate::dynamodb_stock::{DynamoDbStock, MovedStock};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};
use event_sourcing::chain::{self, Head};
use event_sourcing::envelope::Envelope;
use event_sourcing::store::{AppendError, EventStore, ReadError};
use std::fmt::Debug;
use std::sync::Arc;

/// Most writes of one transaction
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html>).
pub const MAX_TRANSACTION_ACTIONS: usize = 100;

/// An event is put only where there is none.
pub(crate) const IS_NEW: &str = "attribute_not_exists(streamId)";

/// Streams of events in one table: partition key `streamId`, sort key `version`.
#[derive(Debug, Clone)]
pub struct DynamoDbEventStore {
    client: Client,
    table: String,
    stock: Option<Arc<MovedStock>>,
}

impl DynamoDbEventStore {
    /// The store in `table`.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
            stock: None,
        }
    }

    /// The same store, moving stock in `table` in the transactions of events. It uses the buckets
    /// of SKUs that are split, and splits a SKU that it finds hot into `split_up_to` of them at
    /// most; with 1 it splits none.
    #[must_use]
    pub fn with_stock(mut self, table: impl Into<String>, split_up_to: u16) -> Self {
        let stock = DynamoDbStock::new(self.client.clone(), table);
        self.stock = Some(Arc::new(MovedStock::new(stock, split_up_to)));
        self
    }

    pub(crate) fn stock(&self) -> Option<&MovedStock> {
        self.stock.as_deref()
    }

    /// The items of `events` with their positions.
    pub(crate) fn prepare<R: Debug>(
        stream: &str,
        head: &Head,
        events: Vec<Envelope>,
    ) -> Result<(Vec<Envelope>, Vec<Item>), AppendError<R>> {
        let events = chain::record(stream, head, events);
        let items = Self::items(&events)?;
        let bytes = items.iter().map(item_bytes).max().unwrap_or(0);
        if bytes > MAX_ITEM_BYTES {
            return Err(AppendError::TooLarge {
                bytes,
                limit: MAX_ITEM_BYTES,
            });
        }
        Ok((events, items))
    }

    /// The items of recorded events.
    pub(crate) fn items<R: Debug>(events: &[Envelope]) -> Result<Vec<Item>, AppendError<R>> {
        events
            .iter()
            .map(|event| {
                dynamodb_item::from_envelope(event)
                    .map_err(|error| AppendError::Malformed(error.to_string()))
            })
            .collect()
    }

    async fn put(&self, stream: &str, version: u64, item: Item) -> Result<(), AppendError> {
        let sent = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression(IS_NEW)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send();
        // Boxed here and below: the SDK's futures are large, and callers nest them.
        Box::pin(sent)
            .await
            .map(|_| ())
            .map_err(|error| match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                    conflict(stream, version, failed.item())
                }
                _ => classify(error),
            })
    }

    /// Sends events, and the writes that belong to them, as one transaction; gives the reasons
    /// when the transaction was cancelled.
    pub(crate) async fn transact<R: Debug>(
        &self,
        items: Vec<Item>,
        companions: Vec<TransactWriteItem>,
    ) -> Result<Result<(), Vec<CancellationReason>>, AppendError<R>> {
        let actions = items.len() + companions.len();
        if actions > MAX_TRANSACTION_ACTIONS {
            return Err(AppendError::Malformed(format!(
                "a transaction has at most {MAX_TRANSACTION_ACTIONS} writes, this one has {actions}"
            )));
        }
        let mut writes = Vec::with_capacity(actions);
        for item in items {
            let put = Put::builder()
                .table_name(&self.table)
                .set_item(Some(item))
                .condition_expression(IS_NEW)
                .return_values_on_condition_check_failure(
                    ReturnValuesOnConditionCheckFailure::AllOld,
                )
                .build()
                .map_err(|error| AppendError::Malformed(error.to_string()))?;
            writes.push(TransactWriteItem::builder().put(put).build());
        }
        writes.extend(companions);
        let sent = self
            .client
            .transact_write_items()
            .set_transact_items(Some(writes))
            .send();
        match Box::pin(sent).await {
            Ok(_) => Ok(Ok(())),
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                    Ok(Err(cancelled.cancellation_reasons().to_vec()))
                }
                _ => Err(classify(error)),
            },
        }
    }
}

impl EventStore for DynamoDbEventStore {
    async fn append(
        &self,
        stream: &str,
        head: &Head,
        events: Vec<Envelope>,
    ) -> Result<Vec<Envelope>, AppendError> {
        let (events, mut items) = Self::prepare(stream, head, events)?;
        if items.len() == 1 {
            if let Some(item) = items.pop() {
                self.put(stream, head.version + 1, item).await?;
            }
        } else if !items.is_empty()
            && let Err(reasons) = self.transact(items, Vec::new()).await?
        {
            return Err(event_refusal(stream, head.version, &reasons)
                .unwrap_or_else(|| unavailable(&reasons)));
        }
        Ok(events)
    }

    async fn read(&self, stream: &str, from: u64) -> Result<Vec<Envelope>, ReadError> {
        let mut events = Vec::new();
        let mut start = None;
        loop {
            let request = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("streamId = :stream AND version >= :from")
                .expression_attribute_values(":stream", AttributeValue::S(stream.to_owned()))
                .expression_attribute_values(":from", AttributeValue::N(from.to_string()))
                .consistent_read(true)
                .set_exclusive_start_key(start);
            let page = Box::pin(request.send())
                .await
                .map_err(|error| ReadError::Unavailable(describe(&error).into()))?;
            for item in page.items.unwrap_or_default() {
                events.push(dynamodb_item::into_envelope(item).map_err(|error| {
                    ReadError::Corrupt {
                        stream: stream.to_owned(),
                        version: from + events.len() as u64,
                        reason: error.to_string(),
                    }
                })?);
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(events);
            }
        }
    }
}

fn conflict<R: Debug>(stream: &str, version: u64, stored: Option<&Item>) -> AppendError<R> {
    AppendError::Conflict {
        stream: stream.to_owned(),
        version,
        stored: stored
            .and_then(|item| dynamodb_item::to_envelope(item).ok())
            .map(Box::new),
    }
}

/// The conflict that cancelled a transaction, if an event's own condition failed. Events stand
/// first in a transaction.
pub(crate) fn event_conflict<R: Debug>(
    stream: &str,
    expected: u64,
    reasons: &[CancellationReason],
    events: usize,
) -> Option<AppendError<R>> {
    reasons
        .iter()
        .take(events)
        .zip(expected + 1..)
        .find(|(reason, _)| reason.code() == Some("ConditionalCheckFailed"))
        .map(|(reason, version)| conflict(stream, version, reason.item()))
}

fn event_refusal<R: Debug>(
    stream: &str,
    expected: u64,
    reasons: &[CancellationReason],
) -> Option<AppendError<R>> {
    event_conflict(stream, expected, reasons, reasons.len()).or_else(|| malformed(reasons))
}

/// The permanent failure that cancelled a transaction, if one did.
pub(crate) fn malformed<R: Debug>(reasons: &[CancellationReason]) -> Option<AppendError<R>> {
    reasons
        .iter()
        .find(|reason| {
            matches!(
                reason.code(),
                Some("ValidationError" | "ItemCollectionSizeLimitExceeded")
            )
        })
        .map(|reason| {
            AppendError::Malformed(
                reason
                    .message()
                    .unwrap_or("the table refuses it")
                    .to_owned(),
            )
        })
}

/// A transaction cancelled for a passing reason: a conflict with another one, or throttling.
pub(crate) fn unavailable<R: Debug>(reasons: &[CancellationReason]) -> AppendError<R> {
    let codes: Vec<_> = reasons
        .iter()
        .filter_map(CancellationReason::code)
        .filter(|code| *code != "None")
        .collect();
    AppendError::Unavailable(format!("transaction cancelled: {}", codes.join(", ")).into())
}

/// What a failed write means: a refusal for its form is final, all else may have happened.
fn classify<R: Debug, E>(error: SdkError<E>) -> AppendError<R>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    if error.code() == Some("ValidationException") {
        let reason = error.message().unwrap_or("the table refuses it").to_owned();
        return AppendError::Malformed(reason);
    }
    AppendError::Unavailable(describe(&error).into())
}

/// An SDK error with its causes in one line.
pub(crate) fn describe(error: &(impl std::error::Error + 'static)) -> String {
    DisplayErrorContext(error).to_string()
}
