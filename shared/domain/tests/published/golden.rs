//! Every version of every event that was ever published can still be read.
//!
//! `events/golden/<EventType>.v<version>[.<form>].json` is an envelope as it was published. These
//! files are never changed and never removed: what they hold is stored somewhere.

use crate::{files, type_and_version};
use domain::alarm::{Alarm, AlarmEvent};
use domain::inventory::Restocked;
use domain::notification::{NotificationEvent, NotificationState};
use domain::order::{HeldMoney, HeldStock, Order, OrderEvent};
use event_sourcing::chain;
use event_sourcing::decider::{Decider, Event};
use event_sourcing::envelope::Envelope;
use event_sourcing::upcaster::{Unreadable, check, current_version, decode, upcast};
use serde_json::Value;
use std::collections::BTreeMap;

/// An event of whichever aggregate.
pub(crate) struct Read {
    pub(crate) data: Value,
    upcast: Value,
}

/// Reads an event as its aggregate's code would, and writes it again in the current version.
pub(crate) fn read(envelope: &Envelope) -> Result<Read, Unreadable> {
    fn read<E: Event>(envelope: &Envelope) -> Result<Read, Unreadable> {
        let event = decode::<E>(envelope)?;
        let version = envelope.schema_version.unwrap_or(1);
        let upcast = upcast(
            E::upcasters(),
            &envelope.event_type,
            version,
            &envelope.data,
        );
        Ok(Read {
            data: event.to_data().unwrap(),
            upcast: upcast.unwrap().into_owned(),
        })
    }
    let of_sku = |stream: &String| stream.starts_with("inventory-");
    if envelope.stream_id.as_ref().is_some_and(of_sku) {
        read::<Restocked>(envelope)
    } else if NotificationEvent::TYPES.contains(&envelope.event_type.as_str()) {
        read::<NotificationEvent>(envelope)
    } else if AlarmEvent::TYPES.contains(&envelope.event_type.as_str()) {
        read::<AlarmEvent>(envelope)
    } else {
        read::<OrderEvent>(envelope)
    }
}

pub(crate) fn golden() -> BTreeMap<String, Envelope> {
    files("golden")
        .into_iter()
        .map(|(name, json)| (name, Envelope::from_value(json).unwrap()))
        .collect()
}

/// The current version of every event type.
pub(crate) fn current_versions() -> impl Iterator<Item = (&'static str, u32)> {
    let of_orders = OrderEvent::TYPES
        .iter()
        .map(|name| (*name, current_version(OrderEvent::upcasters(), name)));
    let of_notifications = NotificationEvent::TYPES
        .iter()
        .map(|name| (*name, current_version(NotificationEvent::upcasters(), name)));
    let of_alarms = AlarmEvent::TYPES
        .iter()
        .map(|name| (*name, current_version(AlarmEvent::upcasters(), name)));
    of_orders.chain(of_notifications).chain(of_alarms)
}

#[test]
fn every_golden_file_is_read_and_loses_no_field() {
    for (name, envelope) in golden() {
        let (event_type, version) = type_and_version(&name);
        assert_eq!(envelope.event_type, event_type, "{name}");
        assert_eq!(envelope.schema_version.unwrap_or(1), version, "{name}");
        let read = read(&envelope).unwrap_or_else(|error| panic!("{name}: {error}"));
        for (field, value) in read.upcast.as_object().unwrap() {
            assert_eq!(read.data.get(field), Some(value), "{name}: {field}");
        }
        let text = serde_json::to_string(&envelope).unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&text).unwrap(),
            files("golden")[&name]
        );
    }
}

#[test]
fn every_version_of_every_event_has_a_golden_file() {
    assert_eq!(check(OrderEvent::upcasters()), Ok(()));
    assert_eq!(check(NotificationEvent::upcasters()), Ok(()));
    assert_eq!(check(AlarmEvent::upcasters()), Ok(()));
    let golden = golden();
    for (event_type, current) in current_versions() {
        for version in 1..=current {
            let name = format!("{event_type}.v{version}");
            assert!(
                golden
                    .keys()
                    .any(|file| type_and_version(file) == (event_type, version)),
                "events/golden/ has no {name}.json: put an event there as it is published"
            );
        }
    }
}

#[test]
fn the_golden_streams_are_whole_and_fold_to_what_happened() {
    let mut streams: BTreeMap<String, BTreeMap<u64, Envelope>> = BTreeMap::new();
    for envelope in golden().into_values() {
        if let Some((stream, version)) = envelope.position() {
            let events = streams.entry(stream.to_owned()).or_default();
            assert!(
                events.insert(version, envelope.clone()).is_none(),
                "{stream} {version}"
            );
        }
    }
    for (stream, events) in &streams {
        chain::verify(stream, events.values()).unwrap();
    }
    let fold = |stream: &str| {
        streams[stream]
            .values()
            .fold(Order::Absent, |order, event| {
                Order::evolve(order, &decode(event).unwrap(), event.at())
            })
    };
    let Order::Cancelled { terms, aftermath } = fold("order-67890") else {
        panic!("it was cancelled");
    };
    assert_eq!(terms.total_amount.to_string(), "34.99");
    assert_eq!(aftermath.stock, HeldStock::Free);
    assert!(matches!(aftermath.money, HeldMoney::Refunded(_)));
    assert!(matches!(fold("order-declined"), Order::Rejected { .. }));
    assert!(matches!(fold("order-out-of-stock"), Order::Rejected { .. }));
    assert!(matches!(fold("order-expired"), Order::Cancelled { .. }));
    assert!(matches!(
        fold("order-free"),
        Order::Confirmed { payment: None, .. }
    ));
    let notified = streams["notification-12345"]
        .values()
        .map(|event| (decode(event).unwrap(), event.at()));
    let notified: Vec<_> = notified.collect();
    assert_eq!(
        NotificationState::fold(notified.iter().map(|(event, at)| (event, *at))),
        NotificationState::Claimed {
            by: "request-2".into()
        }
    );
    let alarm: Vec<_> = streams["alarm-failures"]
        .values()
        .map(|event| (decode(event).unwrap(), event.at()))
        .collect();
    assert_eq!(
        Alarm::fold(alarm.iter().map(|(event, at)| (event, *at))),
        Alarm::Cleared {
            window: "2026-01-02T08:41:00Z".parse().unwrap()
        }
    );
}
