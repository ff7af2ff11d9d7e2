//! What travels between the functions.

use event_sourcing::failure::Failure;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One event of an order, as it is in the table of events and in the `detail` on the bus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Name of this event; consumers tell duplicates by it.
    pub event_id: String,
    /// Such as `OrderPlaced`.
    pub event_type: String,
    /// Which order.
    pub order_id: String,
    /// When it happened.
    pub timestamp: Timestamp,
    /// What happened.
    pub data: Value,
}

impl Event {
    /// Something that happened just now.
    #[must_use]
    pub fn now(event_type: &str, order_id: &str, data: Value) -> Self {
        Self {
            event_id: uuid::Uuid::new_v4().to_string(),
            event_type: event_type.to_owned(),
            order_id: order_id.to_owned(),
            timestamp: Timestamp::now(),
            data,
        }
    }

    /// The event in what the bus delivers.
    ///
    /// # Errors
    /// [`Failure::Permanent`], when there is none.
    pub fn of_payload(payload: &Value) -> Result<Self, Failure> {
        Self::deserialize(&payload["detail"])
            .map_err(|error| Failure::Permanent(format!("not an event: {error}")))
    }

    /// A text of its data; empty where there is none.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.data[name].as_str().unwrap_or_default()
    }
}

/// A line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// What is bought.
    pub sku: String,
    /// How many pieces.
    pub quantity: u32,
    /// What one piece costs.
    pub unit_price: domain::money::Amount,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_is_the_same_after_the_bus() {
        let event = Event::now("OrderPlaced", "1", json!({"totalAmount": 12.50}));
        let payload = json!({"detail-type": "OrderPlaced", "detail": event});
        assert_eq!(Event::of_payload(&payload).unwrap(), event);
        assert!(Event::of_payload(&json!({})).is_err());
    }
}
