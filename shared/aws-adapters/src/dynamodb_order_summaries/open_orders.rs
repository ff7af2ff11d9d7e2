//! Open orders: those about which something is left to do. Their rows, and no others, are in the
//! index [`OPEN`], so that finding them costs nothing while there are none.
//!
//! The index has [`PARTS`] partitions, by a hash of the order id, so that none of them is hot, and
//! is sorted by the time since when an order is open. That time is the table's own: other
//! producers' events can bear any time. It is written once, when the order becomes open, and goes
//! when the order is settled: two write units, and none for an order whose events are projected
//! together.

use super::{DynamoDbOrderSummaries, SummaryError, corrupt};
use crate::dynamodb_event_store::describe;
use crate::dynamodb_item::Item;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::ids::OrderId;
use jiff::Timestamp;
use std::collections::HashMap;

/// The index of open orders.
pub const OPEN: &str = "open";
/// Number of its partitions.
pub const PARTS: u8 = 16;

/// Whether something is left to do about an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Something is: its row is in the index.
    Open,
    /// Nothing is.
    Settled,
}

impl Standing {
    /// By whether the order is settled.
    #[must_use]
    pub fn of(settled: bool) -> Self {
        if settled { Self::Settled } else { Self::Open }
    }
}

/// An open order, as the index has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenOrder {
    /// Which one.
    pub order_id: OrderId,
    /// Since when it is open; later, where a sweep has put it off.
    pub since: Timestamp,
    /// How often sweeps healed it.
    pub healed: u32,
}

/// The partition of an order (FNV-1a).
fn part(order: &OrderId) -> u8 {
    let hash = order.as_str().bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    (hash % u32::from(PARTS)).to_le_bytes()[0]
}

fn partition(part: u8) -> AttributeValue {
    AttributeValue::S(part.to_string())
}

fn number(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// What an open order's row has beside the summary.
pub(super) fn attributes(order: &OrderId, now: Timestamp) -> [(String, AttributeValue); 2] {
    [
        ("openPart".to_owned(), partition(part(order))),
        ("openSince".to_owned(), number(now.as_millisecond())),
    ]
}

/// How an update leaves the row in the index as it is, or puts it there.
pub(super) const STAY: &str = ", openPart = if_not_exists(openPart, :openPart), \
     openSince = if_not_exists(openSince, :openSince)";
/// How an update takes the row out of the index.
pub(super) const LEAVE: &str = " REMOVE openPart, openSince, healed";

impl DynamoDbOrderSummaries {
    /// A page of the open orders of a partition, the oldest first: those that are open since
    /// `until` or longer, after the one that a page before ended with. It may be some milliseconds
    /// old.
    ///
    /// # Errors
    /// [`SummaryError`].
    pub async fn open(
        &self,
        part: u8,
        until: Timestamp,
        limit: u16,
        after: Option<&OpenOrder>,
    ) -> Result<Vec<OpenOrder>, SummaryError> {
        let start = after.map(|after| {
            let mut key = HashMap::from(attributes(&after.order_id, after.since));
            let id = AttributeValue::S(after.order_id.as_str().to_owned());
            key.insert("orderId".to_owned(), id);
            key
        });
        let request = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(OPEN)
            .key_condition_expression("openPart = :part AND openSince <= :until")
            .expression_attribute_values(":part", partition(part))
            .expression_attribute_values(":until", number(until.as_millisecond()))
            .limit(i32::from(limit))
            .set_exclusive_start_key(start);
        let answer = Box::pin(request.send())
            .await
            .map_err(|error| SummaryError::Unavailable(describe(&error)))?;
        answer.items().iter().map(open_order).collect()
    }

    /// Puts an open order off, as healed so often: sweeps count from `until` on. Whether it was
    /// still as it was found.
    ///
    /// # Errors
    /// [`SummaryError`].
    pub async fn put_off(
        &self,
        order: &OpenOrder,
        until: Timestamp,
        healed: u32,
    ) -> Result<bool, SummaryError> {
        let id = AttributeValue::S(order.order_id.as_str().to_owned());
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("orderId", id)
            .update_expression("SET openSince = :until, healed = :healed")
            .condition_expression("openSince = :since")
            .expression_attribute_values(":until", number(until.as_millisecond()))
            .expression_attribute_values(":since", number(order.since.as_millisecond()))
            .expression_attribute_values(":healed", number(healed));
        match Box::pin(request.send()).await {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(false),
                _ => Err(SummaryError::Unavailable(describe(&error))),
            },
        }
    }
}

fn parsed<N: std::str::FromStr>(item: &Item, name: &str) -> Option<N> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

fn open_order(item: &Item) -> Result<OpenOrder, SummaryError> {
    let id = item.get("orderId").and_then(|id| id.as_s().ok());
    let id = id.map(String::as_str).unwrap_or_default();
    let since = parsed(item, "openSince").and_then(|at| Timestamp::from_millisecond(at).ok());
    Ok(OpenOrder {
        order_id: OrderId::parse(id).map_err(|error| corrupt(id, error))?,
        since: since.ok_or_else(|| corrupt(id, "openSince is no time"))?,
        healed: parsed(item, "healed").unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_spread_over_all_partitions() {
        let mut orders = [0; PARTS as usize];
        for number in 0..1600 {
            let order = OrderId::parse(format!("order-{number}")).unwrap();
            orders[usize::from(part(&order))] += 1;
        }
        assert!(
            orders.iter().all(|count| (50..200).contains(count)),
            "{orders:?}"
        );
    }
}
