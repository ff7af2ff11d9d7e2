//! Kinesis data streams: AWS's limits, shards by the MD5 of the partition key, resharding, and
//! records that survive a restart.
//!
//! Records have one order over all shards, so that a reader of the whole stream needs one place
//! in it, and what was put before a resharding comes before what was put after it. What AWS does
//! and this does not: the limits of a shard per second, enhanced fan-out, and tags.

mod kept;
mod put;
mod read;
mod shards;
mod stream;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::{Value, json};

use crate::meter::Usage;
use crate::{ApiError, EndpointError};
use kept::{Kept, Line};
pub use shards::DataShard;
use shards::ReshardError;
pub use stream::{DataRecord, DataStream, DataStreamOptions};

/// All data streams.
#[derive(Debug)]
pub(crate) struct Kinesis {
    streams: RwLock<BTreeMap<String, DataStream>>,
    kept: Option<Arc<Kept>>,
    region: String,
    account: String,
}

impl Kinesis {
    pub(crate) fn open(
        directory: Option<&Path>,
        region: &str,
        account: &str,
    ) -> Result<Self, EndpointError> {
        Ok(Self {
            streams: RwLock::default(),
            kept: directory.map(Kept::open).transpose()?.map(Arc::new),
            region: region.to_owned(),
            account: account.to_owned(),
        })
    }

    /// Creates a stream, or opens the one that is kept.
    pub(crate) fn ensure_stream(&self, options: DataStreamOptions) -> Result<(), EndpointError> {
        let Self {
            region, account, ..
        } = self;
        let arn = format!("arn:aws:kinesis:{region}:{account}:stream/{}", options.name);
        let (name, target) = (options.name.clone(), options.shards);
        let fixed = !options.on_demand;
        let stream = DataStream::new(options, arn, self.kept.clone());
        if let Some(kept) = &self.kept {
            match kept.found(&name) {
                Some(found) => {
                    stream.restore(&found);
                    kept.compact(&stream)?;
                }
                None => kept.note(&Line::shards(&name, &stream.shards()))?,
            }
        }
        let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
        streams.insert(name.clone(), stream);
        drop(streams);
        if fixed {
            self.reshard(&name, target)?;
        }
        Ok(())
    }

    /// Splits and merges shards until there are so many.
    pub(crate) fn reshard(&self, name: &str, target: u32) -> Result<(), EndpointError> {
        let stream = self.stream(name);
        let stream = stream.ok_or_else(|| EndpointError::NotFound(format!("stream {name}")))?;
        loop {
            let open = shards::open_count(&stream.shards());
            if open == target || target == 0 {
                return Ok(());
            }
            let next = target.clamp(open.div_ceil(2), open.saturating_mul(2));
            let change =
                |shards: &mut Vec<DataShard>, last| shards::update_count(shards, next, last);
            if let Err(refused) = stream.reshard(change)? {
                return Err(EndpointError::Refused(of_reshard(&refused)));
            }
        }
    }

    pub(crate) fn stream(&self, name: &str) -> Option<DataStream> {
        let streams = self.streams.read().unwrap_or_else(PoisonError::into_inner);
        streams.get(name).cloned()
    }

    pub(crate) fn sync(&self) -> Result<(), EndpointError> {
        self.kept.as_ref().map_or(Ok(()), |kept| kept.sync())
    }

