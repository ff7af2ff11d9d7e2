//! Small files of the data directory.

use std::io::Write as _;
use std::path::Path;

use crate::EndpointError;

/// Replaces a file as a whole: a reader, or the next start after a crash,
/// sees the old content or the new one.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<(), EndpointError> {
    let temporary = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        std::fs::File::create(&temporary)?.write_all(content)?;
        std::fs::rename(&temporary, path)
    };
    write().map_err(|error| EndpointError::Storage {
        path: path.to_owned(),
        what: error.to_string(),
    })
}
