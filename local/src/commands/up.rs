//! `up`: serves until Ctrl-C.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use domain::ids::{IdempotencyKey, OrderId, UserId};
use serde_json::json;

use super::function_table::function_table;
use super::interruption::Interruption;
use super::running::Running;
use super::state::{NOTED_EVERY, State};
use super::{Ended, interrupted, options, shut_down, start};
use crate::cli::{DEFAULT_ENDPOINT, StackArgs, UpArgs};
use crate::error::LocalError;
use crate::http_client::path_segment;
use crate::stack::{REGION, Stack};
use crate::terminal::{Output, Palette, Printer};

/// The customer of the requests that are shown.
const USER: &str = "abc123";

/// Serves until the first Ctrl-C, then ends in order; at once with a second one.
///
/// # Errors
/// [`LocalError`] when the system cannot be started or its data not be written.
pub async fn run(shared: &StackArgs, args: &UpArgs) -> Result<ExitCode, LocalError> {
    let output = if args.json_ready {
        Output::Stderr
    } else {
        Output::Stdout
    };
    let printer = Arc::new(Printer::start(output));
    let mut options = options(shared)?;
    options.api_port = args.api_port;
    options.aws_port = args.aws_port;
    options.data_dir.clone_from(&args.data_dir);
    options.archive_dir.clone_from(&args.archive);
    options.faults = args.faults.plan();
    options.keep_history = args.witness;
    if !args.witness {
        options.steps = Arc::clone(&printer) as _;
    }
    if shared.logs {
        options.logs = Arc::clone(&printer) as _;
    }
    let mut interruption = Interruption::listen();
    let Some(stack) = start(options, &mut interruption).await? else {
        return Ok(interrupted());
    };
    let running = Running::of(&stack);
    if let Some(folder) = &args.data_dir {
        running.announce(folder)?;
    }
    if args.json_ready {
        let line = serde_json::to_string(&running).unwrap_or_default();
        // Nobody reads it: then nobody misses it.
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    } else {
        printer.line(welcome(&stack, args, printer.palette()));
    }
    serve(&stack, args, &mut interruption).await;
    let stats = stack.host().stats();
    let configured = stack.configured_memory();
    let ended = shut_down(stack, &mut interruption).await;
    if stats.values().any(|stats| stats.invocations > 0) && !args.witness {
        printer.line(function_table(&stats, &configured).trim_end());
    }
    if let Some(folder) = &args.data_dir {
        Running::withdraw(folder);
    }
    printer.finish();
    ended.map(|ended| match ended {
        Ended::InOrder => ExitCode::SUCCESS,
        Ended::AtOnce => interrupted(),
    })
}

/// Until the first interruption; a witness notes meanwhile what is under way.
async fn serve(stack: &Stack, args: &UpArgs, interruption: &mut Interruption) {
    let Some(folder) = args.data_dir.as_ref().filter(|_| args.witness) else {
        return interruption.next().await;
    };
    end_with_standard_input();
    let noting = async {
        for number in 1.. {
            State::of(stack, number).note(folder);
            tokio::time::sleep(NOTED_EVERY).await;
        }
    };
    let _ = interruption.or(noting).await;
}

/// Whoever started this process has the other end, and ends with it: then nobody wants it any
/// more. (The functions' processes end with this one, however that ends.)
fn end_with_standard_input() {
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        std::process::exit(1);
    });
}

fn welcome(stack: &Stack, args: &UpArgs, palette: Palette) -> String {
    let api = stack.api_url();
    let aws = stack.endpoint().url();
    let data = args.data_dir.as_ref().map_or_else(
        || "in memory; --data-dir DIR keeps it".to_owned(),
        |folder| folder.display().to_string(),
    );
    let mut text = String::new();
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    line(palette.bold("The order system runs on this machine. Nothing here talks to AWS."));
    line(String::new());
    line(format!("  HTTP API      {api}"));
    line(format!(
        "  AWS endpoint  {aws}  (DynamoDB, SQS, EventBridge PutEvents, Lambda Invoke, SSM, SES)"
    ));
    line(format!("  data          {data}"));
    if let Some(plan) = stack.fault_plan() {
        let (kinds, seed) = (plan.words(), plan.seed);
        line(format!("  faults        {kinds} (seed {seed})"));
    }
    line(String::new());
    line("Stock a SKU, place an order, look at it, at its events, cancel it:".to_owned());
    line(String::new());
    for command in token_lines(stack, args).into_iter().chain(curl_lines(&api)) {
        line(format!("  {command}"));
    }
    line(String::new());
    line("Put an event of another producer on the bus:".to_owned());
    line(String::new());
    line(format!("  {} {}", credentials(&aws), put_events(stack)));
    line(String::new());
    line("Let `cargo lambda watch` use these tables:".to_owned());
    line(String::new());
    line(format!("  export {}", watch_environment(stack, &aws)));
    line(String::new());
    line(palette.dim("time (UTC)    stream                 event                        function             duration  memory"));
    text.truncate(text.trim_end().len());
    text
}

