use super::*;
use crate::exact::Exact;
use domain::ids::{DeviceId, SensorName, Sku};
use domain::money::Currency;
use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::json;

fn parse(value: &Value) -> Result<Record, Malformed> {
    Record::parse(value.to_string().as_bytes())
}

fn event(event_type: &str, data: Value) -> Value {
    json!({"version": "0", "id": "6a7e8feb", "detail-type": event_type, "source": "orderflow",
        "time": "2026-01-01T12:00:01Z", "resources": ["order-67890"],
        "detail": {"eventId": "12345", "eventType": event_type, "version": 3,
            "timestamp": "2026-01-01T12:00:00.5Z", "streamId": "order-67890", "data": data}})
}

fn order(more: Value) -> Value {
    let mut data = json!({"orderId": "67890", "userId": "abc123", "totalAmount": 150.75});
    for (field, value) in more.as_object().unwrap() {
        data[field] = value.clone();
    }
    data
}

fn what(event_type: &str, more: Value) -> What {
    parse(&event(event_type, order(more))).unwrap().what
}

fn reading() -> Value {
    json!({"deviceId": "cold-1", "sensor": "temperature", "value": -18.25, "unit": "°C",
        "at": "2026-01-01T12:00:00.1239Z"})
}

fn exact(text: &str) -> Exact {
    Exact::parse(text).unwrap()
}

#[test]
fn events_of_an_order_become_facts() {
    let line = json!({"sku": "tea", "quantity": 2, "unitPrice": 75.375});
    let What::Order(OrderFact::Placed { pieces, .. }) =
        what("OrderPlaced", json!({"items": [line]}))
    else {
        panic!("it was placed");
    };
    assert_eq!(pieces, [(Sku::parse("tea").unwrap(), 2)]);
    assert_eq!(
        what(
            "PaymentProcessed",
            json!({"placedAt": "2026-01-01T11:59:59Z"})
        ),
        What::Order(OrderFact::Confirmed {
            amount: exact("150.75"),
            currency: Currency::USD,
            took: Some(SignedDuration::from_millis(1_500)),
        })
    );
    assert_eq!(
        what(
            "PaymentRefunded",
            json!({"paymentId": "ch_1", "currency": "EUR"})
        ),
        What::Order(OrderFact::Refunded {
            amount: exact("150.75"),
            currency: Currency::parse("EUR").unwrap(),
        })
    );
    let fact = |name, more| what(name, more);
    assert_eq!(
        fact("InventoryRejected", json!({"shortages": []})),
        What::Order(OrderFact::Rejected)
    );
    assert_eq!(
        fact("PaymentFailed", json!({"reason": "declined"})),
        What::Order(OrderFact::Failed)
    );
    assert_eq!(
        fact("OrderCancelled", json!({"reason": "expired"})),
        What::Order(OrderFact::Cancelled)
    );
}

#[test]
fn other_events_are_records_that_move_no_figure() {
    for (name, data) in [
        (
            "InventoryUpdated",
            json!({"sku": "tea", "reason": "restocked"}),
        ),
        ("UserNotified", json!({})),
        ("SomethingOfTomorrow", json!({})),
    ] {
        let record = parse(&event(name, data)).unwrap();
        assert_eq!(record.what, What::Other, "{name}");
        assert_eq!(record.at.to_string(), "2026-01-01T12:00:00.5Z");
    }
}

#[test]
fn the_same_event_has_the_same_id_however_it_comes() {
    let one = parse(&event("OrderPlaced", order(json!({})))).unwrap();
    let mut again = event("OrderPlaced", order(json!({})));
    again["time"] = json!("2026-01-02T00:00:00Z");
    again["id"] = json!("another delivery");
    assert_eq!(parse(&again).unwrap().id, one.id);
    again["detail"]["eventId"] = json!("12346");
    assert_ne!(parse(&again).unwrap().id, one.id);
}

