//! One client at a time does its share, and the server counts.

use crate::Failure;
use aws_endpoint::{Counters, Endpoint};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

/// How many orders a client works on at a time.
pub(crate) const WORKERS: [usize; 3] = [1, 8, 32];
/// What it does with them. `load` reads what `commit` stored.
pub(crate) const PHASES: [&str; 3] = ["commit", "append", "load"];

/// A library and a store of it.
#[derive(Debug, Clone)]
pub(crate) struct Contestant {
    /// The library.
    pub(crate) library: &'static str,
    /// Which of its stores.
    pub(crate) store: &'static str,
    program: PathBuf,
}

impl Contestant {
    pub(crate) fn new(library: &'static str, store: &'static str, program: PathBuf) -> Self {
        Self {
            library,
            store,
            program,
        }
    }

    fn caller(&self) -> String {
        format!("{}-{}", self.library, self.store)
    }

    fn command(&self) -> Command {
        let script = self.program.extension().is_some_and(|end| end == "mjs");
        if !script {
            return Command::new(&self.program);
        }
        let mut node = Command::new("node");
        node.arg(&self.program);
        node
    }
}

/// What a client says of a run.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    operations: u32,
    nanos: u64,
    processor_nanos: u64,
}

/// A run, as client and server saw it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    /// Operations per second.
    pub(crate) rate: f64,
    /// Processor time of the client per operation, in microseconds.
    pub(crate) client_micros: f64,
    /// The same of the server.
    pub(crate) server_micros: f64,
    /// Operations.
    pub(crate) operations: f64,
    /// What the server counted.
    pub(crate) counted: Counters,
}

/// Contestant, phase and workers.
pub(crate) type Key = (usize, &'static str, usize);

/// All runs, in the order of the rounds.
pub(crate) type Runs = BTreeMap<Key, Vec<Run>>;

/// Runs under way.
pub(crate) struct Contest<'e> {
    endpoint: &'e Endpoint,
    contestants: &'e [Contestant],
    /// Orders of one run.
    orders: usize,
    runs: Runs,
}

impl<'e> Contest<'e> {
    pub(crate) fn new(
        endpoint: &'e Endpoint,
        contestants: &'e [Contestant],
        orders: usize,
    ) -> Self {
        Self {
            endpoint,
            contestants,
            orders,
            runs: Runs::new(),
        }
    }

    pub(crate) fn into_runs(self) -> Runs {
        self.runs
    }

    /// Each contestant once; another one begins each round.
    pub(crate) async fn round(
        &mut self,
        round: usize,
        phase: &'static str,
        workers: usize,
    ) -> Result<(), Failure> {
        let all = self.contestants.len();
        for place in 0..all {
            let index = (round + place) % all;
            let stored_by = if phase == "append" {
                "append"
            } else {
                "commit"
            };
            let prefix = format!("{stored_by}-{round}-{workers}");
            let run = self.run(index, phase, workers, &prefix).await?;
            let runs = self.runs.entry((index, phase, workers));
            runs.or_default().push(run);
        }
        Ok(())
    }

    async fn run(
        &self,
        index: usize,
        phase: &str,
        workers: usize,
        prefix: &str,
    ) -> Result<Run, Failure> {
        let contestant = &self.contestants[index];
        let caller = contestant.caller();
        let mut client = contestant
            .command()
            .args([&self.endpoint.url(), &caller, contestant.store, phase])
            .args([&workers.to_string(), prefix, &self.orders.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let died = || format!("{caller} died in {phase} with {workers} workers");
        let mut input = client.stdin.take().ok_or_else(died)?;
        let output = client.stdout.take().ok_or_else(died)?;
        let mut lines = BufReader::new(output).lines();
        if lines.next_line().await?.as_deref() != Some("ready") {
            return Err(died().into());
        }
        self.endpoint.reset_meter();
        // The server is in this process, which else waits.
        let server_before = flow::processor_nanos()?;
        input.write_all(b"go\n").await?;
        let told = lines.next_line().await?.ok_or_else(died)?;
        let server_nanos = flow::processor_nanos()?.saturating_sub(server_before);
        let counted = self.endpoint.meter().total(|key| key.caller == caller);
        if !client.wait().await?.success() {
            return Err(died().into());
        }
        let told: Told = serde_json::from_str(&told)?;
        let operations = f64::from(told.operations);
        let seconds = |nanos| Duration::from_nanos(nanos).as_secs_f64();
        Ok(Run {
            rate: operations / seconds(told.nanos),
            client_micros: seconds(told.processor_nanos) * 1e6 / operations,
            server_micros: seconds(server_nanos) * 1e6 / operations,
            operations,
            counted,
        })
    }
}
