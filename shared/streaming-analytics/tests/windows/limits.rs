//! States and parts stay within what Lambda and `DynamoDB` take.

use crate::consumer::{Process, Table};
use crate::producer::{START, timestamp};
use serde_json::json;
use streaming_analytics::earlier::Earlier;
use streaming_analytics::part::{LambdaWindow, SequenceNumber};
use streaming_analytics::record::Record;
use streaming_analytics::result::{MAX_SKUS, MinuteResult};
use streaming_analytics::state::{Arrival, Folded, Limits, MAX_GROWTH, State};
use streaming_analytics::window::{Lateness, Minute};

/// What Lambda keeps of a window's state in a shard, in bytes.
const LAMBDA: usize = 1_000_000;
/// The largest item of a table, in bytes.
const ITEM: usize = 400_000;

fn arrival(number: u32, data: &serde_json::Value) -> Arrival {
    Arrival {
        sequence: SequenceNumber::parse(&format!("49590338271490256608559692{number:09}")).unwrap(),
        arrived: timestamp(START + 59_000),
        record: Record::parse(data.to_string().as_bytes()),
    }
}

fn order(number: u32, skus: impl IntoIterator<Item = String>) -> Arrival {
    let lines: Vec<_> = skus
        .into_iter()
        .map(|sku| json!({"sku": sku, "quantity": 1, "unitPrice": 1}))
        .collect();
    let data = json!({"orderId": "o", "userId": format!("user-{number}"), "totalAmount": 1, "items": lines});
    let detail = json!({"eventId": format!("e-{number}"), "eventType": "OrderPlaced",
        "timestamp": "2026-01-01T11:56:30Z", "data": data});
    arrival(number, &json!({"detail": detail}))
}

fn reading(number: u32) -> Arrival {
    let data = json!({"deviceId": format!("device-{number:05}"), "sensor": "temperature",
        "unit": "°C", "at": "2026-01-01T11:56:30Z", "value": 21.340_000_000_000_003});
    arrival(20_000 + number, &data)
}

fn minute() -> Minute {
    Minute::of(timestamp(START)).unwrap()
}

#[test]
fn ten_thousand_skus_and_devices_in_a_minute_stay_within_a_megabyte_through_flushes() {
    let window = LambdaWindow::new("s", timestamp(START));
    let orders = (0..10_000).map(|number| order(number, [format!("sku-{number:05}")]));
    let readings = (0..10_000).map(reading);
    let records: Vec<_> = orders.chain(readings).collect();
    let mut table = Table::default();
    let mut kept = None;
    let mut earlier = Earlier::of(window);
    let mut largest = 0;
    for batch in records.chunks(500) {
        let mut process = Process {
            table: &mut table,
            earlier,
            limits: Limits::default(),
            steps_to_live: None,
        };
        let text = process.invoke(kept.as_deref(), batch, false).unwrap();
        earlier = process.earlier;
        largest = largest.max(text.len());
        kept = Some(text);
    }
    let mut process = Process {
        table: &mut table,
        earlier,
        limits: Limits::default(),
        steps_to_live: None,
    };
    process.invoke(kept.as_deref(), &[], true).unwrap();
    assert!(largest < LAMBDA, "{largest}");
    assert!(
        largest > LAMBDA / 5,
        "they are not flushed for nothing: {largest}"
    );
    let parts = table.parts_of(minute());
    assert!((3..10).contains(&parts.len()), "{} parts", parts.len());
    for part in &parts {
        assert!(part.encode().unwrap().len() < ITEM);
    }
    let result = MinuteResult::of(minute(), &parts);
    assert_eq!(result.totals.counts.on_time, 20_000);
    assert_eq!(result.totals.devices.len(), 10_000);
    assert_eq!(result.totals.orders.placed, 10_000);
    assert_eq!(result.totals.orders.skus.len(), MAX_SKUS);
    assert_eq!(
        result.totals.orders.skus.error(),
        1,
        "any other was ordered once at most"
    );
}

#[test]
fn the_largest_record_adds_no_more_than_is_left_free() {
    let window = LambdaWindow::new("s", timestamp(START));
    let mut earlier = Earlier::of(window.clone());
    earlier.learn(minute(), []);
    let names = (100_000..100_100).map(|number| format!("{}{number}", "🐢".repeat(122)));
    let mut state = State::new(window.clone());
    let folded = state.fold(&order(0, names), &Lateness::default(), &earlier);
    assert_eq!(folded, Ok(Folded::OnTime(minute())));
    let bytes = state.encode().unwrap().len() / 4 * 3;
    assert!((45_000..MAX_GROWTH).contains(&bytes), "{bytes}");
    let limits = |part| Limits {
        state: LAMBDA,
        part,
    };
    assert!(state.is_full(&limits(bytes - 1_000)));
    assert!(!state.is_full(&limits(MAX_GROWTH)));
    let Limits { state, part } = Limits::default();
    assert!((state + MAX_GROWTH) / 3 * 4 < LAMBDA);
    assert!(part + MAX_GROWTH < ITEM);
}

#[test]
fn the_size_that_is_counted_is_never_below_the_real_one_and_survives_encoding() {
    let window = LambdaWindow::new("s", timestamp(START));
    let mut earlier = Earlier::of(window.clone());
    earlier.learn(minute(), []);
    let mut state = State::new(window.clone());
    for number in 0..300 {
        let order = order(number, [format!("sku-{}", number % 7)]);
        state.fold(&order, &Lateness::default(), &earlier).unwrap();
    }
    for number in 0..300 {
        state
            .fold(&reading(number), &Lateness::default(), &earlier)
            .unwrap();
    }
    let text = state.encode().unwrap();
    let bytes = text.len() / 4 * 3;
    let full = |state: &State, limit| {
        state.is_full(&Limits {
            state: limit,
            part: LAMBDA,
        })
    };
    assert!(full(&state, bytes - 1));
    assert!(!full(&state, bytes * 2), "nor is it twice that");
    let read = State::decode(window, &text).unwrap();
    assert_eq!(read, state);
    for limit in bytes..bytes * 2 {
        assert_eq!(full(&read, limit), full(&state, limit));
    }
}
