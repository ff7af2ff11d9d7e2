//! Appends and loads, over the number of streams and over their length.

use crate::long_stream::{LongStream, Noted};
use crate::server::{Counted, Server};
use crate::stock_of_events::{EVENTS, Filling, notes, order};
use aws_adapters::connection::Connection;
use aws_adapters::dynamodb_event_store::DynamoDbEventStore;
use aws_adapters::dynamodb_snapshots::DynamoDbSnapshots;
use aws_sdk_dynamodb::Client;
use domain::order::Order;
use event_sourcing::chain::Head;
use event_sourcing::envelope::Envelope;
use event_sourcing::execute::{Cause, load};
use event_sourcing::snapshot::{SnapshotPolicy, Snapshotting};
use event_sourcing::store::EventStore;
use flow::{Facts, Failure};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::time::{Duration, Instant};

/// Streams of the stores; the largest may be said to have fewer.
const STREAMS: [usize; 4] = [10, 1000, 10_000, 100_000];
/// Lengths of streams, and how many of each are measured: they grow by what is appended.
const LENGTHS: [(usize, usize); 5] = [(1, 40), (10, 40), (100, 40), (1000, 8), (10_000, 2)];
/// Events that follow on the last snapshot, where there is one.
const AFTER_SNAPSHOT: usize = 50;
/// Rounds, each of which measures every store once.
const ROUNDS: usize = 5;
/// Operations of a round.
const OPERATIONS: usize = 30;
/// Loads of whole streams of a round.
const WHOLE_LOADS: usize = 1;
/// Events after which the server may forget what streams of tables have, while a store is filled.
const FORGET_AFTER: usize = 20_000;

/// The server and a connection to it.
pub(crate) struct Setup {
    pub(crate) server: Server,
    pub(crate) connection: Connection,
    pub(crate) client: Client,
}

impl Setup {
    pub(crate) fn new(server: Server) -> Result<Self, Failure> {
        let connection =
            Connection::to_endpoint(&server.url, "growth")?.with_patience(Duration::from_mins(1));
        let client = connection.dynamodb();
        Ok(Self {
            server,
            connection,
            client,
        })
    }

    pub(crate) fn event_table(&mut self, name: &str) -> Result<(), Failure> {
        self.server.table(&json!({
            "TableName": name,
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": "streamId", "KeyType": "HASH"},
                          {"AttributeName": "version", "KeyType": "RANGE"}],
            "AttributeDefinitions": [{"AttributeName": "streamId", "AttributeType": "S"},
                                     {"AttributeName": "version", "AttributeType": "N"}],
            "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_IMAGE"},
        }))
    }
}

/// What one kind of operation came to.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// Microseconds of one operation, a median of each round.
    pub(crate) micros: Vec<f64>,
    operations: f64,
    requests: f64,
    read_units: f64,
    write_units: f64,
}

impl Measured {
    fn add(&mut self, times: Vec<Duration>, counted: Counted) {
        self.operations += f64::from(u32::try_from(times.len()).unwrap_or(u32::MAX));
        self.requests += f64::from(counted.requests);
        self.read_units += counted.read_units;
        self.write_units += counted.write_units;
        let micros = times.iter().map(|time| time.as_secs_f64() * 1e6).collect();
        self.micros.push(median(micros));
    }

    /// Requests, write units and read units of one operation.
    pub(crate) fn each(&self) -> [f64; 3] {
        [self.requests, self.write_units, self.read_units].map(|all| all / self.operations)
    }

