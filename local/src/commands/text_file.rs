//! Files of text, as editors on all systems leave them.

use std::path::Path;

use crate::error::LocalError;

/// What some editors write before the first character of UTF-8.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Reads a file of UTF-8, without a byte order mark.
pub(super) fn read(path: &Path) -> Result<String, LocalError> {
    let text = std::fs::read_to_string(path).map_err(|error| LocalError::file(path, error))?;
    Ok(without_mark(&text).to_owned())
}

/// The text without the byte order mark that it may begin with.
pub(super) fn without_mark(text: &str) -> &str {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("marked.json");
        std::fs::write(&path, b"\xef\xbb\xbf{}").unwrap();
        assert_eq!(read(&path).unwrap(), "{}");
        assert_eq!(without_mark("{}"), "{}");
    }
}
