//! One function and its pool of processes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;
use uuid::Uuid;

use crate::clock::unix_ms;
use crate::host::HostOptions;
use crate::invocation::{Invocation, InvokeError, InvokeRequest, Outcome, exit_message};
use crate::orphan_guard::OrphanGuard;
use crate::process::Process;
use crate::runtime_api::Work;
use crate::stats::FunctionStats;

/// After this many processes that ended before they took the event, the host gives up.
const HANDOVERS: u32 = 3;

/// What to run as a function, and within which limits.
#[derive(Debug, Clone)]
pub struct FunctionSpec {
    /// Name of the function.
    pub name: String,
    /// The program: a Lambda `bootstrap`.
    pub program: PathBuf,
    /// Arguments of the program.
    pub args: Vec<String>,
    /// Environment of the program, added to what Lambda sets. Nothing of this process's own
    /// environment is passed on but `PATH` and `HOME` (on Windows `SystemRoot` and its like).
    pub environment: BTreeMap<String, String>,
    /// An invocation that takes longer is killed.
    pub timeout: Duration,
    /// Configured memory, in MB. Told to the function and used for the bill; not enforced.
    pub memory_mb: u32,
    /// Most invocations at a time; 0 refuses all; none leaves it to the host's own limit.
    pub reserved_concurrency: Option<u32>,
}

impl FunctionSpec {
    /// A function with Lambda's defaults: 3 seconds, 128 MB.
    #[must_use]
    pub fn new(name: impl Into<String>, program: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            args: Vec::new(),
            environment: BTreeMap::new(),
            timeout: Duration::from_secs(3),
            memory_mb: 128,
            reserved_concurrency: None,
        }
    }
}

/// What all functions of a host share.
#[derive(Debug)]
pub(crate) struct HostContext {
    pub options: HostOptions,
    pub guard: OrphanGuard,
    pub process_numbers: AtomicU32,
    pub closing: AtomicBool,
}

#[derive(Debug, Default)]
struct Pool {
    live: BTreeMap<u32, Arc<Process>>,
    /// The one used last is used next, so that the others can age.
    idle: Vec<(Arc<Process>, Instant)>,
    busy: BTreeSet<u32>,
    retired: bool,
}

/// A registered function.
#[derive(Debug)]
pub(crate) struct Function {
    pub spec: FunctionSpec,
    arn: String,
    limit: u32,
    permits: Semaphore,
    pool: Mutex<Pool>,
    stats: Arc<Mutex<FunctionStats>>,
    context: Arc<HostContext>,
}

impl Function {
    pub(crate) fn new(
        spec: FunctionSpec,
        context: Arc<HostContext>,
        stats: Arc<Mutex<FunctionStats>>,
    ) -> Self {
        let most = context.options.max_processes_per_function.max(1);
        let limit = spec
            .reserved_concurrency
            .map_or(most, |reserved| reserved.min(most));
        Self {
            arn: context.options.function_arn(&spec.name),
            limit,
            permits: Semaphore::new(limit as usize),
            pool: Mutex::default(),
            stats,
            context,
            spec,
        }
    }

    pub(crate) fn shared_stats(&self) -> Arc<Mutex<FunctionStats>> {
        Arc::clone(&self.stats)
    }

    pub(crate) fn stats(&self) -> FunctionStats {
        let pool = self.pool();
        FunctionStats {
            processes: pool.live.len(),
            busy: pool.busy.len(),
            ..*lock(&self.stats)
        }
    }

