//! Tumbling windows of a stream mapping.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lambda_host::Outcome;
use lambda_host::clock::RetryClock;
use lambda_host::delivery_faults::DeliveryFaults;
use lambda_host::limits::WINDOW_STATE_BYTES;
use lambda_host::stream_mapping::StreamMappingSettings;
use serde_json::{Value, json};

use crate::fakes::{FakeFunction, answer, error, until};
use crate::stream_setup::{MemoryStream, STREAM, Setup, name, sequences, start};

const MINUTE: Duration = Duration::from_mins(1);

/// Begin of the minute that is `minutes` after the present one.
fn minute(minutes: u32) -> SystemTime {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("now");
    let whole = Duration::from_secs(now.as_secs() / 60 * 60);
    UNIX_EPOCH + whole + minutes * MINUTE
}

fn windowed(settings: &mut StreamMappingSettings) {
    settings.tumbling_window = Some(MINUTE);
    settings.batch_size = 2;
    settings.report_batch_item_failures = true;
    settings.clock = RetryClock::aws();
}

/// The state and the records of it.
fn folded(event: &Value) -> Vec<u64> {
    let state = event["state"]["seen"].as_array();
    let before = state.map_or(&[] as &[Value], Vec::as_slice);
    let before = before.iter().filter_map(Value::as_u64);
    before.chain(sequences(event)).collect()
}

fn state_of(seen: &[u64]) -> Outcome {
    answer(&json!({"state": {"seen": seen}}).to_string())
}

/// Keeps in its state which records it got.
fn folds(event: &Value) -> Outcome {
    state_of(&folded(event))
}

fn start_folding(stream: &Arc<MemoryStream>) -> Setup {
    let function = FakeFunction::new(|event| Ok(folds(event)));
    start(stream, function, windowed)
}

