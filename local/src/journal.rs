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
    pending: BTreeMap<String, String>,
    lines: usize,
}

impl FileJournal {
    /// Opens the journal, and gives back what it holds.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, Vec<PendingInvocation>)> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let mut pending = BTreeMap::new();
        let mut restored = BTreeMap::new();
        for line in text.lines() {
            // The last line may have been cut by the end of the process: it was never accepted.
            let Ok(mut entry) = serde_json::from_str::<Value>(line) else {
                continue;
            };
            if let Some(id) = entry["done"].as_str() {
                pending.remove(id);
                restored.remove(id);
            } else if let Ok(record) = PendingInvocation::deserialize(entry["record"].take()) {
                pending.insert(record.id.clone(), line.to_owned());
                restored.insert(record.id.clone(), record);
            }
        }
        let lines = pending.len();
        let file = rewrite(path, &pending)?;
        let journal = Self {
            state: Mutex::new(State {
                file,
                pending,
                lines,
            }),
            path: path.to_owned(),
        };
        Ok((journal, restored.into_values().collect()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, state: &mut State, line: &str) -> io::Result<()> {
        state.file.write_all(format!("{line}\n").as_bytes())?;
        state.lines += 1;
        if state.lines > HISTORY_LINES + 2 * state.pending.len() {
            state.file = rewrite(&self.path, &state.pending)?;
            state.lines = state.pending.len();
        }
        Ok(())
    }
}

/// Replaces the file by what is pending; opened for more.
fn rewrite(path: &Path, pending: &BTreeMap<String, String>) -> io::Result<File> {
    let temporary = path.with_extension("new");
    let mut text = String::new();
    for line in pending.values() {
        text.push_str(line);
        text.push('\n');
    }
    std::fs::write(&temporary, text)?;
    std::fs::rename(&temporary, path)?;
    OpenOptions::new().append(true).open(path)
}

impl Journal for FileJournal {
    fn record(&self, pending: &PendingInvocation) -> io::Result<()> {
        let line = json!({"record": serde_json::to_value(pending)?}).to_string();
        let mut state = self.state();
        self.add(&mut state, &line)?;
        state.pending.insert(pending.id.clone(), line);
        Ok(())
    }

    fn done(&self, id: &str) -> io::Result<()> {
        let mut state = self.state();
        if state.pending.remove(id).is_none() {
            return Ok(());
        }
        self.add(&mut state, &json!({"done": id}).to_string())
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
}
