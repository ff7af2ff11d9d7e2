//! `StockReserved` (bus) → charge → `PaymentProcessed` | `PaymentFailed` (events table and bus).

use event_sourcing::failure::Failure;
use serde_json::{Value, json};

use crate::event::Event;
use crate::item::text_of;
use crate::tables::Tables;
use crate::{events, orders, serving};

/// Serves the function.
///
/// # Errors
/// When a setting is missing or the runtime API cannot be reached.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    serving::consume("process-payment", |tables, event| async move {
        pay(&tables, &event).await
    })
    .await
}

async fn pay(tables: &Tables, reserved: &Event) -> Result<Value, Failure> {
    let id = &reserved.order_id;
    let order = orders::read(tables, id).await?;
    if text_of(&order, "status") != "RESERVED" {
        tracing::info!(order_id = id, "nothing to pay");
        return Ok(Value::Null);
    }
    let payment = charge(id, text_of(&order, "paymentToken"));
    let (status, event_type) = match payment {
        Some(_) => ("CONFIRMED", "PaymentProcessed"),
        None => ("CANCELLED", "PaymentFailed"),
    };
    orders::move_to(tables, order, &["RESERVED"], status).await?;
    let event = Event::now(
        event_type,
        id,
        json!({"userId": reserved.data["userId"], "totalAmount": reserved.data["totalAmount"],
            "currency": reserved.data["currency"], "paymentId": payment}),
    );
    events::record(tables, &event).await?;
    Ok(json!(event.event_id))
}

/// The simulated gateway: `tok_declined` declines, every other token is approved.
fn charge(order_id: &str, token: &str) -> Option<String> {
    if token == "tok_declined" {
        tracing::info!(order_id, "declined");
        return None;
    }
    let payment = format!("sim_{order_id}");
    tracing::info!(order_id, payment_id = payment, "charged");
    Some(payment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_that_is_declined_is_not_charged() {
        assert_eq!(charge("1", "tok_declined"), None);
        assert_eq!(charge("1", ""), Some("sim_1".to_owned()));
    }
}
