//! Recorded events are in the analytics stream, in the order of their aggregate, and in the archive.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use local::http_client::HttpClient;
use serde_json::{Value, json};

use crate::system::{System, eventually, order};

/// Id of each stored event, by its stream, in order.
async fn stored(system: &System) -> BTreeMap<String, Vec<String>> {
    let stored = system.stored().await.streams;
    let ids = |(stream, events): (String, Vec<event_sourcing::envelope::Envelope>)| {
        let ids = events.iter().map(|event| event.event_id.to_string());
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

/// The lines of the objects below a folder, each with the object's path.
fn archived(folder: &Path) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(archived(&path));
        } else if let Ok(file) = std::fs::File::open(&path) {
            let mut text = String::new();
            let read = flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text);
            read.unwrap();
            let path = path.to_str().unwrap().to_owned();
            let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
            found.extend(lines.map(|line| (path.clone(), line)));
        }
    }
    found
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

#[tokio::test(flavor = "multi_thread")]
async fn without_analytics_orders_go_on_and_nothing_of_it_is_there() {
    let system = System::start(&["--parameter", "Analytics=Disabled"]);
    system.stock("tea", 5, "1").await;
    let id = system.place("k", &order("u", "tea", 1, "1")).await;
    system.order_at(&id, "confirmed").await;
    let streams = system.aws("Kinesis_20131202.ListStreams", &json!({})).await;
    assert_eq!(streams["StreamNames"], json!([]));
}
