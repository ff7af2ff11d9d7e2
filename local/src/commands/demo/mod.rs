//! `demo`: the sample orders, and whether they come to what they should.

mod report;
mod sample;
mod windows;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use domain::ids::{IdempotencyKey, OrderId, UserId};
use event_sourcing::envelope::Envelope;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::evidence::evidence;
use super::interruption::Interruption;
use super::restock::Needs;
use super::{interrupted, options, shut_down, start};
use crate::cli::{DemoArgs, StackArgs};
use crate::error::LocalError;
use crate::http_client::{Answer, HttpClient, path_segment};
use crate::issuer::ask::{self, Wanted};
use crate::stack::Stack;
use crate::terminal::{Output, Printer};
use report::Outcome;
use sample::{Sample, Then, Way};

/// So long may the samples take together.
const DEADLINE: Duration = Duration::from_mins(1);
/// How far apart two looks at an order are.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// `source` of the events that are put on the bus by somebody else.
const OTHER_PRODUCER: &str = "legacy-shop";

/// Places the samples, waits until quiet, prints timelines and outcomes.
///
/// # Errors
/// [`LocalError::Input`] for a sample that cannot be read; what keeps the system from running.
pub async fn run(shared: &StackArgs, args: &DemoArgs) -> Result<ExitCode, LocalError> {
    let printer = Arc::new(Printer::start(Output::Stdout));
    let mut options = options(shared)?;
    options.keep_history = true;
    let parameter = windows::PARAMETER.to_owned();
    let window = options.parameters.entry(parameter);
    window.or_insert_with(|| windows::WINDOW.to_owned());
    if args.trace {
        options.steps = Arc::clone(&printer) as _;
    }
    if shared.logs {
        options.logs = Arc::clone(&printer) as _;
    }
    let folder = args.samples.clone().unwrap_or_else(|| {
        let beside = options.template.parent().map(PathBuf::from);
        beside.unwrap_or_default().join("events/demo")
    });
    let samples = sample::read_all(&folder)?;
    let mut interruption = Interruption::listen();
    let started = Instant::now();
    let Some(stack) = start(options, &mut interruption).await? else {
        return Ok(interrupted());
    };
    let ready = started.elapsed();
    printer.line(format!(
        "Ready after {:.2} s: {} functions on this machine, nothing on AWS.",
        ready.as_secs_f64(),
        stack.template().functions.len()
    ));
    let judged = interruption.or(judged(&stack, samples, &printer)).await;
    if let Some(Ok(_)) = judged {
        let took = started.elapsed().as_secs_f64();
        printer.line(format!("Done after {took:.2} s."));
    }
    let ended = shut_down(stack, &mut interruption).await;
    printer.finish();
    let all_well = judged.transpose()?;
    ended?;
    Ok(match all_well {
        None => interrupted(),
        Some(true) => ExitCode::SUCCESS,
        Some(false) => ExitCode::FAILURE,
    })
}

/// Lets the samples go their way, waits until quiet, and prints what became of them; whether all
/// is as it must be.
async fn judged(
    stack: &Stack,
    samples: Vec<Sample>,
    printer: &Printer,
) -> Result<bool, LocalError> {
    let outcomes = place_all(stack, samples).await?;
    stack.quiet(DEADLINE).await?;
    let accepted = outcomes.iter().filter(|one| one.accepted);
    let accepted = accepted.map(|one| one.order.clone()).collect();
    let evidence = evidence(stack, accepted, None).await?;
    let as_expected = report::print(
        printer,
        &outcomes,
        &evidence.stored,
        &stack.dead_letter_depths().await?,
    );
    let kept = report::print_invariants(printer, &invariants::check(&evidence));
    // What another producer says happened long ago is in no minute of the demo.
    let now = jiff::Timestamp::now();
    let is_new = |event: &&Envelope| now.duration_since(event.at()).as_hours() < 1;
    let events = evidence.stored.streams.values().flatten();
    let placed = events.filter(|event| event.event_type == "OrderPlaced");
    let placed = placed.filter(is_new);
    let seen = windows::print(stack, placed.count() as u64, printer).await?;
    Ok(as_expected && kept && seen)
}

/// Where the samples go.
struct Ways {
    client: HttpClient,
    api: String,
    aws: String,
    bus: String,
}

impl Ways {
    fn into(stack: &Stack) -> Self {
        let bus = stack.template().buses.first();
        Self {
            client: HttpClient::new(),
            api: stack.api_url(),
            aws: stack.endpoint().url(),
            bus: bus.map_or_else(|| "default".to_owned(), |bus| bus.name.clone()),
        }
    }
}

/// Stocks, then lets every sample go its way at the same time.
async fn place_all(stack: &Stack, samples: Vec<Sample>) -> Result<Vec<Outcome>, LocalError> {
    let ways = Arc::new(Ways::into(stack));
    let mut needs = Needs::default();
    for stock in samples.iter().flat_map(|sample| &sample.stock) {
        needs.add(&stock.sku, stock.available, stock.price.clone());
    }
    needs.restock(&ways.client, &ways.api, &ways.aws).await?;
    let placing: Vec<_> = samples
        .into_iter()
        .map(|sample| {
            let ways = Arc::clone(&ways);
            tokio::spawn(async move { go(&ways, sample).await })
        })
        .collect();
    let mut outcomes = Vec::new();
    for placed in placing {
        match placed.await {
            Ok(outcome) => outcomes.push(outcome?),
            Err(error) => {
                return Err(LocalError::Refused {
                    request: "a sample".to_owned(),
                    answer: error.to_string(),
                });
            }
        }
    }
    Ok(outcomes)
}

