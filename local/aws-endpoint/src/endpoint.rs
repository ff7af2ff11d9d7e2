//! The endpoint a host starts.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::ApiError;
use crate::access::Permissions;
use crate::buckets::Buckets;
use crate::dynamodb::{DynamoDb, Settings};
use crate::endpoint_error::EndpointError;
use crate::events::{EventSink, Events};
use crate::faults::Faults;
use crate::firehose::{self, Firehose};
use crate::functions::{FunctionCalls, Functions};
use crate::kinesis::Kinesis;
use crate::kms::Kms;
use crate::logs::Logs;
use crate::mail::{Mail, SentEmail};
use crate::meter::{Meter, MeterSnapshot, Outcome, Usage};
use crate::parameters::Parameters;
use crate::services::{Services, ends_with_its_caller};
use crate::sites::{Site, Sites};
use crate::sqs::{QueueDepth, Sqs};
use crate::streams::TableStream;
use crate::topics::Topics;

/// How an endpoint is started.
#[derive(Clone)]
pub struct Options {
    /// Loopback address to serve on; port 0 for any free one.
    pub addr: SocketAddr,
    /// Folder that keeps everything over a restart; none for a temporary one.
    pub data_dir: Option<PathBuf>,
    /// Folder for the objects of buckets; none for `archive` in the folder of everything else.
    pub objects_dir: Option<PathBuf>,
    /// Region in ARNs and events.
    pub region: String,
    /// Account in ARNs, events and queue URLs, 12 digits.
    pub account_id: String,
    /// Whether a write that meets an item of a transaction on its way is
    /// refused, as AWS does.
    pub transaction_conflicts: bool,
    /// What goes wrong on purpose with calls over HTTP.
    pub faults: Option<Arc<dyn Faults>>,
    /// How much later than it could a call over HTTP is served: the way to a region and back. The
    /// process does something else meanwhile.
    pub latency: Duration,
}

impl Default for Options {
    /// Any free port of 127.0.0.1, nothing kept, `us-east-1`, account
    /// `000000000000`, transaction conflicts on, no faults, no latency.
    fn default() -> Self {
        Self {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            data_dir: None,
            objects_dir: None,
            region: "us-east-1".to_owned(),
            account_id: "000000000000".to_owned(),
            transaction_conflicts: true,
            faults: None,
            latency: Duration::ZERO,
        }
    }
}

/// A running endpoint. It stops when it is shut down or dropped.
pub struct Endpoint {
    pub(crate) services: Arc<Services>,
    addr: SocketAddr,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
    /// Held while the endpoint runs, so that no other opens its folder.
    lock: File,
    /// The folder of an endpoint without a data directory; removed with it.
    temporary: Option<TempDir>,
}

impl Endpoint {
    /// Opens the data directory and starts to serve.
    ///
    /// # Errors
    /// [`EndpointError`]: an address that is not loopback or is taken, a
    /// folder that is in use or damaged.
    pub async fn start(options: Options) -> Result<Self, EndpointError> {
        if !options.addr.ip().is_loopback() {
            return Err(EndpointError::NotLoopback(options.addr));
        }
        let (directory, temporary) = if let Some(directory) = &options.data_dir {
            (directory.clone(), None)
        } else {
            let made = TempDir::with_prefix("aws-endpoint-");
            let temporary = made.map_err(|error| EndpointError::Storage {
                path: std::env::temp_dir(),
                what: error.to_string(),
            })?;
            (temporary.path().to_owned(), Some(temporary))
        };
        let lock = lock(&directory)?;
        let listen = |source| EndpointError::Listen {
            addr: options.addr,
            source,
        };
        let listener = TcpListener::bind(options.addr).await.map_err(listen)?;
        let addr = listener.local_addr().map_err(listen)?;
        let (region, account) = (options.region.as_str(), options.account_id.as_str());
        let durable = options.data_dir.is_some();
        let objects_dir = options
            .objects_dir
            .unwrap_or_else(|| directory.join("archive"));
        let services = Arc::new(Services {
            dynamodb: DynamoDb::open(Settings {
                directory: &directory,
                durable,
                region,
                account,
                transaction_conflicts: options.transaction_conflicts,
            })
            .await?,
            sqs: Sqs::open(durable.then_some(&directory), addr, region, account)?,
            events: Events::new(region, account),
            functions: Functions::default(),
            parameters: Parameters::open(durable.then_some(&directory), region, account)?,
            firehose: Firehose::open(durable.then_some(&directory))?,
            buckets: Buckets::new(objects_dir),
            topics: Topics::default(),
            kinesis: Kinesis::open(durable.then_some(&directory), region, account)?,
            kms: Kms::open(durable.then_some(&directory))?,
            logs: Logs::open(&directory)?,
            mail: Mail::default(),
            sites: Sites::default(),
            meter: Meter::default(),
            faults: options.faults,
            latency: options.latency,
            permissions: RwLock::default(),
            region: region.to_owned(),
            account: account.to_owned(),
        });
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(firehose::run(Arc::downgrade(&services), stopped.clone()));
        let server = tokio::spawn(crate::server::serve(
            listener,
            Arc::clone(&services),
            stopped,
        ));
        Ok(Self {
            services,
            addr,
            stop,
            server,
            lock,
            temporary,
        })
    }

