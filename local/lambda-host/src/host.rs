//! The host: functions registered by name, each with its own processes.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use bytes::Bytes;
use serde::de::IgnoredAny;
use tokio::time::Instant;

use crate::function::{Function, FunctionSpec, HostContext};
use crate::invocation::{Invocation, Invoke, InvokeError, InvokeRequest};
use crate::limits::SYNC_PAYLOAD_BYTES;
use crate::log_sink::{LogSink, SilentLog};
use crate::orphan_guard::OrphanGuard;
use crate::process::Process;
use crate::stats::FunctionStats;

/// How a host runs its functions.
#[derive(Clone)]
pub struct HostOptions {
    /// Most processes, and so most invocations at a time, of one function. Further invocations
    /// wait. Default 8.
    pub max_processes_per_function: u32,
    /// A process that has been idle for so long is ended; none keeps it. Default none.
    pub idle_timeout: Option<Duration>,
    /// A process must ask for its first event within this time. Default 10 seconds, as AWS has it.
    pub init_timeout: Duration,
    /// Takes the lines that functions write. Default: drops them.
    pub log_sink: Arc<dyn LogSink>,
    /// Region told to the functions. Default `us-east-1`.
    pub region: String,
    /// Account in the functions' ARNs. Default `000000000000`.
    pub account_id: String,
}

impl HostOptions {
    /// ARN of a function of this host.
    #[must_use]
    pub fn function_arn(&self, function: &str) -> String {
        format!(
            "arn:aws:lambda:{}:{}:function:{function}",
            self.region, self.account_id
        )
    }
}

impl Default for HostOptions {
    fn default() -> Self {
        Self {
            max_processes_per_function: 8,
            idle_timeout: None,
            init_timeout: Duration::from_secs(10),
            log_sink: Arc::new(SilentLog),
            region: "us-east-1".to_owned(),
            account_id: "000000000000".to_owned(),
        }
    }
}

impl fmt::Debug for HostOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("HostOptions")
            .field(
                "max_processes_per_function",
                &self.max_processes_per_function,
            )
            .field("idle_timeout", &self.idle_timeout)
            .field("init_timeout", &self.init_timeout)
            .field("region", &self.region)
            .field("account_id", &self.account_id)
            .finish_non_exhaustive()
    }
}

/// Why a host or a function could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// Loopback sockets cannot be opened. Allow the program to listen on 127.0.0.1.
    #[error("cannot listen on 127.0.0.1; allow this program to open local sockets")]
    Listen(#[source] std::io::Error),
    /// The program of a function is not there. Build it first.
    #[error("the program of {function} is not a file: {program}; build it first")]
    ProgramNotFound {
        /// The function.
        function: String,
        /// Where its program was looked for.
        program: PathBuf,
    },
    /// The name or the limits of a function cannot be. Correct them.
    #[error("the function {function:?} cannot be registered: {problem}")]
    InvalidSpec {
        /// The function.
        function: String,
        /// What to correct.
        problem: &'static str,
    },
}

/// A process that was killed on purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Killed {
    /// Function it belonged to.
    pub function: String,
    /// Number of the process.
    pub process: u32,
    /// Whether it had an invocation.
    pub was_busy: bool,
}

/// Runs functions. Clones are the same host; when the last one is dropped all processes are killed.
#[derive(Debug, Clone)]
pub struct LambdaHost {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    context: Arc<HostContext>,
    functions: RwLock<BTreeMap<String, Arc<Function>>>,
}

impl LambdaHost {
    /// Starts a host without functions. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`HostError::Listen`] when no local socket can be opened.
    pub async fn start(options: HostOptions) -> Result<Self, HostError> {
        tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .map_err(HostError::Listen)?;
        let idle_timeout = options.idle_timeout;
        let inner = Arc::new(Inner {
            context: Arc::new(HostContext {
                options,
                guard: OrphanGuard::start(),
                process_numbers: AtomicU32::new(0),
                closing: AtomicBool::new(false),
            }),
            functions: RwLock::default(),
        });
        if let Some(idle_timeout) = idle_timeout {
            tokio::spawn(end_idle(Arc::downgrade(&inner), idle_timeout));
        }
        Ok(Self { inner })
    }