/// One sample's way through the API, or over the bus.
async fn go(ways: &Ways, sample: Sample) -> Result<Outcome, LocalError> {
    match &sample.way {
        Way::Request(body) => request(ways, &sample, body).await,
        Way::Put(event) => {
            let order = &event["data"]["orderId"];
            Ok(Outcome {
                order: order.as_str().unwrap_or_default().to_owned(),
                accepted: false,
                trouble: put(ways, event).await?.into_iter().collect(),
                sample,
            })
        }
    }
}

/// Sends the sample's request, and what the customer does next.
async fn request(ways: &Ways, sample: &Sample, body: &Value) -> Result<Outcome, LocalError> {
    let customer = Customer::of(ways, body["userId"].as_str().unwrap_or_default()).await?;
    let mut trouble = Vec::new();
    let key = format!("demo-{}", sample.file);
    let first = customer.place(&key, body).await?;
    let accepted = first.status == 202;
    if !accepted {
        trouble.push(format!("POST /orders: {} {}", first.status, first.text()));
    }
    let order = first.json()["orderId"].as_str().map(str::to_owned);
    let order = order.unwrap_or_else(|| derived(body, &key));
    match sample.then {
        None => {}
        Some(Then::Cancel) => {
            trouble.extend(customer.cancel(&order).await?);
        }
        Some(Then::Repeat) => {
            let again = customer.place(&key, body).await?;
            if (again.status, &again.body) != (first.status, &first.body) {
                trouble.push(format!("repeated: {} {}", again.status, again.text()));
            }
        }
        Some(Then::RepeatWithAnotherBody) => {
            let mut other = body.clone();
            let quantity = other["items"][0]["quantity"].as_u64().unwrap_or(1);
            other["items"][0]["quantity"] = json!(quantity + 1);
            let again = customer.place(&key, &other).await?;
            if again.status != 422 {
                trouble.push(format!("another body: {} {}", again.status, again.text()));
            }
        }
    }
    Ok(Outcome {
        sample: sample.clone(),
        order,
        accepted,
        trouble,
    })
}

/// A customer, with a token of their own.
struct Customer<'w> {
    ways: &'w Ways,
    token: String,
}

impl<'w> Customer<'w> {
    async fn of(ways: &'w Ways, user: &str) -> Result<Self, LocalError> {
        let token = ask::bearer(&ways.client, &ways.aws, &Wanted::customer(user)).await?;
        Ok(Self { ways, token })
    }

    async fn place(&self, key: &str, body: &Value) -> Result<Answer, LocalError> {
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", key),
        ];
        self.send("POST", "/orders", &headers, body.to_string())
            .await
    }

    /// Cancels an order as soon as it is confirmed; says what went wrong.
    async fn cancel(&self, order: &str) -> Result<Option<String>, LocalError> {
        let path = format!("/orders/{}", path_segment(order));
        let until = Instant::now() + DEADLINE;
        loop {
            let answer = self.send("GET", &path, &[], String::new()).await?;
            if answer.json()["status"] == "confirmed" {
                break;
            }
            if Instant::now() >= until {
                let last = format!("{} {}", answer.status, answer.text());
                return Ok(Some(format!("never confirmed, so not cancelled: {last}")));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        let cancel = format!("{path}/cancel");
        let answer = self.send("POST", &cancel, &[], String::new()).await?;
        let refused = answer.status != 202;
        Ok(refused.then(|| format!("cancel: {} {}", answer.status, answer.text())))
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Result<Answer, LocalError> {
        let url = format!("{}{path}", self.ways.api);
        let mut headers = headers.to_vec();
        headers.push(("authorization", &self.token));
        Ok(self.ways.client.send(method, &url, &headers, body).await?)
    }
}

/// Puts a plain event on the bus, as another producer would.
async fn put(ways: &Ways, event: &Value) -> Result<Option<String>, LocalError> {
    let entry = json!({
        "EventBusName": ways.bus,
        "Source": OTHER_PRODUCER,
        "DetailType": event["eventType"],
        "Detail": event.to_string(),
    });
    let request = json!({"Entries": [entry]});
    let answer = ways
        .client
        .aws(&ways.aws, "AWSEvents.PutEvents", &request)
        .await?;
    let refused = answer.status != 200 || answer.json()["FailedEntryCount"] != json!(0);
    Ok(refused.then(|| format!("PutEvents: {} {}", answer.status, answer.text())))
}

fn derived(body: &Value, key: &str) -> String {
    let user = body["userId"]
        .as_str()
        .and_then(|user| UserId::parse(user).ok());
    let key = IdempotencyKey::parse(key).ok();
    user.zip(key)
        .map(|(user, key)| OrderId::derive(&user, &key).to_string())
        .unwrap_or_default()
}