/// One call: what the state was, the records, `F` for the final one and `E` for an early end.
type Seen = (Vec<u64>, Vec<u64>, &'static str);

fn seen(setup: &Setup) -> Vec<Seen> {
    let calls = setup.function.calls();
    calls
        .iter()
        .map(|call| {
            let event = &call.event;
            let records = sequences(event);
            let mut state = folded(event);
            state.truncate(state.len() - records.len());
            let flag = |name: &str| event[name].as_bool().expect("a flag");
            let kind = match (
                flag("isFinalInvokeForWindow"),
                flag("isWindowTerminatedEarly"),
            ) {
                (true, false) => "F",
                (false, true) => "E",
                (false, false) => "",
                (true, true) => "FE",
            };
            (state, records, kind)
        })
        .collect()
}

async fn windows_closed(setup: &Setup) {
    until("every window is closed", || {
        setup.mapping.settled_through() == setup.stream.last() && setup.mapping.open_windows() == 0
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_state_is_carried_through_a_window_and_the_next_one_begins_afresh() {
    let stream = MemoryStream::new();
    for at in [1, 2, 3] {
        stream.put("a", minute(0) + Duration::from_secs(at), "");
    }
    stream.put("a", minute(1) + Duration::from_secs(1), "");
    let setup = start_folding(&stream);
    windows_closed(&setup).await;
    assert_eq!(
        seen(&setup),
        [
            (vec![], vec![1, 2], ""),
            (vec![1, 2], vec![3], ""),
            (vec![1, 2, 3], vec![], "F"),
            (vec![], vec![4], ""),
            (vec![4], vec![], "F"),
        ]
    );
    let event = &setup.function.calls()[0].event;
    let shown =
        |time: SystemTime| format!("{:.0}", jiff::Timestamp::try_from(time).expect("in range"));
    assert_eq!(
        event["window"],
        json!({"start": shown(minute(0)), "end": shown(minute(1))})
    );
    assert_eq!(event["eventSourceARN"], STREAM);
    assert_eq!(event["shardId"], format!("shardId-{:020}", 0));
}

#[tokio::test(start_paused = true)]
async fn a_window_to_which_nothing_is_added_is_closed_two_minutes_after_its_end() {
    let stream = MemoryStream::of(1);
    let setup = start_folding(&stream);
    setup.quiet().await;
    assert_eq!(setup.mapping.open_windows(), 1);
    windows_closed(&setup).await;
    let calls = setup.function.calls();
    assert_eq!(calls.len(), 2);
    let between = calls[1].at - calls[0].at;
    assert!((2 * MINUTE..=3 * MINUTE).contains(&between), "{between:?}");
    // Nor is anybody called for a window without records.
    tokio::time::sleep(10 * MINUTE).await;
    assert_eq!(setup.function.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failed_call_is_made_again_with_the_state_from_before() {
    let stream = MemoryStream::of(4);
    let mut failures = 0;
    let function = FakeFunction::new(move |event| {
        let fails = sequences(event) == [3, 4] && failures < 2;
        failures += u32::from(fails);
        Ok(if fails { error("oops") } else { folds(event) })
    });
    let setup = start(&stream, function, windowed);
    windows_closed(&setup).await;
    let again = (vec![1, 2], vec![3, 4], "");
    assert_eq!(
        seen(&setup),
        [
            (vec![], vec![1, 2], ""),
            again.clone(),
            again.clone(),
            again,
            (vec![1, 2, 3, 4], vec![], "F"),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_a_state_is_a_failure_and_given_up_as_one() {
    let stream = MemoryStream::of(3);
    let function = FakeFunction::new(|event| {
        Ok(if sequences(event).contains(&2) {
            answer(r#"{"batchItemFailures":[]}"#)
        } else {
            folds(event)
        })
    });
    let setup = start(&stream, function, |settings| {
        windowed(settings);
        settings.batch_size = 1;
        settings.maximum_retry_attempts = Some(1);
        settings.on_failure = Some("arn:queue".to_owned());
    });
    windows_closed(&setup).await;
    assert_eq!(
        seen(&setup),
        [
            (vec![], vec![1], ""),
            (vec![1], vec![2], ""),
            (vec![1], vec![2], ""),
            (vec![1], vec![3], ""),
            (vec![1, 3], vec![], "F"),
        ]
    );
    let (_, record, _) = setup.destination.only();
    assert_eq!(
        record["requestContext"]["condition"],
        "RetryAttemptsExhausted"
    );
}

#[tokio::test(start_paused = true)]
async fn reported_records_come_again_and_the_state_of_the_answer_is_kept() {
    let stream = MemoryStream::of(3);
    let mut reported = false;
    let function = FakeFunction::new(move |event| {
        if sequences(event) != [1, 2, 3] || std::mem::replace(&mut reported, true) {
            return Ok(folds(event));
        }
        let answered = json!({
            "state": {"seen": [1]},
            "batchItemFailures": [{"itemIdentifier": name(2)}],
        });
        Ok(answer(&answered.to_string()))
    });
    let setup = start(&stream, function, |settings| {
        windowed(settings);
        settings.batch_size = 3;
    });
    windows_closed(&setup).await;
    assert_eq!(
        seen(&setup),
        [
            (vec![], vec![1, 2, 3], ""),
            (vec![1], vec![2, 3], ""),
            (vec![1, 2, 3], vec![], "F"),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn both_halves_of_a_split_batch_carry_the_state_on() {
    let stream = MemoryStream::of(4);
    let function = FakeFunction::new(|event| {
        let both = sequences(event).len() > 2;
        Ok(if both {
            error("too many")
        } else {
            folds(event)
        })
    });
    let setup = start(&stream, function, |settings| {
        windowed(settings);
        settings.batch_size = 4;
        settings.bisect_batch_on_function_error = true;
    });
    windows_closed(&setup).await;
    assert_eq!(
        seen(&setup)[1..],
        [
            (vec![], vec![1, 2], ""),
            (vec![1, 2], vec![3, 4], ""),
            (vec![1, 2, 3, 4], vec![], "F"),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_of_the_shard_goes_on_before_the_final_call_succeeded() {
    let stream = MemoryStream::new();
    stream.put("a", minute(0), "");
    stream.put("a", minute(1), "");
    let mut failures = 0;
    let function = FakeFunction::new(move |event| {
        let fails = event["isFinalInvokeForWindow"] == true && failures < 30;
        failures += u32::from(fails);
        Ok(if fails { error("away") } else { folds(event) })
    });
    let setup = start(&stream, function, |settings| {
        windowed(settings);
        settings.maximum_retry_attempts = Some(1);
    });
    windows_closed(&setup).await;
    let seen = seen(&setup);
    assert_eq!(seen[0], (vec![], vec![1], ""));
    assert_eq!(seen[1..32], vec![(vec![1], vec![], "F"); 31]);
    assert_eq!(seen[32..], [(vec![], vec![2], ""), (vec![2], vec![], "F")]);
}

#[tokio::test(start_paused = true)]
async fn a_state_that_is_too_large_ends_the_window_early_and_it_goes_on_with_a_fresh_one() {
    let stream = MemoryStream::of(4);
    let function = FakeFunction::new(|event| {
        if event["isWindowTerminatedEarly"] == true || sequences(event) != [1, 2] {
            return Ok(folds(event));
        }
        let ballast = "x".repeat(WINDOW_STATE_BYTES);
        let state = json!({"state": {"seen": [1, 2], "ballast": ballast}});
        Ok(answer(&state.to_string()))
    });
    let setup = start(&stream, function, windowed);
    windows_closed(&setup).await;
    assert_eq!(
        seen(&setup),
        [
            (vec![], vec![1, 2], ""),
            (vec![1, 2], vec![], "E"),
            (vec![], vec![3, 4], ""),
            (vec![3, 4], vec![], "F"),
        ]
    );
    let windows: Vec<Value> = (setup.function.calls().iter())
        .map(|call| call.event["window"].clone())
        .collect();
    assert!(windows.iter().all(|window| *window == windows[0]));
}

/// The first batch is delivered a second time.
struct Twice(Mutex<bool>);

impl DeliveryFaults for Twice {
    fn delay(&self, _: &str) -> Option<Duration> {
        None
    }

    fn again(&self, _: &str) -> Option<Duration> {
        let first = !std::mem::replace(&mut *self.0.lock().expect("unpoisoned"), true);
        first.then_some(Duration::from_millis(1))
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_answer_was_lost_is_made_again_with_the_state_from_before() {
    let stream = MemoryStream::of(2);
    let setup = start(
        &stream,
        FakeFunction::new(|event| Ok(folds(event))),
        |settings| {
            windowed(settings);
            settings.faults = Arc::new(Twice(Mutex::new(false)));
        },
    );
    windows_closed(&setup).await;
    assert_eq!(
        seen(&setup),
        [
            (vec![], vec![1, 2], ""),
            (vec![], vec![1, 2], ""),
            (vec![1, 2], vec![], "F"),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_the_records_of_an_open_window_come_again_and_no_others() {
    let stream = MemoryStream::new();
    for at in [0, 0, 1, 1] {
        stream.put("a", minute(at), "");
    }
    let setup = start_folding(&stream);
    setup.quiet().await;
    assert_eq!(setup.mapping.open_windows(), 1);
    setup.mapping.stop().await;
    let setup = start_folding(&stream);
    windows_closed(&setup).await;
    assert_eq!(
        seen(&setup),
        [(vec![], vec![3, 4], ""), (vec![3, 4], vec![], "F")]
    );
    setup.mapping.stop().await;
    let setup = start_folding(&stream);
    windows_closed(&setup).await;
    assert_eq!(seen(&setup), []);
}

#[tokio::test(start_paused = true)]
async fn whatever_fails_each_record_is_once_in_the_final_state_of_its_window() {
    let stream = MemoryStream::new();
    // Arrivals that neither the windows nor the batches divide evenly.
    let arrivals: Vec<Duration> = (0..97)
        .map(|n: u64| Duration::from_millis(n * 7919 % 3 * 11 + n * 2_600))
        .collect();
    for arrival in &arrivals {
        stream.put("a", minute(0) + *arrival, "");
    }
    let finals: Arc<Mutex<BTreeMap<String, Vec<u64>>>> = Arc::default();
    let results = Arc::clone(&finals);
    let mut nth = 0;
    let function = FakeFunction::new(move |event| {
        nth += 1;
        let records = sequences(event);
        match nth % 5 {
            1 | 3 => return Ok(error("again")),
            2 if records.len() > 1 => {
                let (done, failed) = records.split_at(1);
                let mut seen = folded(event);
                seen.truncate(seen.len() - failed.len());
                assert_eq!(seen.last(), done.first());
                let answered = json!({
                    "state": {"seen": seen},
                    "batchItemFailures": [{"itemIdentifier": name(failed[0])}],
                });
                return Ok(answer(&answered.to_string()));
            }
            _ => {}
        }
        if event["isFinalInvokeForWindow"] == true {
            let start = event["window"]["start"].as_str().expect("a start");
            let mut results = results.lock().expect("unpoisoned");
            assert_eq!(results.insert(start.to_owned(), folded(event)), None);
        }
        Ok(folds(event))
    });
    let setup = start(&stream, function, |settings| {
        windowed(settings);
        settings.batch_size = 7;
        settings.bisect_batch_on_function_error = true;
    });
    windows_closed(&setup).await;
    let mut expected: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for (sequence, arrival) in (1..).zip(&arrivals) {
        expected
            .entry(arrival.as_secs() / 60)
            .or_default()
            .push(sequence);
    }
    let finals = finals.lock().expect("unpoisoned").clone();
    let expected: Vec<Vec<u64>> = expected.into_values().collect();
    assert_eq!(finals.into_values().collect::<Vec<_>>(), expected);
}
