//! How much functions log: what CloudWatch charges for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use lambda_host::log_sink::{LogLine, LogSink};

/// Passes all lines on, and counts their bytes.
pub(crate) struct LogMeter {
    next: Arc<dyn LogSink>,
    /// By function.
    bytes: Mutex<BTreeMap<String, u64>>,
}

impl LogMeter {
    pub(crate) fn new(next: Arc<dyn LogSink>) -> Self {
        Self {
            next,
            bytes: Mutex::default(),
        }
    }

    /// Bytes of the lines that each function has written so far.
    pub(crate) fn bytes(&self) -> BTreeMap<String, u64> {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.clone()
    }
}

impl LogSink for LogMeter {
    fn line(&self, line: &LogLine<'_>) {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        if !bytes.contains_key(line.function) {
            bytes.insert(line.function.to_owned(), 0);
        }
        if let Some(so_far) = bytes.get_mut(line.function) {
            *so_far += line.text.len() as u64;
        }
        drop(bytes);
        self.next.line(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_host::log_sink::{LogStream, SilentLog};

    #[test]
    fn bytes_are_counted_by_function() {
        let meter = LogMeter::new(Arc::new(SilentLog));
        for (function, text) in [("a", "four"), ("b", "ü"), ("a", "x")] {
            meter.line(&LogLine {
                function,
                process: 1,
                request_id: None,
                stream: LogStream::Stdout,
                text,
            });
        }
        assert_eq!(
            meter.bytes(),
            BTreeMap::from([("a".to_owned(), 5), ("b".to_owned(), 2)])
        );
    }
}
