//! Recorded events are in the analytics stream, in the order of their aggregate, and in the archive.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use local::http_client::HttpClient;
use serde_json::{Value, json};

use crate::system::{System, eventually, order, run};

/// Id of each stored event, by its stream, in order.
async fn stored(system: &System) -> BTreeMap<String, Vec<String>> {
    let stored = system.stored().await.streams;
    let ids = |(stream, events): (String, Vec<event_sourcing::envelope::Envelope>)| {
        let ids = events.iter().map(|event| event.event_id.clone());
        (stream, ids.collect())
    };
    stored.into_iter().map(ids).collect()
}

/// What the analytics stream has, by partition key, in order, each id once.
async fn streamed(system: &System) -> BTreeMap<String, Vec<String>> {
    let kinesis = async |operation: &str, request: Value| {
        let target = format!("Kinesis_20131202.{operation}");
        system.aws(&target, &request).await
    };
    let shards = kinesis("ListShards", json!({"StreamName": "analytics"})).await;
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for shard in shards["Shards"].as_array().unwrap() {
        let iterator = json!({"StreamName": "analytics", "ShardId": shard["ShardId"],
            "ShardIteratorType": "TRIM_HORIZON"});
        let iterator = kinesis("GetShardIterator", iterator).await;
        let records = kinesis("GetRecords", iterator).await;
        for record in records["Records"].as_array().unwrap() {
            let data = BASE64.decode(record["Data"].as_str().unwrap()).unwrap();
            let event: Value = serde_json::from_slice(&data).unwrap();
            assert_eq!(record["PartitionKey"], event["detail"]["streamId"]);
            let key = record["PartitionKey"].as_str().unwrap().to_owned();
            let id = event["detail"]["eventId"].as_str().unwrap().to_owned();
            let of_key = found.entry(key).or_default();
            if !of_key.contains(&id) {
                of_key.push(id);
            }
        }
    }
    found
}

/// The objects below a folder.
fn objects(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(objects(&path));
        } else {
            found.push(path);
        }
    }
    found
}

fn lines(object: &Path) -> Vec<Value> {
    let mut text = String::new();
    let file = std::fs::File::open(object).unwrap();
    let read = flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text);
    read.unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Puts other lines in the place of an object's.
fn write(object: &Path, lines: &[Value]) {
    let file = std::fs::File::create(object).unwrap();
    let mut packed = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    for line in lines {
        writeln!(packed, "{line}").unwrap();
    }
    packed.finish().unwrap();
}