/// Where the tokens of the requests come from.
fn token_lines(stack: &Stack, args: &UpArgs) -> Vec<String> {
    let mut authorizers = stack
        .template()
        .apis
        .iter()
        .flat_map(|api| api.auth.authorizers.values());
    let aws = stack.endpoint().url();
    let other = authorizers.find(|one| !one.issuer.starts_with(&aws));
    if let Some(other) = other {
        let issuer = &other.issuer;
        return vec![
            format!("TOKEN=...     # of a customer, from {issuer}"),
            format!("OPERATOR=...  # of an operator, from {issuer}"),
        ];
    }
    let place = match &args.data_dir {
        Some(folder) => format!(" --data-dir {}", folder.display()),
        None if aws == DEFAULT_ENDPOINT => String::new(),
        None => format!(" --aws-endpoint {aws}"),
    };
    vec![
        format!("TOKEN=$(cargo local token --sub {USER}{place})"),
        format!("OPERATOR=$(cargo local token --operator{place})"),
    ]
}

/// Requests that work as they stand: the order's id follows from user and key.
fn curl_lines(api: &str) -> Vec<String> {
    let (user, key) = (USER, "first-order");
    let order = UserId::parse(user)
        .ok()
        .zip(IdempotencyKey::parse(key).ok())
        .map(|(user, key)| OrderId::derive(&user, &key).to_string())
        .unwrap_or_default();
    let order = path_segment(&order);
    let json = "-H 'Content-Type: application/json'";
    let (customer, operator) = (
        "-H \"Authorization: Bearer $TOKEN\"",
        "-H \"Authorization: Bearer $OPERATOR\"",
    );
    let stock = json!({"restock": 100, "unitPrice": 4.5, "currency": "USD"});
    let body = json!({"userId": user, "currency": "USD",
        "items": [{"sku": "tea", "quantity": 2, "unitPrice": 4.5}]});
    vec![
        format!("curl -sS -X PUT {api}/inventory/tea {operator} {json} -d '{stock}'"),
        format!(
            "curl -sS -X POST {api}/orders {customer} {json} -H 'Idempotency-Key: {key}' -d '{body}'"
        ),
        format!("curl -sS {api}/orders/{order} {customer}"),
        format!("curl -sS {api}/orders/{order}/events {customer}"),
        format!("curl -sS -X POST {api}/orders/{order}/cancel {customer}"),
    ]
}

fn put_events(stack: &Stack) -> String {
    let bus = stack.template().buses.first();
    let bus = bus.map_or("default", |bus| bus.name.as_str());
    let detail = json!({"eventId": "12345", "eventType": "OrderPlaced",
        "timestamp": "2025-01-01T12:00:00Z",
        "data": {"orderId": "67890", "userId": "abc123", "totalAmount": 150.75}});
    let entry = json!([{"EventBusName": bus, "Source": "legacy-shop",
        "DetailType": "OrderPlaced", "Detail": detail.to_string()}]);
    format!("aws events put-events --entries '{entry}'")
}

fn credentials(aws: &str) -> String {
    format!(
        "AWS_ENDPOINT_URL={aws} AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local \
         AWS_REGION={REGION} AWS_DEFAULT_REGION={REGION}"
    )
}

/// What all functions together have in their environment.
fn watch_environment(stack: &Stack, aws: &str) -> String {
    let mut all = BTreeMap::new();
    for function in &stack.template().functions {
        all.extend(function.environment.clone());
    }
    all.iter()
        .fold(credentials(aws), |mut line, (name, value)| {
            // Writing to a string cannot fail.
            let _ = write!(line, " {name}={value}");
            line
        })
}
