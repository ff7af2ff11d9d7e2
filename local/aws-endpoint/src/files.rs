//! Small files of the data directory.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;

use crate::EndpointError;

/// Replaces a file as a whole: a reader, or the next start after a crash,
/// sees the old content or the new one.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<(), EndpointError> {
    write_then_rename(path, content, |temporary| File::create(temporary))
}

/// [`replace`]s a file that may hold secrets: on Unix, nobody but its owner
/// reads it, not even while it is being written.
pub(crate) fn replace_private(path: &Path, content: &[u8]) -> Result<(), EndpointError> {
    write_then_rename(path, content, |temporary| {
        // One that a crash left would keep its mode.
        match std::fs::remove_file(temporary) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(temporary)
    })
}

fn write_then_rename(
    path: &Path,
    content: &[u8],
    create: impl Fn(&Path) -> io::Result<File>,
) -> Result<(), EndpointError> {
    let temporary = path.with_extension("new");
    let write = || -> io::Result<()> {
        create(&temporary)?.write_all(content)?;
        std::fs::rename(&temporary, path)
    };
    write().map_err(|error| EndpointError::Storage {
        path: path.to_owned(),
        what: error.to_string(),
    })
}
