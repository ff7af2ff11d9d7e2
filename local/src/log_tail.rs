//! The end of an invocation's log, as the Invoke API gives it back on request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lambda_host::log_sink::{LogLine, LogSink};

/// What the Invoke API gives back at most, as AWS has it.
/// <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html#API_Invoke_ResponseSyntax>
const MAX_BYTES: usize = 4096;
/// A chatty invocation's lines are cut whenever there are more.
const CUT_BEYOND: usize = 64 * MAX_BYTES;
/// Lines come through a pipe, so the last ones can be behind the answer by so much.
const BEHIND: Duration = Duration::from_millis(20);

/// Passes all lines on, and keeps those of the invocations that somebody asks for.
pub(crate) struct LogTail {
    next: Arc<dyn LogSink>,
    kept: Mutex<HashMap<String, String>>,
}

impl LogTail {
    pub(crate) fn new(next: Arc<dyn LogSink>) -> Self {
        Self {
            next,
            kept: Mutex::default(),
        }
    }

    /// Keeps the lines of this invocation from now on.
    pub(crate) fn keep(&self, request_id: &str) {
        self.kept().insert(request_id.to_owned(), String::new());
    }

    /// The last lines of this invocation, which has ended; they are not kept any more.
    pub(crate) async fn take(&self, request_id: &str) -> String {
        tokio::time::sleep(BEHIND).await;
        let mut text = self.kept().remove(request_id).unwrap_or_default();
        cut(&mut text);
        text
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogSink for LogTail {
    fn line(&self, line: &LogLine<'_>) {
        if let Some(id) = line.request_id
            && let Some(text) = self.kept().get_mut(id)
        {
            text.push_str(line.text);
            text.push('\n');
            if text.len() > CUT_BEYOND {
                cut(text);
            }
        }
        self.next.line(line);
    }
}

/// Leaves the last [`MAX_BYTES`], at most.
fn cut(text: &mut String) {
    let mut from = text.len().saturating_sub(MAX_BYTES);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text.drain(..from);
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_host::log_sink::{LogStream, SilentLog};

    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_asked_invocation_comes_back() {
        let tail = LogTail::new(Arc::new(SilentLog));
        tail.keep("a");
        for number in 0..100_000 {
            for id in ["a", "b"] {
                tail.line(&LogLine {
                    function: "f",
                    process: 1,
                    request_id: Some(id),
                    stream: LogStream::Stderr,
                    text: &format!("żółw {number} of {id}"),
                });
            }
        }
        let text = tail.take("a").await;
        assert!(text.len() <= MAX_BYTES);
        assert!(
            text.ends_with("żółw 99998 of a\nżółw 99999 of a\n"),
            "{text}"
        );
        assert_eq!(tail.take("a").await, "", "taken once");
        assert_eq!(tail.take("b").await, "", "nobody asked");
    }
}
