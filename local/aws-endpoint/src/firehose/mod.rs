//! Firehose: records gathered into objects of a bucket, by partition keys.
//!
//! A record that was taken is in a file (`firehose.jsonl`, with a data directory) until the object
//! with it is written. So each is delivered at least once, as by AWS: after an end between the
//! two, it is in two objects.

mod buffer;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use uuid::Uuid;

use crate::buckets::Buckets;
use crate::clock::now_millis;
use crate::lines::Lines;
use crate::meter::Usage;
use crate::services::Services;
use crate::{ApiError, EndpointError};
use buffer::{Buffer, Buffers, Part, Taken};

/// Records of one `PutRecordBatch`.
/// <https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecordBatch.html>
const MAX_RECORDS: usize = 500;
/// Largest record.
const MAX_RECORD_BYTES: usize = 1000 * 1024;
/// Size of all records of a batch.
const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Records are charged for by started 5 KB: <https://aws.amazon.com/firehose/pricing/>.
const UNIT_BYTES: usize = 5 * 1024;
/// What could not be written is tried again after this time.
const AGAIN: Duration = Duration::from_secs(1);
/// The file is written anew when nothing is pending and so many records went through it.
const COMPACT_AFTER: usize = 10_000;

/// Says which objects the records of a delivery stream go to. The host implements it.
pub trait ObjectKeys: Send + Sync {
    /// The partition keys of a record, none without partitioning.
    ///
    /// # Errors
    /// Why it has none, in words: then it goes to an object with those that failed.
    fn partition(&self, record: &[u8]) -> Result<Vec<String>, String>;

    /// Prefix of an object with records of these keys, the oldest of which came then; `random` is
    /// for those that have it.
    fn prefix(&self, keys: &[String], oldest_millis: u64, random: &str) -> String;

    /// Prefix of an object with records that failed for this kind of reason.
    fn error_prefix(&self, error_type: &str, oldest_millis: u64, random: &str) -> String;
}

/// How a delivery stream is created.
#[derive(Clone)]
pub struct DeliveryStreamOptions {
    /// Its name.
    pub name: String,
    /// Name of the bucket that it writes to.
    pub bucket: String,
    /// An object is written after so long.
    pub interval: Duration,
    /// An object is written when it has so many bytes.
    pub size: usize,
    /// Whether objects are compressed with gzip.
    pub gzip: bool,
    /// Whether a line break is put behind each record.
    pub delimits: bool,
    /// What follows the objects' names.
    pub extension: String,
    /// Which objects records go to.
    pub keys: Arc<dyn ObjectKeys>,
}

impl fmt::Debug for DeliveryStreamOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DeliveryStreamOptions")
            .field("name", &self.name)
            .field("bucket", &self.bucket)
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Line {
    Taken {
        stream: String,
        id: u64,
        at_millis: u64,
        /// In base64.
        data: String,
    },
    Delivered {
        stream: String,
        ids: Vec<u64>,
    },
}

#[derive(Debug)]
struct Stream {
    options: DeliveryStreamOptions,
    buffers: Buffers,
    next_id: u64,
}

#[derive(Debug, Default)]
struct State {
    streams: BTreeMap<String, Stream>,
    /// Records in objects that are being written.
    in_flight: usize,
    /// Records since the file was written anew.
    written: usize,
}

/// All delivery streams.
#[derive(Debug)]
pub(crate) struct Firehose {
    state: Mutex<State>,
    kept: Option<Lines>,
    /// What was taken and not delivered before this start, by stream.
    found: Mutex<BTreeMap<String, Vec<Taken>>>,
    changed: Arc<Notify>,
    /// Held while objects are written: whoever writes all there is waits for those on their way.
    writing: Mutex<()>,
}

impl Firehose {
    pub(crate) fn open(directory: Option<&Path>) -> Result<Self, EndpointError> {
        let (mut kept, mut found) = (None, BTreeMap::new());
        if let Some(directory) = directory {
            let (lines, old) = Lines::open::<Line>(&directory.join("firehose.jsonl"))?;
            found = pending(old);
            let open = found
                .iter()
                .flat_map(|(stream, records)| records.iter().map(move |one| taken(stream, one)));
            lines.rewrite(open)?;
            kept = Some(lines);
        }
        Ok(Self {
            state: Mutex::default(),
            kept,
            found: Mutex::new(found),
            changed: Arc::default(),
            writing: Mutex::default(),
        })
    }

