//! What a consumer gives up is kept with its cause, tried again, and parked when that is of no
//! use: whichever way it failed.

use crate::system::{System, eventually, order, template_whose_relay_fails};
use aws_adapters::connection::Connection;
use aws_adapters::dead_letter_message::{GivenUpBatch, event_in};
use aws_adapters::dynamodb_event_store::DynamoDbEventStore;
use aws_adapters::stream_history::StreamHistory;
use aws_endpoint::{Endpoint, Options};
use event_sourcing::chain::Head;
use event_sourcing::envelope::Envelope;
use event_sourcing::store::EventStore as _;
use jiff::{SignedDuration, Timestamp};
use local::template::context_to_read;
use sam_template::Stack;
use serde_json::{Value, json};

/// An event of an order that the store does not know.
pub fn of_nobody(event_id: &str) -> Value {
    json!({"eventId": event_id, "eventType": "OrderCancelled", "streamId": "order-nobody",
        "version": 2, "timestamp": "2025-01-01T12:00:00Z",
        "data": {"orderId": "nobody", "userId": "u", "totalAmount": 1, "reason": "requested"}})
}

/// The event as the relay would put it on the bus.
pub async fn publish(system: &System, event: &Value) {
    let entry = json!({"EventBusName": "orders", "Source": "orderflow",
        "DetailType": event["eventType"], "Detail": event.to_string()});
    system
        .aws("AWSEvents.PutEvents", &json!({"Entries": [entry]}))
        .await;
}

/// The letter, once a redriver has taken it in.
pub async fn taken_in(system: &System, letter: &str) -> Value {
    eventually(&format!("{letter} is taken in"), async || {
        redrive(system, json!({"consumer": "record-events"})).await;
        redrive(system, json!({})).await;
        system.letters().await.remove(letter)
    })
    .await
}

pub async fn redrive(system: &System, call: Value) -> Value {
    system.invoke("redrive-dlq", &call).await.unwrap()
}

