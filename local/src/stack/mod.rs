//! The whole template, running: tables, queues, buses and parameters behind one AWS endpoint,
//! functions as processes, and everything that makes them run.

pub mod leftovers;
mod quiet;
mod starting;
#[cfg(test)]
mod streaming;

pub(crate) use starting::{read_template, tables_only};

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_endpoint::Endpoint;
use invariants::{GatewayMove, GivenUp, Published};
use lambda_host::async_invoke::AsyncInvoker;
use lambda_host::clock::RetryClock;
use lambda_host::log_sink::{LogSink, SilentLog};
use lambda_host::{Invocation, Invoke, InvokeRequest, LambdaHost};

use crate::dead_letters::{self, Letter};
use crate::delivery::Delivery;
use crate::error::LocalError;
use crate::faults::{FaultKind, FaultPlan};
use crate::functions::Functions;
use crate::gateway_log::GatewayLog;
use crate::given_up::given_up;
use crate::history::History;
use crate::http_api::HttpApiServer;
use crate::lambda_api::LambdaApiServer;
use crate::log_meter::LogMeter;
use crate::mappings::Mappings;
use crate::programs::Programs;
use crate::queues::{Queues, queue_name};
use crate::schedules::Schedules;
use crate::steps::{NoSteps, StepSink};
use crate::store_view::Store;
use crate::template;

/// Region of everything local.
pub const REGION: &str = "us-east-1";
/// Account of everything local.
pub const ACCOUNT: &str = "000000000000";

/// How a stack is started.
#[derive(Clone)]
pub struct StackOptions {
    /// The template.
    pub template: PathBuf,
    /// Values for its parameters, before their defaults.
    pub parameters: BTreeMap<String, String>,
    /// Where the functions' programs are.
    pub programs: Programs,
    /// Port of the HTTP API; 0 for any free one.
    pub api_port: u16,
    /// Port of the AWS endpoint; 0 for any free one.
    pub aws_port: u16,
    /// Folder that keeps everything over a restart; none for a temporary one.
    pub data_dir: Option<PathBuf>,
    /// Folder for the objects of buckets; none for `archive` in `data_dir`.
    pub archive_dir: Option<PathBuf>,
    /// Delays of retries.
    pub clock: RetryClock,
    /// Is told every step.
    pub steps: Arc<dyn StepSink>,
    /// Takes the functions' log lines.
    pub logs: Arc<dyn LogSink>,
    /// What goes wrong on purpose.
    pub faults: Option<FaultPlan>,
    /// Whether what is published, given up and charged is remembered, for the invariants; with a
    /// data directory over a restart, too.
    pub keep_history: bool,
    /// Most processes of one function.
    pub max_processes: u32,
    /// Folder in which it is noted what permissions functions ask for; none notes nothing.
    pub permissions_asked: Option<PathBuf>,
    /// How much later than it could the AWS endpoint serves a call.
    pub aws_latency: Duration,
}

impl StackOptions {
    /// Any free ports, nothing kept, nobody told.
    #[must_use]
    pub fn new(template: impl Into<PathBuf>, programs: Programs) -> Self {
        Self {
            template: template.into(),
            parameters: BTreeMap::new(),
            programs,
            api_port: 0,
            aws_port: 0,
            data_dir: None,
            archive_dir: None,
            clock: RetryClock::local(),
            steps: Arc::new(NoSteps),
            logs: Arc::new(SilentLog),
            faults: None,
            keep_history: false,
            max_processes: processes_for_this_machine(),
            permissions_asked: None,
            aws_latency: Duration::ZERO,
        }
    }
}

/// Twice the processors, 2 to 8: enough for invocations to overlap, few enough that each still
/// gets its share, as it would on machines of its own.
fn processes_for_this_machine() -> u32 {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(processors * 2).unwrap_or(8).clamp(2, 8)
}

/// A running stack. Dropped without [`Stack::shutdown`], it ends as a crash would.
pub struct Stack {
    template: Arc<sam_template::Stack>,
    endpoint: Arc<Endpoint>,
    functions: Functions,
    invoker: AsyncInvoker,
    delivery: Delivery,
    queues: Queues,
    history: Arc<History>,
    fault_plan: Option<FaultPlan>,
    mappings: Mappings,
    schedules: Schedules,
    http_api: HttpApiServer,
    lambda_api: LambdaApiServer,
    gateway_log: Arc<GatewayLog>,
    log_meter: Arc<LogMeter>,
    instance: String,
}

