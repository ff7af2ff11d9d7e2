//! `verify`: whether what is stored is what was appended.

use std::io::Write as _;
use std::process::ExitCode;

use event_sourcing::chain;
use invariants::{ORDER_STREAM, StoreView};
use serde_json::{Value, json};

use super::interrupted;
use super::interruption::Interruption;
use super::system::{Needs, System};
use crate::cli::{StackArgs, VerifyArgs};
use crate::error::LocalError;
use crate::store_view::{self, Store};

/// What was found.
struct Findings {
    streams: usize,
    events: usize,
    /// One sentence for each stream that is not as it was appended.
    tampered: Vec<String>,
}

/// Verifies a stream, or all of them.
///
/// # Errors
/// [`LocalError`], when the store cannot be read; what is wrong in it is the exit code.
pub async fn run(shared: &StackArgs, args: &VerifyArgs) -> Result<ExitCode, LocalError> {
    let mut interruption = Interruption::listen();
    let reached = System::reach(shared, &args.system, Needs::Tables, &mut interruption);
    let Some(system) = reached.await? else {
        return Ok(interrupted());
    };
    let view = interruption.or(read(&system)).await;
    system.leave(&mut interruption).await?;
    let Some(view) = view else {
        return Ok(interrupted());
    };
    let findings = verified(&view?, args.stream.as_deref());
    report(&findings, args.json);
    Ok(if findings.tampered.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn read(system: &System) -> Result<StoreView, LocalError> {
    store_view::read(Store::Connection(system.connection()), &system.tables()?).await
}

fn verified(view: &StoreView, only: Option<&str>) -> Findings {
    let mut findings = Findings {
        streams: 0,
        events: 0,
        tampered: Vec::new(),
    };
    if only.is_none() {
        findings.tampered.extend(view.unreadable.iter().cloned());
    }
    let wanted = |stream: &str| only.is_none_or(|only| only == stream);
    for (stream, events) in view.streams.iter().filter(|(stream, _)| wanted(stream)) {
        findings.streams += 1;
        findings.events += events.len();
        if let Err(tampered) = chain::verify(stream, events) {
            findings.tampered.push(tampered.to_string());
        }
    }
    // A chain does not show that its end is missing. The row of the order does.
    for (order, row) in &view.rows {
        let stream = format!("{ORDER_STREAM}{order}");
        let end = view.streams.get(&stream).map_or(0, Vec::len) as u64;
        let version = row["version"].as_u64().unwrap_or_default();
        if wanted(&stream) && version > end {
            findings.tampered.push(format!(
                "event {} of stream {stream} was removed: the order's row is at version {version}, \
                 the stream ends at {end}",
                end + 1
            ));
        }
    }
    if let Some(only) = only.filter(|_| findings.streams == 0 && findings.tampered.is_empty()) {
        findings.tampered.push(format!("there is no stream {only}"));
    }
    findings
}

fn report(findings: &Findings, as_json: bool) {
    let text = if as_json {
        let report: Value = json!({
            "streams": findings.streams,
            "events": findings.events,
            "tampered": findings.tampered,
        });
        report.to_string()
    } else {
        let mut lines = findings.tampered.clone();
        let (streams, events) = (findings.streams, findings.events);
        lines.push(match findings.tampered.len() {
            0 => format!("{streams} streams, {events} events: all as they were appended"),
            count => format!("{streams} streams, {events} events: {count} not as appended"),
        });
        lines.join("\n")
    };
    // Whoever closed the pipe does not want the answer.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}
