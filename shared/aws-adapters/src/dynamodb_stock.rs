//! Stock in a table, moved in the transactions that store the events.

use crate::dynamodb_event_store::{
    DynamoDbEventStore, describe, event_conflict, malformed, unavailable,
};
use crate::dynamodb_item::Item;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
    Update,
};
use domain::ids::Sku;
use domain::inventory::{Price, Shortage, ShortageReason, StockLevel, StockMove};
use domain::money::{Amount, Currency};
use event_sourcing::chain::Head;
use event_sourcing::envelope::Envelope;
use event_sourcing::store::{AppendError, AppendWith, EventStore, ReadError};

/// Reads stock levels; moves are made through [`DynamoDbEventStore::with_stock`].
#[derive(Debug, Clone)]
pub struct DynamoDbStock {
    client: Client,
    table: String,
}

impl DynamoDbStock {
    /// The stock in `table`, by `sku`.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
        }
    }

    /// The level of a SKU, read consistently; `None` for one that nobody stocked.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn level(&self, sku: &Sku) -> Result<Option<StockLevel>, ReadError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("sku", AttributeValue::S(sku.as_str().to_owned()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| ReadError::Unavailable(describe(&error).into()))?;
        answer.item().map(|item| level(sku, item)).transpose()
    }

    /// Which of these reservations cannot be had, as far as that can be read now.
    ///
    /// A transaction that met another one says nothing of the stock. Where nothing is left, one
    /// read tells, and spares those who come too late the queue for a transaction that would only
    /// be refused.
    async fn short_of(&self, reservations: &[&StockMove]) -> Vec<Shortage> {
        let mut short = Vec::new();
        for stock_move in reservations {
            let sku = stock_move.sku();
            // What cannot be read is left to the next attempt.
            let reason = match self.level(sku).await {
                Ok(None) => ShortageReason::UnknownSku,
                Ok(Some(level)) if level.available < needed(stock_move) => {
                    ShortageReason::OutOfStock
                }
                Ok(Some(_)) | Err(_) => continue,
            };
            let sku = sku.clone();
            short.push(Shortage { sku, reason });
        }
        short
    }
}

fn level(sku: &Sku, item: &Item) -> Result<StockLevel, ReadError> {
    let corrupt = |attribute: &str| ReadError::Corrupt {
        stream: sku.stream(),
        version: 0,
        reason: format!("its stock has no readable {attribute}"),
    };
    let available = available(item).ok_or_else(|| corrupt("available"))?;
    let version = match item.get("version") {
        None => 0,
        Some(value) => value
            .as_n()
            .ok()
            .and_then(|number| number.parse().ok())
            .ok_or_else(|| corrupt("version"))?,
    };
    let price = match (item.get("unitPrice"), item.get("currency")) {
        (Some(AttributeValue::N(price)), Some(AttributeValue::S(code))) => Some(Price {
            unit_price: Amount::parse(price).map_err(|_| corrupt("unitPrice"))?,
            currency: Currency::parse(code).map_err(|_| corrupt("currency"))?,
        }),
        _ => None,
    };
    let hash = item.get("hash").and_then(|hash| hash.as_s().ok()).cloned();
    Ok(StockLevel {
        available,
        price,
        head: Head { version, hash },
    })
}

fn available(item: &Item) -> Option<i64> {
    item.get("available")?.as_n().ok()?.parse().ok()
}

impl AppendWith<StockMove> for DynamoDbEventStore {
    type Refusal = Shortage;

    async fn append_with(
        &self,
        stream: &str,
        head: &Head,
        events: Vec<Envelope>,
        moves: &[StockMove],
    ) -> Result<Vec<Envelope>, AppendError<Shortage>> {
        if moves.is_empty() {
            return self
                .append(stream, head, events)
                .await
                .map_err(AppendError::widen);
        }
        let Some(table) = self.stock_table() else {
            return Err(AppendError::Malformed(
                "this store was built without a stock table".into(),
            ));
        };
        let (events, items) = Self::prepare(stream, head, events)?;
        let after = Head::after(events.last());
        let updates = moves
            .iter()
            .map(|stock_move| update(table, stock_move, &after))
            .collect::<Result<Vec<_>, _>>()?;
        match self.transact(items, updates).await? {
            Ok(()) => Ok(events),
            Err(reasons) => {
                let refused = refusal(stream, head.version, &reasons, events.len(), moves);
                if !matches!(refused, AppendError::Unavailable(_)) {
                    return Err(refused);
                }
                let contended = contended(&reasons, events.len(), moves);
                let stock = DynamoDbStock::new(self.client().clone(), table);
                match stock.short_of(&contended).await {
                    short if short.is_empty() => Err(refused),
                    short => Err(AppendError::Refused(short)),
                }
            }
        }
    }
}

