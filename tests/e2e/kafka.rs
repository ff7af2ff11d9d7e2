//! Plain events of a Kafka topic, as Lambda's mappings bring them: recorded once, then they travel
//! like ours. With a client and a cluster: `tests/kafka/run`.

use crate::system::{System, eventually};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

fn plain(id: &str, order: &str) -> Value {
    json!({"eventId": id, "eventType": "OrderPlaced", "timestamp": "2025-01-01T12:00:00Z",
        "data": {"orderId": order, "userId": "abc123", "totalAmount": 150.75}})
}

fn record(offset: i64, value: &str) -> Value {
    json!({"topic": "order_events", "partition": 0, "offset": offset,
        "timestamp": 1_735_732_800_000_u64, "timestampType": "CREATE_TIME",
        "key": STANDARD.encode("67890"), "value": STANDARD.encode(value), "headers": []})
}

fn batch(source: &str, records: &[Value]) -> Value {
    json!({"eventSource": source, "bootstrapServers": "b-1:9096",
        "records": {"order_events-0": records}})
}

async fn bring(system: &System, batch: &Value) {
    let answer = system.invoke("ingest-kafka", batch).await.unwrap();
    assert_eq!(answer, json!({"batchItemFailures": []}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topics_plain_events_are_recorded_once_however_often_they_come() {
    let system = System::start(&[]);
    let event = plain("12345", "67890").to_string();
    for source in ["aws:kafka", "SelfManagedKafka", "aws:kafka"] {
        let records = [record(1, &event), record(2, &event)];
        bring(&system, &batch(source, &records)).await;
    }
    let row = system.order_at("67890", "confirmed").await;
    assert_eq!(row["totalAmount"].to_string(), "150.75");
    system.invariants_hold(&["67890".to_owned()]).await;
    assert_eq!(
        system.events_of("67890").await,
        ["OrderPlaced", "InventoryUpdated", "PaymentProcessed"]
    );
    assert!(system.dead_letters().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_record_is_a_letter_of_its_own_and_the_others_go_on() {
    let system = System::start(&["--parameter", "RedriveFirstDelaySeconds=3600"]);
    let mut claiming = plain("c-1", "77777");
    claiming["version"] = json!(1);
    let records = [
        record(1, "{\"eventId\": \"cut off"),
        record(2, &claiming.to_string()),
        record(3, &plain("12345", "67890").to_string()),
    ];
    bring(&system, &batch("aws:kafka", &records)).await;
    system.order_at("67890", "confirmed").await;
    let letters = eventually("both are letters", async || {
        let call = json!({"consumer": "ingest-kafka"});
        system.invoke("redrive-dlq", &call).await.unwrap();
        Some(system.letters().await).filter(|letters| letters.len() == 2)
    })
    .await;
    let letter = &letters["ingest-kafka/c-1"];
    assert_eq!(
        (&letter["class"], &letter["attempts"]),
        (&json!("Permanent"), &json!(1))
    );
    assert!(
        letter["cause"].as_str().unwrap().contains("(version)"),
        "{letter}"
    );
    // What is kept is what the function is called with again.
    let payload: Value = match &letter["payload"] {
        Value::String(text) => serde_json::from_str(text).unwrap(),
        payload => payload.clone(),
    };
    assert_eq!(payload, batch("aws:kafka", &records[1..2]));
    assert!(!system.stored().await.streams.contains_key("order-77777"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_mirror_no_event_is_mirrored() {
    let system = System::start(&[]);
    system.stock("tea", 5, "1").await;
    let order = crate::system::order("u", "tea", 1, "1");
    let id = system.place("k", &order).await;
    system.order_at(&id, "confirmed").await;
    assert!(system.dead_letters().await.is_empty());
    let event = json!({"eventId": "1", "eventType": "OrderPlaced", "streamId": "order-1",
        "version": 1, "timestamp": "2025-01-01T12:00:00Z", "data": {}});
    let answer = system.invoke("mirror-events", &event).await.unwrap();
    assert_eq!(answer["givenUp"], "Permanent", "{answer}");
}