    /// Where it serves.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://host:port`, for an SDK's `endpoint_url`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Creates a table from a `CreateTable` request; one that exists with the
    /// same keys, indexes and stream is left as it is, with the deletion
    /// protection that it has by now. A `StreamSpecification` without `StreamEnabled` (as in a template) counts
    /// as enabled.
    ///
    /// # Errors
    /// [`EndpointError::Refused`] for a definition AWS refuses or that is not
    /// served here, [`EndpointError::TableChanged`] when the kept one differs.
    pub async fn create_table(&self, request: &Value) -> Result<(), EndpointError> {
        self.services.dynamodb.ensure_table(request).await
    }

    /// Creates a queue, or gives these attributes to the one that exists;
    /// returns its URL.
    ///
    /// # Errors
    /// [`EndpointError::Refused`] for names and attributes AWS refuses, and
    /// for FIFO queues.
    pub async fn create_queue(
        &self,
        name: &str,
        attributes: &BTreeMap<String, String>,
    ) -> Result<String, EndpointError> {
        Ok(self.services.sqs.ensure_queue(name, attributes).await?)
    }

    /// URL of a queue, whether it exists or not.
    #[must_use]
    pub fn queue_url(&self, name: &str) -> String {
        self.services.sqs.url(name)
    }

    /// Creates an event bus. `default` exists always.
    pub fn create_bus(&self, name: &str) {
        self.services.events.create_bus(name);
    }

    /// Gives a parameter of type `String` its initial value: one that was put
    /// (`PutParameter`), now or before a restart, keeps its own.
    pub fn set_parameter(&self, name: &str, value: &str) {
        self.services.parameters.set(name, value, false);
    }

    /// As [`set_parameter`](Self::set_parameter), of type `SecureString`: read
    /// without `WithDecryption`, its value is not the plain one.
    pub fn set_secure_parameter(&self, name: &str, value: &str) {
        self.services.parameters.set(name, value, true);
    }

    /// From now on callers may do over HTTP what these permissions allow; before, everything.
    pub fn register_permissions(&self, permissions: Arc<dyn Permissions>) {
        let mut registered =
            (self.services.permissions.write()).unwrap_or_else(PoisonError::into_inner);
        *registered = Some(permissions);
    }

    /// Creates a symmetric key, unless there is one of this ARN.
    ///
    /// # Errors
    /// [`EndpointError::Storage`], when it cannot be kept.
    pub fn create_key(&self, arn: &str) -> Result<(), EndpointError> {
        self.services.kms.create_key(arn)
    }

    /// Creates a log group, unless there is one.
    pub fn create_log_group(&self, name: &str) {
        self.services.logs.create_group(name);
    }

    /// Adds a line to a log group, written at a time in milliseconds since the Unix epoch.
    pub fn put_log_line(&self, group: &str, stream: &str, at_millis: i64, message: &str) {
        self.services.logs.put(group, stream, at_millis, message);
    }

    /// Says who takes what is put on the buses. Until then `PutEvents` fails.
    pub fn register_sink(&self, sink: Arc<dyn EventSink>) {
        self.services.events.register(sink);
    }

    /// Says who runs functions. Until then Lambda's `Invoke` fails.
    pub fn register_functions(&self, calls: Arc<dyn FunctionCalls>) {
        self.services.functions.register(calls);
    }

    /// Serves a site at `path` and below, such as `/issuer`: faults do not meet it, and it is not
    /// metered.
    pub fn register_site(&self, path: &str, site: Arc<dyn Site>) {
        self.services.sites.register(path, site);
    }

    /// Calls an operation in process: same semantics as over HTTP, but without
    /// faults and not metered. Services as in
    /// [`CallKey::service`](crate::CallKey::service).
    ///
    /// # Errors
    /// The [`ApiError`] that a caller over HTTP would get.
    pub async fn call(
        &self,
        service: &str,
        operation: &str,
        request: Value,
    ) -> Result<Value, ApiError> {
        if ends_with_its_caller(service, operation) {
            let mut usage = Usage::default();
            let call = self
                .services
                .call(service, operation, request, &[], &mut usage);
            return call.await;
        }
        let services = Arc::clone(&self.services);
        let (service, operation) = (service.to_owned(), operation.to_owned());
        // In a task of its own: a caller that is dropped does not stop a write halfway.
        let task = tokio::spawn(async move {
            let mut usage = Usage::default();
            services
                .call(&service, &operation, request, &[], &mut usage)
                .await
        });
        task.await
            .unwrap_or_else(|error| Err(ApiError::internal(error.to_string())))
    }

