//! The orders and their state: read, checked, written under the version that was read.

use std::time::Duration;

use event_sourcing::failure::Failure;
use jiff::Timestamp;

use crate::item::{Item, failed, number, number_of, text, text_of, written};
use crate::tables::Tables;

/// So often a row is read again that somebody else has changed meanwhile.
pub const ATTEMPTS: u32 = 10;
/// Longest wait before the first of these.
const FIRST_WAIT: Duration = Duration::from_millis(20);

/// Waits a moment before a row is read again.
pub async fn wait_before(attempt: u32) {
    let longest = FIRST_WAIT * 2_u32.saturating_pow(attempt.min(6));
    tokio::time::sleep(longest.mul_f64(fastrand::f64())).await;
}

/// Puts a new order; says nothing when it is there already.
///
/// # Errors
/// [`Failure::Transient`].
pub async fn create(tables: &Tables, order: Item) -> Result<(), Failure> {
    let put = tables
        .dynamodb
        .put_item()
        .table_name(&tables.orders)
        .set_item(Some(order))
        .condition_expression("attribute_not_exists(orderId)");
    written(Box::pin(put.send()).await).map(|_| ())
}

/// Reads an order.
///
/// # Errors
/// [`Failure::Transient`], also for an order that is not there yet.
pub async fn read(tables: &Tables, order_id: &str) -> Result<Item, Failure> {
    let get = tables
        .dynamodb
        .get_item()
        .table_name(&tables.orders)
        .key("orderId", text(order_id))
        .consistent_read(true);
    let answer = Box::pin(get.send()).await.map_err(failed)?;
    let missing = || Failure::Transient(format!("there is no order {order_id}"));
    answer.item.ok_or_else(missing)
}

/// Moves an order to a status from one of those before it; says whether it was moved. An order that
/// was read is not read again, unless somebody else has changed it meanwhile.
///
/// # Errors
/// [`Failure::Transient`].
pub async fn move_to(
    tables: &Tables,
    mut order: Item,
    from: &[&str],
    to: &str,
) -> Result<bool, Failure> {
    for attempt in 0..ATTEMPTS {
        if !from.contains(&text_of(&order, "status")) {
            return Ok(false);
        }
        if write_status(tables, &order, to).await? {
            return Ok(true);
        }
        wait_before(attempt).await;
        order = read(tables, text_of(&order, "orderId")).await?;
    }
    Err(Failure::Transient("the order keeps changing".to_owned()))
}

async fn write_status(tables: &Tables, order: &Item, to: &str) -> Result<bool, Failure> {
    let version = number_of(order, "version");
    let update = tables
        .dynamodb
        .update_item()
        .table_name(&tables.orders)
        .key("orderId", text(text_of(order, "orderId")))
        .update_expression("SET #status = :status, version = :next, updatedAt = :now")
        .condition_expression("version = :version")
        .expression_attribute_names("#status", "status")
        .expression_attribute_values(":status", text(to))
        .expression_attribute_values(":version", number(version))
        .expression_attribute_values(":next", number(version + 1))
        .expression_attribute_values(":now", text(Timestamp::now().to_string()));
    written(Box::pin(update.send()).await)
}
