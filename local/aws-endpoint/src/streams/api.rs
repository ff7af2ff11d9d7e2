//! The `DynamoDB` Streams API. Every stream is one shard here.

use serde_json::{Value, json};

use super::{TableStream, sequence_number, sequence_of};
use crate::ApiError;

const SHARD: &str = "shardId-00000000000000000000-00000000";
const MAX_RECORDS: u64 = 1000;

/// Answers one call of the Streams API.
pub(crate) fn call(
    streams: &[TableStream],
    operation: &str,
    request: &Value,
) -> Result<Value, ApiError> {
    match operation {
        "ListStreams" => Ok(list(streams, request)),
        "DescribeStream" => find(streams, request["StreamArn"].as_str()).map(describe),
        "GetShardIterator" => {
            let stream = find(streams, request["StreamArn"].as_str())?;
            let after = start(stream, request)?;
            Ok(json!({"ShardIterator": iterator(stream, after)}))
        }
        "GetRecords" => records(streams, request),
        _ => Err(ApiError::unknown_operation("dynamodbstreams", operation)),
    }
}

fn find<'a>(streams: &'a [TableStream], arn: Option<&str>) -> Result<&'a TableStream, ApiError> {
    let found = streams.iter().find(|stream| Some(stream.arn()) == arn);
    found.ok_or_else(|| {
        ApiError::new(
            "ResourceNotFoundException",
            format!(
                "Requested resource not found: Stream: {} not found",
                arn.unwrap_or_default()
            ),
        )
    })
}

fn list(streams: &[TableStream], request: &Value) -> Value {
    let wanted = request["TableName"].as_str();
    let listed: Vec<Value> = streams
        .iter()
        .map(TableStream::origin)
        .filter(|origin| wanted.is_none_or(|table| table == origin.table))
        .map(|origin| {
            json!({
                "StreamArn": origin.arn,
                "StreamLabel": origin.label,
                "TableName": origin.table,
            })
        })
        .collect();
    json!({"Streams": listed})
}

fn describe(stream: &TableStream) -> Value {
    let origin = stream.origin();
    let first = sequence_number(stream.horizon());
    let hash = json!({"AttributeName": origin.partition_key, "KeyType": "HASH"});
    let range = origin
        .sort_key
        .iter()
        .map(|name| json!({"AttributeName": name, "KeyType": "RANGE"}));
    let keys: Vec<Value> = std::iter::once(hash).chain(range).collect();
    json!({"StreamDescription": {
        "StreamArn": origin.arn,
        "StreamLabel": origin.label,
        "StreamStatus": "ENABLED",
        "StreamViewType": origin.view,
        "TableName": origin.table,
        "KeySchema": keys,
        "Shards": [{
            "ShardId": SHARD,
            "SequenceNumberRange": {"StartingSequenceNumber": first},
        }],
    }})
}

/// The sequence after which a new iterator reads.
fn start(stream: &TableStream, request: &Value) -> Result<u64, ApiError> {
    if request["ShardId"].as_str() != Some(SHARD) {
        return Err(ApiError::new(
            "ResourceNotFoundException",
            "Requested resource not found: Shard does not exist",
        ));
    }
    let given = || {
        let given = request["SequenceNumber"].as_str().and_then(sequence_of);
        given.ok_or_else(|| ApiError::validation("SequenceNumber is missing or invalid"))
    };
    let after = match request["ShardIteratorType"].as_str() {
        Some("TRIM_HORIZON") => return Ok(stream.horizon().saturating_sub(1)),
        Some("LATEST") => return Ok(stream.last_sequence()),
        Some("AT_SEQUENCE_NUMBER") => given()?.saturating_sub(1),
        Some("AFTER_SEQUENCE_NUMBER") => given()?,
        _ => return Err(ApiError::validation("ShardIteratorType is not valid")),
    };
    check_kept(stream, after)?;
    Ok(after)
}

/// Who has read everything up to the oldest record kept has missed nothing.
fn check_kept(stream: &TableStream, after: u64) -> Result<(), ApiError> {
    if after.saturating_add(1) < stream.horizon() {
        return Err(ApiError::new(
            "TrimmedDataAccessException",
            "The requested sequence number is older than the oldest record kept",
        ));
    }
    Ok(())
}

fn iterator(stream: &TableStream, after: u64) -> String {
    format!("{}|{after}", stream.arn())
}

fn records(streams: &[TableStream], request: &Value) -> Result<Value, ApiError> {
    let invalid = || ApiError::validation("Invalid ShardIterator");
    let text = request["ShardIterator"].as_str().ok_or_else(invalid)?;
    let (arn, after) = text.rsplit_once('|').ok_or_else(invalid)?;
    let after: u64 = after.parse().map_err(|_| invalid())?;
    let stream = find(streams, Some(arn))?;
    check_kept(stream, after)?;
    let limit = match request.get("Limit") {
        None | Some(Value::Null) => MAX_RECORDS,
        Some(limit) => limit
            .as_u64()
            .filter(|limit| (1..=MAX_RECORDS).contains(limit))
            .ok_or_else(|| ApiError::validation("Limit must be 1 to 1000"))?,
    };
    let read = stream.read(after, usize::try_from(limit).unwrap_or(usize::MAX));
    let next = read.last().map_or(after, |record| record.sequence);
    let records: Vec<Value> = read.into_iter().map(|record| record.record).collect();
    Ok(json!({"Records": records, "NextShardIterator": iterator(stream, next)}))
}
