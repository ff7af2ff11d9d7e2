//! The whole system in this process, on a folder, so that its mails, its log lines and its files
//! can be searched.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_adapters::connection::Connection;
use aws_adapters::order_contacts::{Contacts, KeysConfig, KmsSubjectKeys, Revealed, keys};
use domain::order::OrderEvent;
use event_sourcing::execute::decode;
use invariants::{Evidence, StoreView};
use jiff::SignedDuration;
use lambda_host::Outcome;
use lambda_host::log_sink::{LogLine, LogSink};
use local::http_client::{Answer, HttpClient};
use local::issuer::ask::{self, Wanted};
use local::programs::Programs;
use local::stack::{Stack, StackOptions};
use local::store_view::{self, Store, Tables};
use serde_json::{Value, json};

use crate::system::{eventually, invariants_hold, order, permissions_folder};

/// Part of every address here.
pub const NEEDLE: &str = "zq-needle";

/// Everything that functions log.
#[derive(Default)]
struct Lines(Mutex<String>);

impl LogSink for Lines {
    fn line(&self, line: &LogLine<'_>) {
        let mut lines = self.0.lock().unwrap();
        lines.push_str(line.text);
        lines.push('\n');
    }
}

/// A shop: the whole system on a folder, in this process, so that its mails can be seen.
pub struct Shop<'f> {
    pub stack: Stack,
    folder: &'f Path,
    lines: Arc<Lines>,
    client: HttpClient,
    operator: String,
}

impl<'f> Shop<'f> {
    pub async fn open(folder: &'f Path, parameters: &[(&str, &str)]) -> Self {
        let template = crate::system::workspace().join("template.yaml");
        let program = Programs::One(env!("CARGO_BIN_EXE_orderflow-local").into());
        let mut options = StackOptions::new(template, program);
        let always = [
            ("Notifier", "ses"),
            ("SenderAddress", "shop@example.com"),
            ("RedriveFirstDelaySeconds", "0"),
        ];
        for (name, value) in always.iter().chain(parameters) {
            let value = (*value).to_owned();
            options.parameters.insert((*name).to_owned(), value);
        }
        let lines = Arc::new(Lines::default());
        options.logs = Arc::clone(&lines) as _;
        options.data_dir = Some(folder.to_owned());
        options.keep_history = true;
        options.permissions_asked = Some(permissions_folder());
        let stack = Stack::start(options).await.unwrap();
        let client = HttpClient::new();
        let aws = stack.endpoint().url();
        let operator = ask::bearer(&client, &aws, &Wanted::operator()).await;
        Self {
            stack,
            folder,
            lines,
            client,
            operator: operator.unwrap(),
        }
    }

    pub async fn close(self) {
        self.stack.shutdown(Duration::from_secs(5)).await.unwrap();
    }

    /// Sends a request as an operator.
    pub async fn send(&self, method: &str, path: &str, key: &str, body: &Value) -> Answer {
        self.send_as(
            &self.operator,
            method,
            path,
            &[("idempotency-key", key)],
            body,
        )
        .await
    }

    /// Sends a request as an operator, in a trace.
    pub async fn send_traced(&self, traceparent: &str, key: &str, body: &Value) -> Answer {
        let headers = [("idempotency-key", key), ("traceparent", traceparent)];
        self.send_as(&self.operator, "POST", "/orders", &headers, body)
            .await
    }

    /// All log lines of functions until now.
    pub fn log_lines(&self) -> Vec<String> {
        let lines = self.lines.0.lock().unwrap();
        lines.lines().map(str::to_owned).collect()
    }

    async fn send_as(
        &self,
        bearer: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        let url = format!("{}{path}", self.stack.api_url());
        let always = [
            ("content-type", "application/json"),
            ("authorization", bearer),
        ];
        let headers = [&always, headers].concat();
        let sent = self.client.send(method, &url, &headers, body.to_string());
        sent.await.unwrap()
    }

    pub async fn stock(&self) {
        let pieces = json!({"restock": 1000});
        let stocked = self.send("PUT", "/inventory/tea", "-", &pieces).await;
        assert_eq!(stocked.status, 200, "{}", stocked.text());
    }

    pub async fn place(&self, key: &str, body: &Value) -> String {
        let answer = self.send("POST", "/orders", key, body).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        answer.json()["orderId"].as_str().unwrap().to_owned()
    }

