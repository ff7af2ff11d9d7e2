//! A file of JSON lines that survives a restart: appended to, read at start, rewritten there
//! without what is done with.
//!
//! A line is with the operating system when [`Lines::append`] returns, so it outlives the process
//! and not a power cut; the file is synced at shutdown and when it is rewritten.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::EndpointError;
use crate::streams::tail::Tail;

/// The open file.
#[derive(Debug)]
pub(crate) struct Lines {
    path: PathBuf,
    tail: Mutex<Tail<File>>,
}

impl Lines {
    /// Opens the file, drops a torn last line, and reads the others.
    pub(crate) fn open<T: DeserializeOwned>(path: &Path) -> Result<(Self, Vec<T>), EndpointError> {
        let failed = |error: &dyn std::fmt::Display| EndpointError::Storage {
            path: path.to_owned(),
            what: error.to_string(),
        };
        let mut options = OpenOptions::new();
        let file = options.create(true).read(true).append(true).open(path);
        let file = file.map_err(|error| failed(&error))?;
        let mut reader = BufReader::new(&file);
        let (mut found, mut whole, mut line) = (Vec::new(), 0, Vec::new());
        loop {
            line.clear();
            let length = reader.read_until(b'\n', &mut line);
            let length = length.map_err(|error| failed(&error))?;
            if line.last() != Some(&b'\n') {
                break;
            }
            found.push(serde_json::from_slice(&line).map_err(|error| {
                let number = found.len() + 1;
                failed(&format!(
                    "line {number} is damaged ({error}); move the data directory away"
                ))
            })?);
            whole += length as u64;
        }
        file.set_len(whole).map_err(|error| failed(&error))?;
        let lines = Self {
            path: path.to_owned(),
            tail: Mutex::new(Tail::new(file, whole)),
        };
        Ok((lines, found))
    }

    /// Appends a line.
    pub(crate) fn append(&self, line: &impl Serialize) -> Result<(), EndpointError> {
        self.append_all(std::slice::from_ref(line))
    }

    /// Appends lines, all of them or none.
    pub(crate) fn append_all(&self, lines: &[impl Serialize]) -> Result<(), EndpointError> {
        let mut text = String::new();
        for line in lines {
            text += &serde_json::to_string(line).map_err(|error| self.failed(&error))?;
            text.push('\n');
        }
        let mut tail = self.tail();
        tail.append(&text).map_err(|error| self.failed(&error))
    }

    /// Replaces the file by one that holds only this.
    pub(crate) fn rewrite<T: Serialize>(
        &self,
        kept: impl IntoIterator<Item = T>,
    ) -> Result<(), EndpointError> {
        let temporary = self.path.with_extension("new");
        // Held, so that nothing is appended to the file that goes.
        let mut tail = self.tail();
        let write = || -> std::io::Result<Tail<File>> {
            let mut file = BufWriter::new(File::create(&temporary)?);
            for line in kept {
                serde_json::to_writer(&mut file, &line)?;
                file.write_all(b"\n")?;
            }
            file.into_inner()?.sync_all()?;
            std::fs::rename(&temporary, &self.path)?;
            let file = OpenOptions::new().append(true).open(&self.path)?;
            let end = file.metadata()?.len();
            Ok(Tail::new(file, end))
        };
        *tail = write().map_err(|error| self.failed(&error))?;
        Ok(())
    }

    /// Hands everything to the disk.
    pub(crate) fn sync(&self) -> Result<(), EndpointError> {
        let tail = self.tail();
        tail.file.sync_data().map_err(|error| self.failed(&error))
    }

    fn tail(&self) -> MutexGuard<'_, Tail<File>> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> EndpointError {
        EndpointError::Storage {
            path: self.path.clone(),
            what: error.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_last_line_never_was_and_the_next_one_follows_the_whole_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines.jsonl");
        std::fs::write(&path, "1\n2\n3").unwrap();
        let (lines, found) = Lines::open::<u32>(&path).unwrap();
        assert_eq!(found, [1, 2]);
        lines.append(&4).unwrap();
        drop(lines);
        let (lines, found) = Lines::open::<u32>(&path).unwrap();
        assert_eq!(found, [1, 2, 4]);
        lines.rewrite([4]).unwrap();
        lines.append(&5).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "4\n5\n");
    }

    #[test]
    fn a_damaged_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines.jsonl");
        std::fs::write(&path, "1\nx\n").unwrap();
        let error = Lines::open::<u32>(&path).unwrap_err().to_string();
        assert!(error.contains("line 2 is damaged"), "{error}");
    }
}