/// What cancelled a transaction: an event's version was taken, stock fell short, or neither.
fn refusal(
    stream: &str,
    expected: u64,
    reasons: &[CancellationReason],
    events: usize,
    moves: &[StockMove],
) -> AppendError<Shortage> {
    if let Some(conflict) = event_conflict(stream, expected, reasons, events) {
        return conflict;
    }
    if let Some(malformed) = malformed(reasons) {
        return malformed;
    }
    let short: Vec<_> = moves
        .iter()
        .zip(reasons.iter().skip(events))
        .filter(|(_, reason)| reason.code() == Some("ConditionalCheckFailed"))
        .map(|(stock_move, reason)| Shortage {
            sku: stock_move.sku().clone(),
            reason: shortage(stock_move, reason.item()),
        })
        .collect();
    if short.is_empty() {
        unavailable(reasons)
    } else {
        AppendError::Refused(short)
    }
}

/// The reservations that met another transaction.
fn contended<'m>(
    reasons: &[CancellationReason],
    events: usize,
    moves: &'m [StockMove],
) -> Vec<&'m StockMove> {
    moves
        .iter()
        .zip(reasons.iter().skip(events))
        .filter(|(_, reason)| reason.code() == Some("TransactionConflict"))
        .map(|(stock_move, _)| stock_move)
        .filter(|stock_move| matches!(stock_move, StockMove::Reserve { .. }))
        .collect()
}

/// So many must be available.
fn needed(stock_move: &StockMove) -> i64 {
    match stock_move {
        StockMove::Reserve { quantity, .. } => i64::from(*quantity),
        StockMove::Release { .. } => 0,
        StockMove::Restock { quantity, .. } => quantity.saturating_neg(),
    }
}

fn shortage(stock_move: &StockMove, stored: Option<&Item>) -> ShortageReason {
    let needed = needed(stock_move);
    match stored.filter(|item| !item.is_empty()) {
        None => ShortageReason::UnknownSku,
        Some(item) if available(item).unwrap_or(0) < needed => ShortageReason::OutOfStock,
        Some(_) => ShortageReason::PriceChanged,
    }
}

/// The conditional write of one move; `head` is the end of the event's stream after it.
fn update(
    table: &str,
    stock_move: &StockMove,
    head: &Head,
) -> Result<TransactWriteItem, AppendError<Shortage>> {
    let number = |value: String| AttributeValue::N(value);
    let builder = Update::builder()
        .table_name(table)
        .key(
            "sku",
            AttributeValue::S(stock_move.sku().as_str().to_owned()),
        )
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    let builder = match stock_move {
        StockMove::Reserve {
            quantity,
            unit_price,
            currency,
            ..
        } => {
            let builder = builder
                .update_expression("SET available = available - :quantity")
                .expression_attribute_values(":quantity", number(quantity.to_string()));
            match unit_price {
                Some(price) => builder
                    .condition_expression(
                        "available >= :quantity AND (attribute_not_exists(unitPrice) \
                         OR (unitPrice = :price AND currency = :currency))",
                    )
                    .expression_attribute_values(":price", number(price.to_string()))
                    .expression_attribute_values(
                        ":currency",
                        AttributeValue::S(currency.code().into()),
                    ),
                None => builder.condition_expression(
                    "available >= :quantity AND attribute_not_exists(unitPrice)",
                ),
            }
        }
        StockMove::Release { quantity, .. } => builder
            .update_expression("SET available = available + :quantity")
            .condition_expression("attribute_exists(sku)")
            .expression_attribute_values(":quantity", number(quantity.to_string())),
        StockMove::Restock {
            quantity, price, ..
        } => {
            let mut set = String::from(
                "SET available = if_not_exists(available, :zero) + :quantity, \
                 #version = :version, #hash = :hash",
            );
            let mut builder = builder
                .expression_attribute_names("#version", "version")
                .expression_attribute_names("#hash", "hash")
                .expression_attribute_values(
                    ":hash",
                    AttributeValue::S(head.hash.clone().unwrap_or_default()),
                )
                .expression_attribute_values(":quantity", number(quantity.to_string()))
                .expression_attribute_values(":zero", number("0".into()))
                .expression_attribute_values(":version", number(head.version.to_string()));
            if let Some(price) = price {
                set.push_str(", unitPrice = :price, currency = :currency");
                builder = builder
                    .expression_attribute_values(":price", number(price.unit_price.to_string()))
                    .expression_attribute_values(
                        ":currency",
                        AttributeValue::S(price.currency.code().into()),
                    );
            }
            if *quantity < 0 {
                builder = builder
                    .condition_expression("available >= :removed")
                    .expression_attribute_values(
                        ":removed",
                        number(quantity.unsigned_abs().to_string()),
                    );
            }
            builder.update_expression(set)
        }
    };
    builder
        .build()
        .map(|update| TransactWriteItem::builder().update(update).build())
        .map_err(|error| AppendError::Malformed(error.to_string()))
}
