//! Starting a stack, in the order in which its parts need each other.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_endpoint::{DataStreamOptions, Endpoint, EndpointError, Options, Site};
use lambda_host::async_invoke::{
    AsyncConfig, AsyncInvoker, AsyncOptions, Journal, NoJournal, PendingInvocation,
};
use lambda_host::delivery_faults::{DeliveryFaults, NoDeliveryFaults};
use lambda_host::log_sink::LogSink;
use lambda_host::{HostOptions, LambdaHost};
use sam_template::Context;
use tokio::net::TcpListener;
use uuid::Uuid;

use super::{ACCOUNT, REGION, Stack, StackOptions, leftovers};
use crate::archive;
use crate::bus::Buses;
use crate::delivery::Delivery;
use crate::error::LocalError;
use crate::faults::Injector;
use crate::functions::Functions;
use crate::gateway_log::GatewayLog;
use crate::guard;
use crate::history::History;
use crate::http_api::HttpApiServer;
use crate::issuer::{self, Elsewhere, Issuer, KeyError, SigningKey};
use crate::journal::FileJournal;
use crate::lambda_api::{LambdaApi, LambdaApiServer};
use crate::log_groups::LogGroups;
use crate::log_meter::LogMeter;
use crate::log_tail::LogTail;
use crate::mappings::{MappingContext, Mappings};
use crate::permissions::Permissions;
use crate::programs;
use crate::queues::Queues;
use crate::receivers::Receivers;
use crate::schedules::Schedules;
use crate::template;
use crate::watching::Watching;

pub(super) async fn start(options: StackOptions) -> Result<Stack, LocalError> {
    guard::refuse_real_aws(std::env::vars_os())?;
    leftovers::remove(&std::env::temp_dir());
    let mut context = context(&options);
    // Read twice: first to refuse what cannot be before anything is started.
    let apis = template::read(&options.template, &context)?.apis;
    let listener = listen(options.api_port, "the HTTP API", "--api-port").await?;
    let api_address = local_address(&listener)?;
    let history = Arc::new(open_history(&options)?);
    let faults = injector(&options, &history);
    let endpoint = Arc::new(start_endpoint(&options, faults.clone()).await?);
    context.aws_endpoint = endpoint.url();
    template::use_local_issuer(&mut context, &endpoint.url());
    for api in &apis {
        context.local.insert(
            format!("{}.ApiEndpoint", api.logical_id),
            format!("http://{api_address}"),
        );
    }
    let stack = Arc::new(template::read(&options.template, &context)?);
    create_resources(&endpoint, &stack).await?;
    serve_issuer(&endpoint, &stack, options.data_dir.clone()).await?;
    let permissions = Permissions::of(&stack, options.permissions_asked.as_deref())?;
    endpoint.register_permissions(Arc::new(permissions));

    let logs = Arc::clone(&options.logs);
    let logs = Arc::new(LogGroups::new(logs, &endpoint, &stack));
    let log_meter = Arc::new(LogMeter::new(logs));
    let logs = Arc::clone(&log_meter) as _;
    let gateway_log = Arc::new(GatewayLog::new(logs, &stack, Arc::clone(&history)));
    let log_tail = Arc::new(LogTail::new(Arc::clone(&gateway_log) as _));
    let host = start_host(&options, Arc::clone(&log_tail) as _, &stack, &endpoint).await?;
    let functions = Functions::new(host, Arc::clone(&options.steps), faults.clone());
    let names = function_names(&stack);
    let queues = queues(&stack, &endpoint, &history);
    let watching = Arc::new(Watching::new(Arc::clone(&options.steps)));
    let (journal, pending) = open_journal(options.data_dir.as_deref())?;
    let delivery_faults = delivery_faults(faults.as_ref());
    let invoking = AsyncOptions {
        clock: options.clock,
        journal,
        observer: Arc::clone(&watching) as _,
        faults: Arc::clone(&delivery_faults),
    };
    let invoker = start_invoker(&stack, &functions, &queues, invoking);
    let delivery = Delivery::new(
        invoker.clone(),
        (
            queues.clone(),
            Receivers::of(Arc::downgrade(&endpoint), &stack),
        ),
        names.clone(),
        options.clock,
        Arc::clone(&options.steps),
        faults,
    );
    let buses = Buses::new(stack.rules.clone(), delivery.clone(), Arc::clone(&history));
    endpoint.register_sink(Arc::new(buses));

    let instance = Uuid::new_v4().to_string();
    let lambda_listener = listen(0, "Lambda's Invoke API", "--api-port").await?;
    let api = Arc::new(LambdaApi::new(
        functions.clone(),
        invoker.clone(),
        log_tail,
        template::function_names(&stack),
    ));
    endpoint.register_functions(Arc::clone(&api) as _);
    let lambda_api = LambdaApiServer::start(lambda_listener, api, &instance)?;
    let http_api = HttpApiServer::start(listener, &stack, functions.clone())?;
    invoker.restore(pending);
    let mappings = Mappings::start(&MappingContext {
        endpoint: &endpoint,
        functions: &functions,
        queues: &queues,
        names: &names,
        clock: options.clock,
        watching: &watching,
        faults: delivery_faults,
        region: REGION,
        account: ACCOUNT,
        stack: &stack,
    })?;
    let schedules = Schedules::start(stack.schedules.clone(), &delivery, REGION, ACCOUNT);
    Ok(Stack {
        template: stack,
        endpoint,
        functions,
        invoker,
        delivery,
        queues,
        history,
        fault_plan: options.faults,
        mappings,
        schedules,
        http_api,
        lambda_api,
        gateway_log,
        log_meter,
        instance,
    })
}

