//! A stream that its source cuts into shards, and resharding.

use std::time::SystemTime;

use lambda_host::stream_mapping::StartingPosition;
use serde_json::Value;

use crate::fakes::{FakeFunction, answer, until};
use crate::stream_setup::{MemoryStream, Setup, sequences, start};

fn done() -> FakeFunction {
    FakeFunction::new(|_| Ok(answer(r#"{"state":{}}"#)))
}

fn put(stream: &MemoryStream, shard: &str) {
    stream.put_to(Some(shard), "a", SystemTime::now(), "");
}

/// Shard and records of each call, in order; shard only of an event with windows.
fn calls(setup: &Setup) -> Vec<(String, Vec<u64>)> {
    let calls = setup.function.calls();
    let shard = |event: &Value| event["shardId"].as_str().unwrap_or_default().to_owned();
    calls
        .iter()
        .map(|call| (shard(&call.event), sequences(&call.event)))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn each_shard_is_read_by_a_lane_of_its_own() {
    let stream = MemoryStream::new();
    stream.add_shard("one", &[]);
    stream.add_shard("two", &[]);
    for shard in ["one", "two", "two", "one"] {
        put(&stream, shard);
    }
    let setup = start(&stream, done(), |_| {});
    setup.quiet().await;
    let mut batches = setup.calls();
    batches.sort();
    assert_eq!(batches, [[1, 4], [2, 3]]);
    let checkpoints = stream.checkpoints.lock().expect("unpoisoned").clone();
    let names: Vec<&String> = checkpoints.keys().collect();
    assert_eq!(names, ["one-part-0-of-1", "two-part-0-of-1"]);
}

#[tokio::test(start_paused = true)]
async fn a_child_is_read_when_both_its_parents_are_done_with() {
    let stream = MemoryStream::new();
    stream.add_shard("one", &[]);
    stream.add_shard("two", &[]);
    put(&stream, "one");
    put(&stream, "two");
    stream.add_shard("merged", &["one", "two"]);
    put(&stream, "merged");
    let mut failures = 0;
    let function = FakeFunction::new(move |event| {
        let fails = sequences(event) == [2] && failures < 20;
        failures += u32::from(fails);
        Ok(if fails {
            crate::fakes::error("again")
        } else {
            answer("null")
        })
    });
    let setup = start(&stream, function, |_| {});
    setup.quiet().await;
    let calls = setup.calls();
    assert_eq!(calls.last(), Some(&vec![3]));
    assert_eq!(calls.iter().filter(|call| **call == [2]).count(), 21);
    assert_eq!(calls.iter().filter(|call| **call == [1]).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_resharding_is_noticed_while_the_mapping_runs_and_loses_nothing() {
    let stream = MemoryStream::new();
    stream.add_shard("s0", &[]);
    let setup = start(&stream, done(), |settings| {
        settings.starting_position = StartingPosition::Latest;
    });
    until("begun", || !stream.saves().is_empty()).await;
    let mut newest = "s0".to_owned();
    for generation in 1..6 {
        put(&stream, &newest);
        let child = format!("s{generation}");
        stream.add_shard(&child, &[&newest]);
        put(&stream, &child);
        newest = child;
        setup.quiet().await;
    }
    let all: Vec<u64> = setup.calls().into_iter().flatten().collect();
    assert_eq!(all, (1..=10).collect::<Vec<u64>>());
}

#[tokio::test(start_paused = true)]
async fn with_a_closed_shard_its_window_is_closed_and_the_child_begins_afresh() {
    let stream = MemoryStream::new();
    stream.add_shard("one", &[]);
    put(&stream, "one");
    let setup = start(&stream, done(), |settings| {
        settings.tumbling_window = Some(std::time::Duration::from_mins(15));
    });
    setup.quiet().await;
    stream.add_shard("child", &["one"]);
    put(&stream, "child");
    until("closed", || {
        setup.mapping.open_windows() == 0 && setup.calls().len() == 4
    })
    .await;
    let expected = [
        ("one", vec![1]),
        ("one", vec![]),
        ("child", vec![2]),
        ("child", vec![]),
    ];
    assert_eq!(
        calls(&setup),
        expected.map(|(shard, all)| (shard.to_owned(), all))
    );
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_a_shard_that_is_done_with_is_not_read_again_and_its_child_is() {
    let stream = MemoryStream::new();
    stream.add_shard("one", &[]);
    put(&stream, "one");
    let setup = start(&stream, done(), |_| {});
    setup.quiet().await;
    setup.mapping.stop().await;
    stream.add_shard("child", &["one"]);
    put(&stream, "child");
    let setup = start(&stream, done(), |settings| {
        settings.starting_position = StartingPosition::Latest;
    });
    setup.quiet().await;
    assert_eq!(setup.calls(), [[2]]);
    setup.mapping.stop().await;
    let setup = start(&stream, done(), |_| {});
    setup.quiet().await;
    assert_eq!(setup.calls(), Vec::<Vec<u64>>::new());
}

#[tokio::test(start_paused = true)]
async fn a_new_mapping_that_begins_with_the_latest_takes_nothing_of_old_shards() {
    let stream = MemoryStream::new();
    stream.add_shard("one", &[]);
    put(&stream, "one");
    stream.add_shard("child", &["one"]);
    put(&stream, "child");
    let setup = start(&stream, done(), |settings| {
        settings.starting_position = StartingPosition::Latest;
    });
    until("both begun", || stream.saves().len() >= 3).await;
    put(&stream, "child");
    setup.quiet().await;
    assert_eq!(setup.calls(), [[3]]);
}
