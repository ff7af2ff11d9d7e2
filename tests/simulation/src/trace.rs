//! What happened in a world, step by step: always as a hash, on request as text.

use std::fmt::{Arguments, Write as _};
use std::time::Duration;

/// The history of one world.
#[derive(Debug, Default)]
pub struct Trace {
    hash: u64,
    length: u64,
    text: Option<String>,
    line: String,
}

impl Trace {
    /// A trace that keeps its text, or only its hash.
    #[must_use]
    pub fn new(keeps_text: bool) -> Self {
        Self {
            hash: 0xcbf2_9ce4_8422_2325,
            text: keeps_text.then(String::new),
            ..Self::default()
        }
    }

    /// Notes what happened after so much virtual time.
    pub fn note(&mut self, after: Duration, what: Arguments<'_>) {
        self.line.clear();
        // Writing to a text cannot fail.
        let _ = write!(self.line, "{:>12.3}s {what}", after.as_secs_f64());
        for byte in self.line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.length += 1;
        if let Some(text) = &mut self.text {
            text.push_str(&self.line);
            text.push('\n');
        }
    }

    /// The hash of everything noted.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash ^ self.length
    }

    /// The text, where it was kept.
    pub fn take_text(&mut self) -> Option<String> {
        self.text.take()
    }
}
