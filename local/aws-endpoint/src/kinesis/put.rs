//! `PutRecord` and `PutRecords`, with AWS's limits.
//!
//! <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde_json::{Value, json};

use super::shards;
use super::stream::{DataRecord, DataStream, NewRecord, PutError};
use crate::ApiError;
use crate::meter::Usage;

/// Records of one `PutRecords` call.
const MAX_RECORDS: usize = 500;
/// Size of all records of a call with their keys: 10 MiB since October 2025, 5 MiB before. (A
/// single record may have what its stream allows, 1 MiB unless that is raised.)
const MAX_REQUEST_BYTES: usize = 10 * 1024 * 1024;
/// Characters of a partition key.
const MAX_KEY_CHARS: usize = 256;
/// What a PUT payload unit holds: <https://aws.amazon.com/kinesis/data-streams/pricing/>.
const UNIT_BYTES: usize = 25 * 1024;

pub(super) fn put_record(
    stream: &DataStream,
    request: &Value,
    usage: &mut Usage,
) -> Result<Value, ApiError> {
    let record = read(stream, request)?;
    count(stream, &record, usage);
    let placed = stream.put(vec![record]).map_err(of_put)?;
    let placed = placed
        .first()
        .ok_or_else(|| ApiError::internal("no place"))?;
    Ok(answer(placed))
}

/// `failing`: records (by index) that a fault throttles.
pub(super) fn put_records(
    stream: &DataStream,
    request: &Value,
    failing: &[usize],
    usage: &mut Usage,
) -> Result<Value, ApiError> {
    let told = request["Records"]
        .as_array()
        .map_or(&[] as &[_], Vec::as_slice);
    if told.is_empty() || told.len() > MAX_RECORDS {
        return Err(ApiError::validation(format!(
            "1 validation error detected: Value at 'records' failed to satisfy constraint: \
             Member must have length between 1 and {MAX_RECORDS} (it has {})",
            told.len()
        )));
    }
    // One that is malformed fails the call, and nothing is put.
    let records: Result<Vec<NewRecord>, ApiError> =
        told.iter().map(|record| read(stream, record)).collect();
    let records = records?;
    if records.iter().map(size).sum::<usize>() > MAX_REQUEST_BYTES {
        return Err(invalid("Records size exceeds 10 MB limit"));
    }
    let mut throttled = Vec::new();
    let mut taken = Vec::new();
    for (index, record) in records.into_iter().enumerate() {
        count(stream, &record, usage);
        if failing.contains(&index) {
            throttled.push((index, shards::shard_of(&stream.shards(), record.hash)));
        } else {
            taken.push(record);
        }
    }
    let mut placed = stream.put(taken).map_err(of_put)?.into_iter();
    let answers: Vec<Value> = (0..told.len())
        .filter_map(
            |index| match throttled.iter().find(|(failed, _)| *failed == index) {
                Some((_, shard)) => Some(throttle(stream, *shard)),
                None => placed.next().as_ref().map(answer),
            },
        )
        .collect();
    Ok(json!({
        "FailedRecordCount": throttled.len(),
        "Records": answers,
        "EncryptionType": "KMS",
    }))
}

fn answer(record: &DataRecord) -> Value {
    json!({
        "ShardId": record.shard_id(),
        "SequenceNumber": record.sequence_number(),
        "EncryptionType": "KMS",
    })
}

fn throttle(stream: &DataStream, shard: u32) -> Value {
    json!({
        "ErrorCode": "ProvisionedThroughputExceededException",
        "ErrorMessage": format!(
            "Rate exceeded for shard {} in stream {}.", shards::shard_id(shard), stream.name()
        ),
    })
}

fn count(stream: &DataStream, record: &NewRecord, usage: &mut Usage) {
    usage.add_chunked(stream.name(), size(record), UNIT_BYTES);
}

fn size(record: &NewRecord) -> usize {
    record.data.len() + record.partition_key.len()
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidArgumentException", message)
}

fn read(stream: &DataStream, told: &Value) -> Result<NewRecord, ApiError> {
    let partition_key = told["PartitionKey"].as_str().unwrap_or_default();
    if partition_key.is_empty() || partition_key.chars().count() > MAX_KEY_CHARS {
        return Err(ApiError::validation(format!(
            "1 validation error detected: Value at 'partitionKey' failed to satisfy constraint: \
             Member must have length between 1 and {MAX_KEY_CHARS}"
        )));
    }
    let data = told["Data"]
        .as_str()
        .and_then(|text| BASE64.decode(text).ok());
    let data = data.ok_or_else(|| ApiError::serialization("Data is missing or no base64"))?;
    let hash = match told.get("ExplicitHashKey") {
        None | Some(Value::Null) => shards::hash_of(partition_key),
        Some(told) => {
            let hash = told.as_str().and_then(|text| text.parse().ok());
            hash.ok_or_else(|| invalid(format!("Invalid ExplicitHashKey {told}: 0 to 2^128-1")))?
        }
    };
    let record = NewRecord {
        hash,
        partition_key: partition_key.to_owned(),
        data: Bytes::from(data),
    };
    let most = stream.options().max_record_kib as usize * 1024;
    if size(&record) > most {
        return Err(ApiError::validation(format!(
            "1 validation error detected: Value at 'data' failed to satisfy constraint: the record \
             with its key has {} bytes, and the stream takes {most}",
            size(&record)
        )));
    }
    Ok(record)
}

fn of_put(error: PutError) -> ApiError {
    match error {
        PutError::Full => ApiError::new(
            "ProvisionedThroughputExceededException",
            "the stream holds as much as the local AWS endpoint keeps, and nobody reads it",
        ),
        PutError::Storage(error) => ApiError::internal(error.to_string()),
    }
}
