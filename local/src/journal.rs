//! The events that functions have yet to be called with, kept in a file over a restart.
//!
//! `async-invocations.jsonl`: one line when an event is accepted or tried, `{"record": …}`, one
//! when it is done with, `{"done": id}`. A line is with the operating system before the event
//! counts as accepted, so it survives the end of this process, however sudden; a power cut may
//! take the last ones. The file is rewritten when it is mostly history.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lambda_host::async_invoke::{Journal, PendingInvocation};
use serde::Deserialize;
use serde_json::{Value, json};

/// Lines of history beyond which the file is rewritten.
const HISTORY_LINES: usize = 20_000;

/// A journal in a file.
pub(crate) struct FileJournal {
    state: Mutex<State>,
    path: PathBuf,
}

struct State {
    file: File,
    /// What of the file is whole lines; beyond it is what a failed write left.
    good_bytes: u64,
    /// The line of each event that is not done with: what the file is rewritten from.
    pending: BTreeMap<String, String>,
    lines: usize,
    history_lines: usize,
}

impl FileJournal {
    /// Opens the journal, and gives back what it holds.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, Vec<PendingInvocation>)> {
        Self::open_with(path, HISTORY_LINES)
    }

    fn open_with(path: &Path, history_lines: usize) -> io::Result<(Self, Vec<PendingInvocation>)> {
        let kept = match std::fs::read(path) {
            Ok(kept) => kept,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let restored = read(&kept)?;
        let pending = restored
            .iter()
            .map(|(id, (line, _))| (id.clone(), line.clone()))
            .collect();
        let (file, good_bytes) = rewrite(path, &pending)?;
        let journal = Self {
            state: Mutex::new(State {
                file,
                good_bytes,
                lines: pending.len(),
                pending,
                history_lines,
            }),
            path: path.to_owned(),
        };
        let restored = restored.into_values().map(|(_, record)| record).collect();
        Ok((journal, restored))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rewrites the file when it is mostly history. When that fails, it goes on as it is.
    fn compact(&self, state: &mut State) {
        if state.lines <= state.history_lines + 2 * state.pending.len() {
            return;
        }
        state.lines = state.pending.len();
        if let Ok((file, good_bytes)) = rewrite(&self.path, &state.pending) {
            state.file = file;
            state.good_bytes = good_bytes;
        }
    }
}

impl State {
    /// Adds a line as a whole, or not at all.
    fn add(&mut self, line: &str) -> io::Result<()> {
        // Where an earlier write failed, its beginning may still be there.
        if self.file.metadata()?.len() != self.good_bytes {
            self.file.set_len(self.good_bytes)?;
        }
        let line = format!("{line}\n");
        if let Err(error) = self.file.write_all(line.as_bytes()) {
            // Done again before the next line where it fails now.
            let _ = self.file.set_len(self.good_bytes);
            return Err(error);
        }
        self.good_bytes += line.len() as u64;
        self.lines += 1;
        Ok(())
    }
}

/// The events that are not done with, each with its line, by id.
fn read(kept: &[u8]) -> io::Result<BTreeMap<String, (String, PendingInvocation)>> {
    let mut pending = BTreeMap::new();
    let lines: Vec<&[u8]> = kept
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .collect();
    for (index, line) in lines.iter().enumerate() {
        match entry(line) {
            Ok(Entry::Done(id)) => {
                pending.remove(&id);
            }
            Ok(Entry::Record(line, record)) => {
                pending.insert(record.id.clone(), (line, *record));
            }
            // It may have been cut by the end of the process: then it was never accepted.
            Err(_) if index + 1 == lines.len() => {}
            Err(error) => {
                let problem = format!(
                    "line {} is damaged ({error}); correct it, or delete it to lose that event",
                    index + 1
                );
                return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
            }
        }
    }
    Ok(pending)
}

enum Entry {
    Done(String),
    Record(String, Box<PendingInvocation>),
}

fn entry(line: &[u8]) -> Result<Entry, serde_json::Error> {
    let mut entry: Value = serde_json::from_slice(line)?;
    if let Some(id) = entry["done"].as_str() {
        return Ok(Entry::Done(id.to_owned()));
    }
    let record = PendingInvocation::deserialize(entry["record"].take())?;
    let line = String::from_utf8_lossy(line).into_owned();
    Ok(Entry::Record(line, Box::new(record)))
}

/// Replaces the file by what is pending; opened for more, with its length.
fn rewrite(path: &Path, pending: &BTreeMap<String, String>) -> io::Result<(File, u64)> {
    let temporary = path.with_extension("new");
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut text = String::new();
    for line in pending.values() {
        text.push_str(line);
        text.push('\n');
    }
    // The file that is written to is the one that gets the name: nothing is opened after that.
    let mut options = OpenOptions::new();
    let mut file = options.append(true).create_new(true).open(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_data()?;
    std::fs::rename(&temporary, path)?;
    Ok((file, text.len() as u64))
}

impl Journal for FileJournal {
    fn record(&self, pending: &PendingInvocation) -> io::Result<()> {
        let line = json!({"record": serde_json::to_value(pending)?}).to_string();
        let mut state = self.state();
        state.add(&line)?;
        // Before the file is rewritten, which is from these.
        state.pending.insert(pending.id.clone(), line);
        self.compact(&mut state);
        Ok(())
    }

    fn done(&self, id: &str) -> io::Result<()> {
        let mut state = self.state();
        if !state.pending.contains_key(id) {
            return Ok(());
        }
        state.add(&json!({"done": id}).to_string())?;
        state.pending.remove(id);
        self.compact(&mut state);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_host::async_invoke::Origin;

    fn pending(id: &str) -> PendingInvocation {
        PendingInvocation {
            id: id.to_owned(),
            function: "notify-user".to_owned(),
            payload: r#"{"totalAmount":150.75}"#.to_owned(),
            trace: None,
            source: Origin::Rule("orders".to_owned()),
            submitted_ms: 1,
            not_before_ms: 2,
            attempts: 0,
            throttles: 0,
            last_response: None,
        }
    }

    #[test]
    fn what_is_not_done_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("async-invocations.jsonl");
        let (journal, before) = FileJournal::open(&path).unwrap();
        assert_eq!(before, []);
        journal.record(&pending("a")).unwrap();
        journal.record(&pending("b")).unwrap();
        let tried = PendingInvocation {
            attempts: 1,
            ..pending("b")
        };
        journal.record(&tried).unwrap();
        journal.done("a").unwrap();
        drop(journal);
        let (_, after) = FileJournal::open(&path).unwrap();
        assert_eq!(after, [tried]);
    }

    #[test]
    fn a_line_that_was_cut_is_not_accepted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("async-invocations.jsonl");
        let (journal, _) = FileJournal::open(&path).unwrap();
        journal.record(&pending("a")).unwrap();
        drop(journal);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(br#"{"record": {"id": "b", "func"#).unwrap();
        let (journal, after) = FileJournal::open(&path).unwrap();
        assert_eq!(after, [pending("a")]);
        journal.record(&pending("c")).unwrap();
        drop(journal);
        let (_, after) = FileJournal::open(&path).unwrap();
        assert_eq!(after, [pending("a"), pending("c")]);
    }

    #[test]
    fn the_event_that_makes_the_file_be_rewritten_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("async-invocations.jsonl");
        let (journal, _) = FileJournal::open_with(&path, 4).unwrap();
        for number in 0..50 {
            let id = format!("id-{number}");
            journal.record(&pending(&id)).unwrap();
            let kept = read(&std::fs::read(&path).unwrap()).unwrap();
            assert!(kept.contains_key(&id), "{id}");
            journal.done(&id).unwrap();
            let kept = read(&std::fs::read(&path).unwrap()).unwrap();
            assert!(kept.is_empty(), "{id}");
        }
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 6, "{lines}");
    }

    #[test]
    fn what_a_failed_write_left_is_gone_before_the_next_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("async-invocations.jsonl");
        let (journal, _) = FileJournal::open(&path).unwrap();
        journal.record(&pending("a")).unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(br#"{"record": {"id": "x""#).unwrap();
        journal.record(&pending("b")).unwrap();
        drop(journal);
        let (_, after) = FileJournal::open(&path).unwrap();
        assert_eq!(after, [pending("a"), pending("b")]);
    }

    #[test]
    fn an_event_that_cannot_be_written_is_not_accepted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("async-invocations.jsonl");
        let (journal, _) = FileJournal::open(&path).unwrap();
        journal.record(&pending("a")).unwrap();
        // A handle that only reads: every write fails.
        journal.state().file = File::open(&path).unwrap();
        assert!(journal.record(&pending("b")).is_err());
        assert!(journal.done("a").is_err());
        assert_eq!(journal.state().pending.len(), 1);
        drop(journal);
        let (_, after) = FileJournal::open(&path).unwrap();
        assert_eq!(after, [pending("a")]);
    }

    #[test]
    fn a_damaged_line_in_the_middle_is_named_and_a_cut_letter_at_the_end_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("async-invocations.jsonl");
        std::fs::write(&path, "{\"done\":\"a\"}\n{oops\n{\"done\":\"b\"}\n").unwrap();
        let refused = FileJournal::open(&path).err().unwrap();
        assert!(refused.to_string().contains("line 2"), "{refused}");
        std::fs::write(&path, b"{\"done\":\"a\"}\n{\"record\":\"\xc5").unwrap();
        assert_eq!(FileJournal::open(&path).unwrap().1, []);
    }
}
