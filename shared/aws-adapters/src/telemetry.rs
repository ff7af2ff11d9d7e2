//! Logs: one JSON line per decision on standard output, with ids, never with payloads. Beside its
//! own members a line has the ids of the call: `request_id`, which the access log of the HTTP API
//! names, too, and `trace_id` where a trace is kept.

use crate::environment::optional;
use jiff::Timestamp;
use std::fmt;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields as _, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Starts logging at the level of `AWS_LAMBDA_LOG_LEVEL` (`INFO` where it is not set).
pub fn init() {
    let level = optional("AWS_LAMBDA_LOG_LEVEL")
        .and_then(|level| level.parse().ok())
        .unwrap_or(LevelFilter::INFO);
    // A second call (in a test) keeps the first.
    let _ = tracing_subscriber::fmt()
        .fmt_fields(JsonFields::new())
        .event_format(FlatJson)
        .with_max_level(level)
        .try_init();
}

/// The correlation that a line about something names: none where it is its own id, as with an order
/// that nobody placed in answer to something else.
#[must_use]
pub fn correlation<'c>(correlation: Option<&'c str>, own_id: &str) -> Option<&'c str> {
    correlation.filter(|id| *id != own_id)
}

/// A flat object per line: time, level, what the event says, what its span says. The crate's own
/// JSON nests the span and names it, 40 bytes a line that are paid for and not read.
pub(crate) struct FlatJson;

impl<S> FormatEvent<S, JsonFields> for FlatJson
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let (at, level) = (Timestamp::now(), event.metadata().level());
        write!(line, r#"{{"timestamp":"{at:.3}","level":"{level}""#)?;
        let mut members = String::new();
        context.format_fields(Writer::new(&mut members), event)?;
        append(&mut line, &members)?;
        // The innermost only: around the call's own span is the runtime's, with the same ids.
        if let Some(span) = context.lookup_current() {
            let extensions = span.extensions();
            if let Some(members) = extensions.get::<FormattedFields<JsonFields>>() {
                append(&mut line, members)?;
            }
        }
        writeln!(line, "}}")
    }
}

/// Appends the members of an object to those of the line.
fn append(line: &mut Writer<'_>, object: &str) -> fmt::Result {
    let members = object
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    match members {
        None | Some("") => Ok(()),
        Some(members) => write!(line, ",{members}"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// The lines that are logged meanwhile.
    pub(crate) fn lines_of(act: impl FnOnce()) -> Vec<Value> {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(JsonFields::new())
            .event_format(FlatJson)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, act);
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines().map(serde_json::from_str);
        lines.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn a_line_is_one_flat_object_with_the_ids_of_its_call() {
        let mut lines = lines_of(|| {
            let call = tracing::error_span!("call", request_id = "r", trace_id = None::<&str>);
            call.in_scope(|| {
                tracing::warn!(order_id = %"\"quoted\"", version = 3, "two\nlines");
                tracing::info!("no more");
            });
            tracing::error!(class = "permanent", "outside");
        });
        for line in &mut lines {
            let at = line["timestamp"].take();
            let at: Timestamp = at.as_str().unwrap().parse().unwrap();
            assert!(at.duration_since(Timestamp::now()).as_secs().abs() < 60);
        }
        let expected = [
            json!({"timestamp": null, "level": "WARN", "message": "two\nlines",
                "order_id": "\"quoted\"", "version": 3, "request_id": "r"}),
            json!({"timestamp": null, "level": "INFO", "message": "no more", "request_id": "r"}),
            json!({"timestamp": null, "level": "ERROR", "message": "outside", "class": "permanent"}),
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_line_names_a_correlation_only_where_it_is_not_the_id_that_it_has_anyway() {
        assert_eq!(correlation(Some("order"), "order"), None);
        assert_eq!(correlation(Some("cart"), "order"), Some("cart"));
        assert_eq!(correlation(None, "order"), None);
    }
}
