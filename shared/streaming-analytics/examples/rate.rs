//! How fast records are folded, and how large states become.
//!
//! `cargo run --release -p streaming-analytics --example rate [-- RECORDS]`; for instructions per
//! record under `valgrind --tool=callgrind`, run it with two numbers of records and take the
//! difference.

use serde_json::json;
use std::error::Error;
use std::time::Instant;
use streaming_analytics::earlier::Earlier;
use streaming_analytics::part::{LambdaWindow, Part, SequenceNumber};
use streaming_analytics::record::Record;
use streaming_analytics::result::MinuteResult;
use streaming_analytics::state::{Arrival, Limits, State};
use streaming_analytics::window::Lateness;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Records of an invocation.
const BATCH: usize = 500;
/// 2026-01-01T12:00:00Z
const START: i64 = 1_767_268_800;

fn at(millis: i64) -> Outcome<jiff::Timestamp> {
    Ok(jiff::Timestamp::from_millisecond(START * 1_000 + millis)?)
}

/// An event of order `number` as `EventBridge` delivers it, with the fields that recording adds.
fn event(number: u64, step: usize, millis: i64, skus: u64) -> Outcome<Vec<u8>> {
    let terms = json!({"orderId": format!("0b0c1e6e-{number:012}"), "currency": "EUR",
        "userId": format!("customer-{}", number % 5_000), "totalAmount": 34.99});
    let mut data = terms;
    let name = match step {
        0 => {
            data["items"] = json!([
                {"sku": format!("sku-{:05}", number % skus), "quantity": 1, "unitPrice": 12.49},
                {"sku": format!("sku-{:05}", number * 7 % skus), "quantity": 2, "unitPrice": 11.25}]);
            "OrderPlaced"
        }
        1 => {
            data["reason"] = json!("reserved");
            data["changes"] = json!([{"sku": format!("sku-{:05}", number % skus), "delta": -1}]);
            "InventoryUpdated"
        }
        _ => {
            data["paymentId"] = json!(format!("ch_{number}"));
            data["placedAt"] = json!(at(millis - 1_200)?.to_string());
            "PaymentProcessed"
        }
    };
    let timestamp = at(millis)?.to_string();
    let stream = format!("order-0b0c1e6e-{number:012}");
    let event = json!({"version": "0", "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
        "detail-type": name, "source": "orderflow", "account": "123456789012", "time": timestamp,
        "region": "eu-central-1", "resources": [stream], "detail": {
            "eventId": format!("{number:08x}-b31a-52fe-a362-65e228bb60{step}e"), "eventType": name,
            "timestamp": timestamp, "streamId": stream, "version": step + 1,
            "correlationId": stream, "causationId": "9d88ff91-b31a-52fe-a362-65e228bb607e",
            "hash": "X8KenWa0zAzuDgDvBinWOK3Y61DlXe3z06FnMTzc0HI", "data": data}});
    Ok(serde_json::to_vec(&event)?)
}

fn reading(number: u64, millis: i64, devices: u64) -> Outcome<Vec<u8>> {
    let value = format!("-{}.{:02}", 17 + number % 4, number % 100);
    let value: serde_json::Number = value.parse()?;
    Ok(serde_json::to_vec(
        &json!({"deviceId": format!("cold-{:05}", number % devices),
        "sensor": "temperature", "value": value, "unit": "°C", "at": at(millis)?.to_string()}),
    )?)
}

/// Of four records three are of an order and one is a reading; 1,000 records a second.
fn mixed(records: u64) -> Outcome<Vec<Vec<u8>>> {
    (0..records)
        .map(|number| {
            let millis = i64::try_from(number)?;
            match number % 4 {
                3 => reading(number / 4, millis, 200),
                step => event(number / 4, usize::try_from(step)?, millis, 500),
            }
        })
        .collect()
}

fn arrival(number: usize, data: &[u8]) -> Outcome<Arrival> {
    Ok(Arrival {
        sequence: SequenceNumber::parse(&format!("49590338271490256608559692{number:020}"))?,
        arrived: at(i64::try_from(number)? + 200)?,
        record: Record::parse(data),
    })
}

/// What a window came to.
struct Consumed {
    parts: Vec<Part>,
    largest_state: usize,
}

