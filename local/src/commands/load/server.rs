//! The system as a process of its own, so that it can be killed: `up` of this very program.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::cli::StackArgs;
use crate::commands::running::Running;
use crate::commands::state::{NOTED_EVERY, State};
use crate::commands::used::Used;
use crate::commands::{GRACE, this_program};
use crate::error::LocalError;
use crate::faults::{Dice, FaultPlan};

/// So long may it take to be ready: it reads all its data first.
const READY: Duration = Duration::from_mins(1);
/// Its addresses may still be held for a moment by the one that was killed.
const START_AGAIN: Duration = Duration::from_millis(200);

/// The running process. Dropped, it is killed.
pub(super) struct Server<'a> {
    stack: &'a StackArgs,
    plan: &'a FaultPlan,
    folder: &'a Path,
    child: Child,
    addresses: Running,
    /// How often it was started.
    starts: u64,
    kills: u64,
    /// What the ones before this one used.
    used: Used,
}

impl<'a> Server<'a> {
    /// Starts it on a data directory, and waits until it is ready.
    ///
    /// # Errors
    /// [`LocalError::Server`] with what it said.
    pub(super) async fn start(
        stack: &'a StackArgs,
        plan: &'a FaultPlan,
        folder: &'a Path,
    ) -> Result<Self, LocalError> {
        let (child, addresses) =
            launch(command(stack, plan, folder, 1, ("0", "0"))?, folder).await?;
        Ok(Self {
            stack,
            plan,
            folder,
            child,
            addresses,
            starts: 1,
            kills: 0,
            used: Used::default(),
        })
    }

    /// URL of the HTTP API; the same after a restart.
    pub(super) fn api(&self) -> &str {
        &self.addresses.api
    }

    /// URL of the AWS endpoint; the same after a restart, and so is the issuer of tokens.
    pub(super) fn aws(&self) -> &str {
        &self.addresses.aws
    }

    /// `kill -9`, and a new one on the same data at the same addresses.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub(super) async fn restart(&mut self) -> Result<(), LocalError> {
        self.kill().await;
        self.starts += 1;
        let port = |url: &str| url.rsplit(':').next().unwrap_or("0").to_owned();
        let ports = (port(&self.addresses.api), port(&self.addresses.aws));
        let until = Instant::now() + READY;
        loop {
            let ports = (ports.0.as_str(), ports.1.as_str());
            let command = command(self.stack, self.plan, self.folder, self.starts, ports)?;
            match launch(command, self.folder).await {
                Ok((child, addresses)) => {
                    (self.child, self.addresses) = (child, addresses);
                    return Ok(());
                }
                Err(error) if Instant::now() >= until => return Err(error),
                Err(_) => tokio::time::sleep(START_AGAIN).await,
            }
        }
    }

    /// `kill -9`.
    pub(super) async fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill().await;
        if let Some(state) = State::read(self.folder) {
            self.used += state.used;
        }
        self.kills += 1;
        State::forget(self.folder);
    }

    /// Ends it in order, and in any case.
    pub(super) async fn end(&mut self) {
        interrupt(&self.child);
        let _ = tokio::time::timeout(2 * GRACE, self.child.wait()).await;
        self.kill().await;
    }

    /// How often it was killed.
    pub(super) fn kills(&self) -> u64 {
        self.kills
    }

    /// What it used, from its first start on.
    pub(super) fn used(&self) -> Used {
        self.used
    }

    /// Waits until it says that it is at rest.
    ///
    /// # Errors
    /// [`LocalError::NotQuiet`] after `deadline`; [`LocalError::Server`] when it has ended.
    pub(super) async fn quiet(&mut self, deadline: Duration) -> Result<(), LocalError> {
        let until = Instant::now() + deadline;
        // What was noted before this moment says nothing of what came since.
        let noted = State::read(self.folder).map_or(0, |state| state.number);
        loop {
            let state = State::read(self.folder).unwrap_or_default();
            if state.number > noted + 1 && state.unrest.is_none() {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(LocalError::NotQuiet {
                    seconds: deadline.as_secs(),
                    state: state.unrest.unwrap_or_default(),
                });
            }
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return Err(LocalError::Server(said(self.folder)));
            }
            tokio::time::sleep(NOTED_EVERY).await;
        }
    }
}

/// The command line. Each start has a seed of its own, so that not the same calls are hit again.
fn command(
    stack: &StackArgs,
    plan: &FaultPlan,
    folder: &Path,
    start: u64,
    (api_port, aws_port): (&str, &str),
) -> Result<Command, LocalError> {
    let log = log_path(folder);
    let errors = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(&log);
    let errors = errors.map_err(|error| LocalError::file(log, error))?;
    let mut command = Command::new(this_program()?);
    command.args(["up", "--json-ready", "--witness", "--data-dir"]);
    command.arg(folder);
    command.args(["--api-port", api_port, "--aws-port", aws_port]);
    command.args(["--faults", &plan.words()]);
    let seed = Dice::new(plan.seed).throw("start", start).next();
    command.args(["--seed", &seed.to_string()]);
    command.args(["--fault-rate", &plan.rate.to_string()]);
    command.args(["--retry-delay", &stack.retry_delay.to_string()]);
    command.args(["--aws-latency", &stack.aws_latency.to_string()]);
    if let Some(template) = &stack.template {
        command.arg("--template").arg(template);
    }
    if let Some(functions) = &stack.functions_dir {
        command.arg("--functions-dir").arg(functions);
    }
    for (name, value) in &stack.parameters {
        command.arg("--parameter").arg(format!("{name}={value}"));
    }
    if let Some(processes) = stack.processes {
        command.args(["--processes", &processes.to_string()]);
    }
    if stack.logs {
        command.arg("--logs");
    }
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(errors)
        .kill_on_drop(true);
    // Out of the terminal's reach: Ctrl-C is for the load.
    #[cfg(unix)]
    command.process_group(0);
    Ok(command)
}

async fn launch(mut command: Command, folder: &Path) -> Result<(Child, Running), LocalError> {
    let failed = || LocalError::Server(said(folder));
    let mut child = command
        .spawn()
        .map_err(|error| LocalError::Server(error.to_string()))?;
    let output = child.stdout.take().ok_or_else(failed)?;
    let mut line = String::new();
    let mut output = BufReader::new(output);
    let ready = tokio::time::timeout(READY, output.read_line(&mut line)).await;
    let addresses = ready
        .is_ok()
        .then(|| serde_json::from_str(&line).ok())
        .flatten();
    // Not ready in time, it is killed as it is dropped.
    addresses
        .map(|addresses| (child, addresses))
        .ok_or_else(failed)
}

/// Where the process writes what goes wrong.
fn log_path(folder: &Path) -> PathBuf {
    folder.join("server.log")
}

/// The last thing that it said.
fn said(folder: &Path) -> String {
    let log = std::fs::read(log_path(folder)).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let last = log.lines().rfind(|line| !line.trim().is_empty());
    last.unwrap_or("it said nothing").to_owned()
}

#[cfg(unix)]
fn interrupt(child: &Child) {
    let pid = child
        .id()
        .and_then(|pid| i32::try_from(pid).ok())
        .and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
    }
}

#[cfg(not(unix))]
fn interrupt(_: &Child) {}
