//! Logs: one JSON line per decision on standard output, with ids, never with payloads.
//! `span` has those of the call: `request_id`, and `trace_id` where a trace is kept.

use crate::environment::optional;
use tracing_subscriber::filter::LevelFilter;

/// Starts logging at the level of `AWS_LAMBDA_LOG_LEVEL` (`INFO` where it is not set).
pub fn init() {
    let level = optional("AWS_LAMBDA_LOG_LEVEL")
        .and_then(|level| level.parse().ok())
        .unwrap_or(LevelFilter::INFO);
    // A second call (in a test) keeps the first.
    let _ = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_target(false)
        .with_max_level(level)
        .with_ansi(false)
        .try_init();
}