/// The lines of the objects below a folder, each with the object's path.
fn archived(folder: &Path) -> Vec<(String, Value)> {
    let of_object = |object: PathBuf| {
        let path = object.to_str().unwrap().to_owned();
        lines(&object)
            .into_iter()
            .map(move |line| (path.clone(), line))
    };
    objects(folder).into_iter().flat_map(of_object).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_events_are_streamed_in_order_and_archived_by_day_and_type() {
    let folder = tempfile::tempdir().unwrap();
    let system = System::start(&["--archive", folder.path().to_str().unwrap()]);
    system.stock("tea", 50, "2").await;
    for number in 0..5 {
        let id = system
            .place(&format!("k{number}"), &order("u", "tea", 1, "2"))
            .await;
        system.order_at(&id, "confirmed").await;
    }
    eventually("what is stored is streamed in its order", async || {
        let (stored, streamed) = (stored(&system).await, streamed(&system).await);
        (stored.len() > 5 && stored == streamed).then_some(())
    })
    .await;
    let ids = stored(&system)
        .await
        .into_values()
        .flatten()
        .collect::<BTreeSet<_>>();
    let lines = eventually("what is stored is archived", async || {
        let lines = archived(folder.path());
        let found: BTreeSet<_> = lines
            .iter()
            .map(|(_, line)| line["detail"]["eventId"].as_str().unwrap().to_owned())
            .collect();
        (found == ids).then_some(lines)
    })
    .await;
    for (path, line) in &lines {
        let detail = &line["detail"];
        let day = &detail["timestamp"].as_str().unwrap()[..10];
        let kind = detail["eventType"].as_str().unwrap();
        let place = format!("local-archivebucket/events/day={day}/type={kind}/archive-1-");
        assert!(path.contains(&place), "{path}");
    }

    // At the endpoint they have the same keys.
    let url = format!(
        "{}/local-archivebucket?list-type=2&prefix=events%2F",
        system.aws
    );
    let listed = HttpClient::new().send("GET", &url, &[], "").await;
    let listed = listed.unwrap().text();
    let paths: BTreeSet<_> = lines.iter().map(|(path, _)| path).collect();
    for path in paths {
        let (_, key) = path.split_once("local-archivebucket/").unwrap();
        assert!(listed.contains(&format!("<Key>{key}</Key>")), "{key}");
    }
}

/// What `archive` prints as JSON, and whether it says that all is well.
fn archive(system: &System, arguments: &[&str]) -> (Value, bool) {
    let shared = ["--json", "--aws-endpoint", &system.aws];
    let output = run(&[&["archive"], arguments, &shared].concat());
    let printed = serde_json::from_slice(&output.stdout);
    let printed = printed.unwrap_or_else(|_| panic!("{output:?}"));
    (printed, output.status.success())
}

/// A system with three confirmed orders, all of whose events are archived, and how many there are.
async fn with_archived_orders(folder: &Path) -> (System, u64) {
    let system = System::start(&["--archive", folder.to_str().unwrap()]);
    system.stock("tea", 50, "2").await;
    for number in 0..3 {
        let key = format!("k{number}");
        let id = system.place(&key, &order("u", "tea", 1, "2")).await;
        system.order_at(&id, "confirmed").await;
    }
    // Per order: placed, reserved, paid, and the customer told of two of them; and the stock's.
    let count = eventually("everything is stored and archived", async || {
        let (found, whole) = archive(&system, &["verify", "--settled-after", "0"]);
        let stored = found["stored"].as_u64().unwrap();
        (whole && stored == 3 * 5 + 1).then_some(stored)
    })
    .await;
    (system, count)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_archived_is_held_against_what_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let (system, count) = with_archived_orders(folder.path()).await;
    let (listed, _) = archive(&system, &["list"]);
    let types: BTreeSet<_> = listed["archived"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["eventType"].as_str().unwrap())
        .collect();
    assert!(
        types.contains("OrderPlaced") && types.contains("UserNotified"),
        "{listed}"
    );

    // One event is altered, one is nobody's, one type is gone.
    let (mut altered, mut removed) = (0, 0);
    for object in objects(folder.path()) {
        let path = object.to_str().unwrap();
        if path.contains("type=PaymentProcessed") {
            removed += lines(&object).len();
            std::fs::remove_file(&object).unwrap();
        } else if path.contains("type=OrderPlaced") && altered == 0 {
            altered += 1;
            let mut events = lines(&object);
            let mut ghost = events[0].clone();
            ghost["detail"]["streamId"] = json!("order-ghost");
            events[0]["detail"]["data"]["userId"] = json!("mallory");
            events.push(ghost);
            write(&object, &events);
        }
    }
    let (found, whole) = archive(&system, &["verify", "--settled-after", "0"]);
    assert!(!whole);
    assert_eq!((altered, removed), (1, 3));
    for (finding, expected) in [("missing", 3), ("differing", 1), ("unstored", 1)] {
        assert_eq!(found[finding]["count"], expected, "{finding}: {found}");
    }
    assert_eq!(found["unstored"]["named"], json!(["order-ghost@1"]));
    assert_eq!(
        (&found["stored"], &found["whole"]),
        (&json!(count), &json!(false))
    );

    // What was altered is not replayed either.
    let (replayed, whole) = archive(&system, &["replay", "--table", "copy"]);
    assert!(!whole);
    assert_eq!(
        (&replayed["failed"], &replayed["replayed"]),
        (&json!(2), &json!(count - 4))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_goes_to_one_consumer_and_nothing_happens_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (system, count) = with_archived_orders(folder.path()).await;
    let replay = |consumer: &str| archive(&system, &["replay", "--consumer", consumer]);
    let (moved, whole) = replay("update-inventory");
    assert!(whole, "{moved}");
    assert_eq!(
        (&moved["replayed"], &moved["muted"]),
        (&json!(3), &json!(0))
    );
    let (told, _) = replay("notify-user");
    assert_eq!((&told["replayed"], &told["muted"]), (&json!(0), &json!(6)));
    let (charged, _) = replay("process-payment");
    assert_eq!(
        (&charged["replayed"], &charged["muted"]),
        (&json!(0), &json!(3))
    );
    let stored = system.stored().await.streams;
    let stored: usize = stored.values().map(Vec::len).sum();
    assert_eq!(stored as u64, count);

    let none = run(&[
        "archive",
        "replay",
        "--consumer",
        "place-order",
        "--aws-endpoint",
        &system.aws,
    ]);
    let said = String::from_utf8(none.stderr).unwrap();
    assert!(
        !none.status.success() && said.contains("update-inventory"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_makes_the_table_of_events_anew_and_can_be_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let (system, count) = with_archived_orders(folder.path()).await;
    let (first, whole) = archive(&system, &["replay", "--table", "copy"]);
    assert!(whole, "{first}");
    assert_eq!(
        (&first["replayed"], &first["there"]),
        (&json!(count), &json!(0))
    );
    let (again, _) = archive(&system, &["replay", "--table", "copy"]);
    assert_eq!(
        (&again["replayed"], &again["there"]),
        (&json!(0), &json!(count))
    );

    let items = async |table: &str| {
        let request = json!({"TableName": table});
        let scanned = system.aws("DynamoDB_20120810.Scan", &request).await;
        let mut items = scanned["Items"].as_array().unwrap().clone();
        items.sort_by_key(|item| format!("{}{}", item["streamId"], item["version"]));
        items
    };
    assert_eq!(items("copy").await, items("EventStore").await);

    let own = run(&[
        "archive",
        "replay",
        "--table",
        "EventStore",
        "--aws-endpoint",
        &system.aws,
    ]);
    assert!(!own.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_analytics_orders_go_on_and_nothing_of_it_is_there() {
    let system = System::start(&["--parameter", "Analytics=Disabled"]);
    system.stock("tea", 5, "1").await;
    let id = system.place("k", &order("u", "tea", 1, "1")).await;
    system.order_at(&id, "confirmed").await;
    let streams = system.aws("Kinesis_20131202.ListStreams", &json!({})).await;
    assert_eq!(streams["StreamNames"], json!([]));
    let listed = run(&["archive", "list", "--aws-endpoint", &system.aws]);
    let said = String::from_utf8(listed.stderr).unwrap();
    assert!(
        !listed.status.success() && said.contains("Analytics"),
        "{said}"
    );
}
