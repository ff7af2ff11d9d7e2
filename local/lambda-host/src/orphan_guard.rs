//! No process outlives the host, not even when the host is killed and cannot clean up.
//!
//! An idle function notices by itself: its connection to the runtime API is gone, and
//! `lambda_runtime` exits. A busy one would not notice before it is done. So on Unix a shell
//! watches the host through a pipe, is told every process that starts and ends, and kills what is
//! left when the pipe closes. Where there is no `/bin/sh` the guard does nothing.

use std::process::Stdio;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::mpsc;

/// Reads `+ PID` and `- PID`; at the end of its input kills the process groups it still knows.
const WATCH: &str = r#"
trap '' INT TERM HUP QUIT
pids=""
while read -r sign pid; do
  case "$sign" in
    +) pids="$pids $pid" ;;
    -) kept=""; for known in $pids; do [ "$known" = "$pid" ] || kept="$kept $known"; done; pids=$kept ;;
  esac
done
for pid in $pids; do kill -9 -- "-$pid" 2>/dev/null || kill -9 "$pid" 2>/dev/null; done
"#;

/// Tells the watching shell what runs.
#[derive(Debug, Clone)]
pub(crate) struct OrphanGuard {
    lines: Arc<mpsc::UnboundedSender<String>>,
}

impl OrphanGuard {
    /// Starts the watch; without a shell there is none.
    pub(crate) fn start() -> Self {
        let (lines, mut told) = mpsc::unbounded_channel::<String>();
        if cfg!(unix) {
            let mut command = Command::new("/bin/sh");
            command
                .args(["-c", WATCH])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            // Out of the terminal's reach: Ctrl-C is for the host.
            #[cfg(unix)]
            command.process_group(0);
            if let Ok(mut shell) = command.spawn() {
                tokio::spawn(async move {
                    let Some(mut pipe) = shell.stdin.take() else {
                        return;
                    };
                    while let Some(line) = told.recv().await {
                        if pipe.write_all(line.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                    drop(pipe);
                    let _ = shell.wait().await;
                });
            }
        }
        Self {
            lines: Arc::new(lines),
        }
    }

    pub(crate) fn started(&self, pid: u32) {
        let _ = self.lines.send(format!("+ {pid}\n"));
    }

    pub(crate) fn ended(&self, pid: u32) {
        let _ = self.lines.send(format!("- {pid}\n"));
    }
}