impl Stack {
    /// Starts everything that the template has.
    ///
    /// # Errors
    /// [`LocalError`]: a template that is not valid or asks for what is not done here, ports that
    /// are taken, a folder that is in use.
    pub async fn start(options: StackOptions) -> Result<Self, LocalError> {
        starting::start(options).await
    }

    /// What it was started from.
    #[must_use]
    pub fn template(&self) -> &sam_template::Stack {
        &self.template
    }

    /// The AWS endpoint.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Where the HTTP API serves.
    #[must_use]
    pub fn api_address(&self) -> SocketAddr {
        self.http_api.address()
    }

    /// `http://host:port` of the HTTP API.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("http://{}", self.http_api.address())
    }

    /// `http://host:port` of Lambda's Invoke API.
    #[must_use]
    pub fn lambda_url(&self) -> String {
        format!("http://{}", self.lambda_api.address())
    }

    /// The functions' processes.
    #[must_use]
    pub fn host(&self) -> &LambdaHost {
        self.functions.host()
    }

    /// Bytes of log lines that each function has written so far.
    #[must_use]
    pub fn logged(&self) -> std::collections::BTreeMap<String, u64> {
        self.log_meter.bytes()
    }

    /// Configured memory by function, in MB.
    #[must_use]
    pub fn configured_memory(&self) -> std::collections::BTreeMap<String, u32> {
        let functions = self.template.functions.iter();
        functions
            .map(|function| (function.name.clone(), function.memory_mb))
            .collect()
    }

    /// The asynchronous invocations.
    #[must_use]
    pub fn invoker(&self) -> &AsyncInvoker {
        &self.invoker
    }

    /// Name of this run: no other has it.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Name of the function that is called so: by its name, its logical id or its program.
    ///
    /// # Errors
    /// [`LocalError::UnknownFunction`] lists the names.
    pub fn function_name(&self, called: &str) -> Result<String, LocalError> {
        let found = template::function_names(&self.template).remove(called);
        found.ok_or_else(|| {
            let functions = self.template.functions.iter();
            let names: Vec<&str> = functions.map(|one| one.name.as_str()).collect();
            LocalError::UnknownFunction {
                name: called.to_owned(),
                known: names.join(", "),
            }
        })
    }

    /// Calls a function with an event and waits for the outcome.
    ///
    /// # Errors
    /// As [`Invoke::invoke`].
    pub async fn invoke(
        &self,
        function: &str,
        payload: impl Into<bytes::Bytes>,
    ) -> Result<Invocation, lambda_host::InvokeError> {
        self.functions
            .invoke(InvokeRequest::new(function, payload.into()))
            .await
    }

    /// What was put on the buses, where that is remembered.
    #[must_use]
    pub fn published(&self) -> Vec<Published> {
        self.history.all_published()
    }

    /// The events that were given up and are not done with: they lie in a dead-letter queue, or
    /// their letter waits or is parked. Those that deliveries gave up count as long as no letter of
    /// theirs says otherwise, where that is remembered.
    ///
    /// # Errors
    /// [`LocalError::Store`] for a queue or table that cannot be read.
    pub async fn given_up(&self) -> Result<Vec<GivenUp>, LocalError> {
        // The queues first: what is taken out of them meanwhile is in the table then.
        let mut found = Vec::new();
        for queue in &self.template.queues {
            let messages = dead_letters::messages(&self.endpoint, &queue.name).await?;
            for mut message in messages {
                message.records = self.queues.records(&message.body);
                found.extend(given_up(&message, &self.template));
            }
        }
        let store = Store::Endpoint(&self.endpoint);
        let letters = dead_letters::letters(store, &self.template).await?;
        let of_letter = |letter: &Letter| {
            Some(GivenUp {
                consumer: letter.consumer.clone(),
                event_id: letter.event_id.clone()?,
            })
        };
        let known: HashSet<GivenUp> = letters.iter().filter_map(of_letter).collect();
        let remembered = self.history.all_given_up();
        let delivered = remembered
            .iter()
            .flat_map(|letter| given_up(letter, &self.template))
            .filter(|one| !known.contains(one));
        found.extend(delivered);
        let open = letters.iter().filter(|letter| letter.open);
        found.extend(open.filter_map(of_letter));
        Ok(found)
    }

    /// What the simulated payment gateway did; none where that is not remembered, or where
    /// another gateway charges.
    pub async fn gateway_moves(&self) -> Option<Vec<GatewayMove>> {
        self.gateway_log.moves().await
    }

    /// What goes wrong on purpose; none where nothing does.
    #[must_use]
    pub fn fault_plan(&self) -> Option<&FaultPlan> {
        self.fault_plan.as_ref()
    }

    /// How much went wrong on purpose, by kind.
    #[must_use]
    pub fn faults(&self) -> BTreeMap<FaultKind, u64> {
        self.history.faults()
    }

    /// What was given up and is not done with, by queue: its messages, and the letters that wait
    /// or are parked; empty queues are left out.
    ///
    /// # Errors
    /// [`LocalError::Store`] for a table that cannot be read.
    pub async fn dead_letter_depths(&self) -> Result<BTreeMap<String, usize>, LocalError> {
        let mut depths = self.queue_depths();
        let store = Store::Endpoint(&self.endpoint);
        let letters = dead_letters::letters(store, &self.template).await?;
        for letter in letters.into_iter().filter(|letter| letter.open) {
            let queue = self.queue_of(&letter.consumer);
            *depths.entry(queue.to_owned()).or_default() += 1;
        }
        Ok(depths)
    }

    /// Name of the queue that takes what a consumer gives up; its own where it has none.
    fn queue_of<'s>(&'s self, consumer: &'s str) -> &'s str {
        let mut functions = self.template.functions.iter();
        let Some(function) = functions.find(|one| one.binary == consumer) else {
            return consumer;
        };
        let mut mappings = self.template.mappings.iter();
        let mapping = mappings.find(|one| one.function == function.logical_id);
        let of_mapping = mapping.and_then(|one| one.on_failure.as_deref());
        let queue = function.on_failure.as_deref().or(of_mapping);
        queue.map_or(consumer, queue_name)
    }

    /// Messages in the queues that take what was given up, by queue; empty queues are left out.
    fn queue_depths(&self) -> BTreeMap<String, usize> {
        let template = &self.template;
        let arns = template
            .functions
            .iter()
            .flat_map(|one| [&one.on_failure, &one.dead_letter])
            .chain(template.mappings.iter().map(|one| &one.on_failure))
            .flatten()
            .chain(template.rules.iter().flat_map(|one| {
                one.targets
                    .iter()
                    .filter_map(|target| target.dead_letter.as_ref())
            }))
            .chain(template.schedules.iter().flat_map(|one| {
                one.targets
                    .iter()
                    .filter_map(|target| target.dead_letter.as_ref())
            }))
            .chain(
                template
                    .queues
                    .iter()
                    .filter_map(|one| one.redrive.as_ref().map(|redrive| &redrive.dead_letter)),
            );
        let mut depths = BTreeMap::new();
        for queue in arns.filter_map(|arn| template.queue_by_arn(arn)) {
            let depth = self.endpoint.queue(&queue.name).unwrap_or_default();
            let messages = depth.visible + depth.in_flight + depth.delayed;
            if messages > 0 {
                depths.insert(queue.name.clone(), messages);
            }
        }
        depths
    }

    /// Ends the stack: takes no more requests, lets what runs come to its end (for `grace` at
    /// most), keeps the rest for the next start where there is a data directory.
    ///
    /// # Errors
    /// [`LocalError::Endpoint`] when the data cannot be written.
    pub async fn shutdown(self, grace: Duration) -> Result<(), LocalError> {
        let Self {
            endpoint,
            functions,
            invoker,
            mappings,
            schedules,
            http_api,
            lambda_api,
            delivery,
            queues,
            ..
        } = self;
        drop(schedules);
        http_api.stop(grace).await;
        lambda_api.stop(grace).await;
        // A batch under way is waited for, so what it publishes is still taken.
        let _ = tokio::time::timeout(grace, mappings.stop()).await;
        invoker.stop();
        functions.host().shutdown(grace).await;
        // Whoever was answered now notes that it is done; what is not noted comes again.
        while functions.in_flight() > 0 {
            tokio::task::yield_now().await;
        }
        drop((functions, invoker, delivery, queues));
        let mut shared = endpoint;
        let deadline = tokio::time::Instant::now() + grace;
        let endpoint = loop {
            match Arc::try_unwrap(shared) {
                Ok(endpoint) => break endpoint,
                Err(still_shared) if tokio::time::Instant::now() < deadline => {
                    shared = still_shared;
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                // Somebody still waits for it: it ends with them.
                Err(_) => return Ok(()),
            }
        };
        endpoint.shutdown().await.map_err(LocalError::from)
    }
}