    /// Registers a function, or replaces the one of that name: its busy processes finish their
    /// invocation, its counters go on.
    ///
    /// # Errors
    /// [`HostError::ProgramNotFound`] when there is no such program, [`HostError::InvalidSpec`]
    /// when the name, timeout or memory cannot be.
    pub fn register(&self, mut spec: FunctionSpec) -> Result<(), HostError> {
        let invalid = |problem| HostError::InvalidSpec {
            function: spec.name.clone(),
            problem,
        };
        let name_is_plain = spec
            .name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if spec.name.is_empty() || !name_is_plain {
            return Err(invalid(
                "a name has letters, digits, hyphens and underscores",
            ));
        }
        if spec.timeout.is_zero() || spec.timeout > Duration::from_mins(15) {
            return Err(invalid("a timeout is more than 0 and at most 900 seconds"));
        }
        if spec.memory_mb == 0 {
            return Err(invalid("memory is at least 1 MB (on AWS 128)"));
        }
        if !spec.program.is_file() {
            return Err(HostError::ProgramNotFound {
                function: spec.name,
                program: spec.program,
            });
        }
        if let Ok(absolute) = std::path::absolute(&spec.program) {
            spec.program = absolute;
        }
        let mut functions = self
            .inner
            .functions
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let before = functions.remove(&spec.name);
        let stats = before
            .as_ref()
            .map(|function| function.shared_stats())
            .unwrap_or_default();
        let name = spec.name.clone();
        let function = Function::new(spec, Arc::clone(&self.inner.context), stats);
        functions.insert(name, Arc::new(function));
        drop(functions);
        if let Some(before) = before {
            before.retire();
        }
        Ok(())
    }

    /// Invokes a function and waits for the outcome. Waits for a free place while the function has
    /// as many invocations as it may have. The invocation runs to its end even when the returned
    /// future is dropped.
    ///
    /// # Errors
    /// [`InvokeError`] when the event did not reach the function. A function that fails, times out
    /// or crashes is an [`crate::Outcome`].
    pub async fn invoke(
        &self,
        function: &str,
        payload: Bytes,
        trace: Option<String>,
    ) -> Result<Invocation, InvokeError> {
        self.invoke_request(InvokeRequest {
            trace,
            ..InvokeRequest::new(function, payload)
        })
        .await
    }

    /// As [`LambdaHost::invoke`], with a request id of the caller's choice.
    ///
    /// # Errors
    /// As [`LambdaHost::invoke`].
    pub async fn invoke_request(&self, request: InvokeRequest) -> Result<Invocation, InvokeError> {
        if self.inner.context.closing.load(Ordering::Acquire) {
            return Err(InvokeError::ShuttingDown);
        }
        if request.payload.len() > SYNC_PAYLOAD_BYTES {
            return Err(InvokeError::RequestTooLarge {
                function: request.function,
                bytes: request.payload.len(),
                limit: SYNC_PAYLOAD_BYTES,
            });
        }
        if !request.payload.is_empty() {
            serde_json::from_slice::<IgnoredAny>(&request.payload)
                .map_err(InvokeError::InvalidRequestContent)?;
        }
        let function = self
            .inner
            .function(&request.function)
            .ok_or(InvokeError::NotFound {
                function: request.function.clone(),
            })?;
        // A task of its own: the caller may hang up, the function runs on.
        tokio::spawn(function.invoke(request))
            .await
            .unwrap_or(Err(InvokeError::ShuttingDown))
    }

    /// ARN of a function of this host.
    #[must_use]
    pub fn function_arn(&self, function: &str) -> String {
        self.inner.context.options.function_arn(function)
    }

