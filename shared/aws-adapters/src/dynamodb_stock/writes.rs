//! The conditional writes of moves.

use super::item;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use domain::ids::Sku;
use domain::inventory::buckets::Part;
use domain::inventory::{Price, StockMove};
use domain::money::{Amount, Currency};
use event_sourcing::chain::Head;

/// The write of a part of a move. `layout` is what is believed to be the SKU's, `head` the end of
/// the event's stream after it.
pub(super) fn update(
    table: &str,
    stock_move: &StockMove,
    part: Part,
    layout: u64,
    head: &Head,
) -> Result<TransactWriteItem, BuildError> {
    let builder = of_bucket(table, stock_move.sku(), part.bucket);
    let builder = match stock_move {
        StockMove::Reserve {
            unit_price,
            currency,
            ..
        } => {
            let builder = builder
                .update_expression("SET available = available - :quantity")
                .expression_attribute_values(":quantity", number(part.pieces.unsigned_abs()));
            match unit_price {
                Some(amount) => with_price(builder, *amount, *currency).condition_expression(
                    "available >= :quantity AND (attribute_not_exists(unitPrice) \
                     OR (unitPrice = :price AND currency = :currency))",
                ),
                None => builder.condition_expression(
                    "available >= :quantity AND attribute_not_exists(unitPrice)",
                ),
            }
        }
        StockMove::Release { .. } => {
            let builder = builder
                .update_expression("SET available = available + :quantity")
                .expression_attribute_values(":quantity", number(part.pieces));
            if part.bucket == 0 {
                builder.condition_expression("attribute_exists(sku)")
            } else {
                // A bucket that is no more would keep it for ever.
                let (builder, condition) = in_layout(builder, layout);
                builder.condition_expression(condition)
            }
        }
        StockMove::Restock { price, .. } => restock(builder, part, *price, layout, head),
    };
    finish(builder)
}

fn restock(
    builder: UpdateBuilder,
    part: Part,
    price: Option<Price>,
    layout: u64,
    head: &Head,
) -> UpdateBuilder {
    let mut set = String::from("SET available = if_not_exists(available, :zero) + :quantity");
    let mut builder = builder
        .expression_attribute_values(":quantity", number(part.pieces))
        .expression_attribute_values(":zero", number(0));
    if part.bucket == 0 {
        set.push_str(", #version = :version, #hash = :hash");
        let hash = AttributeValue::S(head.hash.clone().unwrap_or_default());
        builder = builder
            .expression_attribute_names("#version", "version")
            .expression_attribute_names("#hash", "hash")
            .expression_attribute_values(":hash", hash)
            .expression_attribute_values(":version", number(head.version));
    }
    if let Some(price) = price {
        set.push_str(", unitPrice = :price, currency = :currency");
        builder = with_price(builder, price.unit_price, price.currency);
    }
    // Else a price would be known to some buckets only.
    let (mut builder, condition) = in_layout(builder, layout);
    let mut condition = condition.to_owned();
    if part.pieces < 0 {
        condition.push_str(" AND available >= :removed");
        builder =
            builder.expression_attribute_values(":removed", number(part.pieces.unsigned_abs()));
    }
    builder
        .update_expression(set)
        .condition_expression(condition)
}

/// What is known of a SKU that is split or merged.
pub(super) struct Resplit<'a> {
    pub sku: &'a Sku,
    /// Its layout, before.
    pub layout: u64,
    /// Buckets before.
    pub before: u16,
    /// Buckets after.
    pub after: u16,
    pub price: Option<Price>,
}

impl Resplit<'_> {
    /// The write of one bucket, to which pieces are added or from which they are taken.
    pub(super) fn update(&self, table: &str, part: Part) -> Result<TransactWriteItem, BuildError> {
        let mut set = String::from(
            "SET available = if_not_exists(available, :zero) + :pieces, layoutVersion = :next",
        );
        let mut builder = of_bucket(table, self.sku, part.bucket)
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":pieces", number(part.pieces))
            .expression_attribute_values(":next", number(self.layout + 1));
        if part.bucket == 0 {
            set.push_str(", bucketCount = :count");
            builder = builder.expression_attribute_values(":count", number(self.after));
        }
        if let Some(price) = self.price {
            builder = with_price(builder, price.unit_price, price.currency);
        }
        // What is no bucket yet has no condition: that of bucket 0 speaks for it.
        let mut conditions = Vec::new();
        if part.bucket >= self.before {
            if self.price.is_some() {
                set.push_str(", unitPrice = :price, currency = :currency");
            }
        } else {
            let (in_it, condition) = in_layout(builder, self.layout);
            builder = in_it;
            conditions.push(condition);
            conditions.push(match self.price {
                Some(_) => "unitPrice = :price AND currency = :currency",
                None => "attribute_not_exists(unitPrice)",
            });
            if part.bucket >= self.after {
                // All that is in it goes elsewhere.
                conditions.push("available = :there");
                builder = builder.expression_attribute_values(":there", number(-part.pieces));
            } else if part.pieces < 0 {
                conditions.push("available >= :there");
                builder = builder.expression_attribute_values(":there", number(-part.pieces));
            }
        }
        builder = builder.update_expression(set);
        if !conditions.is_empty() {
            builder = builder.condition_expression(conditions.join(" AND "));
        }
        finish(builder)
    }
}

fn of_bucket(table: &str, sku: &Sku, bucket: u16) -> UpdateBuilder {
    Update::builder()
        .table_name(table)
        .key("sku", AttributeValue::S(item::key(sku, bucket)))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
}

/// The condition that a bucket belongs to this layout. A SKU that was never split has none.
fn in_layout(builder: UpdateBuilder, layout: u64) -> (UpdateBuilder, &'static str) {
    if layout == 0 {
        return (builder, "attribute_not_exists(layoutVersion)");
    }
    let builder = builder.expression_attribute_values(":layout", number(layout));
    (builder, "layoutVersion = :layout")
}

fn with_price(builder: UpdateBuilder, amount: Amount, currency: Currency) -> UpdateBuilder {
    builder
        .expression_attribute_values(":price", number(amount))
        .expression_attribute_values(":currency", AttributeValue::S(currency.code().into()))
}

fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn finish(builder: UpdateBuilder) -> Result<TransactWriteItem, BuildError> {
    let update = builder.build()?;
    Ok(TransactWriteItem::builder().update(update).build())
}
