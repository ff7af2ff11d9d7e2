//! Which system runs on a data directory, so that other commands find it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::LocalError;
use crate::stack::Stack;

/// The addresses of a running system: the line of `--json-ready`, and `running.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Running {
    /// URL of the HTTP API.
    pub api: String,
    /// URL of the AWS endpoint.
    pub aws: String,
    /// URL of Lambda's Invoke API.
    pub lambda: String,
    /// The process.
    pub pid: u32,
}

impl Running {
    pub(crate) fn of(stack: &Stack) -> Self {
        Self {
            api: stack.api_url(),
            aws: stack.endpoint().url(),
            lambda: stack.lambda_url(),
            pid: std::process::id(),
        }
    }

    /// Notes that this system runs on the folder.
    pub(crate) fn announce(&self, folder: &Path) -> Result<(), LocalError> {
        let text = serde_json::to_string(self).unwrap_or_default();
        std::fs::write(path(folder), text).map_err(|error| LocalError::file(path(folder), error))
    }

    /// Notes that no system runs on the folder any more.
    pub(crate) fn withdraw(folder: &Path) {
        // Left there, it names an address that does not answer, which is found out.
        let _ = std::fs::remove_file(path(folder));
    }

    /// The system that says that it runs on the folder.
    pub(crate) fn find(folder: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(path(folder)).ok()?;
        serde_json::from_str(&text).ok()
    }
}

fn path(folder: &Path) -> PathBuf {
    folder.join("running.json")
}
