//! Event source mapping of a stream: batches, order, lanes, checkpoints.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lambda_host::stream_mapping::{StartingPosition, StreamMappingSettings};
use serde_json::Value;

use crate::fakes::{FakeFunction, answer, error, throttled, until};
use crate::stream_setup::{MemoryStream, fails_with, start};

#[tokio::test(start_paused = true)]
async fn records_come_in_batches_and_the_checkpoint_follows() {
    let stream = MemoryStream::of(5);
    let setup = start(&stream, FakeFunction::scripted(vec![]), |settings| {
        settings.batch_size = 2;
    });
    setup.quiet().await;
    assert_eq!(setup.calls(), [vec![1, 2], vec![3, 4], vec![5]]);
    assert_eq!(stream.saves(), [0, 2, 4, 5]);
    stream.put("order-1", SystemTime::now(), "");
    setup.quiet().await;
    assert_eq!(setup.calls().last(), Some(&vec![6]));
}

#[tokio::test(start_paused = true)]
async fn the_checkpoint_does_not_move_before_the_batch_is_settled() {
    let stream = MemoryStream::of(2);
    let mut function = FakeFunction::scripted(vec![Ok(error("no")), Err(throttled())]);
    function.takes = Duration::from_secs(1);
    let setup = start(&stream, function, |_| {});
    until("third call", || setup.calls().len() == 3).await;
    assert_eq!(stream.saves(), [0]);
    setup.quiet().await;
    assert_eq!(stream.saves(), [0, 2]);
    assert_eq!(setup.calls(), vec![vec![1, 2]; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_restarted_mapping_goes_on_from_its_checkpoint() {
    let stream = MemoryStream::of(2);
    let first = start(&stream, FakeFunction::scripted(vec![]), |_| {});
    first.quiet().await;
    first.mapping.stop().await;
    stream.put("order-1", SystemTime::now(), "");
    let second = start(&stream, FakeFunction::scripted(vec![]), |settings| {
        settings.starting_position = StartingPosition::Latest;
    });
    second.quiet().await;
    assert_eq!(second.calls(), [vec![3]]);
}

#[tokio::test(start_paused = true)]
async fn a_mapping_that_stops_leaves_what_is_not_settled_for_the_next_start() {
    let stream = MemoryStream::of(3);
    let first = start(&stream, FakeFunction::new(|_| Ok(error("no"))), |_| {});
    until("a call", || !first.calls().is_empty()).await;
    first.mapping.stop().await;
    let second = start(&stream, FakeFunction::scripted(vec![]), |_| {});
    second.quiet().await;
    assert_eq!(second.calls(), [vec![1, 2, 3]]);
}

#[tokio::test(start_paused = true)]
async fn a_mapping_that_begins_at_latest_misses_nothing_after_its_first_start() {
    let stream = MemoryStream::of(3);
    let latest = |settings: &mut StreamMappingSettings| {
        settings.starting_position = StartingPosition::Latest;
    };
    let first = start(&stream, FakeFunction::scripted(vec![]), latest);
    first.quiet().await;
    assert_eq!(first.calls(), Vec::<Vec<u64>>::new());
    first.mapping.stop().await;
    stream.put("order-1", SystemTime::now(), "");
    let second = start(&stream, FakeFunction::scripted(vec![]), latest);
    second.quiet().await;
    assert_eq!(second.calls(), [vec![4]]);
}

#[tokio::test(start_paused = true)]
async fn records_that_the_filter_refuses_are_skipped_and_checkpointed() {
    let stream = MemoryStream::of(4);
    let setup = start(&stream, FakeFunction::scripted(vec![]), |settings| {
        settings.filter = Some(Arc::new(|record: &Value| record["eventID"] == "2"));
    });
    setup.quiet().await;
    assert_eq!(setup.calls(), [vec![2]]);
    assert_eq!(stream.saves(), [0, 4]);
    stream.put("order-1", SystemTime::now(), "");
    setup.quiet().await;
    assert_eq!(stream.saves(), [0, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_gathered_until_its_window_is_over_or_it_is_full() {
    let stream = MemoryStream::of(1);
    let setup = start(&stream, FakeFunction::scripted(vec![]), |settings| {
        settings.batch_size = 3;
        settings.batching_window = Duration::from_secs(10);
    });
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(setup.calls().is_empty());
    stream.put("order-1", SystemTime::now(), "");
    setup.quiet().await;
    let begin = tokio::time::Instant::now();
    (0..3).for_each(|_| stream.put("order-1", SystemTime::now(), ""));
    setup.quiet().await;
    assert!(begin.elapsed() < Duration::from_secs(10));
    assert_eq!(setup.calls(), [vec![1, 2], vec![3, 4, 5]]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_cut_at_six_megabytes() {
    let stream = MemoryStream::new();
    let ballast = "x".repeat(1024 * 1024 - 400);
    (0..8).for_each(|_| stream.put("order-1", SystemTime::now(), &ballast));
    let setup = start(&stream, FakeFunction::scripted(vec![]), |_| {});
    setup.quiet().await;
    assert_eq!(setup.calls(), [vec![1, 2, 3, 4, 5, 6], vec![7, 8]]);
}

#[tokio::test(start_paused = true)]
async fn lanes_work_side_by_side_and_keep_the_order_of_each_key() {
    let stream = MemoryStream::new();
    for round in 0..10 {
        for order in 0..12 {
            stream.put(&format!("order-{order}"), SystemTime::now(), "");
        }
        assert_eq!(stream.last(), (round + 1) * 12);
    }
    let mut function = FakeFunction::new({
        let mut calls = 0;
        move |_| {
            calls += 1;
            Ok(if calls % 5 == 0 {
                error("no")
            } else {
                answer("null")
            })
        }
    });
    function.takes = Duration::from_secs(1);
    let setup = start(&stream, function, |settings| {
        settings.batch_size = 4;
        settings.shards = 2;
        settings.parallelization_factor = 2;
    });
    setup.quiet().await;
    assert_eq!(setup.function.most_at_once(), 4);
    // First sight of each record, by key: in order, and each of them seen.
    let mut seen: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for call in setup.function.calls() {
        for record in call.event["Records"].as_array().expect("records") {
            let key = record["dynamodb"]["Keys"].as_str().expect("a key");
            let id = record["eventID"].as_str().expect("an id");
            let of_key = seen.entry(key.to_owned()).or_default();
            let id = id.parse().expect("a number");
            if !of_key.contains(&id) {
                of_key.push(id);
            }
        }
    }
    assert_eq!(seen.len(), 12);
    for (key, ids) in seen {
        assert_eq!(ids.len(), 10, "{key}");
        assert!(ids.is_sorted(), "{key}: {ids:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_poison_record_holds_up_only_its_own_lane() {
    let stream = MemoryStream::new();
    for order in 0..20 {
        stream.put(&format!("order-{order}"), SystemTime::now(), "");
    }
    let setup = start(&stream, fails_with(&[1]), |settings| {
        settings.batch_size = 1;
        settings.parallelization_factor = 10;
    });
    until("others pass", || {
        let calls = setup.calls();
        calls.iter().flatten().filter(|id| **id != 1).count() >= 10
    })
    .await;
    assert_eq!(setup.mapping.settled_through(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_cut_into_more_lanes_loses_no_record() {
    let stream = MemoryStream::new();
    let put = |count: u64| {
        (0..count).for_each(|order| stream.put(&format!("order-{order}"), SystemTime::now(), ""));
    };
    put(10);
    let before = start(&stream, FakeFunction::scripted(vec![]), |_| {});
    before.quiet().await;
    before.mapping.stop().await;
    put(10);
    let after = start(&stream, FakeFunction::scripted(vec![]), |settings| {
        settings.shards = 3;
        settings.starting_position = StartingPosition::Latest;
    });
    after.quiet().await;
    let mut seen = after.calls().concat();
    seen.sort_unstable();
    assert_eq!(seen, (11..=20).collect::<Vec<u64>>());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_away_for_a_while_costs_nothing() {
    let stream = MemoryStream::of(3);
    *stream.fails.lock().expect("unpoisoned") = 7;
    let setup = start(&stream, FakeFunction::scripted(vec![]), |_| {});
    setup.quiet().await;
    assert_eq!(setup.calls(), [vec![1, 2, 3]]);
}
