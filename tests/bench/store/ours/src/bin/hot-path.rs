//! What a function executes from the bytes of its event to its append: `hot-path <case> <n>` does
//! it n times, without a server, for callgrind to count. Its first lines are preparation, the same
//! for each n; so the difference between 2n and n is that of n invocations.

use aws_adapters::connection::Connection;
use aws_adapters::dynamodb_event_store::DynamoDbEventStore;
use aws_adapters::dynamodb_stock::DynamoDbStock;
use aws_adapters::http_api::{HttpRequest, HttpResponse, Problem};
use aws_adapters::lambda::{self, Invocation, Unread};
use aws_adapters::metrics::Metrics;
use aws_adapters::order_contacts::Contacts;
use aws_adapters::sqs_dead_letter_queue::SqsDeadLetterQueue;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use event_sourcing::clock::SystemClock;
use event_sourcing::failure::Failure as Failed;
use event_sourcing::sealing::in_memory::{InMemorySubjectKeys, subject_keys};
use flow::{Client as _, Failure};
use jiff::SignedDuration;
use memory::Memory;
use notify_user::notifier::LogNotifier;
use ours::Ours;
use process_payment::guarded_gateway::GuardedGateway;
use process_payment::metered_gateway::MeteredGateway;
use process_payment::simulated_gateway::SimulatedGateway;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// The samples that are the functions' own in this repository.
const PLACE_ORDER: &str = include_str!("../../../../../../events/place-order.json");
const CANCEL_ORDER: &str = include_str!("../../../../../../events/cancel-order.json");
const RESTOCK: &str = include_str!("../../../../../../events/restock-inventory.json");
const PLAIN: &str = include_str!("../../../../../../events/record-events.json");
const OF_THE_BUS: &str = include_str!("../../../../../../events/update-inventory.json");

const STREAM: &str = "order-6f1c2d1e-7a0b-5c3d-9e8f-000000000001";

struct Bench {
    memory: Memory,
    client: Client,
}

impl Bench {
    fn new() -> Result<Self, Failure> {
        let memory = Memory::default();
        let client = Connection::to_endpoint("http://localhost", "bench")?.dynamodb();
        let config = client.config().to_builder().http_client(memory.clone());
        let client = Client::from_conf(config.build());
        Ok(Self { memory, client })
    }

    fn store(&self) -> DynamoDbEventStore {
        DynamoDbEventStore::new(self.client.clone(), "EventStore")
    }

    async fn place_order(&self, payload: &str, times: u64) -> Result<(), Failure> {
        let handler = &place_order::handler::Handler {
            store: self.store(),
            contacts: contacts(true),
            clock: SystemClock,
        };
        let handle = |request: HttpRequest| async move { handler.handle(&request).await };
        Box::pin(respond(payload, times, &handle)).await
    }

    async fn cancel_order(&self, payload: &str, times: u64) -> Result<(), Failure> {
        let handler = &cancel_order::handler::Handler {
            store: self.store(),
            clock: SystemClock,
            grace: SignedDuration::from_hours(1),
        };
        let handle = |request: HttpRequest| async move { handler.handle(&request).await };
        Box::pin(respond(payload, times, &handle)).await
    }

    async fn restock_inventory(&self, payload: &str, times: u64) -> Result<(), Failure> {
        let handler = &restock_inventory::handler::Handler {
            store: self.store().with_stock("Stock", 64),
            stock: DynamoDbStock::new(self.client.clone(), "Stock"),
            clock: SystemClock,
        };
        let handle = |request: HttpRequest| async move { handler.handle(&request).await };
        Box::pin(respond(payload, times, &handle)).await
    }

    async fn update_inventory(&self, payload: &str, times: u64) -> Result<(), Failure> {
        let handler = &update_inventory::handler::Handler {
            store: self.store().with_stock("Stock", 64),
            clock: SystemClock,
        };
        let handle = |invocation: Invocation| async move {
            let event = lambda::event_of(invocation.payload)?;
            handler.handle(&event).await.map(|()| Value::Null)
        };
        consume(payload, times, &handle).await
    }