/// What the template is read with, before there are addresses.
fn context(options: &StackOptions) -> Context {
    Context {
        region: REGION.to_owned(),
        account_id: ACCOUNT.to_owned(),
        parameters: options.parameters.clone(),
        ..template::context_to_read()
    }
}

/// What the template says, as far as it can be read without running it.
pub(crate) fn read_template(options: &StackOptions) -> Result<sam_template::Stack, LocalError> {
    template::read(&options.template, &context(options))
}

/// The AWS endpoint with what the template has in it, and nothing that runs.
pub(crate) async fn tables_only(options: &StackOptions) -> Result<Endpoint, LocalError> {
    guard::refuse_real_aws(std::env::vars_os())?;
    let endpoint = start_endpoint(options, None).await?;
    let mut context = context(options);
    context.aws_endpoint = endpoint.url();
    template::use_local_issuer(&mut context, &endpoint.url());
    let stack = template::read(&options.template, &context)?;
    create_resources(&endpoint, &stack).await?;
    Ok(endpoint)
}

/// The issuer of tokens, unless the template's authorizer takes those of another one.
async fn serve_issuer(
    endpoint: &Endpoint,
    stack: &sam_template::Stack,
    data_dir: Option<PathBuf>,
) -> Result<(), LocalError> {
    let url = format!("{}{}", endpoint.url(), issuer::PATH);
    let mut authorizers = stack
        .apis
        .iter()
        .flat_map(|api| api.auth.authorizers.values());
    let first = authorizers.next();
    let site: Arc<dyn Site> = match first {
        Some(authorizer) if authorizer.issuer != url => Arc::new(Elsewhere {
            issuer: authorizer.issuer.clone(),
        }),
        _ => {
            let audience = first.and_then(|authorizer| authorizer.audience.first());
            let audience = audience.map_or(issuer::AUDIENCE, String::as_str).to_owned();
            // The first one of a user is made here, which takes a moment.
            let key = move || SigningKey::of_user(data_dir.as_deref());
            let made = tokio::task::spawn_blocking(key).await;
            let key = made.unwrap_or_else(|error| Err(KeyError::Unusable(error.to_string())))?;
            Arc::new(Issuer::new(url, audience, key))
        }
    };
    endpoint.register_site(issuer::PATH, site);
    Ok(())
}

async fn listen(
    port: u16,
    what: &'static str,
    option: &'static str,
) -> Result<TcpListener, LocalError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(|source| LocalError::Port {
            what,
            port,
            option,
            source,
        })
}

fn local_address(listener: &TcpListener) -> Result<SocketAddr, LocalError> {
    listener.local_addr().map_err(|source| LocalError::Port {
        what: "the HTTP API",
        port: 0,
        option: "--api-port",
        source,
    })
}

async fn start_endpoint(
    options: &StackOptions,
    faults: Option<Arc<Injector>>,
) -> Result<Endpoint, LocalError> {
    let started = Endpoint::start(Options {
        addr: SocketAddr::from((Ipv4Addr::LOCALHOST, options.aws_port)),
        data_dir: options.data_dir.as_ref().map(|folder| folder.join("aws")),
        objects_dir: objects_dir(options),
        region: REGION.to_owned(),
        account_id: ACCOUNT.to_owned(),
        faults: faults.map(|faults| faults as _),
        latency: options.aws_latency,
        ..Options::default()
    })
    .await;
    started.map_err(|error| match error {
        EndpointError::Listen { addr, source } => LocalError::Port {
            what: "the AWS endpoint",
            port: addr.port(),
            option: "--aws-port",
            source,
        },
        other => other.into(),
    })
}

/// Where objects of buckets are files: in the folder that is named for them, or beside everything
/// else that is kept.
fn objects_dir(options: &StackOptions) -> Option<PathBuf> {
    let kept = options
        .data_dir
        .as_ref()
        .map(|folder| folder.join("archive"));
    options.archive_dir.clone().or(kept)
}

