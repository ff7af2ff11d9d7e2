//! The end of the change log, where whole lines are appended or nothing.

use std::fs::File;
use std::io::{Error, Result, Write};

/// What lines are appended to: a file, and in tests one that fails.
pub(crate) trait Appendable: Write {
    /// Cuts what was written back to this length.
    fn cut(&mut self, length: u64) -> Result<()>;
}

impl Appendable for File {
    fn cut(&mut self, length: u64) -> Result<()> {
        self.set_len(length)
    }
}

/// An open log file and where its last whole line ends.
#[derive(Debug)]
pub(crate) struct Tail<F> {
    pub(crate) file: F,
    end: u64,
    /// Set when half a line, or a line that should not be there, may be at the
    /// end. Anything appended behind it would make the log unreadable or
    /// wrong, while as the last line it is dropped or completed at start.
    broken: bool,
}

impl<F: Appendable> Tail<F> {
    pub(crate) fn new(file: F, end: u64) -> Self {
        Self {
            file,
            end,
            broken: false,
        }
    }

    /// Appends a line, with its line break. When that fails (a full disk), the
    /// file is as it was before, or takes no further line.
    pub(crate) fn append(&mut self, line: &str) -> Result<()> {
        if self.broken {
            return Err(Error::other(
                "an earlier write failed and could not be undone; restart",
            ));
        }
        match self.file.write_all(line.as_bytes()) {
            Ok(()) => {
                self.end += line.len() as u64;
                Ok(())
            }
            Err(error) => {
                self.broken = self.file.cut(self.end).is_err();
                Err(error)
            }
        }
    }

    /// Takes no further line until the next start.
    pub(crate) fn close(&mut self) {
        self.broken = true;
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Error, Result, Write};

    use super::{Appendable, Tail};

    /// A disk with room for so many bytes, which can be told not to cut.
    #[derive(Debug)]
    struct Disk {
        content: Vec<u8>,
        room: usize,
        cuts: bool,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> Result<usize> {
            let fits = bytes.len().min(self.room - self.content.len());
            if fits == 0 {
                return Err(Error::other("disk full"));
            }
            self.content.extend(&bytes[..fits]);
            Ok(fits)
        }

        fn flush(&mut self) -> Result<()> {
            Ok(())
        }
    }

    impl Appendable for Disk {
        fn cut(&mut self, length: u64) -> Result<()> {
            if !self.cuts {
                return Err(Error::other("input/output error"));
            }
            self.content
                .truncate(usize::try_from(length).map_err(Error::other)?);
            Ok(())
        }
    }

    fn disk(cuts: bool) -> Tail<Disk> {
        let content = b"first\n".to_vec();
        let disk = Disk {
            content,
            room: 20,
            cuts,
        };
        Tail::new(disk, 6)
    }

    #[test]
    fn half_a_line_on_a_full_disk_is_taken_back_and_the_next_line_follows_the_last_whole_one() {
        let mut tail = disk(true);
        assert!(tail.append("second\n").is_ok());
        assert!(tail.append("a line that does not fit\n").is_err());
        assert_eq!(tail.file.content, b"first\nsecond\n");
        assert!(tail.append("third\n").is_ok());
        assert_eq!(tail.file.content, b"first\nsecond\nthird\n");
    }

    #[test]
    fn nothing_is_written_behind_half_a_line_that_cannot_be_taken_back() {
        let mut tail = disk(false);
        assert!(tail.append("a line that does not fit\n").is_err());
        tail.file.room = 100;
        assert!(tail.append("second\n").is_err());
        assert_eq!(tail.file.content, b"first\na line that do");
    }
}
