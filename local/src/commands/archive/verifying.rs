//! `archive verify`: stored ⇔ archived.

use std::process::ExitCode;

use aws_adapters::table_items::Pages;
use event_sourcing::envelope::Envelope;
use event_sourcing::reconciling::Position;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::args::VerifyArgs;
use super::ledger::{Findings, Ledger};
use super::objects::{Archive, Period};
use crate::commands::say;
use crate::commands::system::System;
use crate::error::LocalError;
use crate::terminal::printable;

/// So many events of each finding are named.
const NAMED: usize = 20;

/// Verifies a period.
pub(super) async fn run(
    system: &System,
    archive: &Archive,
    args: &VerifyArgs,
) -> Result<ExitCode, LocalError> {
    let settled = SignedDuration::from_secs(args.settled_after().into());
    let now = Timestamp::now();
    let period = Period::of(args.period, now.saturating_sub(settled).unwrap_or(now))?;
    let mut ledger = Ledger::default();
    // The archive first: what is archived was stored before.
    archived(archive, &period, &mut ledger, args.json).await?;
    stored(system, &period, &mut ledger).await?;
    let findings = ledger.end();
    if args.json {
        say(&document(&period, &findings).to_string());
    } else {
        for line in lines(&period, &findings) {
            say(&line);
        }
    }
    Ok(if findings.is_whole() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn archived(
    archive: &Archive,
    period: &Period,
    ledger: &mut Ledger,
    silent: bool,
) -> Result<(), LocalError> {
    let objects = archive.objects(period, None).await?;
    let mut day = None;
    for (read, object) in objects.iter().enumerate() {
        if day != Some(&object.day) && !silent {
            say(&format!(
                "{:>9} of {} objects read; {} is next",
                read,
                objects.len(),
                printable(&object.day)
            ));
        }
        day = Some(&object.day);
        for line in archive.lines(object).await? {
            match line.event {
                Ok((_, event)) if period.has(event.at()) => ledger.archive(&event, &line.place),
                Ok(_) => {}
                Err(why) => ledger.unreadable_line(format!("{}: {why}", line.place)),
            }
        }
    }
    Ok(())
}

async fn stored(system: &System, period: &Period, ledger: &mut Ledger) -> Result<(), LocalError> {
    let tables = system.tables()?;
    let mut pages = Pages::of(system.connection().dynamodb(), &tables.event_store);
    while let Some(page) = pages.next().await? {
        for item in page {
            let place = format!("{}@{}", item["streamId"], item["version"]);
            match Envelope::from_value(item) {
                Ok(event) if period.has(event.at()) => ledger.store(&event),
                Ok(_) => {}
                Err(error) => ledger.unreadable_item(format!("{place}: {error}")),
            }
        }
    }
    Ok(())
}

/// The findings with what they are called.
fn named(findings: &Findings) -> [(&'static str, &'static str, Vec<String>); 4] {
    let texts = |positions: &[Position]| {
        let texts = positions.iter();
        texts
            .map(|one| format!("{}@{}", one.stream, one.version))
            .collect()
    };
    [
        (
            "missing",
            "stored and not archived",
            texts(&findings.missing),
        ),
        (
            "differing",
            "archived with another content",
            texts(&findings.differing),
        ),
        (
            "unstored",
            "archived and not stored",
            texts(&findings.unstored),
        ),
        ("unreadable", "no events", findings.unreadable.clone()),
    ]
}

fn document(period: &Period, findings: &Findings) -> serde_json::Value {
    let mut document = json!({
        "from": period.from, "to": period.to, "whole": findings.is_whole(),
        "stored": findings.stored, "archived": findings.archived,
        "duplicates": findings.duplicates,
    });
    for (name, _, events) in named(findings) {
        let some = &events[..events.len().min(NAMED)];
        document[name] = json!({"count": events.len(), "named": some});
    }
    document
}

fn lines(period: &Period, findings: &Findings) -> Vec<String> {
    let from = period
        .from
        .map_or("the beginning".to_owned(), |from| from.to_string());
    let mut lines = vec![format!(
        "From {from} to {}: {} events stored, {} lines archived ({} of them again).",
        period.to, findings.stored, findings.archived, findings.duplicates
    )];
    if findings.is_whole() {
        lines.push("Exactly what is stored is archived.".to_owned());
    }
    for (_, what, events) in named(findings) {
        if events.is_empty() {
            continue;
        }
        lines.push(format!("{} {what}:", events.len()));
        let some = events.iter().take(NAMED);
        lines.extend(some.map(|event| format!("  {}", printable(event))));
        if events.len() > NAMED {
            lines.push(format!("  and {} more", events.len() - NAMED));
        }
    }
    if !findings.is_whole() {
        lines.push("See docs/runbooks/archive-behind.md.".to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period() -> Period {
        Period {
            from: None,
            to: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn what_is_whole_is_said_in_two_lines() {
        let findings = Findings {
            stored: 3,
            archived: 4,
            duplicates: 1,
            ..Findings::default()
        };
        assert_eq!(
            lines(&period(), &findings),
            [
                "From the beginning to 1970-01-01T00:00:00Z: 3 events stored, 4 lines archived \
                 (1 of them again).",
                "Exactly what is stored is archived."
            ]
        );
        assert_eq!(document(&period(), &findings)["whole"], true);
    }

    #[test]
    fn findings_are_counted_in_full_and_named_in_part() {
        let missing = (1..=22).map(|version| Position {
            stream: "order-1".to_owned(),
            version,
        });
        let findings = Findings {
            missing: missing.collect(),
            unreadable: vec!["k, line 1: no".to_owned()],
            ..Findings::default()
        };
        let lines = lines(&period(), &findings);
        assert_eq!(lines[1], "22 stored and not archived:");
        assert_eq!(lines[22], "  and 2 more");
        assert_eq!(lines[23..25], ["1 no events:", "  k, line 1: no"]);
        let document = document(&period(), &findings);
        assert_eq!(document["missing"]["count"], 22);
        assert_eq!(document["missing"]["named"].as_array().unwrap().len(), 20);
    }
}
