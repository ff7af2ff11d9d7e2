//! What the clients of the comparison have in common: the order they store, how they are called,
//! and how they are timed.
//!
//! A client opens its connections, prints `ready`, waits for a line, works, and prints one line of
//! JSON: how many operations it did, in how many nanoseconds, with how many nanoseconds of
//! processor. So its start is in no figure, and who drives it can count requests from zero.

use serde::{Deserialize, Serialize};
use std::future::Future;
use std::rc::Rc;
use std::time::Instant;

/// Why a client gives up.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What the processor of this machine is called.
#[must_use]
pub fn processor() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or_else(
        || "unknown processor".to_owned(),
        |(_, model)| model.trim().to_owned(),
    )
}

/// Commits of one order.
pub const COMMITS: u64 = 4;

/// The four steps of an order, in their order.
pub const STEPS: [Step; 4] = [Step::Placed, Step::Reserved, Step::Paid, Step::Confirmed];

/// A step of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// It was placed.
    Placed,
    /// Its stock was reserved.
    Reserved,
    /// It was paid.
    Paid,
    /// It was confirmed.
    Confirmed,
}

impl Step {
    /// The name of the event.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Placed => "OrderPlaced",
            Self::Reserved => "InventoryUpdated",
            Self::Paid => "PaymentProcessed",
            Self::Confirmed => "OrderConfirmed",
        }
    }

    /// The step of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        STEPS.into_iter().find(|step| step.name() == name)
    }
}

/// What every event of an order says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// Which order.
    pub order_id: String,
    /// Whose.
    pub user_id: String,
    /// In cents.
    pub total_amount: u64,
    /// ISO 4217.
    pub currency: String,
    /// What was ordered.
    pub items: Vec<Line>,
}

/// A line of an order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// What.
    pub sku: String,
    /// How many.
    pub quantity: u32,
    /// In cents.
    pub unit_price: u64,
}

impl Facts {
    /// The facts of the order in `stream`.
    #[must_use]
    pub fn of(stream: &str) -> Self {
        let line = |sku: &str, quantity, unit_price| Line {
            sku: sku.to_owned(),
            quantity,
            unit_price,
        };
        Self {
            order_id: stream.to_owned(),
            user_id: "abc123".to_owned(),
            total_amount: 3499,
            currency: "USD".to_owned(),
            items: vec![line("tea-100", 2, 1250), line("cup-7", 1, 999)],
        }
    }
}

/// A library and a store of it.
pub trait Client: 'static {
    /// The four commits of a new order, each as the library's documentation executes a command.
    fn commit(&self, stream: String) -> impl Future<Output = Result<(), Failure>>;

    /// The four writes of a new order alone, by a caller that knows where the stream ends.
    fn append(&self, stream: String) -> impl Future<Output = Result<(), Failure>>;

    /// Loads and folds an order; says how many events it has come to.
    fn load(&self, stream: String) -> impl Future<Output = Result<u64, Failure>>;
}

/// What a client is called with.
#[derive(Debug, Clone)]
pub struct Call {
    /// Where the server is.
    pub endpoint: String,
    /// Access key id, by which the server counts.
    pub caller: String,
    /// Which store of the library.
    pub store: String,
    /// `commit`, `append` or `load`.
    pub phase: String,
    /// How many orders are worked on at a time.
    pub workers: usize,
    /// First part of the streams' names.
    pub prefix: String,
    /// How many streams.
    pub streams: usize,
}

impl Call {
    /// Reads `endpoint caller store phase workers prefix streams`.
    ///
    /// # Errors
    /// When an argument is missing or no number.
    pub fn from_args() -> Result<Self, Failure> {
        let mut args = std::env::args().skip(1);
        let mut next = |name: &str| args.next().ok_or_else(|| format!("{name} is missing"));
        Ok(Self {
            endpoint: next("endpoint")?,
            caller: next("caller")?,
            store: next("store")?,
            phase: next("phase")?,
            workers: next("workers")?.parse()?,
            prefix: next("prefix")?,
            streams: next("streams")?.parse()?,
        })
    }
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Commit,
    Append,
    Load,
}

/// Runs a client as `call` says; its workers share a thread.
///
/// # Errors
/// The first failure of an operation.
pub async fn run(client: impl Client, call: &Call) -> Result<(), Failure> {
    tokio::task::LocalSet::new()
        .run_until(run_here(client, call))
        .await
}

async fn run_here(client: impl Client, call: &Call) -> Result<(), Failure> {
    let phase = match call.phase.as_str() {
        "commit" => Phase::Commit,
        "append" => Phase::Append,
        "load" => Phase::Load,
        other => return Err(format!("there is no phase {other}").into()),
    };
    let client = Rc::new(client);
    let mut warm = Vec::new();
    for worker in 0..call.workers {
        let client = Rc::clone(&client);
        let stream = format!("nothing-{worker}");
        warm.push(tokio::task::spawn_local(async move {
            client.load(stream).await
        }));
    }
    for one in warm {
        one.await??;
    }
    println!("ready");
    std::io::stdin().read_line(&mut String::new())?;
    let started = Instant::now();
    let processor_before = processor_nanos()?;
    let mut workers = Vec::new();
    for worker in 0..call.workers {
        let client = Rc::clone(&client);
        let (prefix, all, step) = (call.prefix.clone(), call.streams, call.workers);
        workers.push(tokio::task::spawn_local(async move {
            for number in (worker..all).step_by(step) {
                work(&*client, phase, format!("{prefix}-{number}")).await?;
            }
            Ok::<_, Failure>(())
        }));
    }
    for worker in workers {
        worker.await??;
    }
    let nanos = u64::try_from(started.elapsed().as_nanos())?;
    let operations = call.streams as u64 * COMMITS;
    println!(
        "{}",
        serde_json::json!({
            "operations": operations,
            "nanos": nanos,
            "processorNanos": processor_nanos()?.saturating_sub(processor_before),
        })
    );
    Ok(())
}

/// Processor time of this process so far, in steps of 10 ms (Linux; 0 elsewhere).
///
/// # Errors
/// When the system tells something else than a number.
pub fn processor_nanos() -> Result<u64, Failure> {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else {
        return Ok(0);
    };
    // Behind the name in brackets: user and system time are the 12th and 13th field, in 1/100 s.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let mut ticks = 0;
    for field in fields.split_ascii_whitespace().skip(11).take(2) {
        ticks += field.parse::<u64>()?;
    }
    Ok(ticks * 10_000_000)
}

/// [`COMMITS`] operations on one stream.
async fn work(client: &impl Client, phase: Phase, stream: String) -> Result<(), Failure> {
    match phase {
        Phase::Commit => client.commit(stream).await,
        Phase::Append => client.append(stream).await,
        Phase::Load => {
            for _ in 0..COMMITS {
                let found = client.load(stream.clone()).await?;
                if found != COMMITS {
                    return Err(format!("{stream} has {found} events, not {COMMITS}").into());
                }
            }
            Ok(())
        }
    }
}
