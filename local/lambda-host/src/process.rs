//! One process of a function, with a runtime API of its own.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::serve::ListenerExt;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};

use crate::function::FunctionSpec;
use crate::host::HostOptions;
use crate::limits::LOG_LINE_BYTES;
use crate::log_sink::{LogLine, LogSink, LogStream};
use crate::memory;
use crate::orphan_guard::OrphanGuard;
use crate::runtime_api::{RuntimeApi, Work};

/// How a process is asked to end.
#[derive(Debug, Clone, Copy)]
enum Order {
    Terminate,
    Kill,
}

/// A live or ended process.
#[derive(Debug)]
pub(crate) struct Process {
    pub number: u32,
    pub pid: u32,
    work: mpsc::UnboundedSender<Work>,
    api: Arc<RuntimeApi>,
    ready: watch::Receiver<Option<Duration>>,
    exited: watch::Receiver<Option<String>>,
    orders: mpsc::UnboundedSender<Order>,
    /// Set as soon as it is asked to end: it must not get another event.
    doomed: AtomicBool,
}

impl Process {
    /// Starts a process of the function. `on_exit` is called once, when it has ended.
    pub(crate) async fn start(
        number: u32,
        spec: &FunctionSpec,
        options: &HostOptions,
        guard: &OrphanGuard,
        on_exit: impl FnOnce() + Send + 'static,
    ) -> io::Result<Arc<Self>> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?.to_string();
        let (work, work_queue) = mpsc::unbounded_channel();
        let (ready_sender, ready) = watch::channel(None);
        let (exited_sender, exited) = watch::channel(None);
        let (orders, order_queue) = mpsc::unbounded_channel();

        let mut child = command(number, spec, options, &address).spawn()?;
        let pid = child.id().unwrap_or_default();
        guard.started(pid);
        let api = Arc::new(RuntimeApi::new(work_queue, ready_sender));
        let router = Arc::clone(&api).router();
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        let server = tokio::spawn(async move { axum::serve(listener, router).await });
        if let Some(output) = child.stdout.take() {
            let lines = Lines::new(number, spec, &api, options, LogStream::Stdout);
            tokio::spawn(lines.forward(output));
        }
        if let Some(output) = child.stderr.take() {
            let lines = Lines::new(number, spec, &api, options, LogStream::Stderr);
            tokio::spawn(lines.forward(output));
        }
        let guard = guard.clone();
        tokio::spawn(async move {
            let status = supervise(&mut child, order_queue).await;
            guard.ended(pid);
            server.abort();
            // In this order: whoever finds it alive after this is forgotten after all.
            exited_sender.send_replace(Some(status));
            on_exit();
        });
        Ok(Arc::new(Self {
            number,
            pid,
            work,
            api,
            ready,
            exited,
            orders,
            doomed: AtomicBool::new(false),
        }))
    }

    /// Hands over an event; it waits until the process asks for it.
    pub(crate) fn give(&self, work: Work) {
        // Refused only when the API is gone: then the process has ended, which the caller sees.
        let _ = self.work.send(work);
    }

    /// Time that the process took until it asked for its first event. Never, if it does not.
    pub(crate) async fn ready(&self) -> Duration {
        let mut ready = self.ready.clone();
        if let Ok(duration) = ready.wait_for(Option::is_some).await {
            return duration.unwrap_or_default();
        }
        std::future::pending().await
    }

    /// How the process ended, once it has: `exit status 3`, `signal: killed`, or nothing.
    pub(crate) async fn ended(&self) -> String {
        let mut exited = self.exited.clone();
        match exited.wait_for(Option::is_some).await {
            Ok(status) => status.clone().unwrap_or_default(),
            Err(_) => "host shut down".to_owned(),
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.exited.borrow().is_some()
    }

    /// Whether it can take another event.
    pub(crate) fn is_usable(&self) -> bool {
        !self.doomed.load(Ordering::Acquire) && !self.has_ended()
    }

    pub(crate) fn init_error(&self) -> Option<(String, String)> {
        self.api.init_error()
    }

    /// The invocation that it took last.
    pub(crate) fn last_request_id(&self) -> Option<Arc<str>> {
        self.api.last_request_id()
    }

    pub(crate) fn memory(&self) -> Option<u64> {
        memory::high_water_mark(self.pid)
    }

    /// Asks the process to end.
    pub(crate) fn terminate(&self) {
        self.doomed.store(true, Ordering::Release);
        let _ = self.orders.send(Order::Terminate);
    }

    /// Ends the process at once.
    pub(crate) fn kill(&self) {
        self.doomed.store(true, Ordering::Release);
        let _ = self.orders.send(Order::Kill);
    }
}