    async fn process_payment(&self, payload: &str, times: u64) -> Result<(), Failure> {
        let gateway = SimulatedGateway::default();
        let gateway = MeteredGateway::new(gateway, Metrics::of("process-payment"), SystemClock);
        let handler = &process_payment::handler::Handler {
            store: self.store(),
            gateway: GuardedGateway::new(gateway, SystemClock),
            clock: SystemClock,
        };
        let handle = |invocation: Invocation| async move {
            if invocation.is_replay() {
                return Ok(lambda::muted());
            }
            let event = lambda::event_of(invocation.payload)?;
            handler.handle(&event).await.map(|()| Value::Null)
        };
        consume(payload, times, &handle).await
    }

    async fn notify_user(&self, payload: &str, times: u64) -> Result<(), Failure> {
        let handler = &notify_user::handler::Handler {
            store: self.store(),
            notifier: LogNotifier,
            contacts: contacts(false),
            clock: SystemClock,
        };
        let handle = |invocation: Invocation| async move {
            if invocation.is_replay() {
                return Ok(lambda::muted());
            }
            let event = lambda::event_of(invocation.payload)?;
            handler
                .handle(&event, &invocation.request_id, &invocation.redrive_of)
                .await
                .map(|()| Value::Null)
        };
        consume(payload, times, &handle).await
    }

    async fn record_events(&self, payload: &str, times: u64) -> Result<(), Failure> {
        let handler = &record_events::handler::Handler {
            store: self.store(),
            contacts: contacts(true),
        };
        let handle = |invocation: Invocation| async move {
            let event = lambda::event_of(invocation.payload)?;
            let event = event.traced(invocation.traceparent);
            handler.handle(event).await.map(|()| Value::Null)
        };
        consume(payload, times, &handle).await
    }

    /// The item that the last request stored.
    fn stored(&self) -> Result<Value, Failure> {
        let kept = self.memory.kept();
        let (_, body) = kept.last().ok_or("nothing was stored")?;
        let put = &body["TransactItems"][0]["Put"];
        let item = if put.is_null() {
            &body["Item"]
        } else {
            &put["Item"]
        };
        Ok(item.clone())
    }

    /// The events that make an order, as their triggers are delivered: placed, reserved.
    async fn order(&self) -> Result<[Value; 2], Failure> {
        self.memory.keep();
        self.place_order(PLACE_ORDER, 1).await?;
        let placed = self.stored()?;
        self.memory.keep();
        self.update_inventory(&delivered(&placed)?, 1).await?;
        Ok([placed, self.stored()?])
    }

    async fn run(&self, case: &str, times: u64) -> Result<u64, Failure> {
        let [placed, reserved] = self.order().await?;
        let before = self.memory.requests();
        match case {
            "place-order" => self.place_order(PLACE_ORDER, times).await?,
            "update-inventory" => self.update_inventory(&delivered(&placed)?, times).await?,
            "process-payment" => self.process_payment(&delivered(&reserved)?, times).await?,
            "notify-user" => self.notify_user(&delivered(&placed)?, times).await?,
            "record-events" => self.record_events(PLAIN, times).await?,
            "cancel-order" => {
                let page = json!({"Items": [placed], "Count": 1, "ScannedCount": 1});
                let page: &'static str = page.to_string().leak();
                self.memory.answer("Query", vec![page]);
                let id = placed["data"]["M"]["orderId"]["S"].as_str();
                let payload = CANCEL_ORDER.replace("67890", id.unwrap_or_default());
                self.cancel_order(&payload, times).await?;
            }
            "restock-inventory" => self.restock_inventory(RESTOCK, times).await?,
            "commit" => {
                for _ in 0..times {
                    Ours(self.store()).commit(STREAM.to_owned()).await?;
                }
            }
            "append" => {
                for _ in 0..times {
                    Ours(self.store()).append(STREAM.to_owned()).await?;
                }
            }
            "bare" => self.bare(times).await?,
            other => return Err(format!("there is no case {other}").into()),
        }
        Ok(self.memory.requests() - before)
    }

    /// The SDK's call alone, with the items of `commit`, made beforehand for 512 orders.
    async fn bare(&self, times: u64) -> Result<(), Failure> {
        self.memory.keep();
        Ours(self.store()).commit(STREAM.to_owned()).await?;
        let kept = self.memory.kept();
        let stored: Vec<_> = kept
            .iter()
            .map(|(_, body)| attributes(&body["Item"]))
            .collect();
        let mut items = vec![stored; usize::try_from(times.max(512))?];
        for order in items.iter_mut().take(usize::try_from(times)?) {
            for item in std::mem::take(order) {
                self.client
                    .put_item()
                    .table_name("EventStore")
                    .set_item(Some(item))
                    .condition_expression("attribute_not_exists(streamId)")
                    .send()
                    .await?;
            }
        }
        std::mem::forget(items);
        Ok(())
    }
}