#[test]
fn a_reading_keeps_its_digits_and_its_time_to_the_millisecond() {
    let record = parse(&reading()).unwrap();
    assert_eq!(record.at.to_string(), "2026-01-01T12:00:00.123Z");
    assert_eq!(
        record.what,
        What::Reading(Reading {
            device: DeviceId::parse("cold-1").unwrap(),
            sensor: SensorName::parse("temperature").unwrap(),
            value: exact("-18.25"),
            unit: "°C".into(),
        })
    );
}

#[test]
fn a_reading_is_identified_by_device_sensor_and_time_unless_it_says_otherwise() {
    let id = |change: &[(&str, Value)]| {
        let mut reading = reading();
        for (field, value) in change {
            reading[*field] = value.clone();
        }
        parse(&reading).unwrap().id
    };
    let own = id(&[]);
    assert_eq!(
        id(&[("value", json!(3))]),
        own,
        "a sensor has one value at a time"
    );
    assert_eq!(id(&[("at", json!("2026-01-01T13:00:00.1239+01:00"))]), own);
    for (field, value) in [
        ("deviceId", json!("cold-2")),
        ("sensor", json!("humidity")),
        ("at", json!("2026-01-01T12:00:00.1238Z")),
        ("eventId", json!("r-1")),
    ] {
        assert_ne!(id(&[(field, value)]), own, "{field}");
    }
    let named =
        |device: &str, event: &str| id(&[("deviceId", json!(device)), ("eventId", json!(event))]);
    assert_eq!(named("a", "1"), named("a", "1"));
    assert_ne!(
        named("a", "1"),
        named("b", "1"),
        "nobody takes another device's id"
    );
    let event = parse(&event("UserNotified", json!({}))).unwrap().id;
    assert_ne!(named("a", "12345"), event, "nor an event's");
}

#[test]
fn the_field_at_fault_is_named() {
    let fault = |value: &Value| parse(value).unwrap_err().field;
    for (field, wrong) in [
        ("deviceId", json!("")),
        ("deviceId", json!("x".repeat(129))),
        ("sensor", json!(7)),
        ("value", json!("3")),
        ("value", json!(1e13)),
        ("unit", json!("x".repeat(17))),
        ("unit", json!("")),
        ("at", json!("yesterday")),
        ("at", json!("2026-01-01 12:00:00Z")),
        ("at", json!("1969-01-01T00:00:00Z")),
        ("eventId", json!(1)),
        ("eventId", json!("x".repeat(257))),
    ] {
        let mut wrong_reading = reading();
        wrong_reading[field] = wrong;
        assert_eq!(fault(&wrong_reading), field);
    }
    for field in ["sensor", "value", "unit", "at"] {
        let mut without = reading();
        without.as_object_mut().unwrap().remove(field);
        assert_eq!(fault(&without), field);
    }
    let mut wrong = event("OrderPlaced", order(json!({})));
    wrong["detail"]["timestamp"] = json!("noon");
    assert_eq!(fault(&wrong), "detail.timestamp");
    wrong["detail"]["timestamp"] = json!("2222-01-01T00:00:00Z");
    assert_eq!(fault(&wrong), "detail.timestamp");
    wrong["detail-type"] = json!("OrderCancelled");
    assert_eq!(fault(&wrong), "detail-type");
    wrong["detail"] = json!("OrderPlaced");
    assert_eq!(fault(&wrong), "detail");
    assert_eq!(fault(&event("OrderPlaced", json!({}))), "detail.data");
    let precise = json!({"totalAmount": 1e-19});
    assert_eq!(
        fault(&event("PaymentProcessed", order(precise))),
        "detail.data.totalAmount"
    );
    let placed = json!({"placedAt": 5});
    assert_eq!(
        fault(&event("PaymentProcessed", order(placed))),
        "detail.data"
    );
    assert_eq!(fault(&json!({"orderId": "1"})), "detail");
    assert_eq!(fault(&json!([])), "record");
    assert_eq!(Record::parse(b"\xff").unwrap_err().field, "record");
    assert_eq!(
        Record::parse(&vec![b' '; MAX_RECORD_BYTES + 1])
            .unwrap_err()
            .field,
        "record"
    );
}

proptest! {
    #[test]
    fn any_bytes_are_a_record_or_malformed(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Record::parse(&bytes);
    }
}
