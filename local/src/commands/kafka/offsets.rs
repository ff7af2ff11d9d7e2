//! How far a topic was brought, kept in a file.

use std::path::{Path, PathBuf};

use super::Positions;
use crate::error::LocalError;

/// The next offset of each partition.
#[derive(Debug)]
pub(super) struct Offsets {
    path: Option<PathBuf>,
    next: Positions,
}

impl Offsets {
    /// What is kept in the file; nothing where there is none yet.
    ///
    /// # Errors
    /// [`LocalError`], when it cannot be read.
    pub(super) fn read(path: Option<&Path>) -> Result<Self, LocalError> {
        let next = match path.filter(|path| path.exists()) {
            None => Positions::new(),
            Some(path) => {
                let text = std::fs::read_to_string(path);
                let text = text.map_err(|error| LocalError::file(path, error))?;
                serde_json::from_str(&text).map_err(|error| LocalError::Input {
                    path: path.to_owned(),
                    line: Some(error.line()),
                    problem: format!("is not one JSON object of offsets by partition: {error}"),
                })?
            }
        };
        Ok(Self {
            path: path.map(Path::to_owned),
            next,
        })
    }

    /// Where a partition goes on.
    pub(super) fn of(&self, partition: &str) -> Option<i64> {
        self.next.get(partition).copied()
    }

    /// Notes where it goes on; on disk before anything else is brought.
    ///
    /// # Errors
    /// [`LocalError`], when it cannot be written.
    pub(super) fn note(&mut self, partition: &str, next: i64) -> Result<(), LocalError> {
        self.next.insert(partition.to_owned(), next);
        let Some(path) = &self.path else {
            return Ok(());
        };
        let text = serde_json::to_string(&self.next).unwrap_or_default();
        // Written beside it and moved: the file is there whole or as it was.
        let beside = path.with_extension("new");
        std::fs::write(&beside, text)
            .and_then(|()| std::fs::rename(&beside, path))
            .map_err(|error| LocalError::file(path, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_kept_over_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("offsets.json");
        let mut offsets = Offsets::read(Some(&path)).unwrap();
        assert_eq!(offsets.of("t-0"), None);
        offsets.note("t-0", 7).unwrap();
        offsets.note("t-1", 3).unwrap();
        let again = Offsets::read(Some(&path)).unwrap();
        assert_eq!((again.of("t-0"), again.of("t-1")), (Some(7), Some(3)));
        std::fs::write(&path, "[]").unwrap();
        assert!(Offsets::read(Some(&path)).is_err());
    }
}
