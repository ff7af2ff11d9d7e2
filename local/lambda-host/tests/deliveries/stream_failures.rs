//! Event source mapping of a stream: reports, bisecting, retries, giving up.

use std::time::{Duration, SystemTime};

use lambda_host::stream_mapping::StreamKind;
use lambda_host::{InvokeError, Outcome};
use serde_json::json;

use crate::fakes::{FakeFunction, answer, error, throttled};
use crate::stream_setup::{
    FUNCTION, MemoryStream, QUEUE, STREAM, exhausted, fails_with, name, report, reports, start,
};

#[tokio::test(start_paused = true)]
async fn the_lowest_reported_record_is_the_checkpoint_and_the_rest_is_tried_again() {
    let stream = MemoryStream::of(4);
    let script = vec![Ok(answer(&report(&[4, 3])))];
    let setup = start(&stream, FakeFunction::scripted(script), |settings| {
        settings.report_batch_item_failures = true;
    });
    setup.quiet().await;
    assert_eq!(setup.calls(), [vec![1, 2, 3, 4], vec![3, 4]]);
    assert_eq!(stream.saves(), [0, 2, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_report_that_was_not_asked_for_is_a_success() {
    let stream = MemoryStream::of(2);
    let script = vec![Ok(answer(&report(&[1])))];
    let setup = start(&stream, FakeFunction::scripted(script), |_| {});
    setup.quiet().await;
    assert_eq!(setup.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_failures_is_a_success() {
    for nothing in ["", "null", "{}", r#"{"batchItemFailures":[]}"#] {
        let stream = MemoryStream::of(2);
        let function = FakeFunction::scripted(vec![Ok(answer(nothing))]);
        let setup = start(&stream, function, |settings| {
            settings.report_batch_item_failures = true;
        });
        setup.quiet().await;
        assert_eq!(setup.calls().len(), 1, "{nothing:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_names_no_record_of_the_batch_fails_all_of_it() {
    for malformed in [
        report(&[99]),
        report(&[2, 99]),
        "nonsense".to_owned(),
        r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#.to_owned(),
        r#"{"batchItemFailures":[{"wrong":"1"}]}"#.to_owned(),
    ] {
        let stream = MemoryStream::of(2);
        let function = FakeFunction::scripted(vec![Ok(answer(&malformed))]);
        let setup = start(&stream, function, |settings| {
            settings.report_batch_item_failures = true;
        });
        setup.quiet().await;
        assert_eq!(setup.calls(), [vec![1, 2], vec![1, 2]], "{malformed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_always_fails_is_given_up_with_its_metadata_and_the_stream_goes_on() {
    let stream = MemoryStream::new();
    let created = SystemTime::UNIX_EPOCH + Duration::from_secs(1_573_690_399);
    stream.put("order-1", created, "");
    stream.put("order-1", created + Duration::from_secs(1), "");
    stream.put("order-1", SystemTime::now(), "");
    let setup = start(&stream, fails_with(&[2]), |settings| {
        settings.batch_size = 2;
        settings.maximum_retry_attempts = Some(2);
        settings.on_failure = Some(QUEUE.to_owned());
    });
    setup.quiet().await;
    assert_eq!(setup.calls(), [vec![1, 2], vec![1, 2], vec![1, 2], vec![3]]);
    assert_eq!(stream.saves(), [0, 2, 3]);
    let (arn, mut record, attributes) = setup.destination.only();
    assert_eq!((arn.as_str(), attributes.len()), (QUEUE, 0));
    record["timestamp"].take();
    assert_eq!(
        record,
        json!({
            "requestContext": {
                "requestId": "request-3",
                "functionArn": FUNCTION,
                "condition": "RetryAttemptsExhausted",
                "approximateInvokeCount": 3,
            },
            "responseContext": {
                "statusCode": 200,
                "executedVersion": "$LATEST",
                "functionError": "Unhandled",
            },
            "version": "1.0",
            "timestamp": null,
            "DDBStreamBatchInfo": {
                "shardId": "shardId-00000000000000000000",
                "startSequenceNumber": name(1),
                "endSequenceNumber": name(2),
                "approximateArrivalOfFirstRecord": "2019-11-14T00:13:19Z",
                "approximateArrivalOfLastRecord": "2019-11-14T00:13:20Z",
                "batchSize": 2,
                "streamArn": STREAM,
            },
        })
    );
}

#[tokio::test(start_paused = true)]
async fn a_kinesis_batch_is_named_after_its_stream() {
    let stream = MemoryStream::of(1);
    let setup = start(&stream, fails_with(&[1]), |settings| {
        settings.kind = StreamKind::Kinesis;
        settings.maximum_retry_attempts = Some(0);
        settings.on_failure = Some(QUEUE.to_owned());
    });
    setup.quiet().await;
    let (_, record, _) = setup.destination.only();
    assert_eq!(record["KinesisBatchInfo"]["batchSize"], 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_quota_a_batch_is_retried_until_it_succeeds() {
    let stream = MemoryStream::of(1);
    let script = (0..50).map(|_| Ok(error("no"))).collect();
    let setup = start(&stream, FakeFunction::scripted(script), |_| {});
    setup.quiet().await;
    assert_eq!(setup.calls().len(), 51);
}

#[tokio::test(start_paused = true)]
async fn a_failing_batch_is_bisected_until_the_poison_record_stands_alone() {
    let stream = MemoryStream::of(8);
    let setup = start(&stream, fails_with(&[6]), |settings| {
        settings.bisect_batch_on_function_error = true;
        settings.maximum_retry_attempts = Some(1);
        settings.on_failure = Some(QUEUE.to_owned());
    });
    setup.quiet().await;
    assert_eq!(
        setup.calls(),
        [
            vec![1, 2, 3, 4, 5, 6, 7, 8],
            vec![1, 2, 3, 4],
            vec![5, 6, 7, 8],
            vec![5, 6],
            vec![5],
            vec![6],
            vec![6],
            vec![7, 8],
        ]
    );
    assert_eq!(setup.dropped(), [exhausted(6, 6)]);
    assert_eq!(stream.saves(), [0, 4, 5, 6, 8]);
}

#[tokio::test(start_paused = true)]
async fn a_reported_record_is_where_the_batch_is_bisected() {
    let stream = MemoryStream::of(5);
    let setup = start(&stream, reports(&[3]), |settings| {
        settings.report_batch_item_failures = true;
        settings.bisect_batch_on_function_error = true;
        settings.maximum_retry_attempts = Some(2);
        settings.on_failure = Some(QUEUE.to_owned());
    });
    setup.quiet().await;
    assert_eq!(
        setup.calls(),
        [
            vec![1, 2, 3, 4, 5],
            vec![3, 4, 5],
            vec![3],
            vec![3],
            vec![3],
            vec![4, 5],
        ]
    );
    assert_eq!(setup.dropped(), [exhausted(3, 3)]);
    assert_eq!(stream.saves(), [0, 2, 3, 5]);
    let (_, record, _) = setup.destination.only();
    assert_eq!(
        record["responseContext"],
        json!({"statusCode": 200, "executedVersion": "$LATEST"}),
        "a report is no error of the function"
    );
}

#[tokio::test(start_paused = true)]
async fn without_bisecting_all_from_the_reported_record_on_is_given_up_together() {
    let stream = MemoryStream::of(3);
    let setup = start(&stream, reports(&[2]), |settings| {
        settings.report_batch_item_failures = true;
        settings.maximum_retry_attempts = Some(2);
        settings.on_failure = Some(QUEUE.to_owned());
    });
    setup.quiet().await;
    assert_eq!(setup.calls(), [vec![1, 2, 3], vec![2, 3], vec![2, 3]]);
    assert_eq!(setup.dropped(), [exhausted(2, 3)]);
    let (_, record, _) = setup.destination.only();
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 3);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_gets_further_with_every_report_is_not_given_up() {
    let stream = MemoryStream::of(6);
    let script = (2..=6).map(|next| Ok(answer(&report(&[next])))).collect();
    let setup = start(&stream, FakeFunction::scripted(script), |settings| {
        settings.report_batch_item_failures = true;
        settings.maximum_retry_attempts = Some(1);
        settings.on_failure = Some(QUEUE.to_owned());
    });
    setup.quiet().await;
    assert_eq!(setup.calls().len(), 6);
    assert_eq!(setup.dropped(), []);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_batch_does_not_use_up_its_retries() {
    let stream = MemoryStream::of(1);
    let mut script: Vec<Result<Outcome, InvokeError>> = Vec::new();
    script.extend((0..20).map(|_| Err(throttled())));
    script.push(Ok(error("no")));
    let setup = start(&stream, FakeFunction::scripted(script), |settings| {
        settings.maximum_retry_attempts = Some(1);
        settings.on_failure = Some(QUEUE.to_owned());
    });
    setup.quiet().await;
    assert_eq!(setup.calls().len(), 22);
    assert_eq!(setup.dropped(), []);
}

#[tokio::test(start_paused = true)]
async fn records_that_are_too_old_are_given_up_unseen() {
    let stream = MemoryStream::new();
    let hour_ago = SystemTime::now() - Duration::from_hours(1);
    stream.put("order-1", hour_ago, "");
    stream.put("order-1", hour_ago, "");
    stream.put("order-1", SystemTime::now(), "");
    let setup = start(&stream, FakeFunction::scripted(vec![]), |settings| {
        settings.maximum_record_age = Some(Duration::from_mins(1));
        settings.on_failure = Some(QUEUE.to_owned());
    });
    setup.quiet().await;
    assert_eq!(setup.calls(), [vec![3]]);
    let (_, record, _) = setup.destination.only();
    assert_eq!(record["requestContext"]["condition"], "RecordAgeExceeded");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 0);
    assert_eq!(record["DDBStreamBatchInfo"]["batchSize"], 2);
    assert_eq!(record.get("responseContext"), None);
}

#[tokio::test(start_paused = true)]
async fn records_that_grow_too_old_while_they_are_retried_are_given_up() {
    let stream = MemoryStream::of(2);
    let setup = start(&stream, fails_with(&[1]), |settings| {
        settings.maximum_record_age = Some(Duration::from_mins(1));
        settings.on_failure = Some(QUEUE.to_owned());
    });
    setup.quiet().await;
    assert!(setup.calls().len() > 1);
    let (_, record, _) = setup.destination.only();
    assert_eq!(record["requestContext"]["condition"], "RecordAgeExceeded");
    assert_eq!(
        record["requestContext"]["approximateInvokeCount"],
        setup.calls().len()
    );
}
