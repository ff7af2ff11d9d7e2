//! A running system under test, and ways to speak to it.
#![allow(dead_code)] // Not every flow speaks in every way.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use invariants::{Evidence, StoreView};
use local::http_client::{Answer, HttpClient, path_segment};
use local::issuer::ask::{self, Wanted};
use local::store_view::{self, Store, Tables};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// So long may anything take that is waited for.
pub const DEADLINE: Duration = Duration::from_mins(1);
/// How far apart two looks are.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The binary, run to its end with these arguments and no say of the developer's environment.
pub fn run(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

/// The binary with these arguments, in the workspace, with nothing of AWS in its environment.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orderflow-local"));
    command.current_dir(workspace()).args(arguments);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        command.env_remove(name);
    }
    command.env("ORDERFLOW_PERMISSIONS_DIR", permissions_folder());
    command
}

/// Where each system notes which permissions its functions asked for.
pub fn permissions_folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("permissions");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The workspace's folder.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The template with something changed, in a folder that lives as long as the guard.
pub fn changed_template(change: impl FnOnce(String) -> String) -> (tempfile::TempDir, String) {
    let template = std::fs::read_to_string(workspace().join("template.yaml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("template.yaml");
    std::fs::write(&path, change(template)).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

/// The template with a relay that can publish nothing, and is given up at once.
pub fn template_whose_relay_fails() -> (tempfile::TempDir, String) {
    changed_template(|template| {
        template
            .replace("EVENT_BUS_NAME: !Ref OrdersBus", "EVENT_BUS_NAME: nowhere")
            .replace(
                "MaximumRetryAttempts: 20\n            MaximumRecordAgeInSeconds",
                "MaximumRetryAttempts: 0\n            MaximumRecordAgeInSeconds",
            )
    })
}

/// `orderflow-local up` on free ports. Dropped, it is killed.
pub struct System {
    child: Child,
    /// URL of the HTTP API.
    pub api: String,
    /// URL of the AWS endpoint.
    pub aws: String,
    /// URL of Lambda's Invoke API.
    pub lambda: String,
    /// Speaks to it.
    pub client: HttpClient,
    /// By which an operator is known.
    operator: OnceCell<String>,
}

impl System {
    /// Starts it with further arguments, and waits until it is ready.
    pub fn start(arguments: &[&str]) -> Self {
        let mut all = vec!["up", "--api-port", "0", "--json-ready"];
        if !arguments.contains(&"--aws-port") {
            all.extend(["--aws-port", "0"]);
        }
        all.extend(arguments);
        let mut child = command(&all)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ready: Value = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("not ready ({error}): {line:?}"));
        let url = |name: &str| ready[name].as_str().unwrap().to_owned();
        Self {
            api: url("api"),
            aws: url("aws"),
            lambda: url("lambda"),
            client: HttpClient::new(),
            operator: OnceCell::new(),
            child,
        }
    }

    /// Kills it, as a crash would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it as Ctrl-C does, and waits for its end; its exit code.
    #[cfg(unix)]
    pub fn interrupt(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-INT", &pid]).status().unwrap();
        assert!(sent.success());
        let until = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < until, "it did not end");
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// The value of the `Authorization` header with a token of this system.
    pub async fn bearer(&self, wanted: &Wanted) -> String {
        ask::bearer(&self.client, &self.aws, wanted).await.unwrap()
    }

    /// Sends a request to the HTTP API: as an operator, unless the headers say who it is.
    pub async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<bytes::Bytes>,
    ) -> Answer {
        let mut headers = headers.to_vec();
        if !headers.iter().any(|(name, _)| *name == "authorization") {
            let operator = async || self.bearer(&Wanted::operator()).await;
            let operator = self.operator.get_or_init(operator).await;
            headers.push(("authorization", operator));
        }
        self.anonymous(method, path, &headers, body).await
    }

    /// Sends a request to the HTTP API as it is.
    pub async fn anonymous(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<bytes::Bytes>,
    ) -> Answer {
        let url = format!("{}{path}", self.api);
        self.client.send(method, &url, headers, body).await.unwrap()
    }

    /// Reads a path of the HTTP API.
    pub async fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], "").await
    }

    /// Puts so many pieces of a SKU into stock, at this price in USD.
    #[track_caller]
    pub fn stock(&self, sku: &str, pieces: u64, price: &str) -> impl Future<Output = ()> {
        let price: Value = serde_json::from_str(price).unwrap();
        let body = json!({"restock": pieces, "unitPrice": price, "currency": "USD"});
        let path = format!("/inventory/{}", path_segment(sku));
        async move {
            let headers = [("content-type", "application/json")];
            let answer = self.request("PUT", &path, &headers, body.to_string()).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    }

    /// Sends an order; the answer, whatever it is.
    pub async fn post_order(&self, key: &str, body: &Value) -> Answer {
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", key),
        ];
        self.request("POST", "/orders", &headers, body.to_string())
            .await
    }

    /// Places an order, which must be accepted; its id.
    pub async fn place(&self, key: &str, body: &Value) -> String {
        let answer = self.post_order(key, body).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        answer.json()["orderId"].as_str().unwrap().to_owned()
    }

    /// Waits until an order has this status; its row.
    pub async fn order_at(&self, order: &str, status: &str) -> Value {
        let path = format!("/orders/{}", path_segment(order));
        eventually(&format!("order {order} is {status}"), async || {
            let row = self.get(&path).await.json();
            (row["status"] == status).then_some(row)
        })
        .await
    }

    /// Calls a function directly: its answer, or (error) the error document.
    pub async fn invoke(&self, function: &str, event: &Value) -> Result<Value, Value> {
        let url = format!(
            "{}/2015-03-31/functions/{function}/invocations",
            self.lambda
        );
        let answer = self
            .client
            .send("POST", &url, &[], event.to_string())
            .await
            .unwrap();
        let failed = answer.status != 200 || !answer.header("x-amz-function-error").is_empty();
        if failed {
            Err(answer.json())
        } else {
            Ok(answer.json())
        }
    }

    /// Calls an operation of the AWS endpoint, which must succeed.
    pub async fn aws(&self, target: &str, request: &Value) -> Value {
        let answer = self.client.aws(&self.aws, target, request).await.unwrap();
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        answer.json()
    }

    /// Everything that is stored, by the template's tables.
    pub async fn stored(&self) -> StoreView {
        let tables = Tables {
            event_store: "EventStore".to_owned(),
            stock: "Stock".to_owned(),
            orders: "Orders".to_owned(),
            orders_green: "OrdersGreen".to_owned(),
        };
        store_view::read(Store::Url(&self.client, &self.aws), &tables)
            .await
            .unwrap()
    }

    /// Types of an order's events, in their order.
    pub async fn events_of(&self, order: &str) -> Vec<String> {
        let stored = self.stored().await;
        let stream = stored.streams.get(&format!("order-{order}"));
        let events = stream.into_iter().flatten();
        events.map(|event| event.event_type.clone()).collect()
    }

    /// What each consumer gave up and is not done with, by queue: messages, and letters that wait
    /// or are parked. (While a message is taken in it counts twice.)
    pub async fn dead_letters(&self) -> BTreeMap<String, u64> {
        let queues = self.aws("AmazonSQS.ListQueues", &json!({})).await;
        let mut found = BTreeMap::new();
        for url in queues["QueueUrls"].as_array().into_iter().flatten() {
            let asked = [
                "ApproximateNumberOfMessages",
                "ApproximateNumberOfMessagesNotVisible",
            ];
            let request = json!({"QueueUrl": url, "AttributeNames": asked});
            let answer = self.aws("AmazonSQS.GetQueueAttributes", &request).await;
            let count = |name: &str| {
                let count = answer["Attributes"][name].as_str().unwrap_or("0");
                count.parse::<u64>().unwrap()
            };
            let count: u64 = asked.into_iter().map(count).sum();
            if count > 0 {
                let name = url.as_str().unwrap().rsplit('/').next().unwrap();
                found.insert(name.to_owned(), count);
            }
        }
        for letter in self.letters().await.values() {
            if letter["open"].is_string() {
                let queue = format!("{}-dlq", letter["consumer"].as_str().unwrap());
                *found.entry(queue).or_default() += 1;
            }
        }
        found
    }

    /// All dead letters, by id.
    pub async fn letters(&self) -> BTreeMap<String, Value> {
        let items = Store::Url(&self.client, &self.aws)
            .scan("DeadLetters")
            .await;
        let items = items.unwrap().into_iter();
        let letters = items.filter(|item| item["consumer"].is_string());
        letters
            .map(|item| (item["letterId"].as_str().unwrap().to_owned(), item))
            .collect()
    }

    /// Sends a message to a queue, with attributes.
    pub async fn send(&self, queue: &str, body: &str, attributes: &[(&str, &str)]) {
        let attributes: BTreeMap<&str, Value> = attributes
            .iter()
            .map(|(name, value)| {
                let value = json!({"DataType": "String", "StringValue": value});
                (*name, value)
            })
            .collect();
        let url = format!("{}/000000000000/{queue}", self.aws);
        let message = json!({"QueueUrl": url, "MessageBody": body,
            "MessageAttributes": attributes});
        self.aws("AmazonSQS.SendMessage", &message).await;
    }

    /// Waits until every invariant holds that can be seen from outside. (They can be broken while
    /// something is on its way: an event whose notification is not stored yet.)
    pub async fn invariants_hold(&self, accepted: &[String]) {
        invariants_hold(async || Evidence {
            stored: self.stored().await,
            accepted: accepted.to_vec(),
            ..Evidence::default()
        })
        .await;
    }
}

