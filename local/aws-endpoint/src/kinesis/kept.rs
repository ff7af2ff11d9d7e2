//! The data streams on disk: `kinesis.jsonl`, a line per record, resharding and checkpoint.

use std::borrow::Cow;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::shards::DataShard;
use super::stream::{DataRecord, DataStream};
use crate::EndpointError;
use crate::lines::Lines;

/// One line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Line {
    Record {
        stream: String,
        #[serde(flatten)]
        record: KeptRecord,
    },
    /// All shards, from now on.
    Shards {
        stream: String,
        shards: Vec<DataShard>,
    },
    Checkpoint {
        stream: String,
        consumer: String,
        sequence: u64,
    },
    /// Sequence of the newest record, which may be trimmed.
    Last { stream: String, last: u64 },
}

/// A record on disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct KeptRecord {
    pub(super) sequence: u64,
    pub(super) shard: u32,
    pub(super) at_millis: u64,
    pub(super) partition_key: String,
    /// In base64.
    pub(super) data: String,
}

impl KeptRecord {
    pub(super) fn read(&self) -> Option<DataRecord> {
        let data = BASE64.decode(&self.data).ok()?;
        Some(DataRecord {
            sequence: self.sequence,
            shard: self.shard,
            at_millis: self.at_millis,
            partition_key: self.partition_key.clone(),
            data: Bytes::from(data),
        })
    }
}

impl Line {
    pub(super) fn shards(stream: &str, shards: &[DataShard]) -> Self {
        Self::Shards {
            stream: stream.to_owned(),
            shards: shards.to_vec(),
        }
    }

    pub(super) fn checkpoint(stream: &str, consumer: &str, sequence: u64) -> Self {
        Self::Checkpoint {
            stream: stream.to_owned(),
            consumer: consumer.to_owned(),
            sequence,
        }
    }

    pub(super) fn stream(&self) -> &str {
        match self {
            Self::Record { stream, .. }
            | Self::Shards { stream, .. }
            | Self::Checkpoint { stream, .. }
            | Self::Last { stream, .. } => stream,
        }
    }
}

/// The file, and what it held at start.
#[derive(Debug)]
pub(super) struct Kept {
    lines: Lines,
    found: Vec<Line>,
}

impl Kept {
    pub(super) fn open(directory: &Path) -> Result<Self, EndpointError> {
        let (lines, found) = Lines::open(&directory.join("kinesis.jsonl"))?;
        Ok(Self { lines, found })
    }

    /// What it held of a stream at start; none for a new one.
    pub(super) fn found(&self, stream: &str) -> Option<Cow<'_, [Line]>> {
        let has = self.found.iter().any(|line| line.stream() == stream);
        has.then_some(Cow::Borrowed(&self.found))
    }

    /// Forgets what is trimmed of a stream, and keeps the others' as they are.
    pub(super) fn compact(&self, stream: &DataStream) -> Result<(), EndpointError> {
        let others = self
            .found
            .iter()
            .filter(|one| one.stream() != stream.name());
        self.lines.rewrite(others.cloned().chain(stream.lines()))
    }

    pub(super) fn note(&self, line: &Line) -> Result<(), EndpointError> {
        self.lines.append(line)
    }

    pub(super) fn note_all(&self, lines: &[Line]) -> Result<(), EndpointError> {
        self.lines.append_all(lines)
    }

    pub(super) fn sync(&self) -> Result<(), EndpointError> {
        self.lines.sync()
    }
}