    /// Counters by function.
    #[must_use]
    pub fn stats(&self) -> BTreeMap<String, FunctionStats> {
        self.inner
            .all()
            .into_iter()
            .map(|function| (function.spec.name.clone(), function.stats()))
            .collect()
    }

    /// Kills one process of the function that has an invocation; false when none has.
    #[must_use]
    pub fn kill_busy(&self, function: &str) -> bool {
        let busy = self.inner.function(function).and_then(|function| {
            let mut live = function.live().into_iter();
            live.find_map(|(process, busy)| busy.then_some(process))
        });
        busy.is_some_and(|process| {
            process.kill();
            true
        })
    }

    /// Kills the process that has this invocation of the function; false when none has, or not
    /// any more.
    #[must_use]
    pub fn kill_invocation(&self, function: &str, request_id: &str) -> bool {
        let has_it = |process: &Process| process.last_request_id().as_deref() == Some(request_id);
        let busy = self.inner.function(function).and_then(|function| {
            let mut live = function.live().into_iter();
            live.find_map(|(process, busy)| (busy && has_it(&process)).then_some(process))
        });
        busy.is_some_and(|process| {
            process.kill();
            true
        })
    }

    /// Kills one of all live processes, the same one for the same choice and the same processes.
    #[must_use]
    pub fn kill_any(&self, choice: u64) -> Option<Killed> {
        let live: Vec<(String, Arc<Process>, bool)> = self
            .inner
            .all()
            .into_iter()
            .flat_map(|function| {
                let name = function.spec.name.clone();
                let named = move |(process, busy)| (name.clone(), process, busy);
                function.live().into_iter().map(named)
            })
            .collect();
        let count = u64::try_from(live.len()).ok().filter(|count| *count > 0)?;
        let index = usize::try_from(choice % count).ok()?;
        let (function, process, was_busy) = live.into_iter().nth(index)?;
        process.kill();
        Some(Killed {
            function,
            process: process.number,
            was_busy,
        })
    }

    /// Ends the host: refuses new invocations and those that wait, asks idle processes to end
    /// (`SIGTERM`), gives busy ones `grace` to answer and all of them to end, then kills.
    pub async fn shutdown(&self, grace: Duration) {
        let deadline = Instant::now() + grace;
        self.inner.context.closing.store(true, Ordering::Release);
        let functions = self.inner.all();
        for function in &functions {
            function.refuse_waiting();
            function.retire();
        }
        let live = || functions.iter().flat_map(|function| function.live());
        for (process, _) in live() {
            if tokio::time::timeout_at(deadline, process.ended())
                .await
                .is_err()
            {
                break;
            }
        }
        for (process, _) in live() {
            process.kill();
        }
        for (process, _) in live() {
            process.ended().await;
        }
    }
}

impl Invoke for LambdaHost {
    async fn invoke(&self, request: InvokeRequest) -> Result<Invocation, InvokeError> {
        self.invoke_request(request).await
    }
}

impl Inner {
    fn function(&self, name: &str) -> Option<Arc<Function>> {
        let functions = self
            .functions
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        functions.get(name).cloned()
    }

    fn all(&self) -> Vec<Arc<Function>> {
        let functions = self
            .functions
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        functions.values().cloned().collect()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.context.closing.store(true, Ordering::Release);
        for function in self.all() {
            function.refuse_waiting();
            for (process, _) in function.live() {
                process.kill();
            }
        }
    }
}

/// Ends idle processes, as long as the host is there.
async fn end_idle(host: Weak<Inner>, idle_timeout: Duration) {
    let pause = (idle_timeout / 4).clamp(Duration::from_millis(10), Duration::from_secs(10));
    loop {
        tokio::time::sleep(pause).await;
        let Some(host) = host.upgrade() else {
            return;
        };
        for function in host.all() {
            function.end_idle(idle_timeout);
        }
    }
}
