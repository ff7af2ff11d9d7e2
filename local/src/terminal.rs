//! What is printed: lines of steps, colours only where a terminal shows them.

use std::io::{IsTerminal as _, Write};
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use lambda_host::log_sink::{LogLine, LogSink};

use crate::steps::{Step, StepKind, StepSink};

/// Colours, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Palette {
    on: bool,
}

impl Palette {
    /// No colours.
    pub const PLAIN: Self = Self { on: false };

    /// Colours if standard output is a terminal and `NO_COLOR` is not set (<https://no-color.org>).
    #[must_use]
    pub fn of_stdout() -> Self {
        Self {
            on: std::io::stdout().is_terminal() && !no_color(),
        }
    }

    /// Colours if standard error is a terminal and `NO_COLOR` is not set.
    #[must_use]
    pub fn of_stderr() -> Self {
        Self {
            on: std::io::stderr().is_terminal() && !no_color(),
        }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.on && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// For what is well.
    #[must_use]
    pub fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// For what is wrong.
    #[must_use]
    pub fn bad(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    /// For what to look at.
    #[must_use]
    pub fn warn(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// For what is beside the point.
    #[must_use]
    pub fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// For headings.
    #[must_use]
    pub fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }
}

fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// Where lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Prints steps and log lines, from a thread of its own, so that nobody waits for a slow terminal.
#[derive(Debug)]
pub struct Printer {
    lines: Mutex<Option<Sender<String>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    palette: Palette,
}

impl Printer {
    /// Starts the thread.
    #[must_use]
    pub fn start(output: Output) -> Self {
        let (lines, queue) = channel::<String>();
        let palette = match output {
            Output::Stdout => Palette::of_stdout(),
            Output::Stderr => Palette::of_stderr(),
        };
        let thread = std::thread::spawn(move || {
            for line in queue {
                // Whoever closed the pipe does not want to read on.
                let _ = match output {
                    Output::Stdout => writeln!(std::io::stdout().lock(), "{line}"),
                    Output::Stderr => writeln!(std::io::stderr().lock(), "{line}"),
                };
            }
        });
        Self {
            lines: Mutex::new(Some(lines)),
            thread: Mutex::new(Some(thread)),
            palette,
        }
    }

    /// The colours of its output.
    #[must_use]
    pub fn palette(&self) -> Palette {
        self.palette
    }

    /// Prints a line.
    pub fn line(&self, line: impl Into<String>) {
        let lines = self
            .lines
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(lines) = lines.as_ref() {
            // The thread ends only after this side.
            let _ = lines.send(line.into());
        }
    }

    /// Prints what was given to it, and ends.
    pub fn finish(&self) {
        let lines = self
            .lines
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .take();
        drop(lines);
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl StepSink for Printer {
    fn step(&self, step: Step) {
        self.line(step_line(&step, Timestamp::now(), self.palette));
    }
}

impl LogSink for Printer {
    fn line(&self, line: &LogLine<'_>) {
        let said = printable(line.text);
        let text = format!("              {:<18} | {said}", line.function);
        Self::line(self, self.palette.dim(&text));
    }
}

/// One step as one aligned line: time, stream, event, function, duration, and what else there is.
#[must_use]
pub fn step_line(step: &Step, now: Timestamp, palette: Palette) -> String {
    let time = now.strftime("%H:%M:%S%.3f").to_string();
    let stream = short_ids(&printable(&step.stream));
    let event = short_ids(&printable(&step.event));
    let note = printable(&step.note);
    let duration = step.duration.map(milliseconds).unwrap_or_default();
    let memory = step.memory.map(megabytes).unwrap_or_default();
    let line = format!(
        "{}  {stream:<22} {event:<28} {:<18} {duration:>10} {memory:>7}",
        palette.dim(&time),
        step.function
    );
    let word = step.kind.word();
    let said = [word, &note].iter().filter(|part| !part.is_empty()).fold(
        String::new(),
        |mut said, part| {
            if !said.is_empty() {
                said.push(' ');
            }
            said.push_str(part);
            said
        },
    );
    let said = match step.kind {
        StepKind::Done => palette.dim(&said),
        StepKind::Retried => palette.warn(&said),
        StepKind::Failed | StepKind::DeadLetter | StepKind::Lost => palette.bad(&said),
    };
    format!("{line}  {said}").trim_end().to_owned()
}

/// The text without what a terminal would act on: control characters, and those that turn the
/// direction of writing or begin a line, are written as escapes.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().fold(String::new(), |mut printable, one| {
        match one {
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                printable.extend(one.escape_unicode());
            }
            control if control.is_control() => printable.extend(control.escape_default()),
            plain => printable.push(plain),
        }
        printable
    })
}

