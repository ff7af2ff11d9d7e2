//! `archive list`: what is archived, by day and type.

use std::collections::BTreeMap;
use std::process::ExitCode;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::args::ListArgs;
use super::objects::{Archive, Object, Period};
use crate::commands::say;
use crate::commands::table::Table;
use crate::error::LocalError;
use crate::terminal::{Palette, printable};

/// The objects of a day and a type.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Group {
    objects: u64,
    bytes: u64,
}

/// Lists them.
pub(super) async fn run(archive: &Archive, args: &ListArgs) -> Result<ExitCode, LocalError> {
    let period = Period::of(args.period, Timestamp::now())?;
    let objects = archive.objects(&period, args.event_type.as_deref()).await?;
    let unsorted = archive.unsorted().await?;
    let groups = grouped(&objects);
    if args.json {
        let groups: Vec<_> = groups
            .iter()
            .map(|((day, event_type), group)| {
                json!({"day": day, "eventType": event_type, "objects": group.objects,
                    "bytes": group.bytes})
            })
            .collect();
        say(&json!({"archived": groups, "unsortedObjects": unsorted}).to_string());
        return Ok(ExitCode::SUCCESS);
    }
    if groups.is_empty() {
        say("Nothing is archived of that period.");
    } else {
        let mut table = Table::of(&["day", "type", ">objects", ">bytes"]);
        for ((day, event_type), group) in &groups {
            let (objects, bytes) = (group.objects.to_string(), group.bytes.to_string());
            table.row([printable(day), printable(event_type), objects, bytes]);
        }
        for line in table.lines(Palette::of_stdout()) {
            say(&line);
        }
        let bytes: u64 = objects.iter().map(|object| object.bytes).sum();
        say(&format!("{} objects, {bytes} bytes", objects.len()));
    }
    if unsorted > 0 {
        say(&format!(
            "{unsorted} objects below errors/ hold what could not be sorted; see \
             docs/runbooks/archive-behind.md"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn grouped(objects: &[Object]) -> BTreeMap<(&str, &str), Group> {
    let mut groups: BTreeMap<_, Group> = BTreeMap::new();
    for object in objects {
        let group = groups
            .entry((object.day.as_str(), object.event_type.as_str()))
            .or_default();
        group.objects += 1;
        group.bytes += object.bytes;
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_of_a_day_and_a_type_are_one_line() {
        let object = |day: &str, event_type: &str, bytes| Object {
            day: day.to_owned(),
            event_type: event_type.to_owned(),
            key: String::new(),
            bytes,
        };
        let objects = [
            object("1", "A", 2),
            object("1", "B", 3),
            object("1", "A", 5),
        ];
        let groups = grouped(&objects);
        let (objects, bytes) = (2, 7);
        assert_eq!(groups[&("1", "A")], Group { objects, bytes });
        assert_eq!(groups.len(), 2);
    }
}