fn acts(letter: &Value, act: &str) -> usize {
    let history = letter["history"].as_array().unwrap();
    history.iter().filter(|entry| entry["act"] == act).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_will_never_be_taken_is_a_letter_at_once_with_its_cause() {
    let system = System::start(&["--parameter", "RedriveFirstDelaySeconds=3600"]);
    publish(&system, &of_nobody("n-1")).await;
    let letter = taken_in(&system, "update-inventory/n-1").await;
    assert_eq!(letter["class"], "Permanent");
    assert_eq!(letter["attempts"], 1, "no retry is burnt");
    let cause = letter["cause"].as_str().unwrap();
    assert!(
        cause.contains("order nobody is not in the event store"),
        "{cause}"
    );
    assert_eq!(letter["event"]["streamId"], "order-nobody");
    assert_eq!(
        (&letter["status"], &letter["round"]),
        (&json!("waiting"), &json!(0))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_rule_could_not_deliver_and_what_the_platform_gave_up_become_letters() {
    let system = System::start(&["--parameter", "RedriveFirstDelaySeconds=3600"]);
    let body = json!({"version": "0", "id": "x", "detail-type": "OrderCancelled",
        "source": "orderflow", "account": "1", "time": "2025-01-01T12:00:00Z",
        "region": "us-east-1", "resources": [], "detail": of_nobody("n-1")});
    let attributes = [
        ("ERROR_CODE", "THROTTLING"),
        ("ERROR_MESSAGE", "Rate exceeded"),
        ("RETRY_ATTEMPTS", "20"),
        ("EXHAUSTED_RETRY_CONDITION", "MaximumRetryAttempts"),
    ];
    system
        .send("notify-user-dlq", &body.to_string(), &attributes)
        .await;
    let letter = taken_in(&system, "notify-user/n-1").await;
    assert_eq!(
        (&letter["class"], &letter["attempts"]),
        (&json!("Transient"), &json!(21))
    );

    let mut other = body;
    other["detail"] = of_nobody("n-2");
    let record = json!({"version": "1.0", "timestamp": "2025-01-01T12:01:00Z",
        "requestContext": {"requestId": "call-1", "functionArn": "f",
            "condition": "RetriesExhausted", "approximateInvokeCount": 3},
        "requestPayload": other,
        "responsePayload": {"errorType": "Sandbox.Timedout", "errorMessage": "timed out"}});
    system
        .send("notify-user-dlq", &record.to_string(), &[])
        .await;
    let letter = taken_in(&system, "notify-user/n-2").await;
    assert_eq!(
        (&letter["attempts"], &letter["requestIds"]),
        (&json!(3), &json!(["call-1"]))
    );
    assert_eq!(letter["cause"], "Sandbox.Timedout: timed out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_message_ends_parked_and_nobody_is_called_with_it_again() {
    let parameters = ["RedriveFirstDelaySeconds=0", "RedriveRounds=3"];
    let system = System::start(&["--parameter", parameters[0], "--parameter", parameters[1]]);
    publish(&system, &of_nobody("n-1")).await;
    let parked = eventually("it is parked", async || {
        redrive(&system, json!({})).await;
        let letter = system.letters().await.remove("update-inventory/n-1")?;
        (letter["status"] == "parked").then_some(letter)
    })
    .await;
    assert_eq!(
        (acts(&parked, "roundFailed"), acts(&parked, "parked")),
        (3, 1)
    );
    // Given up in the first place, and in three rounds.
    assert_eq!(parked["attempts"], 4);
    let answer = redrive(
        &system,
        json!({"now": true, "consumer": "update-inventory"}),
    )
    .await;
    assert_eq!(answer["due"], 0, "{answer}");
    assert!(answer["parkedInAll"].as_u64().unwrap() >= 1, "{answer}");
    assert_eq!(system.letters().await["update-inventory/n-1"], parked);
    assert_eq!(system.dead_letters().await["update-inventory-dlq"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_in_a_dead_letter_queue_is_parked_as_it_is() {
    let system = System::start(&[]);
    system.send("process-payment-dlq", "no JSON {", &[]).await;
    eventually("it is parked", async || {
        redrive(&system, json!({})).await;
        let letters = system.letters().await;
        let parked = letters
            .values()
            .find(|letter| letter["status"] == "parked")?;
        assert_eq!(parked["consumer"], "process-payment");
        assert_eq!(parked["payload"], json!("no JSON {").to_string());
        Some(())
    })
    .await;
}

/// The relay fails, so its stream mapping gives the records up: AWS keeps only where they were.
#[tokio::test(flavor = "multi_thread")]
async fn after_the_cause_is_mended_a_redrive_finishes_the_order() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path().to_str().unwrap();
    let (_folder, broken) = template_whose_relay_fails();
    let delay = "RedriveFirstDelaySeconds=3600";
    let system = System::start(&[
        "--template",
        &broken,
        "--data-dir",
        data,
        "--parameter",
        delay,
    ]);
    system.stock("tea", 5, "1").await;
    let id = system.place("k", &order("u", "tea", 1, "1")).await;
    let placed = eventually("the relay gave the order's event up", async || {
        redrive(&system, json!({})).await;
        let letters = system.letters().await.into_values();
        let mut of_order = letters.filter(|one| one["event"]["streamId"] == format!("order-{id}"));
        of_order.find(|one| one["consumer"] == "publish-events")
    })
    .await;
    assert_eq!(
        (&placed["event"]["eventType"], &placed["event"]["version"]),
        (&json!("OrderPlaced"), &json!(1))
    );
    assert_eq!(system.interrupt(), Some(0));

    let system = System::start(&["--data-dir", data, "--parameter", delay]);
    let answer = redrive(&system, json!({"consumer": "publish-events", "now": true})).await;
    assert!(answer["redriven"].as_u64().unwrap() >= 1, "{answer}");
    system.order_at(&id, "confirmed").await;
    system.invariants_hold(&[id]).await;
    let letter = &system.letters().await[placed["letterId"].as_str().unwrap()];
    assert_eq!(
        (&letter["status"], acts(letter, "redriven")),
        (&json!("redriven"), 1)
    );
}

#[tokio::test]
async fn what_a_mapping_gave_up_is_restored_from_the_stream_or_from_the_store() {
    let endpoint = Endpoint::start(Options::default()).await.unwrap();
    let template = include_str!("../../template.yaml");
    let stack = Stack::from_yaml(template, &context_to_read()).unwrap();
    let events = stack.tables.iter().find(|table| table.name == "EventStore");
    let request = &events.unwrap().create_table_request;
    endpoint.create_table(request).await.unwrap();
    let aws = Connection::to_endpoint(&endpoint.url(), "local-test").unwrap();
    let store = DynamoDbEventStore::new(aws.dynamodb(), "EventStore");
    let history = StreamHistory::new(aws.dynamodb(), aws.dynamodbstreams(), "EventStore");
    let now = Timestamp::now();
    // The last one is of another producer, who tells a time long ago.
    let times = [now, now, now, now - SignedDuration::from_hours(9999)];
    for (number, at) in times.into_iter().enumerate() {
        let mut event = Envelope::new(&format!("e{number}"), "T", at, json!({"n": number}));
        event.causation_id = (number < 3).then(|| "c".to_owned());
        let stream = format!("order-{number}");
        store
            .append(&stream, &Head::START, vec![event])
            .await
            .unwrap();
    }
    let stream = endpoint.stream("EventStore").unwrap();
    let described = json!({"StreamArn": stream.arn()});
    let described = endpoint
        .call("dynamodbstreams", "DescribeStream", described)
        .await
        .unwrap();
    let numbers: Vec<String> = stream
        .read(0, 10)
        .iter()
        .map(|one| {
            one.record["dynamodb"]["SequenceNumber"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    let batch = |shard: &str, first: usize, last: usize| GivenUpBatch {
        stream_arn: stream.arn().to_owned(),
        shard_id: shard.to_owned(),
        first: numbers[first].clone(),
        last: numbers[last].clone(),
        size: last - first + 1,
        first_arrived_at: now,
        last_arrived_at: now,
    };
    let ids = async |batch: &GivenUpBatch, prefix: &str| {
        let restored = history.restore(batch, prefix).await.unwrap();
        restored
            .iter()
            .map(|one| event_in(&one.payload).unwrap().event_id)
            .collect::<Vec<_>>()
    };
    let shards = &described["StreamDescription"]["Shards"];
    let shard = shards[0]["ShardId"].as_str().unwrap();
    assert_eq!(ids(&batch(shard, 1, 2), "").await, ["e1", "e2"]);
    assert_eq!(ids(&batch(shard, 0, 3), "order-2").await, ["e2"]);
    // The shard is gone: everything of that time, and what may be of it when that is too little.
    assert_eq!(ids(&batch("gone", 1, 2), "").await, ["e0", "e1", "e2"]);
    assert_eq!(
        ids(&batch("gone", 0, 3), "").await,
        ["e0", "e1", "e2", "e3"]
    );
    endpoint.shutdown().await.unwrap();
}
