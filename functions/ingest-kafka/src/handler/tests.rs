use super::*;
use aws_adapters::eventbridge_publisher::Entry as BusEntry;
use aws_adapters::lambda::RecordsAnswer as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::sync::Mutex;

/// Refuses the type `Poison` for good and does not take `Busy`.
#[derive(Debug, Default)]
struct Bus {
    taken: Mutex<Vec<Value>>,
}

impl PutEvents for &Bus {
    async fn put(&self, entries: Vec<BusEntry>) -> Vec<Result<(), PublishError>> {
        let mut taken = self.taken.lock().unwrap();
        let mut answer = |entry: BusEntry| match entry.detail_type.as_str() {
            "Poison" => Err(PublishError::Refused("malformed".into())),
            "Busy" => Err(PublishError::Unavailable("busy".into())),
            _ => {
                assert_eq!(entry.resource, "", "a plain event has no stream");
                taken.push(serde_json::from_str(&entry.detail).unwrap());
                Ok(())
            }
        };
        entries.into_iter().map(&mut answer).collect()
    }
}

fn event(id: &str, event_type: &str) -> Value {
    json!({"eventId": id, "eventType": event_type, "timestamp": "2025-01-01T12:00:00Z",
        "data": {"orderId": "67890", "userId": "abc123", "totalAmount": 150.75}})
}

fn record(offset: i64, key: &str, value: &[u8]) -> Value {
    json!({"topic": "order_events", "partition": 0, "offset": offset,
        "timestamp": 1_735_732_800_000_u64, "timestampType": "CREATE_TIME",
        "key": STANDARD.encode(key), "value": STANDARD.encode(value), "headers": []})
}

fn of_event(offset: i64, key: &str, event: &Value) -> Value {
    record(offset, key, event.to_string().as_bytes())
}

fn batch(records: &[Value]) -> Value {
    json!({"eventSource": "SelfManagedKafka", "bootstrapServers": "b:9092",
        "records": {"order_events-0": records}})
}

/// What the bus took (ids), what was given up (offset and cause), what comes again (offsets).
struct Outcome {
    taken: Vec<String>,
    given_up: Vec<(i64, String)>,
    again: Vec<i64>,
}

async fn handled(records: &[Value]) -> Outcome {
    let bus = Bus::default();
    let handler = Handler {
        publisher: EventBridgePublisher::over(&bus),
        answers_in_parts: true,
    };
    let mut answer = handler.handle(batch(records)).await.unwrap();
    let given_up = answer.given_up();
    answer.settle(&vec![true; given_up.len()]);
    let answer = answer.into_answer(false).unwrap();
    let again = answer["batchItemFailures"].as_array().unwrap().iter();
    let taken = bus.taken.lock().unwrap();
    let id = |event: &Value| event["eventId"].as_str().unwrap().to_owned();
    Outcome {
        taken: taken.iter().map(id).collect(),
        given_up: given_up
            .into_iter()
            .map(|(payload, failure)| {
                let offset = &payload["records"]["order_events-0"][0]["offset"];
                assert!(matches!(failure, Failure::Permanent(_)), "{failure:?}");
                (offset.as_i64().unwrap(), failure.to_string())
            })
            .collect(),
        again: again
            .map(|one| one["itemIdentifier"]["offset"].as_i64().unwrap())
            .collect(),
    }
}

#[tokio::test]
async fn a_plain_event_reaches_the_bus_as_it_was_written() {
    let bus = Bus::default();
    let handler = Handler {
        publisher: EventBridgePublisher::over(&bus),
        answers_in_parts: false,
    };
    let mut written = event("1", "OrderPlaced");
    written["later"] = json!({"kept": 1.50});
    let answer = handler
        .handle(batch(&[of_event(1, "67890", &written)]))
        .await;
    answer.unwrap().into_answer(false).unwrap();
    assert_eq!(*bus.taken.lock().unwrap(), [written]);
}

#[tokio::test]
async fn a_duplicate_of_the_batch_is_handed_on_once_and_another_event_under_its_id_is_refused() {
    let first = event("1", "OrderPlaced");
    let mut other = first.clone();
    other["data"]["totalAmount"] = json!(1);
    let outcome = handled(&[
        of_event(1, "67890", &first),
        of_event(2, "67890", &first),
        of_event(3, "67890", &other),
        of_event(4, "67890", &event("2", "CouponRedeemed")),
    ])
    .await;
    assert_eq!(outcome.taken, ["1", "2"]);
    let offsets: Vec<_> = outcome.given_up.iter().map(|(offset, _)| *offset).collect();
    assert_eq!((offsets, outcome.again), (vec![3], vec![]));
}

