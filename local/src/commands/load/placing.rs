//! Placing orders, so many at a time, as patient clients do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::order_file::OrderLine;
use super::progress::Progress;
use crate::http_client::HttpClient;

/// A request without answer, or with a 429 or 5xx, is sent again so often, under the same key.
const ATTEMPTS: u32 = 6;
/// Wait before the first repeat; doubled for each further one.
const FIRST_WAIT: Duration = Duration::from_millis(50);

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

/// Places all orders, `concurrency` at a time; the answers are in the order of the lines. Once
/// `stop` is set no more are begun.
pub(super) async fn place_all(
    client: &HttpClient,
    api: &str,
    orders: Vec<OrderLine>,
    concurrency: u16,
    progress: &Progress,
    stop: &Arc<AtomicBool>,
) -> Vec<Placed> {
    let orders = Arc::new(orders);
    let next = Arc::new(AtomicUsize::new(0));
    let url = format!("{api}/orders");
    let workers: Vec<_> = (0..usize::from(concurrency).min(orders.len()))
        .map(|_| {
            let (client, url, progress) = (client.clone(), url.clone(), progress.clone());
            let (orders, next) = (Arc::clone(&orders), Arc::clone(&next));
            let stop = Arc::clone(stop);
            tokio::spawn(async move {
                let mut placed = Vec::new();
                while let Some(order) = orders.get(next.fetch_add(1, Ordering::AcqRel)) {
                    if stop.load(Ordering::Acquire) {
                        break;
                    }
                    let answer = place(&client, &url, order).await;
                    if answer.order.is_none() {
                        progress.one_more();
                    }
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

async fn place(client: &HttpClient, url: &str, order: &OrderLine) -> Placed {
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", order.key.as_str()),
    ];
    let body = order.body.to_string();
    let sent_millis = now_millis();
    let started = Instant::now();
    let mut wait = FIRST_WAIT;
    let mut attempt = 1;
    loop {
        let answer = client.send("POST", url, &headers, body.clone()).await;
        let (status, order_id, text) = match &answer {
            Ok(answer) => {
                let id = answer.json()["orderId"].as_str().map(str::to_owned);
                let accepted = id.filter(|_| answer.status == 202);
                (answer.status, accepted, answer.text())
            }
            Err(error) => (0, None, error.to_string()),
        };
        let try_again = status == 0 || status == 429 || status >= 500;
        if !try_again || attempt >= ATTEMPTS {
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
        wait *= 2;
        attempt += 1;
    }
}

fn now_millis() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