fn contacts(seals: bool) -> Contacts<InMemorySubjectKeys<SystemClock>> {
    Contacts {
        keys: subject_keys(SystemClock),
        seals,
    }
}

/// A call as the runtime makes it of the bytes that it gets.
fn invocation(payload: &str) -> Result<Unread, Failure> {
    let mut payload = serde_json::Deserializer::from_slice(payload.as_bytes());
    Ok(Invocation {
        payload: serde_path_to_error::deserialize(&mut payload)?,
        request_id: "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned(),
        redrive_of: Vec::new(),
        traceparent: None,
    })
}

async fn consume<F, Fut>(payload: &str, times: u64, handle: &F) -> Result<(), Failure>
where
    F: Fn(Invocation) -> Fut,
    Fut: Future<Output = Result<Value, Failed>>,
{
    for _ in 0..times {
        let done = lambda::consume(None::<&SqsDeadLetterQueue>, handle, invocation(payload)?);
        done.await.map_err(|failure| failure.to_string())?;
    }
    Ok(())
}

async fn respond<F, Fut>(payload: &str, times: u64, handle: &F) -> Result<(), Failure>
where
    F: Fn(HttpRequest) -> Fut,
    Fut: Future<Output = Result<HttpResponse, Problem>>,
{
    for _ in 0..times {
        let answer = lambda::respond(handle, invocation(payload)?).await;
        let answer = answer.map_err(|failure| failure.to_string())?;
        if answer["statusCode"]
            .as_u64()
            .is_none_or(|status| status >= 300)
        {
            return Err(answer.to_string().into());
        }
    }
    Ok(())
}

/// A stored event as the bus delivers it.
fn delivered(item: &Value) -> Result<String, Failure> {
    let mut event: Value = serde_json::from_str(OF_THE_BUS)?;
    let detail = plain(&json!({"M": item}));
    event["detail-type"] = detail["eventType"].clone();
    event["resources"] = json!([detail["streamId"]]);
    event["detail"] = detail;
    Ok(event.to_string())
}

/// What an attribute in the table's JSON is.
fn plain(attribute: &Value) -> Value {
    let Some((kind, value)) = attribute.as_object().and_then(|one| one.iter().next()) else {
        return Value::Null;
    };
    match (kind.as_str(), value) {
        ("N", Value::String(number)) => serde_json::from_str(number).unwrap_or_default(),
        ("M", Value::Object(fields)) => {
            let fields = fields
                .iter()
                .map(|(name, value)| (name.clone(), plain(value)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        ("L", Value::Array(values)) => values.iter().map(plain).collect(),
        ("NULL", _) => Value::Null,
        _ => value.clone(),
    }
}

/// The same as the SDK has it.
fn attributes(item: &Value) -> HashMap<String, AttributeValue> {
    let fields = item.as_object().into_iter().flatten();
    fields
        .map(|(name, value)| (name.clone(), attribute(value)))
        .collect()
}

fn attribute(value: &Value) -> AttributeValue {
    let Some((kind, value)) = value.as_object().and_then(|one| one.iter().next()) else {
        return AttributeValue::Null(true);
    };
    let text = || value.as_str().unwrap_or_default().to_owned();
    match kind.as_str() {
        "S" => AttributeValue::S(text()),
        "N" => AttributeValue::N(text()),
        "M" => AttributeValue::M(attributes(value)),
        "L" => AttributeValue::L(
            value
                .as_array()
                .into_iter()
                .flatten()
                .map(attribute)
                .collect(),
        ),
        "BOOL" => AttributeValue::Bool(value.as_bool().unwrap_or_default()),
        _ => AttributeValue::Null(true),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let case = args.next().ok_or("which case?")?;
    let times: u64 = args.next().ok_or("how many times?")?.parse()?;
    let requests = Bench::new()?.run(&case, times).await?;
    println!("{requests}");
    Ok(())
}