    /// Creates a delivery stream, with what an earlier one of this name did not deliver.
    pub(crate) fn create(&self, options: DeliveryStreamOptions) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let records = found.remove(&options.name).unwrap_or_default();
        drop(found);
        let mut stream = Stream {
            next_id: records.iter().map(|one| one.id + 1).max().unwrap_or(1),
            buffers: Buffers::default(),
            options,
        };
        for record in records {
            stream.buffers.add(&stream.options, record, Instant::now());
        }
        let name = stream.options.name.clone();
        self.state().streams.insert(name, stream);
        self.changed.notify_one();
    }

    pub(crate) fn call(
        &self,
        operation: &str,
        request: &Value,
        usage: &mut Usage,
    ) -> Result<Value, ApiError> {
        let name = request["DeliveryStreamName"].as_str().unwrap_or_default();
        usage.resource(name);
        let one;
        let records = match operation {
            "PutRecord" => {
                one = [request["Record"].clone()];
                &one[..]
            }
            "PutRecordBatch" => request["Records"].as_array().map_or(&[][..], Vec::as_slice),
            _ => return Err(ApiError::unknown_operation("firehose", operation)),
        };
        let data = read(records)?;
        for record in &data {
            usage.add_chunked(name, record.len(), UNIT_BYTES);
        }
        let ids = self.put(name, data)?;
        Ok(match operation {
            "PutRecord" => json!({"RecordId": ids.first(), "Encrypted": true}),
            _ => {
                let answers: Vec<Value> = ids.iter().map(|id| json!({"RecordId": id})).collect();
                json!({"FailedPutCount": 0, "Encrypted": true, "RequestResponses": answers})
            }
        })
    }

    fn put(&self, name: &str, records: Vec<Bytes>) -> Result<Vec<String>, ApiError> {
        let mut state = self.state();
        let stream = state.streams.get_mut(name).ok_or_else(|| {
            let message = format!("Firehose {name} not found.");
            ApiError::new("ResourceNotFoundException", message)
        })?;
        let at_millis = now_millis();
        let records: Vec<Taken> = (stream.next_id..)
            .zip(records)
            .map(|(id, data)| Taken {
                id,
                at_millis,
                data,
            })
            .collect();
        if let Some(kept) = &self.kept {
            let lines: Vec<Line> = records.iter().map(|record| taken(name, record)).collect();
            let noted = kept.append_all(&lines);
            noted.map_err(|error| ApiError::internal(error.to_string()))?;
        }
        stream.next_id += records.len() as u64;
        let ids = records
            .iter()
            .map(|one| format!("{:016x}", one.id))
            .collect();
        for record in records {
            stream.buffers.add(&stream.options, record, Instant::now());
        }
        drop(state);
        self.changed.notify_one();
        Ok(ids)
    }

    /// Records that are in no object yet.
    pub(crate) fn undelivered(&self) -> usize {
        let state = self.state();
        let buffered = state.streams.values().map(|one| one.buffers.records());
        buffered.sum::<usize>() + state.in_flight
    }

    /// Writes what is due, or all there is; what cannot be written is tried again later.
    pub(crate) fn flush(&self, buckets: &Buckets, all: bool) -> Result<(), EndpointError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let due: Vec<(DeliveryStreamOptions, Vec<Buffer>)> = {
            let mut state = self.state();
            let take = |stream: &mut Stream| {
                let buffers = if all {
                    stream.buffers.take_all()
                } else {
                    stream.buffers.take_due(stream.options.size, Instant::now())
                };
                (stream.options.clone(), buffers)
            };
            let due: Vec<_> = state.streams.values_mut().map(take).collect();
            let buffers = due.iter().flat_map(|(_, buffers)| buffers);
            let records = buffers.map(|buffer| buffer.records.len()).sum::<usize>();
            state.in_flight += records;
            due
        };
        let mut failed = Ok(());
        for (options, buffers) in due {
            for buffer in buffers {
                if let Err(error) = self.deliver(buckets, &options, buffer) {
                    failed = Err(error);
                }
            }
        }
        failed
    }

    fn deliver(
        &self,
        buckets: &Buckets,
        options: &DeliveryStreamOptions,
        buffer: Buffer,
    ) -> Result<(), EndpointError> {
        let key = key(options, &buffer);
        let written = object(options, &buffer)
            .and_then(|content| buckets.put(&options.bucket, &key, &content));
        let mut state = self.state();
        state.in_flight -= buffer.records.len();
        if let Err(error) = written {
            if let Some(stream) = state.streams.get_mut(&options.name) {
                stream.buffers.put_back(buffer, AGAIN, Instant::now());
            }
            return Err(EndpointError::Storage {
                path: Path::new(&options.bucket).join(key),
                what: error.to_string(),
            });
        }
        let Some(kept) = &self.kept else {
            return Ok(());
        };
        state.written += buffer.records.len();
        let is_empty = state.in_flight == 0
            && state
                .streams
                .values()
                .all(|stream| stream.buffers.records() == 0)
            && self
                .found
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .is_empty();
        if is_empty && state.written > COMPACT_AFTER {
            state.written = 0;
            return kept.rewrite(std::iter::empty::<Line>());
        }
        kept.append(&Line::Delivered {
            stream: options.name.clone(),
            ids: buffer.records.iter().map(|record| record.id).collect(),
        })
    }

    fn next_due(&self) -> Option<Instant> {
        let state = self.state();
        let full = |stream: &Stream| stream.buffers.next_due();
        state.streams.values().filter_map(full).min()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes objects when they are due, until `stop` changes or the services are gone.
pub(crate) async fn run(services: Weak<Services>, mut stop: watch::Receiver<bool>) {
    let Some(changed) = services
        .upgrade()
        .map(|all| Arc::clone(&all.firehose.changed))
    else {
        return;
    };
    loop {
        let due = services.upgrade().and_then(|all| all.firehose.next_due());
        let due = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = stop.changed() => return,
            () = changed.notified() => {}
            () = due => {}
        }
        let Some(services) = services.upgrade() else {
            return;
        };
        // What fails is put back, and due again later.
        let flush = move || services.firehose.flush(&services.buckets, false);
        let _ = tokio::task::spawn_blocking(flush).await;
    }
}

