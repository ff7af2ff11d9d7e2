//! What a customer hears of (bus) → tell them → `UserNotified` (events table and bus).

use event_sourcing::failure::Failure;
use serde_json::{Value, json};

use crate::event::Event;
use crate::tables::Tables;
use crate::{events, serving};

/// Serves the function.
///
/// # Errors
/// When a setting is missing or the runtime API cannot be reached.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    serving::consume("notify-user", |tables, event| async move {
        notify(&tables, &event).await
    })
    .await
}

async fn notify(tables: &Tables, about: &Event) -> Result<Value, Failure> {
    let (order_id, user_id) = (&about.order_id, about.text("userId"));
    tracing::info!("Sending notification for Order ID: {order_id} to User ID: {user_id}");
    let data = json!({"userId": user_id, "about": about.event_type});
    let event = Event::now("UserNotified", order_id, data);
    events::record(tables, &event).await?;
    Ok(json!(event.event_id))
}