/// Waits until every invariant holds for what is seen.
pub async fn invariants_hold(seen: impl AsyncFn() -> Evidence) {
    eventually("the invariants hold", async || {
        let broken = invariants::broken(&invariants::check(&seen().await));
        if broken.is_empty() {
            Ok(())
        } else {
            Err(broken.join("\n"))
        }
    })
    .await;
}

impl Drop for System {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs all at once, on this task.
pub async fn futures_of<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, slot) in futures.iter_mut().zip(&mut done) {
            if slot.is_none()
                && let std::task::Poll::Ready(output) = future.as_mut().poll(context)
            {
                *slot = Some(output);
            }
        }
        if done.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

/// What a look found: something, or not yet (and why).
pub trait Found {
    /// What is looked for.
    type Thing;
    /// The thing, or why it is not there.
    fn found(self) -> Result<Self::Thing, String>;
}

impl<T> Found for Option<T> {
    type Thing = T;
    fn found(self) -> Result<T, String> {
        self.ok_or_else(|| "not yet".to_owned())
    }
}

impl<T> Found for Result<T, String> {
    type Thing = T;
    fn found(self) -> Result<T, String> {
        self
    }
}

/// Looks again and again until it finds something, for [`DEADLINE`] at most.
pub async fn eventually<F: Found>(what: &str, mut look: impl AsyncFnMut() -> F) -> F::Thing {
    let until = Instant::now() + DEADLINE;
    loop {
        match look().await.found() {
            Ok(thing) => return thing,
            Err(why) => assert!(Instant::now() < until, "{what}: never. {why}"),
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// The body of an order of one line, in USD.
pub fn order(user: &str, sku: &str, quantity: u64, price: &str) -> Value {
    let price: Value = serde_json::from_str(price).unwrap();
    json!({"userId": user, "currency": "USD",
        "items": [{"sku": sku, "quantity": quantity, "unitPrice": price}]})
}
