//! Where the lines go that a function writes.

/// Which of a function's outputs a line was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One line that a function's process wrote, without its line end.
#[derive(Debug, Clone, Copy)]
pub struct LogLine<'a> {
    /// Name of the function.
    pub function: &'a str,
    /// Number of the process (see [`crate::Invocation::process`]).
    pub process: u32,
    /// Request id of the invocation that the process has, or had last; none while it initialises.
    pub request_id: Option<&'a str>,
    /// Output that the line came from.
    pub stream: LogStream,
    /// The text; bytes that are not UTF-8 are replaced.
    pub text: &'a str,
}

/// Takes the lines that functions write. Called from the host's tasks: must not block.
pub trait LogSink: Send + Sync + 'static {
    /// Takes one line.
    fn line(&self, line: &LogLine<'_>);
}

/// Drops every line.
#[derive(Debug, Clone, Copy, Default)]
pub struct SilentLog;

impl LogSink for SilentLog {
    fn line(&self, _line: &LogLine<'_>) {}
}

/// Writes every line to this process's standard error, with the function's name before it.
#[derive(Debug, Clone, Copy, Default)]
pub struct StderrLog;

impl LogSink for StderrLog {
    fn line(&self, line: &LogLine<'_>) {
        eprintln!("{}/{} {}", line.function, line.process, line.text);
    }
}