/// Waits for the end of the process, carrying out orders meanwhile.
async fn supervise(child: &mut Child, mut orders: mpsc::UnboundedReceiver<Order>) -> String {
    loop {
        tokio::select! {
            biased;
            status = child.wait() => {
                return status.map_or_else(|error| error.to_string(), describe);
            }
            order = orders.recv() => match order {
                Some(Order::Terminate) => terminate(child),
                Some(Order::Kill) | None => kill(child),
            },
        }
    }
}

#[cfg(unix)]
fn terminate(child: &mut Child) {
    signal_group(child, rustix::process::Signal::TERM);
}

#[cfg(not(unix))]
fn terminate(child: &mut Child) {
    kill(child);
}

fn kill(child: &mut Child) {
    #[cfg(unix)]
    signal_group(child, rustix::process::Signal::KILL);
    let _ = child.start_kill();
}

/// Signals the process and what it started. Safe from hitting a stranger: the process has not been
/// waited for, so its id is not free yet.
#[cfg(unix)]
fn signal_group(child: &Child, signal: rustix::process::Signal) {
    let pid = child
        .id()
        .and_then(|pid| i32::try_from(pid).ok())
        .and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        let _ = rustix::process::kill_process_group(pid, signal);
    }
}

/// The end of a process in Lambda's words; nothing for a clean exit.
fn describe(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        let name = match signal {
            1 => "hangup",
            2 => "interrupt",
            4 => "illegal instruction",
            6 => "aborted",
            8 => "floating point exception",
            9 => "killed",
            11 => "segmentation fault",
            13 => "broken pipe",
            15 => "terminated",
            other => return format!("signal: {other}"),
        };
        return format!("signal: {name}");
    }
    match status.code() {
        Some(0) => String::new(),
        Some(code) => format!("exit status {code}"),
        None => status.to_string(),
    }
}

fn command(number: u32, spec: &FunctionSpec, options: &HostOptions, api: &str) -> Command {
    let mut command = Command::new(&spec.program);
    command
        .args(&spec.args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .env_clear();
    // Out of the terminal's reach: Ctrl-C is for the host, which then ends the functions.
    #[cfg(unix)]
    command.process_group(0);
    // The least that a program needs. HOME makes ~/.aws reachable, so those files are named away.
    for name in ["PATH", "HOME", "SystemRoot", "SystemDrive", "TEMP", "TMP"] {
        let wanted = matches!(name, "PATH" | "HOME") || cfg!(windows);
        if let Some(value) = std::env::var_os(name).filter(|_| wanted) {
            command.env(name, value);
        }
    }
    let nowhere = if cfg!(windows) { "NUL" } else { "/dev/null" };
    let task_root = spec
        .program
        .parent()
        .map(|parent| parent.to_string_lossy().into_owned())
        .unwrap_or_default();
    command
        .env("AWS_CONFIG_FILE", nowhere)
        .env("AWS_SHARED_CREDENTIALS_FILE", nowhere)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_REGION", &options.region)
        .env("AWS_DEFAULT_REGION", &options.region)
        .env("LANG", "en_US.UTF-8")
        .env("TZ", ":UTC")
        .env("LAMBDA_TASK_ROOT", task_root)
        .env("_HANDLER", "bootstrap")
        .envs(&spec.environment)
        .env("AWS_LAMBDA_RUNTIME_API", api)
        .env("AWS_LAMBDA_FUNCTION_NAME", &spec.name)
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env(
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
            spec.memory_mb.to_string(),
        )
        .env(
            "AWS_LAMBDA_LOG_GROUP_NAME",
            format!("/aws/lambda/{}", spec.name),
        )
        .env(
            "AWS_LAMBDA_LOG_STREAM_NAME",
            format!("local/[$LATEST]{number:032x}"),
        )
        .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand");
    command
}

/// Forwards one output of a process, line by line.
struct Lines {
    function: String,
    process: u32,
    api: Arc<RuntimeApi>,
    sink: Arc<dyn LogSink>,
    stream: LogStream,
}

impl Lines {
    fn new(
        process: u32,
        spec: &FunctionSpec,
        api: &Arc<RuntimeApi>,
        options: &HostOptions,
        stream: LogStream,
    ) -> Self {
        Self {
            function: spec.name.clone(),
            process,
            api: Arc::clone(api),
            sink: Arc::clone(&options.log_sink),
            stream,
        }
    }

    async fn forward(self, output: impl AsyncRead + Unpin) {
        let mut reader = BufReader::new(output);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = (&mut reader)
                .take(LOG_LINE_BYTES)
                .read_until(b'\n', &mut line)
                .await;
            if !matches!(read, Ok(length) if length > 0) {
                return;
            }
            while line.last().is_some_and(|end| matches!(end, b'\n' | b'\r')) {
                line.pop();
            }
            let request_id = self.api.last_request_id();
            self.sink.line(&LogLine {
                function: &self.function,
                process: self.process,
                request_id: request_id.as_deref(),
                stream: self.stream,
                text: &String::from_utf8_lossy(&line),
            });
        }
    }
}