    /// How many times the time of another: the median of the rounds.
    pub(crate) fn times(&self, other: &Self) -> f64 {
        let rounds = self.micros.iter().zip(&other.micros);
        median(rounds.map(|(mine, its)| mine / its).collect())
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// A store of orders.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) table: String,
    pub(crate) streams: usize,
    pub(crate) append: Measured,
    pub(crate) load: Measured,
    /// How long it took to fill it.
    pub(crate) filled_in: Duration,
}

/// Over the number of streams.
#[derive(Debug)]
pub(crate) struct OverStreams {
    pub(crate) stores: Vec<Store>,
}

/// The stream of an order: scattered, as ids are.
fn stream_of(number: usize) -> String {
    format!("order-{}", id_of(number))
}

fn id_of(number: usize) -> String {
    event_sourcing::ids::derive(&["growth", &number.to_string()])
}

pub(crate) async fn over_streams(
    setup: &mut Setup,
    largest: usize,
) -> Result<OverStreams, Failure> {
    let mut sizes = STREAMS
        .map(|streams| streams.min(largest / EVENTS))
        .to_vec();
    sizes.dedup();
    let mut stores = Vec::new();
    for streams in sizes {
        stores.push(filled(setup, streams).await?);
    }
    for round in 0..ROUNDS {
        for store in &mut stores {
            let events = DynamoDbEventStore::new(setup.client.clone(), &store.table);
            let (mut appends, mut loads) = (Vec::new(), Vec::new());
            setup.server.reset()?;
            for nth in 0..OPERATIONS {
                let stream = format!("new-{round}-{nth}");
                let facts = Facts::of(&stream);
                appends.push(append(&events, &stream, &Head::START, &facts).await?.0);
            }
            store.append.add(appends, setup.server.counted()?);
            setup.server.reset()?;
            for nth in 0..OPERATIONS {
                let number = (round * OPERATIONS + nth) * 7919 % store.streams;
                let started = Instant::now();
                let loaded = load::<Order, Infallible>(&events, &stream_of(number)).await?;
                loads.push(started.elapsed());
                expect(loaded.head.version, EVENTS as u64)?;
            }
            store.load.add(loads, setup.server.counted()?);
        }
        eprintln!("streams: round {} of {ROUNDS}", round + 1);
    }
    Ok(OverStreams { stores })
}

async fn filled(setup: &mut Setup, streams: usize) -> Result<Store, Failure> {
    let table = format!("EventStore{streams}");
    setup.event_table(&table)?;
    let started = Instant::now();
    let mut filling = Filling::of(&setup.client, &table);
    for number in 0..streams {
        let id = id_of(number);
        filling.add(&order(&format!("order-{id}"), &id)).await?;
        if number % (FORGET_AFTER / EVENTS) == 0 {
            setup.server.reset()?;
        }
        if number > 0 && number % 25_000 == 0 {
            let seconds = started.elapsed().as_secs();
            eprintln!(
                "{} of {} events stored after {seconds} s",
                4 * number,
                4 * streams
            );
        }
    }
    filling.end().await?;
    Ok(Store {
        table,
        streams,
        append: Measured::default(),
        load: Measured::default(),
        filled_in: started.elapsed(),
    })
}

/// Streams of one length.
#[derive(Debug)]
pub(crate) struct Length {
    pub(crate) events: usize,
    pub(crate) append: Measured,
    pub(crate) load: Measured,
    pub(crate) whole: Measured,
    heads: Vec<(String, Head)>,
}

pub(crate) async fn over_lengths(setup: &mut Setup) -> Result<Vec<Length>, Failure> {
    setup.event_table("LongStreams")?;
    setup.server.table(&json!({
        "TableName": "Snapshots",
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "streamId", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "streamId", "AttributeType": "S"}],
    }))?;
    let events = DynamoDbEventStore::new(setup.client.clone(), "LongStreams");
    let snapshots = DynamoDbSnapshots::new(setup.client.clone(), "Snapshots");
    let both = Snapshotting {
        events: &events,
        snapshots: &snapshots,
        policy: SnapshotPolicy::default(),
    };
    let mut lengths = Vec::new();
    for (length, streams) in LENGTHS {
        lengths.push(grown(setup, &both, length, streams).await?);
        eprintln!("streams of {length} events are there");
    }
    for round in 0..ROUNDS {
        for length in &mut lengths {
            let streams = length.heads.len();
            setup.server.reset()?;
            let mut loads = Vec::new();
            for nth in 0..OPERATIONS {
                let (stream, head) = &length.heads[nth % streams];
                let started = Instant::now();
                let loaded = both.load::<LongStream>(stream).await?;
                loads.push(started.elapsed());
                expect(loaded.state.events, head.version)?;
            }
            length.load.add(loads, setup.server.counted()?);
            setup.server.reset()?;
            let mut wholes = Vec::new();
            for nth in 0..WHOLE_LOADS {
                let (stream, head) = &length.heads[(round + nth) % streams];
                let started = Instant::now();
                let loaded = load::<LongStream, Infallible>(&events, stream).await?;
                wholes.push(started.elapsed());
                expect(loaded.state.events, head.version)?;
            }
            length.whole.add(wholes, setup.server.counted()?);
            setup.server.reset()?;
            // As many streams of each length grow by one event: a short one is not to become long.
            let mut appends = Vec::new();
            for (stream, head) in &mut length.heads {
                let facts = Facts::of(stream);
                let (took, stored) = append(&events, stream, head, &facts).await?;
                appends.push(took);
                *head = Head::after(stored.last());
            }
            length.append.add(appends, setup.server.counted()?);
        }
        eprintln!("lengths: round {} of {ROUNDS}", round + 1);
    }
    Ok(lengths)
}

