//! The queues on disk.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use awsim_core::ServiceHandler;
use awsim_sqs::SqsService;
use tokio::sync::Mutex;

use crate::EndpointError;
use crate::files::replace;

/// A snapshot of all queues, written before a change is answered. Changes that
/// come while one is being written share the next.
#[derive(Debug)]
pub(super) struct Kept {
    path: PathBuf,
    changes: AtomicU64,
    /// Number of the last change that is on disk.
    saved: Mutex<u64>,
}

impl Kept {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            changes: AtomicU64::new(0),
            saved: Mutex::new(0),
        }
    }

    pub(super) fn restore(&self, service: &SqsService) -> Result<(), EndpointError> {
        if !self.path.exists() {
            return Ok(());
        }
        let failed = |what: String| EndpointError::Storage {
            path: self.path.clone(),
            what,
        };
        let snapshot = std::fs::read(&self.path).map_err(|error| failed(error.to_string()))?;
        service.restore(&snapshot).map_err(failed)
    }

    /// Returns when the change just made is on disk.
    pub(super) async fn save(&self, service: &SqsService) -> Result<(), EndpointError> {
        let mine = self.changes.fetch_add(1, Ordering::SeqCst) + 1;
        let mut saved = self.saved.lock().await;
        if *saved >= mine {
            return Ok(());
        }
        let newest = self.changes.load(Ordering::SeqCst);
        let snapshot = service.snapshot().ok_or_else(|| EndpointError::Storage {
            path: self.path.clone(),
            what: "the queues cannot be written as JSON".to_owned(),
        })?;
        let path = self.path.clone();
        tokio::task::spawn_blocking(move || replace(&path, &snapshot))
            .await
            .unwrap_or_else(|error| {
                Err(EndpointError::Storage {
                    path: self.path.clone(),
                    what: error.to_string(),
                })
            })?;
        *saved = newest;
        Ok(())
    }
}