/// `24 MB`.
#[must_use]
pub fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes.div_ceil(1 << 20))
}

/// `4.1 ms`.
#[must_use]
pub fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}

/// The text with every UUID cut to its first eight digits, so that lines stay lines.
#[must_use]
pub fn short_ids(text: &str) -> String {
    const LENGTH: usize = 36;
    let mut short = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let candidate = rest.get(..LENGTH);
        if let Some(uuid) = candidate.filter(|candidate| is_uuid(candidate)) {
            short.push_str(&uuid[..8]);
            rest = &rest[LENGTH..];
        } else {
            short.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    short
}

fn is_uuid(text: &str) -> bool {
    text.bytes().enumerate().all(|(index, byte)| match index {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(kind: StepKind, note: &str) -> Step {
        Step {
            kind,
            stream: "order-0f1e2d3c-0000-4000-8000-000000000000".to_owned(),
            event: "OrderPlaced v1".to_owned(),
            function: "update-inventory".to_owned(),
            duration: Some(Duration::from_micros(4_120)),
            memory: Some(24 << 20),
            note: note.to_owned(),
        }
    }

    #[test]
    fn a_step_is_one_aligned_line() {
        let now: Timestamp = "2025-01-01T12:00:00.5Z".parse().unwrap();
        assert_eq!(
            step_line(&step(StepKind::Done, ""), now, Palette::PLAIN),
            "12:00:00.500  order-0f1e2d3c         OrderPlaced v1               \
             update-inventory       4.1 ms   24 MB"
        );
        let failed = step_line(&step(StepKind::Failed, "transient: x"), now, Palette::PLAIN);
        assert!(
            failed.ends_with("4.1 ms   24 MB  FAILED transient: x"),
            "{failed}"
        );
    }

    #[test]
    fn what_a_terminal_would_act_on_is_written_as_an_escape() {
        let mut odd = step(StepKind::Failed, "no\n\u{1b}[2Jsuch");
        odd.stream = "order-\r\u{202e}1".to_owned();
        let line = step_line(&odd, Timestamp::UNIX_EPOCH, Palette::PLAIN);
        assert!(line.contains(r"order-\r\u{202e}1"), "{line}");
        assert!(line.ends_with(r"FAILED no\n\u{1b}[2Jsuch"), "{line}");
        assert_eq!(printable("żółw 🐢"), "żółw 🐢");
    }

    #[test]
    fn ids_are_cut_wherever_they_stand() {
        let id = "0f1e2d3c-0000-4000-8000-000000000000";
        assert_eq!(
            short_ids(&format!("POST /orders/{id}/cancel")),
            "POST /orders/0f1e2d3c/cancel"
        );
        assert_eq!(short_ids("order-67890 żółw"), "order-67890 żółw");
    }

    #[test]
    fn colours_are_only_where_they_are_on() {
        assert_eq!(Palette::PLAIN.bad("x"), "x");
        assert_eq!(Palette { on: true }.bad("x"), "\u{1b}[1;31mx\u{1b}[0m");
    }
}
