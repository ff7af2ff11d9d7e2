use super::*;
use event_sourcing::chain::{self, Head};
use event_sourcing::envelope::Envelope;
use serde_json::json;

/// An order that was paid: the smallest evidence in which every invariant says something.
fn paid() -> Evidence {
    let mut evidence = Evidence {
        published: Some(Vec::new()),
        accepted: vec!["1".to_owned()],
        rewrites: Some(0),
        ..Evidence::default()
    };
    let terms = json!({"orderId": "1", "userId": "u", "totalAmount": 3, "currency": "USD"});
    let with = |more: Value| {
        let mut data = terms.clone();
        if let (Value::Object(data), Value::Object(more)) = (&mut data, more) {
            data.extend(more);
        }
        data
    };
    let items = json!([{"sku": "tea", "quantity": 2, "unitPrice": 1.5}]);
    let reserved = json!({"reason": "reserved", "changes": [{"sku": "tea", "quantity": -2}]});
    let stocked = json!({"reason": "restocked", "changes": [{"sku": "tea", "quantity": 5}]});
    let notified =
        |about: &str| json!({"orderId": "1", "userId": "u", "about": about, "claimedBy": "r"});
    for (stream, version, id, event_type, data) in [
        ("inventory-tea", 1, "s", "InventoryUpdated", stocked),
        (
            "order-1",
            1,
            "a",
            "OrderPlaced",
            with(json!({"items": items})),
        ),
        ("order-1", 2, "b", "InventoryUpdated", with(reserved)),
        (
            "order-1",
            3,
            "c",
            "PaymentProcessed",
            with(json!({"paymentId": "p"})),
        ),
        (
            "notification-a",
            1,
            "na",
            "UserNotified",
            notified("OrderPlaced"),
        ),
        (
            "notification-c",
            1,
            "nc",
            "UserNotified",
            notified("PaymentProcessed"),
        ),
    ] {
        append(&mut evidence, stream, version, id, event_type, data);
    }
    evidence.stored.stock.insert("tea".to_owned(), 3);
    project(&mut evidence);
    evidence
}

fn append(
    evidence: &mut Evidence,
    stream: &str,
    version: u64,
    id: &str,
    event_type: &str,
    data: Value,
) {
    let event = json!({"eventId": id, "eventType": event_type,
        "timestamp": "2025-01-01T12:00:00Z", "data": data});
    let event = Envelope::from_value(event).unwrap();
    let streams = &mut evidence.stored.streams;
    let stored = streams.entry(stream.to_owned()).or_default();
    let event = chain::record(stream, &Head::after(stored.last()), vec![event]).remove(0);
    assert_eq!(event.version, Some(version), "{stream}");
    let detail = serde_json::to_value(&event).unwrap();
    stored.push(event);
    if let Some(published) = &mut evidence.published {
        published.push(Published {
            bus: "orders".to_owned(),
            source: "orderflow".to_owned(),
            detail,
        });
    }
}

fn project(evidence: &mut Evidence) {
    let rows = evidence
        .stored
        .summaries()
        .into_iter()
        .filter_map(|(order, row)| Some((order.to_owned(), serde_json::to_value(row?).unwrap())))
        .collect();
    evidence.stored.rows = rows;
}

fn terms() -> Value {
    json!({"orderId": "1", "userId": "u", "totalAmount": 3, "currency": "USD"})
}

#[track_caller]
fn breaks(name: &str, change: impl FnOnce(&mut Evidence)) {
    let mut evidence = paid();
    change(&mut evidence);
    let verdicts = check(&evidence);
    let verdict = verdicts
        .iter()
        .find(|verdict| verdict.name == name)
        .unwrap();
    assert!(!verdict.held, "{verdicts:#?}");
}

#[test]
fn a_paid_order_keeps_every_invariant() {
    let verdicts = check(&paid());
    assert_eq!(broken(&verdicts), Vec::<String>::new());
    assert_eq!(verdicts.len(), 7);
}

#[test]
fn without_a_look_at_the_bus_nothing_is_said_of_it() {
    let evidence = Evidence {
        published: None,
        ..paid()
    };
    assert_eq!(check(&evidence).len(), 6);
}