/// One Lambda window after the other, in batches, the state as text in between.
fn consume(data: &[Vec<u8>], limits: &Limits) -> Outcome<Consumed> {
    let (mut parts, mut largest_state) = (Vec::new(), 0);
    for (number, of_window) in data.chunks(60_000).enumerate() {
        let start = at(i64::try_from(number)? * 60_000)?;
        let window = LambdaWindow::new("shardId-000000000000", start);
        let mut earlier = Earlier::of(window.clone());
        let mut text = State::new(window.clone()).encode()?;
        for (batch_number, batch) in of_window.chunks(BATCH).enumerate() {
            let mut state = State::decode(window.clone(), &text)?;
            for (place, data) in batch.iter().enumerate() {
                let place = number * 60_000 + batch_number * BATCH + place;
                let arrival = arrival(place, data)?;
                if let Some(minute) = state.asks_for(&arrival, &Lateness::default())
                    && !earlier.knows(minute)
                {
                    earlier.learn(minute, []);
                }
                state.fold(&arrival, &Lateness::default(), &earlier)?;
                if state.is_full(limits) {
                    state = flush(state, &mut parts, &mut earlier);
                }
            }
            text = state.encode()?;
            largest_state = largest_state.max(text.len());
        }
        flush(State::decode(window, &text)?, &mut parts, &mut earlier);
    }
    Ok(Consumed {
        parts,
        largest_state,
    })
}

fn flush(state: State, parts: &mut Vec<Part>, earlier: &mut Earlier) -> State {
    for part in state.parts() {
        earlier.learn_part(&part);
        parts.push(part);
    }
    state.flushed(&[])
}

#[allow(clippy::cast_precision_loss)]
fn rate(records: usize, since: Instant) -> f64 {
    records as f64 / since.elapsed().as_secs_f64()
}

fn main() -> Outcome<()> {
    let records = std::env::args()
        .nth(1)
        .map_or(Ok(400_000), |text| text.parse())?;
    let data = mixed(records)?;
    let bytes: usize = data.iter().map(Vec::len).sum();
    println!(
        "{records} records of {} bytes on average",
        bytes / data.len().max(1)
    );

    let since = Instant::now();
    let read = data
        .iter()
        .filter(|data| Record::parse(data).is_ok())
        .count();
    println!("read:               {:>9.0} records/s", rate(read, since));

    let since = Instant::now();
    let consumed = consume(&data, &Limits::default())?;
    println!(
        "read and folded:    {:>9.0} records/s, in batches of {BATCH}, state as text in between; \
         {} parts, largest state {} bytes",
        rate(data.len(), since),
        consumed.parts.len(),
        consumed.largest_state
    );
    if std::env::args().nth(2).is_some() {
        return Ok(());
    }
    let minute = consumed.parts.first().map(|part| part.key.minute);
    if let Some(minute) = minute {
        let since = Instant::now();
        let result = MinuteResult::of(minute, &consumed.parts);
        let micros = since.elapsed().as_micros();
        let size = result.encode()?.len();
        println!("result of a minute: {micros:>9} us, {size} bytes");
    }
    states()
}

/// States of one minute with as many different things as they may have.
fn states() -> Outcome<()> {
    let orders: Outcome<Vec<_>> = (0..10_000)
        .map(|number| event(number, 0, 10, 10_000))
        .collect();
    let readings: Outcome<Vec<_>> = (0..10_000)
        .map(|number| reading(number, 10, 10_000))
        .collect();
    let (orders, readings) = (orders?, readings?);
    let both: Vec<_> = orders.iter().chain(&readings).cloned().collect();
    let unlimited = Limits {
        state: usize::MAX,
        part: usize::MAX,
    };
    for (what, data) in [
        ("10,000 SKUs", &orders),
        ("10,000 devices", &readings),
        ("both", &both),
    ] {
        let whole = consume(data, &unlimited)?;
        let flushed = consume(data, &Limits::default())?;
        println!(
            "{what}: a state of {} bytes; with flushes {} parts, largest state {} bytes",
            whole.largest_state,
            flushed.parts.len(),
            flushed.largest_state
        );
    }
    Ok(())
}