    /// Runs one invocation: waits for a free place, for a process, for its answer.
    pub(crate) async fn invoke(
        self: Arc<Self>,
        request: InvokeRequest,
    ) -> Result<Invocation, InvokeError> {
        if self.limit == 0 {
            lock(&self.stats).throttles += 1;
            return Err(InvokeError::TooManyRequests {
                function: self.spec.name.clone(),
                limit: 0,
            });
        }
        let _permit = self
            .permits
            .acquire()
            .await
            .map_err(|_| InvokeError::ShuttingDown)?;
        let event = Event {
            request_id: usable_id(request.request_id),
            payload: if request.payload.is_empty() {
                Bytes::from_static(b"{}")
            } else {
                request.payload
            },
            trace: request.trace.unwrap_or_else(new_trace),
            client_context: request.client_context,
        };
        let mut handovers = 0;
        let invocation = loop {
            handovers += 1;
            let (process, is_new) = self.claim().await?;
            let invocation = self
                .invoke_on(&process, is_new, &event, handovers < HANDOVERS)
                .await;
            self.release(&process);
            if let Some(invocation) = invocation {
                break invocation;
            }
        };
        if self.was_ended_by_the_host(&invocation.outcome) {
            return Err(InvokeError::ShuttingDown);
        }
        lock(&self.stats).add(&invocation, self.spec.memory_mb);
        Ok(invocation)
    }

    /// Whether the process ended with the host: no failure of the function, no attempt.
    fn was_ended_by_the_host(&self, outcome: &Outcome) -> bool {
        self.context.closing.load(Ordering::Acquire)
            && matches!(
                outcome,
                Outcome::Crashed { .. } | Outcome::InitFailed { .. }
            )
    }

    /// Runs the event on a process; nothing when it ended before it took the event.
    async fn invoke_on(
        &self,
        process: &Process,
        is_new: bool,
        event: &Event,
        may_move_on: bool,
    ) -> Option<Invocation> {
        let finished = |outcome, duration, init_duration, max_memory_bytes| {
            Some(Invocation {
                request_id: event.request_id.to_string(),
                outcome,
                duration,
                init_duration,
                max_memory_bytes,
                process: process.number,
            })
        };
        let mut init_duration = None;
        if is_new {
            let began = Instant::now();
            match self.initialised(process, &event.request_id).await {
                Ok(duration) => init_duration = Some(duration),
                Err(outcome) => {
                    let init = Some(began.elapsed());
                    return finished(outcome, Duration::ZERO, init, process.memory());
                }
            }
        }
        let taken = Arc::new(AtomicBool::new(false));
        let (reply, mut replied) = oneshot::channel();
        let began = Instant::now();
        process.give(Work {
            request_id: Arc::clone(&event.request_id),
            payload: event.payload.clone(),
            deadline_ms: unix_ms(SystemTime::now() + self.spec.timeout),
            arn: self.arn.clone(),
            trace: event.trace.clone(),
            client_context: event.client_context.clone(),
            taken: Arc::clone(&taken),
            reply,
        });
        let outcome = tokio::select! {
            biased;
            Ok(outcome) = &mut replied => outcome,
            status = process.ended() => match replied.try_recv() {
                Ok(outcome) => outcome,
                Err(_) if !taken.load(Ordering::Acquire) && may_move_on => return None,
                Err(_) => Outcome::Crashed { status },
            },
            () = tokio::time::sleep(self.spec.timeout) => Outcome::TimedOut {
                after: self.spec.timeout,
            },
        };
        let duration = began.elapsed();
        let memory = process.memory();
        if matches!(outcome, Outcome::TimedOut { .. }) {
            process.kill();
            process.ended().await;
        }
        finished(outcome, duration, init_duration, memory)
    }

    /// Waits until a new process asks for its first event.
    async fn initialised(&self, process: &Process, request_id: &str) -> Result<Duration, Outcome> {
        let limit = self.context.options.init_timeout;
        tokio::select! {
            biased;
            duration = process.ready() => Ok(duration),
            status = process.ended() => {
                let (error_type, message) = process.init_error().unwrap_or_else(|| (
                    "Runtime.ExitError".to_owned(),
                    exit_message(request_id, &status),
                ));
                Err(Outcome::InitFailed { error_type, message })
            }
            () = tokio::time::sleep(limit) => {
                process.kill();
                process.ended().await;
                let (error_type, message) = process.init_error().unwrap_or_else(|| (
                    "Sandbox.Timedout".to_owned(),
                    format!(
                        "RequestId: {request_id} Error: Task timed out after {:.2} seconds \
                         (initialisation: it never asked for an event)",
                        limit.as_secs_f64(),
                    ),
                ));
                Err(Outcome::InitFailed { error_type, message })
            }
        }
    }