    /// The same for a service of AWS that calls another one: metered, with the service as caller.
    ///
    /// # Errors
    /// The [`ApiError`] that a caller over HTTP would get.
    pub async fn call_as(
        &self,
        caller: &'static str,
        service: &'static str,
        operation: &'static str,
        request: Value,
    ) -> Result<Value, ApiError> {
        let services = Arc::clone(&self.services);
        let task = tokio::spawn(async move {
            let mut usage = Usage::default();
            let answer = services
                .call(service, operation, request, &[], &mut usage)
                .await;
            let (meter, outcome) = (&services.meter, Outcome::of(&answer));
            meter.record(caller, service, operation, &usage, outcome);
            answer
        });
        task.await
            .unwrap_or_else(|error| Err(ApiError::internal(error.to_string())))
    }

    /// The stream of a table, none when the table has none.
    #[must_use]
    pub fn stream(&self, table: &str) -> Option<TableStream> {
        self.services.dynamodb.table_named(table)?.stream.clone()
    }

    /// Sequence up to which a consumer of a table's stream has come.
    #[must_use]
    pub fn stream_checkpoint(&self, table: &str, consumer: &str) -> Option<u64> {
        self.stream(table)?.checkpoint(consumer)
    }

    /// Notes how far a consumer has come. Records that every consumer with a
    /// checkpoint has passed may leave the memory, so a new consumer notes 0
    /// (or where it starts) before it reads.
    ///
    /// # Errors
    /// [`EndpointError::NotFound`] for a table without a stream,
    /// [`EndpointError::Storage`] when it cannot be written.
    pub fn set_checkpoint(
        &self,
        table: &str,
        consumer: &str,
        sequence: u64,
    ) -> Result<(), EndpointError> {
        let stream = self
            .stream(table)
            .ok_or_else(|| EndpointError::NotFound(format!("stream of table {table}")))?;
        if let Some(log) = self.services.dynamodb.outbox.log() {
            log.checkpoint(&stream.origin().table, consumer, sequence)?;
        }
        stream.set_checkpoint(consumer, sequence);
        Ok(())
    }

    /// How many messages a queue holds, none for no queue.
    #[must_use]
    pub fn queue(&self, name: &str) -> Option<QueueDepth> {
        self.services.sqs.depth(name)
    }

    /// The mails sent so far.
    #[must_use]
    pub fn sent_emails(&self) -> Vec<SentEmail> {
        self.services.mail.sent()
    }

    /// What was called over HTTP so far, and what it consumed.
    #[must_use]
    pub fn meter(&self) -> MeterSnapshot {
        self.services.meter.snapshot()
    }

    /// Counts from zero again.
    pub fn reset_meter(&self) {
        self.services.meter.reset();
    }

    /// Stops serving, lets calls on their way finish (2 s at most), and writes
    /// what is kept to disk.
    ///
    /// # Errors
    /// [`EndpointError::Storage`] when the change log cannot be synced or the
    /// temporary folder cannot be removed.
    pub async fn shutdown(self) -> Result<(), EndpointError> {
        self.stop.send_replace(true);
        let Self {
            services,
            server,
            lock,
            temporary,
            ..
        } = self;
        // It ends by itself; a panic inside it has nothing to add here.
        let _ = server.await;
        if let Some(log) = services.dynamodb.outbox.log() {
            log.sync()?;
        }
        services.kinesis.sync()?;
        // Nothing comes any more: what is gathered is written, whenever it would be due.
        services.firehose.flush(&services.buckets, true)?;
        drop(services);
        drop(lock);
        match temporary {
            Some(temporary) => {
                let path = temporary.path().to_owned();
                temporary.close().map_err(|error| EndpointError::Storage {
                    path,
                    what: error.to_string(),
                })
            }
            None => Ok(()),
        }
    }
}

/// Creates a folder where there is none, and takes it for this process.
fn lock(directory: &Path) -> Result<File, EndpointError> {
    let failed = |error: std::io::Error| EndpointError::Storage {
        path: directory.to_owned(),
        what: error.to_string(),
    };
    std::fs::create_dir_all(directory).map_err(failed)?;
    let file = File::create(directory.join("lock")).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(EndpointError::DataDirInUse(directory.to_owned()))
        }
        Err(std::fs::TryLockError::Error(error)) => Err(failed(error)),
    }
}