#[tokio::test]
async fn what_is_no_event_is_given_up_by_itself_and_a_tombstone_is_passed_over() {
    let mut tombstone = record(1, "67890", b"");
    tombstone["value"] = Value::Null;
    let mut without_total = event("9", "OrderPlaced");
    without_total["data"] = json!({"orderId": "67890"});
    let mut quoted = event("9", "OrderPlaced");
    quoted["data"]["contact"] = json!("secret@example.com");
    let deep = "[".repeat(10_000);
    let outcome = handled(&[
        tombstone,
        record(2, "k", b""),
        record(3, "k", b"\xff\xfe{}"),
        record(4, "k", b"{\"eventId\": \"secret@example.com"),
        record(5, "k", deep.as_bytes()),
        of_event(6, "k", &json!([1])),
        of_event(7, "k", &json!({"eventId": 1})),
        of_event(8, "k", &without_total),
        of_event(9, "k", &quoted),
        of_event(10, "k", &event("1", "OrderPlaced")),
    ])
    .await;
    assert_eq!(outcome.taken, ["1"]);
    assert!(outcome.again.is_empty());
    let offsets: Vec<_> = outcome.given_up.iter().map(|(offset, _)| *offset).collect();
    assert_eq!(offsets, [2, 3, 4, 5, 6, 7, 8, 9]);
    for (_, cause) in outcome.given_up {
        assert!(
            !cause.contains("secret") && !cause.contains("67890"),
            "{cause}"
        );
    }
}

#[tokio::test]
async fn an_event_that_says_it_is_recorded_is_not_believed() {
    for (claim, value) in [
        ("version", json!(3)),
        ("streamId", json!("order-67890")),
        ("hash", json!("abc")),
        ("previousHash", json!("abc")),
    ] {
        let mut claiming = event("1", "OrderPlaced");
        claiming[claim] = value;
        let outcome = handled(&[of_event(1, "k", &claiming)]).await;
        assert!(outcome.taken.is_empty());
        let [(1, cause)] = outcome.given_up.as_slice() else {
            panic!("{claim} is refused");
        };
        assert!(cause.contains(&format!("({claim})")), "{cause}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_stops_at_an_event_that_the_bus_does_not_take_and_other_keys_go_on() {
    let outcome = handled(&[
        of_event(1, "a", &event("1", "Fine")),
        of_event(2, "a", &event("2", "Busy")),
        of_event(3, "a", &event("3", "Fine")),
        of_event(4, "b", &event("4", "Fine")),
    ])
    .await;
    assert_eq!(outcome.taken, ["1", "4"]);
    assert_eq!(outcome.again, [2, 3]);
    assert!(outcome.given_up.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_the_bus_refuses_for_good_does_not_hold_up_its_key() {
    let outcome = handled(&[
        of_event(1, "a", &event("1", "Poison")),
        of_event(2, "a", &event("2", "Fine")),
        of_event(3, "a", &event("3", "Poison")),
        of_event(4, "a", &event("4", "Fine")),
    ])
    .await;
    assert_eq!(outcome.taken, ["2", "4"]);
    let offsets: Vec<_> = outcome.given_up.iter().map(|(offset, _)| *offset).collect();
    assert_eq!((offsets, outcome.again), (vec![1, 3], vec![]));
}

#[tokio::test]
async fn an_event_too_large_for_the_bus_is_given_up_and_one_too_large_for_the_queue_without_it() {
    let mut large = event("1", "CouponRedeemed");
    large["data"]["padding"] = json!("x".repeat(300_000));
    let mut larger = event("2", "CouponRedeemed");
    larger["data"]["padding"] = json!("x".repeat(3_000_000));
    let records = [
        of_event(1, "a", &large),
        of_event(2, "a", &larger),
        of_event(3, "a", &event("3", "Fine")),
    ];
    let bus = Bus::default();
    let handler = Handler {
        publisher: EventBridgePublisher::over(&bus),
        answers_in_parts: false,
    };
    let answer = handler.handle(batch(&records)).await.unwrap();
    let [(first, _), (second, _)] = answer.given_up().try_into().unwrap();
    assert_eq!(first, batch(&records[..1]));
    assert!(second.to_string().len() < 1000);
    assert_eq!(bus.taken.lock().unwrap().len(), 1);
    // A redrive of what was left out says where it is.
    let again = handler.handle(second).await.unwrap().given_up();
    assert!(again[0].1.to_string().contains("in its topic"), "{again:?}");
}

#[tokio::test]
async fn a_trace_in_the_headers_is_carried_and_what_is_none_is_not() {
    let traceparent = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01";
    for (header, carried) in [
        (traceparent, json!(traceparent)),
        ("00-x-y-01", Value::Null),
    ] {
        let mut record = of_event(1, "k", &event("1", "OrderPlaced"));
        record["headers"] = json!([{"traceparent": header.as_bytes()}]);
        let bus = Bus::default();
        let handler = Handler {
            publisher: EventBridgePublisher::over(&bus),
            answers_in_parts: false,
        };
        handler.handle(batch(&[record])).await.unwrap();
        assert_eq!(bus.taken.lock().unwrap()[0]["traceparent"], carried);
    }
}
