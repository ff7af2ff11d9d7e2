use super::*;
use aws_lambda_events::event::kafka::KafkaEvent;

/// As AWS documents it, with two partitions, a tombstone and headers.
fn batch() -> Value {
    json!({"eventSource": "aws:kafka",
        "eventSourceArn": "arn:aws:kafka:us-east-1:123456789012:cluster/vpc-2priv-2pub/751d2973-a626-431c-9d4e-d7975eb44dd7-2",
        "bootstrapServers": "b-2.demo-cluster-1.a1bcde.c1.kafka.us-east-1.amazonaws.com:9092",
        "records": {
            "order_events-0": [
                {"topic": "order_events", "partition": 0, "offset": 15,
                 "timestamp": 1_545_084_650_987_u64, "timestampType": "CREATE_TIME",
                 "key": "Njc4OTA=", "value": "SGVsbG8sIHRoaXMgaXMgYSB0ZXN0Lg==",
                 "headers": [{"headerKey": [104, 101, 97, 100, 101, 114, 86, 97, 108, 117, 101]}]},
                {"topic": "order_events", "partition": 0, "offset": 16,
                 "timestamp": 1_545_084_650_988_u64, "timestampType": "CREATE_TIME",
                 "key": null, "value": null, "headers": []}],
            "order_events-1": [
                {"topic": "order_events", "partition": 1, "offset": 7,
                 "timestamp": 1_545_084_650_989_u64, "timestampType": "CREATE_TIME",
                 "value": "AP8=", "headers": [{"h": [-61, -92]}, {"h": [120]}]}]}})
}

fn position(partition: &str, offset: i64) -> Position {
    Position {
        partition: partition.to_owned(),
        offset,
    }
}

#[test]
fn a_batch_is_read_record_by_record_from_either_source() {
    // The library's types take the same batch, so it is what others take for one.
    serde_json::from_value::<KafkaEvent>(batch()).unwrap();
    let mut self_managed = batch();
    self_managed["eventSource"] = json!("SelfManagedKafka");
    self_managed
        .as_object_mut()
        .unwrap()
        .remove("eventSourceArn");
    for batch in [batch(), self_managed] {
        let (records, _) = records(batch, false).unwrap();
        let positions: Vec<_> = records.iter().map(|one| one.position.clone()).collect();
        assert_eq!(
            positions,
            [
                position("order_events-0", 15),
                position("order_events-0", 16),
                position("order_events-1", 7)
            ]
        );
        assert_eq!(records[0].key.as_deref(), Some(b"67890".as_slice()));
        let text = records[0].value().unwrap().unwrap();
        assert_eq!(text, b"Hello, this is a test.");
        assert_eq!(
            records[0].header("headerKey").as_deref(),
            Some("headerValue")
        );
        assert_eq!((records[1].value(), &records[1].key), (Ok(None), &None));
        assert_eq!(records[2].value(), Ok(Some(vec![0, 255])));
        assert_eq!(records[2].header("h").as_deref(), Some("ä"));
        assert_eq!(records[2].header("other"), None);
    }
}

#[test]
fn what_is_no_batch_is_refused() {
    for payload in [
        Value::Null,
        json!({}),
        json!({"Records": []}),
        json!({"eventSource": "aws:sqs", "records": {}}),
        json!({"eventSource": "aws:kafka"}),
        json!({"eventSource": "aws:kafka", "records": []}),
        json!({"eventSource": "aws:kafka", "records": {"t-0": {}}}),
        json!({"eventSource": "aws:kafka", "records": {"t-0": [{}]}}),
    ] {
        assert!(matches!(records(payload, true), Err(Failure::Permanent(_))));
    }
}

#[test]
fn a_record_that_is_given_up_is_kept_as_a_batch_of_its_own() {
    let (records, mut answer) = records(batch(), true).unwrap();
    answer.give_up(records[0].clone(), Failure::Permanent("no".into()));
    let [(payload, failure)] = answer.given_up().try_into().unwrap();
    assert_eq!(failure, Failure::Permanent("no".into()));
    let mut expected = batch();
    let record = expected["records"]["order_events-0"][0].clone();
    expected["records"] = json!({"order_events-0": [record]});
    assert_eq!(payload, expected);
    answer.settle(&[true]);
    assert_eq!(
        answer.into_answer(false).unwrap(),
        json!({"batchItemFailures": []})
    );
}

#[test]
fn a_value_that_no_queue_takes_is_left_out_and_told() {
    let mut large = batch();
    large["records"]["order_events-0"][0]["value"] = json!("A".repeat(MAX_KEPT_BYTES));
    let (all, mut answer) = records(large, false).unwrap();
    answer.give_up(all[0].clone(), Failure::Permanent("too large".into()));
    let [(payload, _)] = answer.given_up().try_into().unwrap();
    assert!(payload.to_string().len() < 1000, "{payload}");
    let (again, _) = records(payload, false).unwrap();
    assert_eq!(again[0].position, position("order_events-0", 15));
    let bytes = u64::try_from(MAX_KEPT_BYTES).unwrap();
    assert_eq!(again[0].value(), Err(ValueError::LeftOut { bytes }));
}

#[test]
fn what_comes_again_is_named_in_parts_or_fails_the_batch() {
    let answer = |in_parts| {
        let (records, mut answer) = records(batch(), in_parts).unwrap();
        answer.fail(&records[1].position, "busy");
        answer.give_up(records[2].clone(), Failure::Permanent("no".into()));
        answer.settle(&[false]);
        answer
    };
    assert_eq!(
        answer(true).into_answer(false).unwrap(),
        json!({"batchItemFailures": [
            {"itemIdentifier": {"partition": "order_events-0", "offset": 16}},
            {"itemIdentifier": {"partition": "order_events-1", "offset": 7}}]})
    );
    for (in_parts, is_redrive) in [(false, false), (true, true)] {
        let failed = answer(in_parts).into_answer(is_redrive);
        let Err(Failure::Transient(cause)) = failed else {
            panic!("the batch comes again: {failed:?}");
        };
        assert!(
            cause.contains("offset 16 of order_events-0: busy"),
            "{cause}"
        );
    }
}

#[test]
fn the_event_of_a_single_record_is_found() {
    let event = json!({"eventId": "1", "eventType": "T", "timestamp": "2025-01-01T12:00:00Z",
        "data": {}});
    let payload = |value: &Value| {
        json!({"eventSource": "SelfManagedKafka", "records": {"t-0": [
            {"offset": 1, "value": STANDARD.encode(value.to_string())}]}})
    };
    let found = single_event(&payload(&event)).unwrap();
    assert_eq!(found.event_id, "1");
    assert_eq!(single_event(&payload(&json!({}))), None);
    assert_eq!(single_event(&batch()), None);
}