    /// Erases a user's data, as a customer; the answer.
    pub async fn erase(&self, user: &str, customer: &str) -> Answer {
        let aws = self.stack.endpoint().url();
        let bearer = ask::bearer(&self.client, &aws, &Wanted::customer(customer)).await;
        let (bearer, path) = (bearer.unwrap(), format!("/users/{user}/data"));
        self.send_as(&bearer, "DELETE", &path, &[], &json!({}))
            .await
    }

    pub async fn comes_to(&self, order: &str, status: &str) {
        eventually(&format!("{order} is {status}"), async || {
            let row = self
                .send("GET", &format!("/orders/{order}"), "-", &json!({}))
                .await;
            let row = row.json();
            (row["status"] == status).then_some(())
        })
        .await;
    }

    /// Subjects of the mails to an address.
    pub fn mails_to(&self, address: &str) -> Vec<String> {
        let mails = self.stack.endpoint().sent_emails().into_iter();
        let to = mails.filter(|mail| mail.recipients == [address]);
        to.map(|mail| mail.subject).collect()
    }

    pub async fn gets_mails(&self, address: &str, count: usize) {
        eventually(&format!("{count} mails to {address}"), async || {
            (self.mails_to(address).len() == count).then_some(())
        })
        .await;
    }

    pub async fn call(&self, function: &str, event: &Value) -> Value {
        let called = self.stack.invoke(function, event.to_string()).await;
        let Outcome::Answer(answer) = called.unwrap().outcome else {
            panic!("{function} failed");
        };
        serde_json::from_slice(&answer).unwrap()
    }

    pub async fn stored(&self) -> StoreView {
        let tables = Tables::of(self.stack.template());
        let store = Store::Endpoint(self.stack.endpoint());
        store_view::read(store, &tables).await.unwrap()
    }

    pub async fn holds(&self, accepted: &[String]) {
        invariants_hold(async || Evidence {
            stored: self.stored().await,
            accepted: accepted.to_vec(),
            given_up: self.stack.given_up().await.unwrap(),
            ..Evidence::default()
        })
        .await;
    }

    /// Where a text is: tables, log lines, files of the folder (items, streams, queues, what was
    /// published, invocations on their way).
    pub async fn places_of(&self, text: &str) -> BTreeSet<String> {
        let mut places = BTreeSet::new();
        for table in &self.stack.template().tables {
            let request = json!({"TableName": table.name, "ConsistentRead": true});
            let endpoint = self.stack.endpoint();
            let items = endpoint.call("dynamodb", "Scan", request).await.unwrap();
            assert!(items["LastEvaluatedKey"].is_null(), "one page is enough");
            if items.to_string().contains(text) {
                places.insert(format!("table {}", table.logical_id));
            }
        }
        if self.lines.0.lock().unwrap().contains(text) {
            places.insert("log lines".to_owned());
        }
        for file in files(self.folder) {
            let bytes = std::fs::read(&file).unwrap_or_default();
            if has(&bytes, text) {
                let name = file.strip_prefix(self.folder).unwrap().display();
                places.insert(format!("file {name}"));
            }
        }
        places
    }

    /// The keys as the functions have them, with nothing remembered.
    fn contacts(&self) -> Contacts<KmsSubjectKeys> {
        let aws = Connection::to_endpoint(&self.stack.endpoint().url(), "local-test").unwrap();
        let [key] = self.stack.template().keys.as_slice() else {
            panic!("the template has one key");
        };
        let config = KeysConfig {
            table: "SubjectKeys".to_owned(),
            master_key: key.arn.clone(),
            remembered_for: SignedDuration::ZERO,
        };
        Contacts {
            keys: keys(&aws, config),
            seals: true,
        }
    }

    /// The address in the stored, sealed contact of an order; `None` once it is erased.
    pub async fn address_of(&self, order: &str) -> Option<String> {
        let stored = self.stored().await;
        let event: OrderEvent = decode(&stored.streams[&format!("order-{order}")][0]).unwrap();
        let terms = event.terms();
        assert_eq!(terms.contact, None);
        let sealed = terms.sealed_contact.as_ref().unwrap();
        let contacts = self.contacts();
        let revealed = contacts.reveal(&terms.user_id, &terms.order_id, sealed);
        match revealed.await.unwrap() {
            Revealed::Contact(contact) => Some(contact.email),
            Revealed::Erased => None,
        }
    }
}

pub fn has(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

pub fn address(name: &str) -> String {
    format!("{name}.{NEEDLE}@example.com")
}

pub fn ordered_by(user: &str, name: &str, token: &str) -> Value {
    let mut body = order(user, "tea", 1, "1");
    body["contact"] = json!({"email": address(name)});
    body["payment"] = json!({"token": token});
    body
}
