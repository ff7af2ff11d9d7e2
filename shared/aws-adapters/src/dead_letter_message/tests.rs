use super::*;
use serde_json::json;

fn message(body: &Value, attributes: &[(&str, &str)]) -> Message {
    Message {
        id: "m-1".to_owned(),
        body: body.to_string(),
        attributes: attributes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        sent_at: at("2025-01-01T13:00:00Z"),
        receipt: "r".to_owned(),
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn event() -> Value {
    json!({"eventId": "12345", "eventType": "OrderPlaced", "timestamp": "2025-01-01T12:00:00Z",
        "streamId": "order-67890", "version": 1,
        "data": {"orderId": "67890", "userId": "abc123", "totalAmount": 150.75}})
}

fn of_the_bus() -> Value {
    json!({"version": "0", "id": "x", "detail-type": "OrderPlaced", "source": "orderflow",
        "account": "123456789012", "time": "2025-01-01T12:00:00Z", "region": "us-east-1",
        "resources": ["order-67890"], "detail": event()})
}

fn about_the_event(letter: &Received) {
    let event = letter.event.as_ref().unwrap();
    assert_eq!(
        (
            event.event_id.as_str(),
            event.event_type.as_str(),
            event.stream_id.as_deref(),
            event.version
        ),
        ("12345", "OrderPlaced", Some("order-67890"), Some(1))
    );
    assert_eq!(letter.letter_id(), "update-inventory/12345");
    assert!(letter.callable);
}

/// The attributes of <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html>.
#[test]
fn an_event_that_a_rule_could_not_deliver() {
    let attributes = [
        (
            "RULE_ARN",
            "arn:aws:events:us-east-1:123456789012:rule/orders/r",
        ),
        (
            "TARGET_ARN",
            "arn:aws:lambda:us-east-1:123456789012:function:update-inventory",
        ),
        ("ERROR_CODE", "THROTTLING"),
        ("ERROR_MESSAGE", "Rate exceeded"),
        ("RETRY_ATTEMPTS", "20"),
        ("EXHAUSTED_RETRY_CONDITION", "MaximumRetryAttempts"),
    ];
    let (letter, batch) = read("update-inventory", &message(&of_the_bus(), &attributes));
    about_the_event(&letter);
    assert_eq!(batch, None);
    assert_eq!((letter.class, letter.attempts), (Class::Transient, 21));
    assert_eq!(
        letter.cause,
        "the rule could not deliver it: THROTTLING: Rate exceeded"
    );
    assert_eq!(letter.first_failed_at, at("2025-01-01T12:00:00Z"));
    assert_eq!(letter.last_failed_at, at("2025-01-01T13:00:00Z"));
    assert_eq!(letter.payload, of_the_bus());

    let at_once = [("ERROR_CODE", "NO_PERMISSIONS"), ("RETRY_ATTEMPTS", "0")];
    let (letter, _) = read("update-inventory", &message(&of_the_bus(), &at_once));
    assert_eq!((letter.class, letter.attempts), (Class::Permanent, 1));
}

/// The record of
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>.
#[test]
fn the_record_of_a_failed_invocation() {
    let record = |condition: &str, response: Value| {
        let mut record = json!({
            "version": "1.0",
            "timestamp": "2025-01-01T12:50:00.568Z",
            "requestContext": {
                "requestId": "e4b46cbf-b738-xmpl-8880-a18cdf61200e",
                "functionArn": "arn:aws:lambda:us-east-1:123456789012:function:f:$LATEST",
                "condition": condition,
                "approximateInvokeCount": 3
            },
            "requestPayload": of_the_bus(),
        });
        if !response.is_null() {
            record["responseContext"] = json!({"statusCode": 200, "executedVersion": "$LATEST",
                "functionError": "Unhandled"});
            record["responsePayload"] = response;
        }
        read("update-inventory", &message(&record, &[])).0
    };
    let timed_out = json!({"errorMessage": "RequestId: e4b46cbf-b738-xmpl-8880-a18cdf61200e Process exited before completing request",
        "errorType": "Runtime.ExitError"});
    let letter = record("RetriesExhausted", timed_out);
    about_the_event(&letter);
    assert_eq!((letter.class, letter.attempts), (Class::Transient, 3));
    assert!(letter.cause.starts_with("Runtime.ExitError: RequestId"));
    assert_eq!(
        letter.request_id.as_deref(),
        Some("e4b46cbf-b738-xmpl-8880-a18cdf61200e")
    );
    assert_eq!(letter.first_failed_at, at("2025-01-01T12:00:00Z"));
    assert_eq!(letter.last_failed_at, at("2025-01-01T12:50:00.568Z"));
    assert_eq!(letter.payload, of_the_bus());

    let ours = json!({"errorType": "Permanent", "errorMessage": "no such order"});
    let letter = record("RetriesExhausted", ours);
    assert_eq!(letter.class, Class::Permanent);
    assert_eq!(letter.cause, "no such order");

    let letter = record("EventAgeExceeded", Value::Null);
    assert_eq!(letter.class, Class::Transient);
    assert_eq!(letter.cause, "the platform gave it up: EventAgeExceeded");
}

/// The record of <https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html>.
#[test]
fn where_a_batch_was_that_a_mapping_gave_up() {
    let record = json!({
        "requestContext": {
            "requestId": "316aa6d0-8154-xmpl-9af7-85d5f4a6bc81",
            "functionArn": "arn:aws:lambda:us-east-2:123456789012:function:myfunction",
            "condition": "RetryAttemptsExhausted",
            "approximateInvokeCount": 1
        },
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "version": "1.0",
        "timestamp": "2019-11-14T00:13:49.717Z",
        "DDBStreamBatchInfo": {
            "shardId": "shardId-00000001573689847184-864758bb",
            "startSequenceNumber": "800000000003126276362",
            "endSequenceNumber": "800000000003126276362",
            "approximateArrivalOfFirstRecord": "2019-11-14T00:13:19Z",
            "approximateArrivalOfLastRecord": "2019-11-14T00:13:19Z",
            "batchSize": 1,
            "streamArn": "arn:aws:dynamodb:us-east-2:123456789012:table/mytable/stream/2019-11-14T00:04:06.388"
        }
    });
    let (letter, batch) = read("publish-events", &message(&record, &[]));
    let batch = batch.unwrap();
    assert_eq!(batch.shard_id, "shardId-00000001573689847184-864758bb");
    assert_eq!(batch.first, "800000000003126276362");
    assert_eq!((&batch.last, batch.size), (&batch.first, 1));
    assert_eq!(batch.first_arrived_at, at("2019-11-14T00:13:19Z"));
    assert_eq!((letter.class, letter.attempts), (Class::Transient, 1));
    assert_eq!(
        letter.cause,
        "the stream mapping gave its batch up: RetryAttemptsExhausted"
    );
    assert_eq!(letter.first_failed_at, at("2019-11-14T00:13:19Z"));
    assert_eq!(letter.last_failed_at, at("2019-11-14T00:13:49.717Z"));
    // Should nothing of it be found, its place is kept, for an operator.
    assert_eq!((letter.callable, &letter.payload), (false, &record));

    let broken = json!({"DDBStreamBatchInfo": {"shardId": 7}});
    let (letter, batch) = read("publish-events", &message(&broken, &[]));
    assert_eq!((batch, letter.callable), (None, false));
}

#[test]
fn what_the_consumer_gave_up_itself() {
    let attributes = [
        (attribute::CLASS, "Waiting"),
        (attribute::CAUSE, "the gateway is down"),
        (attribute::ATTEMPTS, "2"),
        (attribute::FIRST_FAILED_AT, "2025-01-01T12:59:00Z"),
    ];
    let (letter, _) = read("update-inventory", &message(&of_the_bus(), &attributes));
    about_the_event(&letter);
    assert_eq!((letter.class, letter.attempts), (Class::Waiting, 2));
    assert_eq!(letter.cause, "the gateway is down");
    assert_eq!(letter.first_failed_at, at("2025-01-01T12:59:00Z"));
}

#[test]
fn an_event_that_somebody_put_there_by_hand_can_be_redriven() {
    for body in [event(), of_the_bus()] {
        let (letter, _) = read("update-inventory", &message(&body, &[]));
        about_the_event(&letter);
        assert_eq!((letter.class, letter.attempts), (Class::Permanent, 0));
    }
}

#[test]
fn anything_else_is_kept_as_it_is_and_nothing_is_called_with_it() {
    for (text, payload) in [
        ("not JSON {", json!("not JSON {")),
        ("", json!("")),
        ("[1, 2]", json!([1, 2])),
        ("{\"a\": 1}", json!({"a": 1})),
        ("null", Value::Null),
    ] {
        let mut garbage = message(&Value::Null, &[]);
        garbage.body = text.to_owned();
        let (letter, batch) = read("update-inventory", &garbage);
        assert_eq!((letter.payload.clone(), batch), (payload, None));
        assert_eq!((letter.class, letter.callable), (Class::Permanent, false));
        assert_eq!(letter.letter_id(), "update-inventory/m-1");
    }
    let empty = json!({"requestContext": {}});
    let (letter, _) = read("update-inventory", &message(&empty, &[]));
    assert!(!letter.callable);
}
