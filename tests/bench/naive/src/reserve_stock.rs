//! `OrderPlaced` (bus) → take stock → `StockReserved` | `StockRejected`; `PaymentFailed` (bus) → give
//! it back → `StockReleased` (events table and bus).

use event_sourcing::failure::Failure;
use serde_json::{Value, json};

use crate::event::{Event, Line};
use crate::item::text_of;
use crate::tables::Tables;
use crate::{events, orders, serving, stock};

/// Serves the function.
///
/// # Errors
/// When a setting is missing or the runtime API cannot be reached.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    serving::consume("reserve-stock", |tables, event| async move {
        match event.event_type.as_str() {
            "OrderPlaced" => reserve(&tables, &event).await,
            _ => release(&tables, &event).await,
        }
    })
    .await
}

async fn reserve(tables: &Tables, placed: &Event) -> Result<Value, Failure> {
    let order = orders::read(tables, &placed.order_id).await?;
    if text_of(&order, "status") != "PLACED" {
        tracing::info!(order_id = placed.order_id, "nothing to reserve");
        return Ok(Value::Null);
    }
    let lines = lines(&placed.data["items"])?;
    let short = stock::take(tables, &stock::pieces(&lines)).await?;
    let (status, event_type) = match short {
        None => ("RESERVED", "StockReserved"),
        Some(_) => ("REJECTED", "StockRejected"),
    };
    orders::move_to(tables, order, &["PLACED"], status).await?;
    let event = Event::now(
        event_type,
        &placed.order_id,
        json!({"userId": placed.data["userId"], "totalAmount": placed.data["totalAmount"],
            "currency": placed.data["currency"], "short": short}),
    );
    events::record(tables, &event).await?;
    tracing::info!(order_id = placed.order_id, event_type, "stock decided");
    Ok(json!(event.event_id))
}

async fn release(tables: &Tables, failed: &Event) -> Result<Value, Failure> {
    let order = orders::read(tables, &failed.order_id).await?;
    let items: Value = serde_json::from_str(text_of(&order, "items")).unwrap_or_default();
    stock::give_back(tables, &stock::pieces(&lines(&items)?)).await?;
    let data = json!({"userId": failed.data["userId"]});
    let event = Event::now("StockReleased", &failed.order_id, data);
    events::record(tables, &event).await?;
    tracing::info!(order_id = failed.order_id, "stock released");
    Ok(json!(event.event_id))
}

fn lines(items: &Value) -> Result<Vec<Line>, Failure> {
    serde_json::from_value(items.clone())
        .map_err(|error| Failure::Permanent(format!("not the items of an order: {error}")))
}
