//! The change log on disk: one JSON line per commit, appended before the
//! commit reaches the storage engine.
//!
//! A line that is whole in the file is decided: at the next start, the images
//! of the last one are compared with the stored items, and stored again where
//! the process died in between. So neither a record without its write nor a
//! write without its record survives `kill -9`. Lines are handed to the
//! operating system before the engine is called and not synced one by one: a
//! power cut may lose the last moments. They are synced at shutdown and
//! whenever the file is rewritten without what is older than 24 hours.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::tail::Tail;
use crate::EndpointError;
use crate::dynamodb::attributes::Item;

/// One written item of a commit.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LoggedWrite<'a> {
    pub(crate) table: Cow<'a, str>,
    pub(crate) key: Cow<'a, Item>,
    /// Position in the table's stream; none for a table without a stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sequence: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) new: Option<Cow<'a, Item>>,
    /// Only where the stream's records carry it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) old: Option<Cow<'a, Item>>,
    /// Whether an item was there before.
    pub(crate) existed: bool,
}

/// All writes of one commit.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LoggedCommit<'a> {
    pub(crate) at_millis: u64,
    pub(crate) writes: Vec<LoggedWrite<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Line<'a> {
    Commit(LoggedCommit<'a>),
    /// The engine refused the commit before this line.
    Abort {
        at_millis: u64,
    },
    Checkpoint {
        table: Cow<'a, str>,
        consumer: Cow<'a, str>,
        sequence: u64,
    },
    /// Highest sequence number of a table whose records are trimmed.
    Sequence {
        table: Cow<'a, str>,
        last: u64,
    },
    /// The table was deleted: forget what is written about it above.
    Deleted {
        table: Cow<'a, str>,
    },
}

/// What a log held at start.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    pub(crate) commits: Vec<LoggedCommit<'static>>,
    pub(crate) checkpoints: BTreeMap<(String, String), u64>,
    pub(crate) last_sequences: BTreeMap<String, u64>,
}

impl Recovered {
    fn forget(&mut self, table: &str) {
        for commit in &mut self.commits {
            commit.writes.retain(|write| write.table != table);
        }
        self.last_sequences.remove(table);
        self.checkpoints.retain(|(of, _), _| of != table);
    }
}

/// The open log.
#[derive(Debug)]
pub(crate) struct ChangeLog {
    path: PathBuf,
    tail: Mutex<Tail<File>>,
}

impl ChangeLog {
    /// Opens the log, drops a torn last line, and reads the rest.
    pub(crate) fn open(path: &Path) -> Result<(Self, Recovered), EndpointError> {
        let failed = |error: std::io::Error| EndpointError::Storage {
            path: path.to_owned(),
            what: error.to_string(),
        };
        let file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(path)
            .map_err(failed)?;
        let (recovered, whole) = read(&file, path)?;
        file.set_len(whole).map_err(failed)?;
        let log = Self {
            path: path.to_owned(),
            tail: Mutex::new(Tail::new(file, whole)),
        };
        Ok((log, recovered))
    }

    pub(crate) fn commit(&self, commit: LoggedCommit<'_>) -> Result<(), EndpointError> {
        self.append(&Line::Commit(commit))
    }

    pub(crate) fn abort(&self, at_millis: u64) -> Result<(), EndpointError> {
        let aborted = self.append(&Line::Abort { at_millis });
        if aborted.is_err() {
            // The commit looks decided. As the last line it is compared with
            // the stored items at the next start; a line behind it would make
            // it final.
            self.tail().close();
        }
        aborted
    }

    pub(crate) fn checkpoint(
        &self,
        table: &str,
        consumer: &str,
        sequence: u64,
    ) -> Result<(), EndpointError> {
        self.append(&Line::Checkpoint {
            table: table.into(),
            consumer: consumer.into(),
            sequence,
        })
    }

    pub(crate) fn forget(&self, table: &str) -> Result<(), EndpointError> {
        self.append(&Line::Deleted {
            table: table.into(),
        })
    }

    fn append(&self, line: &Line<'_>) -> Result<(), EndpointError> {
        let mut text = serde_json::to_string(line).map_err(|error| self.failed(&error))?;
        text.push('\n');
        let mut tail = self.tail();
        tail.append(&text).map_err(|error| self.failed(&error))
    }

    fn tail(&self) -> MutexGuard<'_, Tail<File>> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn sync(&self) -> Result<(), EndpointError> {
        let tail = self.tail();
        tail.file.sync_data().map_err(|error| self.failed(&error))
    }

    /// Replaces the file by one that holds only this.
    pub(crate) fn rewrite(&self, kept: &Recovered) -> Result<(), EndpointError> {
        let temporary = self.path.with_extension("new");
        let write = || -> std::io::Result<Tail<File>> {
            let mut file = std::io::BufWriter::new(File::create(&temporary)?);
            let mut line = |line: &Line<'_>| -> std::io::Result<()> {
                serde_json::to_writer(&mut file, line)?;
                file.write_all(b"\n")
            };
            for (table, last) in &kept.last_sequences {
                line(&Line::Sequence {
                    table: table.into(),
                    last: *last,
                })?;
            }
            for ((table, consumer), sequence) in &kept.checkpoints {
                line(&Line::Checkpoint {
                    table: table.into(),
                    consumer: consumer.into(),
                    sequence: *sequence,
                })?;
            }
            for commit in &kept.commits {
                line(&Line::Commit(commit.clone()))?;
            }
            file.into_inner()?.sync_all()?;
            std::fs::rename(&temporary, &self.path)?;
            let file = OpenOptions::new().append(true).open(&self.path)?;
            let end = file.metadata()?.len();
            Ok(Tail::new(file, end))
        };
        let replaced = write().map_err(|error| self.failed(&error))?;
        *self.tail() = replaced;
        Ok(())
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> EndpointError {
        EndpointError::Storage {
            path: self.path.clone(),
            what: error.to_string(),
        }
    }
}

/// Reads all whole lines; also tells where the last of them ends.
fn read(file: &File, path: &Path) -> Result<(Recovered, u64), EndpointError> {
    let mut recovered = Recovered::default();
    let mut reader = BufReader::new(file);
    let (mut whole, mut number) = (0, 0);
    let mut text = Vec::new();
    loop {
        text.clear();
        let length =
            reader
                .read_until(b'\n', &mut text)
                .map_err(|error| EndpointError::Storage {
                    path: path.to_owned(),
                    what: error.to_string(),
                })?;
        if text.last() != Some(&b'\n') {
            return Ok((recovered, whole));
        }
        number += 1;
        let line = serde_json::from_slice(&text).map_err(|error| EndpointError::Storage {
            path: path.to_owned(),
            what: format!("line {number} is damaged ({error}); move the data directory away"),
        })?;
        match line {
            Line::Commit(commit) => {
                for write in &commit.writes {
                    if let Some(sequence) = write.sequence {
                        recovered
                            .last_sequences
                            .insert(write.table.to_string(), sequence);
                    }
                }
                recovered.commits.push(commit);
            }
            Line::Abort { .. } => {
                recovered.commits.pop();
            }
            Line::Checkpoint {
                table,
                consumer,
                sequence,
            } => {
                let consumer = (table.into_owned(), consumer.into_owned());
                recovered.checkpoints.insert(consumer, sequence);
            }
            Line::Deleted { table } => recovered.forget(&table),
            Line::Sequence { table, last } => {
                recovered.last_sequences.insert(table.into_owned(), last);
            }
        }
        whole += length as u64;
    }
}
