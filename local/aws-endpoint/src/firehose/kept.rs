//! What was taken and delivered, as lines of `firehose.jsonl`.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::buffer::Taken;

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Line {
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

/// The line of a record.
pub(super) fn taken(stream: &str, record: &Taken) -> Line {
    Line::Taken {
        stream: stream.to_owned(),
        id: record.id,
        at_millis: record.at_millis,
        data: BASE64.encode(&record.data),
    }
}

/// What was taken and not delivered, by stream, in order.
pub(super) fn pending(lines: Vec<Line>) -> BTreeMap<String, Vec<Taken>> {
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
