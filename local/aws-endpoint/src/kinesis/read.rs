//! What tools read of a data stream: its description, its shards, their records.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::shards::{DataShard, open_count};
use super::stream::{DataRecord, DataStream, seconds, sequence_in, sequence_number};
use crate::ApiError;
use crate::clock::now_millis;

/// Most records that `GetRecords` gives.
const MAX_LIMIT: u64 = 10_000;
/// Most bytes that it gives.
const MAX_ANSWER_BYTES: usize = 10 * 1024 * 1024;
/// Records of all shards that are looked at in one step.
const STEP: usize = 1000;

pub(super) fn summary(stream: &DataStream) -> Value {
    let options = stream.options();
    let mode = if options.on_demand {
        "ON_DEMAND"
    } else {
        "PROVISIONED"
    };
    json!({"StreamDescriptionSummary": {
        "StreamName": options.name,
        "StreamARN": stream.arn(),
        "StreamStatus": "ACTIVE",
        "StreamModeDetails": {"StreamMode": mode},
        "RetentionPeriodHours": options.retention_hours,
        "StreamCreationTimestamp": 0,
        "EnhancedMonitoring": [{"ShardLevelMetrics": []}],
        "EncryptionType": "KMS",
        "OpenShardCount": open_count(&stream.shards()),
        "ConsumerCount": 0,
        "MaxRecordSizeInKiB": options.max_record_kib,
    }})
}

pub(super) fn list_shards(stream: &DataStream) -> Value {
    let shards: Vec<Value> = stream.shards().iter().map(shown).collect();
    json!({"Shards": shards})
}

fn shown(shard: &DataShard) -> Value {
    let mut shown = json!({
        "ShardId": shard.id(),
        "HashKeyRange": {
            "StartingHashKey": shard.first_hash.to_string(),
            "EndingHashKey": shard.last_hash.to_string(),
        },
        "SequenceNumberRange": {
            "StartingSequenceNumber": sequence_number(shard.begins_after),
        },
    });
    if let Some(end) = shard.ends_at {
        shown["SequenceNumberRange"]["EndingSequenceNumber"] = json!(sequence_number(end));
    }
    let names = ["ParentShardId", "AdjacentParentShardId"];
    for (name, parent) in names.into_iter().zip(&shard.parents) {
        shown[name] = json!(super::shards::shard_id(*parent));
    }
    shown
}

/// An iterator names its stream, its shard and the sequence that it is behind.
pub(super) fn shard_iterator(stream: &DataStream, request: &Value) -> Result<Value, ApiError> {
    let shard = find(stream, request["ShardId"].as_str().unwrap_or_default())?;
    let told = request["StartingSequenceNumber"].as_str();
    let told = told.and_then(sequence_in);
    let wrong = |what: &str| ApiError::new("InvalidArgumentException", what);
    let told = told.ok_or_else(|| wrong("StartingSequenceNumber is missing or not of this stream"));
    let after = match request["ShardIteratorType"].as_str().unwrap_or_default() {
        "TRIM_HORIZON" => 0,
        "LATEST" => stream.last_sequence(),
        "AT_SEQUENCE_NUMBER" => told?.saturating_sub(1),
        "AFTER_SEQUENCE_NUMBER" => told?,
        "AT_TIMESTAMP" => {
            let from = request["Timestamp"].as_f64();
            let from = from.ok_or_else(|| wrong("Timestamp is missing"))?;
            first_at(stream, from).saturating_sub(1)
        }
        other => {
            return Err(ApiError::validation(format!(
                "1 validation error detected: Value '{other}' at 'shardIteratorType' failed to \
                 satisfy constraint: Member must satisfy enum value set"
            )));
        }
    };
    let iterator = format!("{}|{}|{after}", stream.arn(), shard.id());
    Ok(json!({"ShardIterator": iterator}))
}

/// Sequence of the first record that came at or after a time in seconds.
fn first_at(stream: &DataStream, from: f64) -> u64 {
    let mut after = 0;
    loop {
        let records = stream.read(after, STEP);
        let Some(last) = records.last() else {
            return stream.last_sequence() + 1;
        };
        after = last.sequence;
        let came = |record: &&DataRecord| seconds(record.at_millis).as_f64() >= Some(from);
        if let Some(found) = records.iter().find(came) {
            return found.sequence;
        }
    }
}

pub(super) fn get_records(stream: &DataStream, request: &Value) -> Result<Value, ApiError> {
    let iterator = request["ShardIterator"].as_str().unwrap_or_default();
    let invalid = || ApiError::new("InvalidArgumentException", "Invalid ShardIterator.");
    let (rest, after) = iterator.rsplit_once('|').ok_or_else(invalid)?;
    let (_, shard) = rest.rsplit_once('|').ok_or_else(invalid)?;
    let mut after: u64 = after.parse().map_err(|_| invalid())?;
    let shard = find(stream, shard)?;
    let limit = match &request["Limit"] {
        Value::Null => MAX_LIMIT,
        told => told
            .as_u64()
            .filter(|limit| (1..=MAX_LIMIT).contains(limit))
            .ok_or_else(|| ApiError::validation(format!("Limit must be 1 to {MAX_LIMIT}")))?,
    };
    let (mut found, mut bytes): (Vec<DataRecord>, usize) = (Vec::new(), 0);
    'reading: loop {
        let records = stream.read(after, STEP);
        if records.is_empty() {
            break;
        }
        for record in records {
            if record.shard == shard.number {
                let full = bytes + record.data.len() > MAX_ANSWER_BYTES && !found.is_empty();
                if full || found.len() as u64 >= limit {
                    break 'reading;
                }
                bytes += record.data.len();
                after = record.sequence;
                found.push(record);
            } else {
                after = record.sequence;
            }
        }
    }
    let behind = stream
        .read(after, 1)
        .first()
        .map_or(0, |next| now_millis().saturating_sub(next.at_millis));
    let records: Vec<Value> = found.iter().map(shown_record).collect();
    let mut answer = json!({"Records": records, "MillisBehindLatest": behind});
    if shard.ends_at.is_some_and(|end| after >= end) {
        let children: Vec<Value> = (stream.shards().iter())
            .filter(|one| one.parents.contains(&shard.number))
            .map(child)
            .collect();
        answer["ChildShards"] = json!(children);
    } else {
        answer["NextShardIterator"] = json!(format!("{}|{}|{after}", stream.arn(), shard.id()));
    }
    Ok(answer)
}

fn shown_record(record: &DataRecord) -> Value {
    json!({
        "SequenceNumber": record.sequence_number(),
        "ApproximateArrivalTimestamp": seconds(record.at_millis),
        "Data": BASE64.encode(&record.data),
        "PartitionKey": record.partition_key,
        "EncryptionType": "KMS",
    })
}

fn child(shard: &DataShard) -> Value {
    let parents = shard
        .parents
        .iter()
        .map(|one| super::shards::shard_id(*one));
    json!({
        "ShardId": shard.id(),
        "ParentShards": parents.collect::<Vec<_>>(),
        "HashKeyRange": shown(shard)["HashKeyRange"],
    })
}

fn find(stream: &DataStream, id: &str) -> Result<DataShard, ApiError> {
    let found = stream.shards().into_iter().find(|shard| shard.id() == id);
    found.ok_or_else(|| {
        ApiError::new(
            "ResourceNotFoundException",
            format!("Shard {id} in stream {} does not exist", stream.name()),
        )
    })
}