/// Streams of a length, with a snapshot some events before their ends, as the policy leaves it.
async fn grown(
    setup: &mut Setup,
    both: &Snapshotting<'_, DynamoDbEventStore, DynamoDbSnapshots>,
    length: usize,
    streams: usize,
) -> Result<Length, Failure> {
    let tail = AFTER_SNAPSHOT.min(length);
    let mut heads = Vec::new();
    for number in 0..streams {
        let stream = format!("long-{length}-{number}");
        let mut head = Head::START;
        for part in [length - tail, tail] {
            let events = notes(&stream, &head, part)?;
            let mut filling = Filling::of(&setup.client, "LongStreams");
            filling.add(&events).await?;
            filling.end().await?;
            if let Some(last) = events.last() {
                head = Head::after(Some(last));
            }
            if part >= both.policy.events {
                both.load::<LongStream>(&stream).await?;
            }
        }
        setup.server.reset()?;
        heads.push((stream, head));
    }
    Ok(Length {
        events: length,
        append: Measured::default(),
        load: Measured::default(),
        whole: Measured::default(),
        heads,
    })
}

/// Appends one event, and says how long that took.
async fn append(
    events: &DynamoDbEventStore,
    stream: &str,
    head: &Head,
    facts: &Facts,
) -> Result<(Duration, Vec<Envelope>), Failure> {
    let cause = Cause {
        id: format!("{stream}/{}", head.version),
        seed: head.version.to_string(),
        purpose: "growth",
        correlation_id: Some(stream.to_owned()),
        traceparent: None,
        actor: None,
        now: Timestamp::now(),
    };
    let started = Instant::now();
    let envelopes = cause.envelopes(stream, &[Noted(facts.clone())])?;
    let stored = events.append(stream, head, envelopes).await?;
    Ok((started.elapsed(), stored))
}

fn expect(found: u64, expected: u64) -> Result<(), Failure> {
    if found == expected {
        return Ok(());
    }
    Err(format!("a stream has {found} events, not {expected}").into())
}

/// The definition of a table of order rows, as the template has it.
pub(crate) fn rows_table(name: &str) -> Value {
    let attribute = |name: &str, kind: &str| json!({"AttributeName": name, "AttributeType": kind});
    let key = |name: &str, kind: &str| json!({"AttributeName": name, "KeyType": kind});
    json!({
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [key("orderId", "HASH")],
        "AttributeDefinitions": [attribute("orderId", "S"), attribute("userId", "S"),
            attribute("placedAt", "S"), attribute("openPart", "S"), attribute("openSince", "N")],
        "GlobalSecondaryIndexes": [
            {"IndexName": "by-user", "Projection": {"ProjectionType": "KEYS_ONLY"},
             "KeySchema": [key("userId", "HASH"), key("placedAt", "RANGE")]},
            {"IndexName": "open",
             "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["healed"]},
             "KeySchema": [key("openPart", "HASH"), key("openSince", "RANGE")]},
        ],
    })
}