#[test]
fn an_event_that_was_not_published_is_found() {
    breaks(STORED_IS_PUBLISHED, |evidence| {
        evidence.published.as_mut().unwrap().pop();
    });
}

#[test]
fn an_event_that_was_published_and_not_stored_is_found() {
    breaks(STORED_IS_PUBLISHED, |evidence| {
        evidence.stored.streams.remove("notification-c");
    });
}

#[test]
fn an_event_that_was_published_in_another_form_is_found() {
    breaks(STORED_IS_PUBLISHED, |evidence| {
        evidence.published.as_mut().unwrap()[1].detail["data"]["totalAmount"] = json!(4);
    });
}

#[test]
fn an_accepted_order_that_is_not_stored_is_lost() {
    breaks(NO_LOST_ORDER, |evidence| {
        evidence.accepted.push("2".to_owned());
    });
}

#[track_caller]
fn keeps(name: &str, change: impl FnOnce(&mut Evidence)) {
    let mut evidence = paid();
    change(&mut evidence);
    let verdicts = check(&evidence);
    let verdict = verdicts.iter().find(|verdict| verdict.name == name);
    assert!(verdict.unwrap().held, "{verdicts:#?}");
}

fn give_up(evidence: &mut Evidence, consumer: &str, event_id: &str) {
    evidence.given_up.push(GivenUp {
        consumer: consumer.to_owned(),
        event_id: event_id.to_owned(),
    });
}

/// The order has its stock, and nobody has charged it.
fn unfinished(evidence: &mut Evidence) {
    evidence.stored.streams.get_mut("order-1").unwrap().pop();
}

fn cancelled(evidence: &mut Evidence) {
    let mut data = terms();
    data["reason"] = json!("requested");
    append(evidence, "order-1", 4, "d", "OrderCancelled", data);
}

#[test]
fn an_order_that_never_ends_is_lost_unless_its_last_event_is_parked() {
    breaks(NO_LOST_ORDER, unfinished);
    for consumer in ["process-payment", "publish-events"] {
        keeps(NO_LOST_ORDER, |evidence| {
            unfinished(evidence);
            give_up(evidence, consumer, "b");
        });
    }
}

#[test]
fn an_order_is_not_parked_by_an_earlier_event_or_by_one_who_does_not_move_it() {
    for (consumer, event_id) in [
        ("update-inventory", "a"),
        ("notify-user", "b"),
        ("project-orders", "b"),
    ] {
        breaks(NO_LOST_ORDER, |evidence| {
            unfinished(evidence);
            give_up(evidence, consumer, event_id);
        });
    }
}

#[test]
fn stock_that_is_to_be_released_may_be_parked() {
    keeps(NO_OVERSELL, |evidence| {
        cancelled(evidence);
        give_up(evidence, "update-inventory", "d");
    });
    breaks(NO_OVERSELL, |evidence| {
        cancelled(evidence);
        give_up(evidence, "process-payment", "d");
    });
}

#[test]
fn a_refund_may_be_parked() {
    keeps(ONE_CHARGE, |evidence| {
        cancelled(evidence);
        give_up(evidence, "process-payment", "d");
    });
    breaks(ONE_CHARGE, |evidence| {
        cancelled(evidence);
        give_up(evidence, "update-inventory", "d");
    });
}

#[test]
fn a_notification_may_be_parked() {
    keeps(ONE_NOTIFICATION, |evidence| {
        evidence.stored.streams.remove("notification-c");
        give_up(evidence, "notify-user", "c");
    });
}

fn charged(key: &str, payment: &str) -> GatewayMove {
    GatewayMove::Charged {
        order: "1".to_owned(),
        key: key.to_owned(),
        payment: payment.to_owned(),
    }
}

fn refunded(key: &str) -> GatewayMove {
    GatewayMove::Refunded {
        key: key.to_owned(),
        payment: "p".to_owned(),
    }
}

#[test]
fn the_same_charge_asked_for_twice_is_one() {
    keeps(ONE_CHARGE, |evidence| {
        evidence.gateway = Some(vec![charged("k", "p"), charged("k", "p")]);
    });
}