    /// An idle process, or else a new one; and whether it is new.
    async fn claim(self: &Arc<Self>) -> Result<(Arc<Process>, bool), InvokeError> {
        {
            let mut pool = self.pool();
            while let Some((process, _)) = pool.idle.pop() {
                if process.is_usable() {
                    pool.busy.insert(process.number);
                    return Ok((process, false));
                }
            }
        }
        let number = self.context.process_numbers.fetch_add(1, Ordering::Relaxed) + 1;
        let function = Arc::downgrade(self);
        let process = Process::start(
            number,
            &self.spec,
            &self.context.options,
            &self.context.guard,
            move || {
                if let Some(function) = function.upgrade() {
                    function.forget(number);
                }
            },
        )
        .await
        .map_err(|source| InvokeError::Start {
            function: self.spec.name.clone(),
            source,
        })?;
        let mut pool = self.pool();
        pool.busy.insert(number);
        // It may have ended, and been forgotten, before it is remembered here.
        if !process.has_ended() {
            pool.live.insert(number, Arc::clone(&process));
        }
        drop(pool);
        if self.context.closing.load(Ordering::Acquire) {
            process.kill();
        }
        Ok((process, true))
    }

    /// Takes a process back after an invocation.
    fn release(&self, process: &Arc<Process>) {
        let mut pool = self.pool();
        pool.busy.remove(&process.number);
        if process.has_ended() {
            pool.live.remove(&process.number);
        } else if pool.retired || self.context.closing.load(Ordering::Acquire) {
            process.terminate();
        } else if process.is_usable() {
            pool.idle.push((Arc::clone(process), Instant::now()));
        }
    }

    fn forget(&self, number: u32) {
        let mut pool = self.pool();
        pool.live.remove(&number);
        pool.idle.retain(|(process, _)| process.number != number);
    }

    /// Ends the processes that have been idle for so long.
    pub(crate) fn end_idle(&self, longer_than: Duration) {
        let mut pool = self.pool();
        pool.idle.retain(|(process, since)| {
            let keep = since.elapsed() < longer_than;
            if !keep {
                process.terminate();
            }
            keep
        });
    }

    /// Takes the function out of service: idle processes end now, busy ones after their answer.
    pub(crate) fn retire(&self) {
        self.pool().retired = true;
        self.end_idle(Duration::ZERO);
    }

    /// Refuses those who wait for a place.
    pub(crate) fn refuse_waiting(&self) {
        self.permits.close();
    }

    pub(crate) fn live(&self) -> Vec<(Arc<Process>, bool)> {
        let pool = self.pool();
        pool.live
            .values()
            .map(|process| (Arc::clone(process), pool.busy.contains(&process.number)))
            .collect()
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        lock(&self.pool)
    }
}

/// An event as the process gets it.
struct Event {
    request_id: Arc<str>,
    payload: Bytes,
    trace: String,
    client_context: Option<String>,
}

/// The given request id if it can stand in a header and a path, or else a new one.
fn usable_id(given: Option<String>) -> Arc<str> {
    let plain = |id: &String| {
        !id.is_empty()
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    given
        .filter(plain)
        .unwrap_or_else(|| Uuid::new_v4().to_string())
        .into()
}

/// An X-Ray header that samples nothing.
fn new_trace() -> String {
    let seconds = unix_ms(SystemTime::now()) / 1000;
    let random = Uuid::new_v4().simple().to_string();
    let parent = Uuid::new_v4().simple().to_string();
    format!(
        "Root=1-{seconds:08x}-{};Parent={};Sampled=0",
        &random[..24],
        &parent[..16]
    )
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
