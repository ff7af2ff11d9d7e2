use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use streaming_analytics::insights_table::{
    InMemoryInsights, MinuteTable as _, Progress, ResultTable as _,
};
use streaming_analytics::result::MinuteResult;
use streaming_analytics::window::Minute;

fn start() -> Timestamp {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

fn minute() -> Minute {
    Minute::of(start()).unwrap()
}

fn handler() -> Handler<InMemoryInsights> {
    Handler::new(InMemoryInsights::default(), Lateness::default())
}

/// Readings of one device a second, as Kinesis hands them on.
fn record(number: u32) -> Value {
    record_of(
        number,
        &json!({"deviceId": "d", "sensor": "s", "unit": "u", "value": number,
            "at": (start() + SignedDuration::from_secs(number.into())).to_string()})
        .to_string(),
    )
}

fn record_of(number: u32, data: &str) -> Value {
    let arrived = f64::from(number) + 0.25 + 1_767_268_800.0;
    json!({"eventSource": "aws:kinesis", "kinesis": {"sequenceNumber": format!("{}", 100 + number),
        "partitionKey": "device-d", "approximateArrivalTimestamp": arrived,
        "data": STANDARD.encode(data)}})
}

fn call(records: &[Value], state: &Value, is_final: bool) -> Value {
    json!({"Records": records, "window": {"start": start(), "end": minute().end()},
        "state": state, "shardId": "shardId-000000000000", "isFinalInvokeForWindow": is_final,
        "isWindowTerminatedEarly": false, "eventSourceARN": "arn"})
}

async fn result(handler: &Handler<InMemoryInsights>) -> (u64, u64, u64) {
    let parts = handler.table.parts_of(minute()).await.unwrap();
    let totals = MinuteResult::of(minute(), &parts).totals;
    let readings = totals.devices.values().map(|span| span.values().count);
    let counts = totals.counts;
    (readings.sum(), counts.duplicate, counts.malformed)
}

#[tokio::test]
async fn a_windows_state_goes_from_call_to_call_and_is_written_with_the_last() {
    let handler = handler();
    let first = handler
        .handle(call(&[record(1), record(2)], &json!({}), false))
        .await
        .unwrap();
    assert_eq!(first["batchItemFailures"], json!([]));
    assert_eq!(handler.table.parts(), []);
    let second = handler
        .handle(call(&[record(2), record(3)], &first["state"], false))
        .await
        .unwrap();
    let last = call(&[], &second["state"], true);
    for _ in 0..2 {
        let answer = handler.handle(last.clone()).await.unwrap();
        assert_eq!(answer, json!({"state": {}, "batchItemFailures": []}));
        assert_eq!(result(&handler).await, (3, 0, 0));
    }
    assert_eq!(handler.table.parts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn records_that_cannot_be_folded_come_again_and_those_before_them_are_in_the_state() {
    let handler = handler();
    let before = start() - SignedDuration::from_mins(1);
    let of_another_minute = record_of(
        3,
        &json!({"deviceId": "d", "sensor": "s", "unit": "u", "value": 1, "at": before.to_string()})
            .to_string(),
    );
    let records = [record(1), of_another_minute, record(4)];
    handler
        .handle(call(&records[..1], &json!({}), false))
        .await
        .unwrap();
    handler.table.fail_next(1000);
    let answer = handler
        .handle(call(&records, &json!({}), false))
        .await
        .unwrap();
    assert_eq!(
        answer["batchItemFailures"],
        json!([{"itemIdentifier": "103"}])
    );
    handler.table.fail_next(0);
    let last = call(&records[1..], &answer["state"], true);
    handler.handle(last).await.unwrap();
    assert_eq!(result(&handler).await, (2, 0, 0));
    assert_eq!(handler.table.parts().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_cannot_write_or_cannot_begin_is_to_be_made_again() {
    let handler = handler();
    let answer = handler
        .handle(call(&[record(1)], &json!({}), false))
        .await
        .unwrap();
    for payload in [
        call(&[], &answer["state"], true),
        call(
            &[record_of(
                9,
                r#"{"deviceId":"d","sensor":"s","unit":"u","value":1,"at":"2026-01-01T11:58:00Z"}"#,
            )],
            &json!({}),
            false,
        ),
    ] {
        handler.table.fail_next(1000);
        let failed = handler.handle(payload.clone()).await;
        assert!(matches!(failed, Err(Failure::Transient(_))), "{failed:?}");
        handler.table.fail_next(0);
        handler.handle(payload).await.unwrap();
    }
    assert_eq!(result(&handler).await, (1, 0, 0));
}

#[tokio::test]
async fn what_nothing_can_be_read_out_of_is_counted_and_holds_nothing_up() {
    let handler = handler();
    let mut unreadable = record(3);
    unreadable["kinesis"]["data"] = json!("%%%");
    let records = [record(1), record_of(2, "no JSON"), unreadable, record(4)];
    handler
        .handle(call(&records, &json!({}), true))
        .await
        .unwrap();
    assert_eq!(result(&handler).await, (2, 0, 2));
}

#[tokio::test]
async fn a_state_that_fills_up_is_written_in_between_whatever_is_retried() {
    let mut handler = handler();
    handler.limits = Limits {
        state: 600,
        part: 600,
    };
    let records: Vec<_> = (1..40)
        .map(|number| {
            record_of(
                number,
                &json!({"deviceId": format!("device-{number}"), "sensor": "s", "unit": "u",
                    "value": number, "at": start().to_string()})
                .to_string(),
            )
        })
        .collect();
    // The first attempt's answer is lost, the second one gets half of the batch.
    handler
        .handle(call(&records, &json!({}), false))
        .await
        .unwrap();
    let half = handler
        .handle(call(&records[..20], &json!({}), false))
        .await
        .unwrap();
    handler
        .handle(call(&records[20..], &half["state"], true))
        .await
        .unwrap();
    assert!(
        handler.table.parts().len() > 3,
        "{}",
        handler.table.parts().len()
    );
    assert_eq!(result(&handler).await, (39, 0, 0));
}

#[tokio::test]
async fn a_duplicate_is_known_in_a_later_window_and_a_part_of_a_closed_minute_is_a_correction() {
    let handler = handler();
    handler
        .handle(call(&[record(1)], &json!({}), true))
        .await
        .unwrap();
    assert_eq!(handler.table.corrections(9).await.unwrap(), []);
    let closed = Progress {
        closed_through: Some(minute()),
        made_through: None,
    };
    handler
        .table
        .advance(Progress::default(), closed)
        .await
        .unwrap();
    let mut later = call(&[record(1), record(2)], &json!({}), true);
    later["window"]["start"] = json!(minute().end());
    later["Records"][0]["kinesis"]["sequenceNumber"] = json!("200");
    later["Records"][1]["kinesis"]["sequenceNumber"] = json!("201");
    handler.handle(later).await.unwrap();
    assert_eq!(result(&handler).await, (2, 1, 0));
    let [correction] = handler
        .table
        .corrections(9)
        .await
        .unwrap()
        .try_into()
        .unwrap();
    assert_eq!(correction.minute, minute());
}

#[tokio::test]
async fn what_is_no_call_of_a_window_and_a_foreign_state_is_refused() {
    let handler = handler();
    let foreign = call(&[], &json!({"folded": "AAAA"}), true);
    for payload in [json!({}), json!({"Records": [record(1)]}), foreign] {
        let refused = handler.handle(payload).await;
        assert!(matches!(refused, Err(Failure::Permanent(_))), "{refused:?}");
    }
}
