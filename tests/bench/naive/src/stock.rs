//! What is in stock: read, checked, written under the version that was read.

use std::collections::BTreeMap;

use event_sourcing::failure::Failure;

use crate::event::Line;
use crate::item::{failed, number, number_of, text, written};
use crate::orders::{ATTEMPTS, wait_before};
use crate::tables::Tables;

/// Pieces by SKU.
pub type Pieces = BTreeMap<String, i64>;

/// What these lines take.
#[must_use]
pub fn pieces(lines: &[Line]) -> Pieces {
    let mut pieces = Pieces::new();
    for line in lines {
        *pieces.entry(line.sku.clone()).or_default() += i64::from(line.quantity);
    }
    pieces
}

/// Takes all of it; or, when there is too little of one SKU, none, and names that. Whoever dies in
/// between has taken some.
///
/// # Errors
/// [`Failure::Transient`]; some may have been taken.
pub async fn take(tables: &Tables, wanted: &Pieces) -> Result<Option<String>, Failure> {
    let mut taken = Pieces::new();
    for (sku, pieces) in wanted {
        if change(tables, sku, -pieces).await? {
            taken.insert(sku.clone(), *pieces);
        } else {
            give_back(tables, &taken).await?;
            return Ok(Some(sku.clone()));
        }
    }
    Ok(None)
}

/// Gives all of it back.
///
/// # Errors
/// [`Failure::Transient`]; some may have been given back.
pub async fn give_back(tables: &Tables, taken: &Pieces) -> Result<(), Failure> {
    for (sku, pieces) in taken {
        change(tables, sku, *pieces).await?;
    }
    Ok(())
}

/// Changes what there is of a SKU; says whether there was enough.
async fn change(tables: &Tables, sku: &str, by: i64) -> Result<bool, Failure> {
    for attempt in 0..ATTEMPTS {
        let get = tables
            .dynamodb
            .get_item()
            .table_name(&tables.stock)
            .key("sku", text(sku))
            .consistent_read(true);
        let answer = Box::pin(get.send()).await.map_err(failed)?;
        let item = answer.item.unwrap_or_default();
        let left = number_of(&item, "available") + by;
        if left < 0 {
            return Ok(false);
        }
        if write(tables, sku, left, number_of(&item, "version")).await? {
            return Ok(true);
        }
        wait_before(attempt).await;
    }
    Err(Failure::Transient(format!("{sku} keeps changing")))
}

async fn write(tables: &Tables, sku: &str, left: i64, version: i64) -> Result<bool, Failure> {
    let update = tables
        .dynamodb
        .update_item()
        .table_name(&tables.stock)
        .key("sku", text(sku))
        .update_expression("SET available = :left, version = :next")
        .condition_expression("version = :version")
        .expression_attribute_values(":left", number(left))
        .expression_attribute_values(":version", number(version))
        .expression_attribute_values(":next", number(version + 1));
    written(Box::pin(update.send()).await)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::money::Amount;

    #[test]
    fn lines_of_one_sku_are_taken_together() {
        let line = |sku: &str, quantity| Line {
            sku: sku.to_owned(),
            quantity,
            unit_price: Amount::parse("1").unwrap(),
        };
        let taken = pieces(&[line("tea", 2), line("cup", 1), line("tea", 3)]);
        assert_eq!(
            taken,
            Pieces::from([("cup".to_owned(), 1), ("tea".to_owned(), 5)])
        );
    }
}
