//! What `events/` publishes of the stored format, held against the code: golden files of every
//! version of every event, and (feature `schema`) the JSON Schemas and the `AsyncAPI` document.

#![allow(clippy::unwrap_used)] // In a test, that is how to fail.

mod golden;
#[cfg(feature = "schema")]
mod schemas;

use std::collections::BTreeMap;
use std::path::PathBuf;

fn events() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../events")
}

/// The JSON files of a folder in `events/`, by name without `.json`.
fn files(folder: &str) -> BTreeMap<String, serde_json::Value> {
    let entries = std::fs::read_dir(events().join(folder)).unwrap();
    entries
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let name = name
                .strip_suffix(".json")
                .unwrap_or_else(|| panic!("{folder}/{name} is no JSON file"))
                .to_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            let json = serde_json::from_str(&text)
                .unwrap_or_else(|error| panic!("{folder}/{name}.json: {error}"));
            (name, json)
        })
        .collect()
}

/// Type and version out of `OrderPlaced.v1.plain`.
fn type_and_version(name: &str) -> (&str, u32) {
    let mut parts = name.split('.');
    let event_type = parts.next().unwrap();
    let version = parts
        .next()
        .and_then(|version| version.strip_prefix('v')?.parse().ok())
        .unwrap_or_else(|| panic!("{name} is not named <EventType>.v<version>"));
    (event_type, version)
}