    /// `failing`: records (by index) that a fault throttles.
    pub(crate) fn call(
        &self,
        operation: &str,
        request: &Value,
        failing: &[usize],
        usage: &mut Usage,
    ) -> Result<Value, ApiError> {
        if operation == "ListStreams" {
            let streams = self.streams.read().unwrap_or_else(PoisonError::into_inner);
            let names: Vec<&String> = streams.keys().collect();
            return Ok(json!({"StreamNames": names, "HasMoreStreams": false}));
        }
        let stream = self.named(request)?;
        usage.resource(stream.name());
        match operation {
            "PutRecord" => put::put_record(&stream, request, usage),
            "PutRecords" => put::put_records(&stream, request, failing, usage),
            "DescribeStreamSummary" => Ok(read::summary(&stream)),
            "ListShards" => Ok(read::list_shards(&stream)),
            "GetShardIterator" => read::shard_iterator(&stream, request),
            "GetRecords" => read::get_records(&stream, request),
            "UpdateShardCount" | "SplitShard" | "MergeShards" => {
                reshard(&stream, operation, request)
            }
            _ => Err(ApiError::unknown_operation("kinesis", operation)),
        }
    }

    /// The stream that a request names: by its name, its ARN or an iterator.
    fn named(&self, request: &Value) -> Result<DataStream, ApiError> {
        let name = name_in(request);
        let stream = self.stream(name);
        stream.ok_or_else(|| {
            let account = &self.account;
            ApiError::new(
                "ResourceNotFoundException",
                format!("Stream {name} under account {account} not found."),
            )
        })
    }
}

/// Name of the stream that a request is about, empty for none.
pub(crate) fn name_in(request: &Value) -> &str {
    let iterator = request["ShardIterator"].as_str();
    let iterator = iterator.and_then(|text| text.split('|').next());
    let arn = request["StreamARN"].as_str().or(iterator);
    let in_arn = arn.and_then(|arn| arn.split_once(":stream/"));
    let name = request["StreamName"].as_str();
    name.or(in_arn.map(|(_, name)| name)).unwrap_or_default()
}

fn reshard(stream: &DataStream, operation: &str, request: &Value) -> Result<Value, ApiError> {
    if stream.options().on_demand {
        return Err(ApiError::validation(format!(
            "Request is invalid. Stream {} is in On-Demand mode.",
            stream.options().name
        )));
    }
    let before = shards::open_count(&stream.shards());
    let number = |name: &str| {
        let id = request[name].as_str().unwrap_or_default();
        let shards = stream.shards();
        let found = shards.iter().find(|shard| shard.id() == id);
        found.map(|shard| shard.number).ok_or_else(|| {
            let message = format!("Shard {id} does not exist");
            ApiError::new("ResourceNotFoundException", message)
        })
    };
    let changed = match operation {
        "UpdateShardCount" => {
            let target = request["TargetShardCount"].as_u64();
            let target = target.and_then(|target| u32::try_from(target).ok());
            let target =
                target.ok_or_else(|| ApiError::validation("TargetShardCount is missing"))?;
            stream.reshard(|shards, last| shards::update_count(shards, target, last))
        }
        "SplitShard" => {
            let shard = number("ShardToSplit")?;
            let at = request["NewStartingHashKey"].as_str();
            let at = at.and_then(|text| text.parse().ok());
            let at = at.ok_or_else(|| ApiError::validation("NewStartingHashKey is no hash key"))?;
            stream.reshard(|shards, last| shards::split(shards, shard, at, last))
        }
        _ => {
            let pair = (number("ShardToMerge")?, number("AdjacentShardToMerge")?);
            stream.reshard(|shards, last| shards::merge(shards, pair, last))
        }
    };
    let changed = changed.map_err(|error| ApiError::internal(error.to_string()))?;
    changed.map_err(|refused| of_reshard(&refused))?;
    Ok(json!({
        "StreamName": stream.options().name,
        "StreamARN": stream.arn(),
        "CurrentShardCount": before,
        "TargetShardCount": shards::open_count(&stream.shards()),
    }))
}

fn of_reshard(refused: &ReshardError) -> ApiError {
    let code = match refused {
        ReshardError::TooFar { .. } => "LimitExceededException",
        ReshardError::NotOpen(_) | ReshardError::NotInside(_) | ReshardError::NotAdjacent => {
            "InvalidArgumentException"
        }
    };
    ApiError::new(code, refused.to_string())
}