async fn create_resources(
    endpoint: &Endpoint,
    stack: &sam_template::Stack,
) -> Result<(), LocalError> {
    for table in &stack.tables {
        endpoint.create_table(&table.create_table_request).await?;
    }
    for queue in &stack.queues {
        endpoint
            .create_queue(&queue.name, &queue.attributes)
            .await?;
    }
    for bus in &stack.buses {
        endpoint.create_bus(&bus.name);
    }
    for stream in &stack.kinesis_streams {
        endpoint.create_data_stream(DataStreamOptions {
            name: stream.name.clone(),
            shards: stream.shards,
            on_demand: stream.on_demand,
            retention_hours: stream.retention_hours,
            max_record_kib: stream.max_record_kib,
        })?;
    }
    for bucket in &stack.buckets {
        endpoint.create_bucket(&bucket.name);
    }
    for stream in &stack.delivery_streams {
        endpoint.create_delivery_stream(archive::options(stream, stack)?);
    }
    for topic in &stack.topics {
        endpoint.create_topic(&topic.arn);
    }
    for key in &stack.keys {
        endpoint.create_key(&key.arn)?;
    }
    for parameter in &stack.parameters {
        endpoint.set_parameter(&parameter.name, &parameter.value);
    }
    Ok(())
}

async fn start_host(
    options: &StackOptions,
    log_sink: Arc<dyn LogSink>,
    stack: &sam_template::Stack,
    endpoint: &Endpoint,
) -> Result<LambdaHost, LocalError> {
    let host = LambdaHost::start(HostOptions {
        max_processes_per_function: options.max_processes,
        log_sink,
        region: REGION.to_owned(),
        account_id: ACCOUNT.to_owned(),
        ..HostOptions::default()
    })
    .await?;
    for function in &stack.functions {
        let mut spec = options.programs.spec(function)?;
        spec.environment = programs::environment(function, REGION, &endpoint.url());
        host.register(spec)?;
    }
    Ok(host)
}

fn injector(options: &StackOptions, history: &Arc<History>) -> Option<Arc<Injector>> {
    let plan = options.faults.clone()?;
    Some(Arc::new(Injector::new(plan, Arc::clone(history))))
}

fn delivery_faults(injector: Option<&Arc<Injector>>) -> Arc<dyn DeliveryFaults> {
    match injector {
        Some(injector) => Arc::clone(injector) as _,
        None => Arc::new(NoDeliveryFaults),
    }
}

/// Name and ARN of each function by its logical id.
fn function_names(stack: &sam_template::Stack) -> BTreeMap<String, (String, String)> {
    let functions = stack.functions.iter();
    functions
        .map(|one| (one.logical_id.clone(), (one.name.clone(), one.arn.clone())))
        .collect()
}

fn queues(stack: &sam_template::Stack, endpoint: &Arc<Endpoint>, history: &Arc<History>) -> Queues {
    let queues = stack.queues.iter();
    let names = queues.map(|queue| (queue.arn.clone(), queue.name.clone()));
    Queues::new(
        Arc::downgrade(endpoint),
        names.collect(),
        Arc::clone(history),
    )
}

/// What is to be remembered of this run and the ones before it.
fn open_history(options: &StackOptions) -> Result<History, LocalError> {
    let folder = options.data_dir.as_ref().filter(|_| options.keep_history);
    let Some(folder) = folder else {
        return Ok(History::in_memory(options.keep_history));
    };
    let path = folder.join("history.jsonl");
    let opened = std::fs::create_dir_all(folder).and_then(|()| History::open(&path));
    opened.map_err(|error| LocalError::file(path, error))
}

fn open_journal(
    data_dir: Option<&Path>,
) -> Result<(Arc<dyn Journal>, Vec<PendingInvocation>), LocalError> {
    let Some(folder) = data_dir else {
        return Ok((Arc::new(NoJournal), Vec::new()));
    };
    let path = folder.join("async-invocations.jsonl");
    let opened = FileJournal::open(&path);
    let (journal, pending) = opened.map_err(|error| LocalError::file(path, error))?;
    Ok((Arc::new(journal), pending))
}

fn start_invoker(
    stack: &sam_template::Stack,
    functions: &Functions,
    queues: &Queues,
    invoking: AsyncOptions,
) -> AsyncInvoker {
    let invoker = AsyncInvoker::new(
        Arc::new(functions.clone()),
        Arc::new(queues.clone()),
        invoking,
    );
    for function in &stack.functions {
        let mut config = AsyncConfig::new(&function.arn);
        config.maximum_retry_attempts = function.async_retries;
        config.maximum_event_age = function.maximum_event_age;
        config.on_success.clone_from(&function.on_success);
        config.on_failure.clone_from(&function.on_failure);
        config.dead_letter.clone_from(&function.dead_letter);
        invoker.configure(&function.name, config);
    }
    invoker
}
