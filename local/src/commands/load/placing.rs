//! Placing orders, so many at a time, as patient clients do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::order_file::OrderLine;
use crate::http_client::HttpClient;
use crate::issuer::ask::{self, TokenError, Wanted};

/// Wait before the first repeat; doubled for each further one.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// How a client takes a request without answer, or with a 429 or 5xx: it sends it again, under the
/// same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Patience {
    /// So often at most.
    attempts: u32,
    /// The longest wait before a repeat.
    longest_wait: Duration,
}

impl Patience {
    /// With a system that works: what fails is over in three seconds.
    pub(super) const USUAL: Self = Self {
        attempts: 6,
        longest_wait: Duration::from_secs(2),
    };
    /// With a system that is down at times: two minutes.
    pub(super) const LONG: Self = Self {
        attempts: 125,
        longest_wait: Duration::from_secs(1),
    };
}

/// What the API said to one line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed {
    /// The line.
    pub number: usize,
    /// The order, if it was accepted.
    pub order: Option<String>,
    /// The last HTTP status; 0 for no answer.
    pub status: u16,
    /// What the API said to a refused order.
    pub answer: String,
    /// From the first request to the last answer.
    pub accept: Duration,
    /// When the first request was sent, in milliseconds since 1970.
    pub sent_millis: u64,
}

/// The clients.
#[derive(Debug, Clone)]
pub(super) struct Placing {
    /// Speaks for all of them.
    pub client: HttpClient,
    /// The orders are sent to this URL.
    pub url: String,
    /// The shop's own server sends them, for all customers.
    pub operator: String,
    /// How many there are, and so how many orders at a time.
    pub concurrency: u16,
    pub patience: Patience,
    /// Orders that were begun so far.
    pub begun: Arc<AtomicUsize>,
    /// Once it is set no more are begun, and what failed is not tried again.
    pub stop: Arc<AtomicBool>,
}

impl Placing {
    /// Clients that have begun nothing yet, of the system with this API and AWS endpoint.
    ///
    /// # Errors
    /// [`TokenError`], when the system takes another issuer's tokens.
    pub(super) async fn at(
        api: &str,
        aws: &str,
        concurrency: u16,
        patience: Patience,
    ) -> Result<Self, TokenError> {
        let client = HttpClient::new();
        Ok(Self {
            operator: ask::bearer(&client, aws, &Wanted::operator()).await?,
            client,
            url: format!("{api}/orders"),
            concurrency,
            patience,
            begun: Arc::default(),
            stop: Arc::default(),
        })
    }
}

/// Places all orders; the answers are in the order of the lines. `answered` is told each of
/// them as it comes.
pub(super) async fn place_all(
    placing: &Placing,
    orders: Vec<OrderLine>,
    answered: impl Fn(&Placed) + Clone + Send + 'static,
) -> Vec<Placed> {
    let orders = Arc::new(orders);
    let workers: Vec<_> = (0..usize::from(placing.concurrency).min(orders.len()))
        .map(|_| {
            let (placing, orders) = (placing.clone(), Arc::clone(&orders));
            let answered = answered.clone();
            tokio::spawn(async move {
                let mut placed = Vec::new();
                while let Some(order) = orders.get(placing.begun.fetch_add(1, Ordering::AcqRel)) {
                    if placing.stop.load(Ordering::Acquire) {
                        break;
                    }
                    let answer = place(&placing, order).await;
                    answered(&answer);
                    placed.push(answer);
                }
                placed
            })
        })
        .collect();
    let mut placed = Vec::with_capacity(orders.len());
    for worker in workers {
        placed.extend(worker.await.unwrap_or_default());
    }
    placed.sort_by_key(|one| one.number);
    placed
}

async fn place(placing: &Placing, order: &OrderLine) -> Placed {
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", order.key.as_str()),
        ("authorization", placing.operator.as_str()),
    ];
    let body = order.body.to_string();
    let sent_millis = now_millis();
    let started = Instant::now();
    let mut wait = FIRST_WAIT;
    let mut attempt = 1;
    loop {
        let sending = placing
            .client
            .send("POST", &placing.url, &headers, body.clone());
        let answer = sending.await;
        let (status, order_id, text) = match &answer {
            Ok(answer) => {
                let id = answer.json()["orderId"].as_str().map(str::to_owned);
                let accepted = id.filter(|_| answer.status == 202);
                (answer.status, accepted, answer.text())
            }
            Err(error) => (0, None, error.to_string()),
        };
        let failed = status == 0 || status == 429 || status >= 500;
        let try_again = failed && !placing.stop.load(Ordering::Acquire);
        if !try_again || attempt >= placing.patience.attempts {
            return Placed {
                number: order.number,
                answer: if order_id.is_none() {
                    text
                } else {
                    String::new()
                },
                order: order_id,
                status,
                accept: started.elapsed(),
                sent_millis,
            };
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(placing.patience.longest_wait);
        attempt += 1;
    }
}

fn now_millis() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
