//! Which system runs on a data directory, so that other commands find it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::LocalError;
use crate::http_client::HttpClient;
use crate::lambda_api::INSTANCE_HEADER;
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
    /// The one run of the system that has these addresses; later ones may get the same.
    pub instance: String,
}

impl Running {
    pub(crate) fn of(stack: &Stack) -> Self {
        Self {
            api: stack.api_url(),
            aws: stack.endpoint().url(),
            lambda: stack.lambda_url(),
            pid: std::process::id(),
            instance: stack.instance().to_owned(),
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

    /// The system that runs on the folder: it says so there, and it answers as the one that it
    /// says it is.
    pub(crate) async fn find(folder: &Path, client: &HttpClient) -> Option<Self> {
        let text = std::fs::read_to_string(path(folder)).ok()?;
        let noted: Self = serde_json::from_str(&text).ok()?;
        let answer = client.send("GET", &noted.lambda, &[], "").await.ok()?;
        (answer.header(INSTANCE_HEADER) == noted.instance).then_some(noted)
    }
}

fn path(folder: &Path) -> PathBuf {
    folder.join("running.json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::routing::get;

    #[tokio::test]
    async fn another_system_at_the_noted_address_is_not_taken_for_the_one_of_the_folder() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers = Router::new().route("/", get(|| async { [(INSTANCE_HEADER, "one")] }));
        tokio::spawn(async move { axum::serve(listener, answers).await });
        let folder = tempfile::tempdir().unwrap();
        let client = HttpClient::new();
        let mut noted = Running {
            api: url.clone(),
            aws: url.clone(),
            lambda: url,
            pid: 1,
            instance: "one".to_owned(),
        };
        assert_eq!(Running::find(folder.path(), &client).await, None);
        noted.announce(folder.path()).unwrap();
        let found = Running::find(folder.path(), &client).await;
        assert_eq!(found.as_ref(), Some(&noted));
        noted.instance = "another".to_owned();
        noted.announce(folder.path()).unwrap();
        assert_eq!(Running::find(folder.path(), &client).await, None);
    }
}