fn read(records: &[Value]) -> Result<Vec<Bytes>, ApiError> {
    let invalid = |what: &str| ApiError::new("InvalidArgumentException", what);
    if records.is_empty() || records.len() > MAX_RECORDS {
        return Err(invalid("Records must hold 1 to 500 records"));
    }
    let mut read = Vec::with_capacity(records.len());
    for record in records {
        let data = record["Data"]
            .as_str()
            .and_then(|text| BASE64.decode(text).ok());
        let data = data.ok_or_else(|| ApiError::serialization("Data is missing or no base64"))?;
        if data.len() > MAX_RECORD_BYTES {
            return Err(invalid("a record has more than 1000 KiB"));
        }
        read.push(Bytes::from(data));
    }
    if read.iter().map(Bytes::len).sum::<usize>() > MAX_BATCH_BYTES {
        return Err(invalid("the records have more than 4 MiB together"));
    }
    Ok(read)
}

fn taken(stream: &str, record: &Taken) -> Line {
    Line::Taken {
        stream: stream.to_owned(),
        id: record.id,
        at_millis: record.at_millis,
        data: BASE64.encode(&record.data),
    }
}

fn pending(lines: Vec<Line>) -> BTreeMap<String, Vec<Taken>> {
    let delivered: BTreeSet<(String, u64)> = (lines.iter())
        .filter_map(|line| match line {
            Line::Delivered { stream, ids } => Some(ids.iter().map(|id| (stream.clone(), *id))),
            Line::Taken { .. } => None,
        })
        .flatten()
        .collect();
    let mut found: BTreeMap<String, Vec<Taken>> = BTreeMap::new();
    for line in lines {
        let Line::Taken {
            stream,
            id,
            at_millis,
            data,
        } = line
        else {
            continue;
        };
        let key = (stream, id);
        let data = BASE64.decode(data).ok();
        if let Some(data) = data.filter(|_| !delivered.contains(&key)) {
            found.entry(key.0).or_default().push(Taken {
                id,
                at_millis,
                data: Bytes::from(data),
            });
        }
    }
    found
}

/// Key of an object: <https://docs.aws.amazon.com/firehose/latest/dev/s3-object-name.html>.
fn key(options: &DeliveryStreamOptions, buffer: &Buffer) -> String {
    let oldest = buffer.oldest_millis();
    let random: String = Uuid::new_v4()
        .simple()
        .to_string()
        .chars()
        .take(11)
        .collect();
    let prefix = match &buffer.part {
        Part::Keys(keys) => options.keys.prefix(keys, oldest, &random),
        Part::Failed => options
            .keys
            .error_prefix("processing-failed", oldest, &random),
    };
    let time = i64::try_from(oldest)
        .ok()
        .and_then(|at| Timestamp::from_millisecond(at).ok());
    let time = time
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .strftime("%Y-%m-%d-%H-%M-%S");
    let DeliveryStreamOptions {
        name, extension, ..
    } = options;
    format!("{prefix}{name}-1-{time}-{}{extension}", Uuid::new_v4())
}

fn object(options: &DeliveryStreamOptions, buffer: &Buffer) -> std::io::Result<Vec<u8>> {
    if !options.gzip {
        return Ok(buffer.content.clone());
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&buffer.content)?;
    encoder.finish()
}
