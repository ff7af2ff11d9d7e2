//! What happened to an order between two moments: which event changed which field.

use aws_adapters::http_api::Problem;
use domain::order::OrderEvent;
use domain::order_summary::OrderSummary;
use event_sourcing::envelope::Envelope;
use event_sourcing::execute::decode;
use event_sourcing::failure::Failure;
use event_sourcing::time_travel::{FieldChange, Moment, differences};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// Fields that change with every event by themselves.
const WITH_EVERY_EVENT: [&str; 2] = ["version", "timeline"];

/// A moment as a client writes it: a version (0 is before the first event) or a time.
///
/// # Errors
/// What it must be.
pub fn moment(text: &str) -> Result<Moment, &'static str> {
    if let Ok(version) = text.parse() {
        return Ok(Moment::Version(version));
    }
    time(text)
        .map(Moment::Time)
        .map_err(|_| "must be a version such as 2, or a time like 2025-01-01T12:00:00Z")
}

/// A time as a client writes it in a query.
///
/// # Errors
/// What it must be.
pub fn time(text: &str) -> Result<Timestamp, &'static str> {
    // A plus sign in a query stands for a space.
    text.replace(' ', "+")
        .parse()
        .map_err(|_| "must be a time like 2025-01-01T12:00:00Z")
}

/// The events of an order after `from` and up to `to`, each with the fields that it changed;
/// `history` is the order's stream from its start.
///
/// # Errors
/// A 500 for an event that is none of an order.
pub fn changes(history: &[Envelope], from: Moment, to: Moment) -> Result<Vec<Value>, Problem> {
    let (first, last) = (from.count(history), to.count(history));
    let mut row = None;
    let mut before = json!({});
    let mut changes = Vec::new();
    for (index, envelope) in history[..last.max(first)].iter().enumerate() {
        let event: OrderEvent =
            decode(envelope).map_err(|error| Problem::from(Failure::from_error(&error)))?;
        let version = index as u64 + 1;
        OrderSummary::advance(&mut row, &event, version, &envelope.timestamp);
        let after = fields_of(row.as_ref())?;
        if index >= first {
            changes.push(told(envelope, &differences(&before, &after)));
        }
        before = after;
    }
    Ok(changes)
}

fn fields_of(row: Option<&OrderSummary>) -> Result<Value, Problem> {
    let mut fields = serde_json::to_value(row)
        .map_err(|error| Problem::from(Failure::Permanent(error.to_string())))?;
    if let Value::Object(fields) = &mut fields {
        for field in WITH_EVERY_EVENT {
            fields.remove(field);
        }
    } else {
        fields = json!({});
    }
    Ok(fields)
}

fn told(event: &Envelope, changes: &[FieldChange]) -> Value {
    let mut told = Map::from_iter([
        ("version".to_owned(), json!(event.version)),
        ("eventId".to_owned(), json!(event.event_id)),
        ("eventType".to_owned(), json!(event.event_type)),
        ("at".to_owned(), json!(event.timestamp)),
    ]);
    for (name, value) in event.optional_texts() {
        if matches!(name, "causationId" | "traceparent" | "actor") {
            told.insert(name.to_owned(), json!(value));
        }
    }
    let changes = changes
        .iter()
        .map(|change| json!({"field": change.field, "from": change.from, "to": change.to}))
        .collect();
    told.insert("changes".to_owned(), Value::Array(changes));
    Value::Object(told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use event_sourcing::chain::{Head, record};

    fn history() -> Vec<Envelope> {
        let at = |second: i64| Timestamp::from_second(1_735_732_800 + second).unwrap();
        let event = |second, event_type: &str, more: Value| {
            let mut data = json!({"orderId": "1", "userId": "u", "totalAmount": 4.50});
            for (name, value) in more.as_object().unwrap() {
                data[name] = value.clone();
            }
            Envelope::new(&format!("e{second}"), event_type, at(second), data)
        };
        let mut cancelled = event(3, "OrderCancelled", json!({"reason": "requested"}));
        cancelled.actor = Some("abc123".into());
        let events = vec![
            event(0, "OrderPlaced", json!({})),
            event(
                1,
                "InventoryUpdated",
                json!({"reason": "reserved", "changes": []}),
            ),
            event(2, "PaymentProcessed", json!({"paymentId": "p"})),
            cancelled,
        ];
        record("order-1", &Head::START, events)
    }

    #[test]
    fn each_event_tells_the_fields_that_it_changed() {
        let changes = changes(&history(), Moment::Version(1), Moment::Version(4)).unwrap();
        let told: Vec<_> = changes
            .iter()
            .map(|change| (change["version"].clone(), change["changes"].clone()))
            .collect();
        let status = |from: &str, to: &str| json!([{"field": "status", "from": from, "to": to}]);
        assert_eq!(
            told,
            [
                (json!(2), status("placed", "reserved")),
                (json!(3), status("reserved", "confirmed")),
                (json!(4), status("confirmed", "cancelled")),
            ]
        );
        assert_eq!(changes[2]["actor"], "abc123");
    }

    #[test]
    fn the_first_event_changes_every_field_and_nothing_happens_backwards() {
        let placed = changes(&history(), Moment::Version(0), Moment::Version(1)).unwrap();
        let fields: Vec<_> = placed[0]["changes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|change| change["field"].as_str().unwrap())
            .collect();
        assert!(fields.contains(&"totalAmount") && fields.contains(&"status"));
        let backwards = changes(&history(), Moment::Version(3), Moment::Version(1)).unwrap();
        assert!(backwards.is_empty());
        let moment = |text| moment(text).unwrap();
        let between = changes(
            &history(),
            moment("2025-01-01T12:00:00Z"),
            moment("2025-01-01T12:00:02 00:00"),
        );
        assert_eq!(between.unwrap().len(), 2);
    }

    #[test]
    fn a_moment_is_a_version_or_a_time() {
        assert_eq!(moment("0"), Ok(Moment::Version(0)));
        assert!(matches!(
            moment("2025-01-01T12:00:00Z"),
            Ok(Moment::Time(_))
        ));
        assert!(moment("yesterday").is_err());
        assert!(moment("-1").is_err());
    }
}
