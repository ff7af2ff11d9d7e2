//! Where and with what the figures were measured.

use crate::Failure;
use jiff::Timestamp;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// Lines of a list in Markdown.
pub(crate) fn describe() -> Result<String, Failure> {
    let model = flow::processor();
    let cores = std::thread::available_parallelism()?;
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    let date = Timestamp::now().to_string();
    let day = date.get(..10).unwrap_or(&date);
    let mut lines = format!(
        "- {day}, {model}, {cores} cores that server and clients share, load at the end {load}\n\
         - {}, `opt-level = 3`, no LTO\n",
        said_by("rustc", "--version"),
    );
    let lock = std::fs::read_to_string(here().join("Cargo.lock"))?;
    for (name, what) in [
        ("aws-sdk-dynamodb", "of all clients in Rust"),
        ("dynamo-es", "with the SDK's default features"),
        ("cqrs-es", "which dynamo-es is for"),
        ("awsim-dynamodb", "inside the server"),
    ] {
        let version = locked(&lock, name).unwrap_or("?");
        writeln!(lines, "- {name} {version}, {what}")?;
    }
    Ok(lines)
}

/// Versions of castore's client.
pub(crate) fn describe_castore() -> Result<String, Failure> {
    let lock = std::fs::read_to_string(here().join("peer-castore/package-lock.json"))?;
    let lock: serde_json::Value = serde_json::from_str(&lock)?;
    let version = |name: &str| {
        lock["packages"][format!("node_modules/{name}")]["version"]
            .as_str()
            .unwrap_or("?")
            .to_owned()
    };
    Ok(format!(
        "- castore {} with its DynamoDB adapter {}, AWS SDK for JavaScript {}, node {}\n",
        version("@castore/core"),
        version("@castore/event-storage-adapter-dynamodb"),
        version("@aws-sdk/client-dynamodb"),
        said_by("node", "--version"),
    ))
}

fn here() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn said_by(program: &str, argument: &str) -> String {
    let said = Command::new(program).arg(argument).output();
    said.ok().map_or_else(
        || format!("{program} of unknown version"),
        |said| String::from_utf8_lossy(&said.stdout).trim().to_owned(),
    )
}

/// The version of a package in a lock file.
fn locked<'l>(lock: &'l str, name: &str) -> Option<&'l str> {
    let entry = lock
        .split(&format!("name = \"{name}\"\nversion = \""))
        .nth(1)?;
    entry.split('"').next()
}