#[test]
fn a_gateway_that_did_other_than_what_is_stored_is_found() {
    for (what, moves) in [
        (
            "a second charge",
            vec![charged("k", "p"), charged("l", "q")],
        ),
        ("another charge", vec![charged("k", "q")]),
        ("an unstored refund", vec![charged("k", "p"), refunded("r")]),
        ("no charge", vec![refunded("r")]),
    ] {
        let mut evidence = paid();
        evidence.gateway = Some(moves);
        let verdicts = check(&evidence);
        let verdict = verdicts.iter().find(|one| one.name == ONE_CHARGE).unwrap();
        assert!(!verdict.held, "{what}: {verdict}");
    }
}

#[test]
fn a_refund_that_is_stored_and_that_the_gateway_did_not_make_is_found() {
    let refund = |evidence: &mut Evidence| {
        cancelled(evidence);
        let mut data = terms();
        data["paymentId"] = json!("p");
        append(evidence, "order-1", 5, "e", "PaymentRefunded", data);
    };
    keeps(ONE_CHARGE, |evidence| {
        refund(evidence);
        evidence.gateway = Some(vec![charged("k", "p"), refunded("r")]);
    });
    breaks(ONE_CHARGE, |evidence| {
        refund(evidence);
        evidence.gateway = Some(vec![charged("k", "p")]);
    });
}

#[test]
fn less_than_nothing_in_stock_is_found() {
    breaks(NO_OVERSELL, |evidence| {
        evidence.stored.stock.insert("tea".to_owned(), -1);
    });
}

#[test]
fn stock_that_was_moved_without_an_event_is_found() {
    breaks(NO_OVERSELL, |evidence| {
        evidence.stored.stock.insert("tea".to_owned(), 4);
    });
}

#[test]
fn an_ended_order_that_holds_stock_is_found() {
    breaks(NO_OVERSELL, cancelled);
}

#[test]
fn a_second_payment_is_found() {
    breaks(ONE_CHARGE, |evidence| {
        let mut data = terms();
        data["paymentId"] = json!("q");
        append(evidence, "order-1", 4, "d", "PaymentProcessed", data);
    });
}

#[test]
fn a_cancelled_order_that_was_not_refunded_is_found() {
    breaks(ONE_CHARGE, cancelled);
}

#[test]
fn a_refund_of_an_order_that_is_delivered_is_found() {
    breaks(ONE_CHARGE, |evidence| {
        let mut data = terms();
        data["paymentId"] = json!("p");
        append(evidence, "order-1", 4, "d", "PaymentRefunded", data);
    });
}

#[test]
fn a_trigger_without_notification_is_found() {
    breaks(ONE_NOTIFICATION, |evidence| {
        evidence.stored.streams.remove("notification-c");
    });
}

#[test]
fn a_second_notification_is_found() {
    breaks(ONE_NOTIFICATION, |evidence| {
        append(
            evidence,
            "notification-c",
            2,
            "nd",
            "UserNotified",
            json!({}),
        );
    });
}

#[test]
fn a_gap_in_a_stream_is_found() {
    breaks(GAP_FREE, |evidence| {
        evidence
            .stored
            .streams
            .get_mut("order-1")
            .unwrap()
            .remove(1);
    });
}

#[test]
fn an_event_that_was_stored_twice_or_rewritten_is_found() {
    breaks(GAP_FREE, |evidence| {
        append(
            evidence,
            "notification-c",
            2,
            "a",
            "NotificationFailed",
            json!({}),
        );
    });
    breaks(GAP_FREE, |evidence| evidence.rewrites = Some(1));
}

#[test]
fn a_row_that_differs_from_its_stream_is_found() {
    breaks(READ_MODEL, |evidence| {
        evidence.stored.rows.get_mut("1").unwrap()["status"] = json!("placed");
    });
    breaks(READ_MODEL, |evidence| evidence.stored.rows.clear());
    breaks(READ_MODEL, |evidence| {
        evidence.stored.streams.remove("order-1");
    });
}
