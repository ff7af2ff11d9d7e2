//! The objects of S3 as files: `<folder>/<bucket>/<key>`.
//!
//! A key is a path as it is; only what a file cannot be called is written in percent signs.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::time::SystemTime;

use uuid::Uuid;

/// Begins the name of a file that is being written: no key gives such a name.
const UNFINISHED: &str = "%new-";

/// An object in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedObject {
    pub(crate) key: String,
    pub(crate) bytes: u64,
    pub(crate) modified: SystemTime,
}

/// The buckets.
#[derive(Debug)]
pub(crate) struct Buckets {
    folder: PathBuf,
    names: RwLock<BTreeSet<String>>,
}

impl Buckets {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            names: RwLock::default(),
        }
    }

    pub(crate) fn create(&self, name: &str) {
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        names.insert(name.to_owned());
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        names.contains(name)
    }

    /// Writes an object as a whole.
    pub(crate) fn put(&self, bucket: &str, key: &str, content: &[u8]) -> io::Result<()> {
        let path = self.path(bucket, key);
        let folder = path.parent().unwrap_or(&self.folder);
        std::fs::create_dir_all(folder)?;
        let unfinished = folder.join(format!("{UNFINISHED}{}", Uuid::new_v4()));
        let write = || {
            File::create(&unfinished)?.write_all(content)?;
            std::fs::rename(&unfinished, &path)
        };
        let written = write();
        if written.is_err() {
            // It is in nobody's way: lists leave it out.
            let _ = std::fs::remove_file(&unfinished);
        }
        written
    }

    /// An object and when it was written; none for no object.
    pub(crate) fn get(&self, bucket: &str, key: &str) -> io::Result<Option<(Vec<u8>, SystemTime)>> {
        let path = self.path(bucket, key);
        match std::fs::metadata(&path) {
            Ok(found) if found.is_file() => Ok(Some((std::fs::read(&path)?, found.modified()?))),
            Ok(_) => Ok(None),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The objects whose keys begin so, in the order of their keys.
    pub(crate) fn list(&self, bucket: &str, prefix: &str) -> io::Result<Vec<ListedObject>> {
        let mut found = Vec::new();
        list_folder(&self.folder.join(file_name(bucket)), "", prefix, &mut found)?;
        found.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(found)
    }

    fn path(&self, bucket: &str, key: &str) -> PathBuf {
        let bucket = self.folder.join(file_name(bucket));
        key.split('/')
            .fold(bucket, |path, part| path.join(file_name(part)))
    }
}

fn list_folder(
    folder: &Path,
    above: &str,
    prefix: &str,
    found: &mut Vec<ListedObject>,
) -> io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if is_absent(&error) => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some(part) = name.to_str().and_then(part_of_key) else {
            continue;
        };
        let key = format!("{above}{part}");
        let facts = entry.metadata()?;
        if facts.is_dir() {
            let below = format!("{key}/");
            if below.starts_with(prefix) || prefix.starts_with(&below) {
                list_folder(&entry.path(), &below, prefix, found)?;
            }
        } else if key.starts_with(prefix) {
            found.push(ListedObject {
                key,
                bytes: facts.len(),
                modified: facts.modified()?,
            });
        }
    }
    Ok(())
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// What a part of a key is called as a file.
fn file_name(part: &str) -> String {
    match part {
        "" => return "%".to_owned(),
        "." => return "%2E".to_owned(),
        ".." => return "%2E%2E".to_owned(),
        _ => {}
    }
    let mut name = String::with_capacity(part.len());
    for c in part.chars() {
        if c == '%' || c == '\\' || c.is_ascii_control() {
            name += &format!("%{:02X}", u32::from(c));
        } else {
            name.push(c);
        }
    }
    name
}

/// The part of a key that is called so; none for a file that is none.
fn part_of_key(name: &str) -> Option<String> {
    if name == "%" {
        return Some(String::new());
    }
    let mut pieces = name.split('%');
    let mut part = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let code = u8::from_str_radix(piece.get(..2)?, 16).ok()?;
        part.push(char::from(code));
        part += &piece[2..];
    }
    Some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets() -> (tempfile::TempDir, Buckets) {
        let folder = tempfile::tempdir().unwrap();
        let buckets = Buckets::new(folder.path().join("archive"));
        buckets.create("b");
        (folder, buckets)
    }

    fn keys(buckets: &Buckets, prefix: &str) -> Vec<String> {
        let listed = buckets.list("b", prefix).unwrap();
        listed.into_iter().map(|object| object.key).collect()
    }

    #[test]
    fn an_object_is_a_file_with_its_key_as_its_path() {
        let (folder, buckets) = buckets();
        let key = "events/day=2025-01-02/type=OrderPlaced/a.gz";
        buckets.put("b", key, b"content").unwrap();
        let path = folder.path().join("archive/b").join(key);
        assert_eq!(std::fs::read(path).unwrap(), b"content");
        assert_eq!(buckets.get("b", key).unwrap().unwrap().0, b"content");
        assert_eq!(buckets.get("b", "events").unwrap(), None);
        assert_eq!(buckets.get("b", &format!("{key}/x")).unwrap(), None);
    }

    #[test]
    fn objects_are_listed_by_prefix_in_the_order_of_their_keys() {
        let (_folder, buckets) = buckets();
        assert_eq!(keys(&buckets, ""), Vec::<String>::new());
        for key in ["a/2", "a/1", "a-b", "b/c/d"] {
            buckets.put("b", key, b"").unwrap();
        }
        assert_eq!(keys(&buckets, ""), ["a-b", "a/1", "a/2", "b/c/d"]);
        assert_eq!(keys(&buckets, "a/"), ["a/1", "a/2"]);
        assert_eq!(keys(&buckets, "b/c"), ["b/c/d"]);
        assert_eq!(keys(&buckets, "c"), Vec::<String>::new());
    }

    #[test]
    fn no_key_leads_out_of_its_bucket() {
        let (folder, buckets) = buckets();
        let odd = [
            "../../out",
            "/a",
            "a//b",
            "./c",
            "50%",
            "x\\y",
            "%new-1",
            "l\n",
        ];
        for key in odd {
            buckets.put("b", key, key.as_bytes()).unwrap();
            let (content, _) = buckets.get("b", key).unwrap().unwrap();
            assert_eq!(content, key.as_bytes());
        }
        let mut expected = odd.map(str::to_owned);
        expected.sort();
        assert_eq!(keys(&buckets, ""), expected);
        assert!(!folder.path().join("out").exists());
        let file = folder.path().join("archive/b/%new-2");
        std::fs::write(file, b"half").unwrap();
        assert_eq!(keys(&buckets, ""), expected, "unfinished");
    }
}
