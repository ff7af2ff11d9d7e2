//! Every event of an order (bus) → its row as it is shown, with the timeline.

use aws_sdk_dynamodb::types::AttributeValue;
use event_sourcing::failure::Failure;
use serde_json::{Value, json};

use crate::event::Event;
use crate::item::{Item, failed, number, number_of, text, text_of, written};
use crate::orders::{ATTEMPTS, wait_before};
use crate::serving;
use crate::tables::Tables;

/// The statuses in the order in which an order comes to them: the bus keeps none.
const STATUSES: [&str; 5] = ["placed", "reserved", "rejected", "confirmed", "cancelled"];

/// Serves the function.
///
/// # Errors
/// When a setting is missing or the runtime API cannot be reached.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    serving::consume("view-orders", |tables, event| async move {
        show(&tables, &event).await
    })
    .await
}

async fn show(tables: &Tables, event: &Event) -> Result<Value, Failure> {
    for attempt in 0..ATTEMPTS {
        let get = tables
            .dynamodb
            .get_item()
            .table_name(&tables.views)
            .key("orderId", text(&event.order_id))
            .consistent_read(true);
        let answer = Box::pin(get.send()).await.map_err(failed)?;
        let row = answer.item.unwrap_or_default();
        let version = number_of(&row, "version");
        if put(tables, with(row, event), version).await? {
            return Ok(Value::Null);
        }
        wait_before(attempt).await;
    }
    Err(Failure::Transient("the row keeps changing".to_owned()))
}

/// The row after the event.
fn with(mut row: Item, event: &Event) -> Item {
    let status = match event.event_type.as_str() {
        "OrderPlaced" => "placed",
        "StockReserved" => "reserved",
        "StockRejected" => "rejected",
        "PaymentProcessed" => "confirmed",
        _ => "cancelled",
    };
    let at = |status: &str| STATUSES.iter().position(|one| *one == status);
    if at(status) >= at(text_of(&row, "status")) {
        row.insert("status".to_owned(), text(status));
    }
    let version = number_of(&row, "version") + 1;
    row.insert("version".to_owned(), number(version));
    row.insert("orderId".to_owned(), text(&event.order_id));
    row.insert("userId".to_owned(), text(event.text("userId")));
    if event.event_type == "OrderPlaced" {
        let data = &event.data;
        let total = data["totalAmount"].to_string();
        row.insert("placedAt".to_owned(), text(event.timestamp.to_string()));
        row.insert("totalAmount".to_owned(), number(total));
        row.insert("currency".to_owned(), text(event.text("currency")));
        row.insert("items".to_owned(), text(data["items"].to_string()));
    }
    let entry = json!({"event": event.event_type, "at": event.timestamp}).to_string();
    let timeline = row
        .entry("timeline".to_owned())
        .or_insert_with(|| AttributeValue::L(Vec::new()));
    if let AttributeValue::L(entries) = timeline {
        entries.push(text(entry));
    }
    row
}

async fn put(tables: &Tables, row: Item, version: i64) -> Result<bool, Failure> {
    let put = tables
        .dynamodb
        .put_item()
        .table_name(&tables.views)
        .set_item(Some(row));
    let put = if version == 0 {
        put.condition_expression("attribute_not_exists(orderId)")
    } else {
        put.condition_expression("version = :version")
            .expression_attribute_values(":version", number(version))
    };
    written(Box::pin(put.send()).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_comes_to_the_same_status_in_whatever_order_the_events_come() {
        let event = |kind: &str| Event::now(kind, "1", json!({"userId": "u", "totalAmount": 5}));
        let events = [
            event("OrderPlaced"),
            event("StockReserved"),
            event("PaymentProcessed"),
        ];
        for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
            let row = order
                .iter()
                .fold(Item::new(), |row, at| with(row, &events[*at]));
            assert_eq!(text_of(&row, "status"), "confirmed");
            assert_eq!(number_of(&row, "version"), 3);
            assert_eq!(row["totalAmount"], number(5));
        }
    }
}
