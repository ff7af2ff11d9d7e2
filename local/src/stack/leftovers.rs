//! What systems left behind that did not end in order: the temporary folders of their AWS
//! endpoints.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

/// Begins the name of each of these folders.
const PREFIX: &str = "aws-endpoint-";
/// The file in each of them that is locked while it is in use.
const LOCK: &str = "lock";
/// A younger folder may be about to be taken by another system.
const AGE: Duration = Duration::from_mins(1);
/// The same, where our own folder may be this young: others take theirs in far less time.
const OWN_AGE: Duration = Duration::from_millis(50);

/// A folder that is removed with it, or, after an end that was not in order, by a later start.
#[derive(Debug)]
pub(crate) struct TemporaryFolder {
    folder: TempDir,
    /// Held as long as it is in use.
    _lock: File,
}

impl TemporaryFolder {
    /// A new one.
    ///
    /// # Errors
    /// When the system has no place for it.
    pub(crate) fn new() -> io::Result<Self> {
        let folder = TempDir::with_prefix(PREFIX)?;
        let lock = File::create(folder.path().join(LOCK))?;
        lock.lock()?;
        Ok(Self {
            folder,
            _lock: lock,
        })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes the folders in `temporary` that no running endpoint holds. What cannot be looked at or
/// removed stays: it is in nobody's way.
pub(super) fn remove(temporary: &Path) {
    remove_older_than(temporary, AGE);
}

/// As at every start, after an end that was not in order: our own folder may be left.
pub fn remove_own() {
    std::thread::sleep(2 * OWN_AGE);
    remove_older_than(&std::env::temp_dir(), OWN_AGE);
}

fn remove_older_than(temporary: &Path, age: Duration) {
    let Ok(entries) = std::fs::read_dir(temporary) else {
        return;
    };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        // Not through a link: what it leads to is somebody else's.
        let folder = entry.metadata().ok().filter(std::fs::Metadata::is_dir);
        let changed = folder.and_then(|folder| folder.modified().ok());
        let is_old = changed
            .and_then(|changed| changed.elapsed().ok())
            .is_some_and(|elapsed| elapsed >= age);
        if ours && is_old {
            remove_unless_held(&entry.path());
        }
    }
}

fn remove_unless_held(folder: &Path) {
    let lock = match File::open(folder.join(LOCK)) {
        Ok(lock) if lock.try_lock().is_ok() => Some(lock),
        // Half removed.
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        _ => return,
    };
    let _ = std::fs::remove_dir_all(folder);
    drop(lock);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_use_is_held_and_goes_with_its_owner() {
        let folder = TemporaryFolder::new().unwrap();
        let path = folder.path().to_owned();
        remove_unless_held(&path);
        assert!(path.exists());
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn only_folders_whose_endpoint_is_gone_are_removed() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let folder = temporary.path().join(name);
            std::fs::create_dir(&folder).unwrap();
            let lock = File::create(folder.join("lock")).unwrap();
            (folder, lock)
        };
        let (left, _) = folder("aws-endpoint-left");
        let (held, lock) = folder("aws-endpoint-held");
        let (other, _) = folder("other");
        lock.lock().unwrap();
        let half_removed = temporary.path().join("aws-endpoint-half");
        std::fs::create_dir(&half_removed).unwrap();
        remove(temporary.path());
        assert!(left.exists() && half_removed.exists(), "about to be taken?");
        remove_older_than(temporary.path(), Duration::ZERO);
        assert!(!left.exists() && !half_removed.exists());
        assert!(held.exists() && other.exists());
    }
}
