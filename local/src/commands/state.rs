//! What a running system notes of itself in its data directory, for the command that started it:
//! what is still going on, and what was used. What was noted last is there after a `kill -9`, too.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::used::Used;
use crate::stack::Stack;

/// How often it is noted.
pub(super) const NOTED_EVERY: Duration = Duration::from_millis(100);

/// The state at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// Counts the notes of one run.
    pub number: u64,
    /// What is still going on; none at rest.
    pub unrest: Option<String>,
    /// What was used so far.
    pub used: Used,
}

impl State {
    /// The state now.
    pub(super) fn of(stack: &Stack, number: u64) -> Self {
        Self {
            number,
            unrest: stack.unrest(),
            used: Used::of(stack),
        }
    }

    /// Notes it. (Where that fails, the note before stands.)
    pub(super) fn note(&self, folder: &Path) {
        let Ok(text) = serde_json::to_vec(self) else {
            return;
        };
        let new = path(folder).with_extension("new");
        if std::fs::write(&new, text).is_ok() {
            let _ = std::fs::rename(new, path(folder));
        }
    }

    /// What was noted last; none where nothing was.
    pub(super) fn read(folder: &Path) -> Option<Self> {
        let text = std::fs::read(path(folder)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Forgets what was noted.
    pub(super) fn forget(folder: &Path) {
        // Where there is nothing, there is nothing to forget.
        let _ = std::fs::remove_file(path(folder));
    }
}

fn path(folder: &Path) -> PathBuf {
    folder.join("state.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_last_is_read_and_nothing_where_it_was_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(State::read(folder.path()), None);
        let mut state = State::default();
        state.note(folder.path());
        state.used.gb_seconds = 1.5;
        state.unrest = Some("3 events".to_owned());
        state.note(folder.path());
        assert_eq!(State::read(folder.path()), Some(state));
        State::forget(folder.path());
        assert_eq!(State::read(folder.path()), None);
    }
}
