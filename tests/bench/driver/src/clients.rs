//! The clients: so many orders at a time, on a thread of their own.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use local::Stack;
use local::http_client::{Answer, HttpClient};
use local::issuer::ask::{self, Wanted};
use serde_json::Value;

use crate::processor;

/// A request that fails is sent again so often, under the same key, as a shop does.
const ATTEMPTS: u32 = 8;
/// Wait before the first repeat; doubled for each further one.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// An order that was accepted.
#[derive(Debug, Clone)]
pub struct Placed {
    /// Its id.
    pub order: String,
    /// When the request was sent, in microseconds since 1970.
    pub sent: u64,
    /// When the answer came.
    pub answered: u64,
}

/// What came of the placing.
#[derive(Debug)]
pub struct Answers {
    /// The orders.
    pub orders: Vec<Placed>,
    /// Processor time of the clients.
    pub processor: Duration,
}

/// So many clients of a system.
#[derive(Debug, Clone)]
pub struct Clients {
    url: String,
    token: String,
    count: usize,
}

impl Clients {
    /// Clients of this system.
    pub async fn of(stack: &Stack, count: usize) -> Result<Self, Box<dyn Error>> {
        let aws = stack.endpoint().url();
        Ok(Self {
            url: format!("{}/orders", stack.api_url()),
            token: ask::bearer(&HttpClient::new(), &aws, &Wanted::operator()).await?,
            count,
        })
    }

    /// Places orders; every one of them must be accepted.
    pub fn place(&self, bodies: Vec<(String, Value)>) -> Result<Answers, Box<dyn Error>> {
        let this = self.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| error.to_string())?;
            let orders = runtime.block_on(this.place_all(bodies))?;
            let processor = processor::of_this_thread();
            Ok::<_, String>(Answers { orders, processor })
        });
        let placed = thread.join().map_err(|_| "the clients died")?;
        Ok(placed?)
    }

    async fn place_all(self, bodies: Vec<(String, Value)>) -> Result<Vec<Placed>, String> {
        let client = HttpClient::new();
        let (bodies, next) = (Arc::new(bodies), Arc::new(AtomicUsize::new(0)));
        let workers: Vec<_> = (0..self.count)
            .map(|_| {
                let (this, client) = (self.clone(), client.clone());
                let (bodies, next) = (Arc::clone(&bodies), Arc::clone(&next));
                tokio::spawn(async move {
                    let mut placed = Vec::new();
                    while let Some((key, body)) = bodies.get(next.fetch_add(1, Ordering::AcqRel)) {
                        placed.push(this.place_one(&client, key, body).await?);
                    }
                    Ok::<_, String>(placed)
                })
            })
            .collect();
        let mut placed = Vec::new();
        for worker in workers {
            placed.extend(worker.await.map_err(|error| error.to_string())??);
        }
        Ok(placed)
    }

    async fn place_one(
        &self,
        client: &HttpClient,
        key: &str,
        body: &Value,
    ) -> Result<Placed, String> {
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", key),
            ("authorization", self.token.as_str()),
        ];
        let sent = now_micros();
        let mut wait = FIRST_WAIT;
        for _ in 1..ATTEMPTS {
            let sending = client.send("POST", &self.url, &headers, body.to_string());
            if let Ok(answer) = sending.await
                && answer.status < 500
                && answer.status != 429
            {
                return placed(&answer, sent).ok_or_else(|| answer.text());
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        Err(format!("{key} was not answered"))
    }
}

/// The order of an answer that accepts one.
fn placed(answer: &Answer, sent: u64) -> Option<Placed> {
    let document = answer.json();
    let order = document["orderId"].as_str()?;
    (answer.status == 202).then(|| Placed {
        order: order.to_owned(),
        sent,
        answered: now_micros(),
    })
}

/// The moment, in microseconds since 1970.
pub fn now_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_micros()).unwrap_or(u64::MAX)
}
