//! A function's process from its start to its end, and what it takes.

use crate::quota::Quota;
use crate::runtime_api::{RuntimeApi, Said};
use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Sender;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Events that a process gets: the first, and those of which the median is told.
pub const CALLS: u32 = 6;
/// Until a process that has asked for an event does nothing any more.
const REST: Duration = Duration::from_millis(4);

/// What is measured: a program with what it needs.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Its name in tables.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Its whole environment as it is deployed, but for the Runtime API.
    pub environment: BTreeMap<String, String>,
    /// What it is told beside that when it is called: whom to trust.
    pub trust: BTreeMap<String, String>,
    /// What it is called with; none for one that is only started.
    pub event: Option<Vec<u8>>,
}

/// How one process started.
#[derive(Debug, Clone, Copy)]
pub struct Start {
    /// From before the process is there until it asks for the first event.
    pub time: Duration,
    /// Processor time until then.
    pub cpu: Duration,
    /// Memory then, in bytes.
    pub rss: u64,
}

/// How one process did with its events.
#[derive(Debug, Clone, Copy, Default)]
pub struct Run {
    /// From the first event to its answer.
    pub first: Duration,
    /// Processor time from the first event until the next is asked for.
    pub first_cpu: Duration,
    /// Whether the first answer is no error.
    pub answered: bool,
    /// As with the first event, for one that comes later.
    pub warm: Duration,
    /// As with the first event, for one that comes later.
    pub warm_cpu: Duration,
    /// Memory after all of them, in bytes.
    pub rss: u64,
}

/// A process that is ended with the value.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    /// Processor time of all its threads.
    fn cpu(&self) -> io::Result<Duration> {
        let mut nanoseconds = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.0.id()))? {
            let told = std::fs::read_to_string(task?.path().join("schedstat"))?;
            let first = told.split_whitespace().next();
            nanoseconds += first.and_then(|text| text.parse().ok()).unwrap_or(0);
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// Memory that it has, in bytes.
    fn rss(&self) -> io::Result<u64> {
        let told = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = told.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kib: u64 = kib.and_then(|kib| kib.parse().ok()).unwrap_or(0);
        Ok(kib * 1024)
    }
}

/// What a process is to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Task {
    /// To start, as it is deployed.
    Start,
    /// To start and be called, trusting what stands for AWS here.
    Answer,
}

fn command(program: &Path, subject: &Subject, task: Task, api: &RuntimeApi) -> Command {
    let mut command = Command::new(program);
    command.env_clear().envs(&subject.environment);
    if task == Task::Answer {
        command.envs(&subject.trust);
    }
    command
        .env("AWS_LAMBDA_RUNTIME_API", api.address.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

type Event = Sender<Vec<u8>>;

impl Subject {
    /// Waits until the process asks for an event.
    fn asked(&self, api: &RuntimeApi) -> Result<(Instant, Event), Box<dyn Error>> {
        match api.next()? {
            (at, Said::Next(event)) => Ok((at, event)),
            (_, Said::InitFailed(why)) => {
                Err(format!("{} does not start: {why}", self.name).into())
            }
            (_, Said::Answered(_)) => Err(format!("{} answers nobody", self.name).into()),
        }
    }

    /// Gives the process an event; when it was answered, and whether without an error.
    fn call(&self, api: &RuntimeApi, event: &Event) -> Result<(Duration, bool), Box<dyn Error>> {
        let sent = Instant::now();
        event.send(self.event.clone().unwrap_or_default())?;
        match api.next()? {
            (at, Said::Answered(well)) => Ok((at - sent, well)),
            _ => Err(format!("{} does not answer", self.name).into()),
        }
    }

    /// Starts a process as it is deployed, and ends it.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn start(&self) -> Result<Start, Box<dyn Error>> {
        let api = RuntimeApi::start()?;
        let (process, time, _event) = self.ready(Task::Start, &api)?;
        Ok(Start {
            time,
            cpu: process.cpu()?,
            rss: process.rss()?,
        })
    }

    /// A process that has asked for its first event and is at rest, and how long it took to ask.
    fn ready(
        &self,
        task: Task,
        api: &RuntimeApi,
    ) -> Result<(Process, Duration, Event), Box<dyn Error>> {
        let started = Instant::now();
        let process = Process(command(&self.program, self, task, api).spawn()?);
        let (at, event) = self.asked(api)?;
        sleep(REST);
        Ok((process, at - started, event))
    }

    /// Starts a process, gives it events, and ends it. With a quota, it has no more of a processor
    /// than that from its first event on.
    ///
    /// # Errors
    /// When it does not get ready or does not answer.
    pub fn run(&self, quota: Option<&Quota>) -> Result<Run, Box<dyn Error>> {
        let api = RuntimeApi::start()?;
        let (process, _, mut event) = self.ready(Task::Answer, &api)?;
        let mut run = Run::default();
        if let Some(quota) = quota {
            quota.hold(process.0.id())?;
        }
        let mut warm = Vec::new();
        for number in 0..CALLS {
            let before = process.cpu()?;
            let (took, answered) = self.call(&api, &event)?;
            (_, event) = self.asked(&api)?;
            sleep(REST);
            let cpu = process.cpu()?.saturating_sub(before);
            if number == 0 {
                (run.first, run.first_cpu, run.answered) = (took, cpu, answered);
            } else {
                warm.push((took, cpu));
            }
        }
        warm.sort();
        (run.warm, run.warm_cpu) = warm[warm.len() / 2];
        run.rss = process.rss()?;
        Ok(run)
    }

    /// Instructions until the first event is asked for, and of the first call, as callgrind counts
    /// them.
    ///
    /// # Errors
    /// When the program does not run under valgrind.
    pub fn instructions(&self, valgrind: &Path) -> Result<(u64, Option<u64>), Box<dyn Error>> {
        let start = self.counted(valgrind, Task::Start, false)?;
        if self.event.is_none() {
            return Ok((start, None));
        }
        let ready = self.counted(valgrind, Task::Answer, false)?;
        let called = self.counted(valgrind, Task::Answer, true)?;
        Ok((start, Some(called.saturating_sub(ready))))
    }

    fn counted(&self, valgrind: &Path, task: Task, called: bool) -> Result<u64, Box<dyn Error>> {
        let api = RuntimeApi::start()?;
        let process = command(valgrind, self, task, &api)
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(&self.program)
            .stderr(Stdio::piped())
            .spawn()?;
        let mut process = Process(process);
        let (_, mut event) = self.asked(&api)?;
        if called {
            self.call(&api, &event)?;
            (_, event) = self.asked(&api)?;
        }
        let id = process.0.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status()?;
        let told = process.0.stderr.take().map(io::read_to_string);
        drop(event);
        let told = told.transpose()?.unwrap_or_default();
        let count = told
            .lines()
            .find_map(|line| line.split_once("Collected : "));
        let count = count.and_then(|(_, count)| count.trim().parse().ok());
        count.ok_or_else(|| format!("{}: valgrind counted nothing:\n{told}", self.name).into())
    }
}
