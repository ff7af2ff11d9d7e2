//! `kafka`: a topic's records for `ingest-kafka`, as Lambda's mapping of a cluster brings them.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-kafka.html>: batches of one partition, in
//! order; a batch that fails comes again until it succeeds; only then its offsets are noted.

mod batch;
mod offsets;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use aws_adapters::function_calls::Called;
use rskafka::BackoffConfig;
use rskafka::client::error::Error as ClientError;
use rskafka::client::partition::{OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};

use super::interruption::Interruption;
use super::system::{Needs, System};
use super::{interrupted, say};
use crate::cli::{KafkaArgs, StackArgs};
use crate::error::LocalError;
use crate::terminal::printable;
use batch::Batch;
use offsets::Offsets;

/// The function that takes the records.
const FUNCTION: &str = "ingest-kafka";
/// How long a cluster has to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a partition is asked for more, in milliseconds; Lambda gathers half a second, too.
const GATHERED_MS: i32 = 500;
/// Most bytes of one fetch.
const FETCHED_BYTES: i32 = 4 << 20;
/// The waits after failures: doubled from the first to the longest.
const WAITS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// So often a batch is tried with `--until-end`; otherwise until it succeeds.
const TRIES: u32 = 8;

/// Why a topic cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum KafkaError {
    /// No answer, or a refusal.
    #[error("the cluster at {bootstrap} does not answer as it should: {reason}")]
    Cluster {
        /// Where it was looked for.
        bootstrap: String,
        /// What the client says.
        reason: String,
    },
    /// There is no such topic.
    #[error(
        "the cluster at {bootstrap} has no topic {topic}; create it, or say another by --topic"
    )]
    NoTopic {
        /// The cluster.
        bootstrap: String,
        /// The topic that was asked for.
        topic: String,
    },
    /// With `--until-end`, a batch that does not get through.
    #[error("the batch at offset {offset} of {partition} did not get through: {reason}")]
    NotTaken {
        /// Its partition.
        partition: String,
        /// Its first offset.
        offset: i64,
        /// Why its last try failed.
        reason: String,
    },
}

/// Brings records until Ctrl-C, or until the end of the topic.
///
/// # Errors
/// [`LocalError`] for what keeps the system or the cluster from being reached.
pub async fn run(shared: &StackArgs, args: &KafkaArgs) -> Result<ExitCode, LocalError> {
    let mut interruption = Interruption::listen();
    let reached = System::reach(shared, &args.system, Needs::Functions, &mut interruption);
    let Some(system) = reached.await? else {
        return Ok(interrupted());
    };
    let brought = interruption.or(bring(&system, args)).await;
    let left = system.leave(&mut interruption).await;
    let code = brought.unwrap_or_else(|| Ok(interrupted()))?;
    left.map(|()| code)
}

/// A partition that is read.
struct Partition {
    client: PartitionClient,
    name: String,
    next: i64,
}

async fn bring(system: &System, args: &KafkaArgs) -> Result<ExitCode, LocalError> {
    let mut offsets = Offsets::read(args.offsets.as_deref())?;
    let mut partitions = partitions(args, &offsets).await?;
    let mut brought = 0;
    loop {
        let mut at_end = true;
        for partition in &mut partitions {
            let (batch, end) = fetch(args, partition).await?;
            let Some(batch) = batch else { continue };
            brought += batch.len();
            let next = hand_over(system, args, &batch).await?;
            partition.next = next;
            at_end &= next >= end;
            offsets.note(&partition.name, next)?;
            let name = printable(&partition.name);
            say(&format!(
                "{name}: {} records, up to offset {}",
                batch.len(),
                next - 1
            ));
        }
        if at_end && args.until_end {
            say(&format!(
                "{brought} records brought, the topic is at its end"
            ));
            return Ok(ExitCode::SUCCESS);
        }
    }
}

async fn partitions(args: &KafkaArgs, offsets: &Offsets) -> Result<Vec<Partition>, LocalError> {
    let failed = |error: ClientError| cluster(args, &error);
    let client = connect(args).await?;
    let topics = client.list_topics().await.map_err(failed)?;
    let topic = topics.into_iter().find(|topic| topic.name == args.topic);
    let Some(topic) = topic else {
        let (bootstrap, topic) = (args.bootstrap.clone(), args.topic.clone());
        return Err(KafkaError::NoTopic { bootstrap, topic }.into());
    };
    let mut partitions = Vec::new();
    for number in topic.partitions {
        let client = client
            .partition_client(&args.topic, number, UnknownTopicHandling::Error)
            .await
            .map_err(failed)?;
        let name = format!("{}-{number}", args.topic);
        let next = match offsets.of(&name) {
            Some(next) => next,
            None => client
                .get_offset(OffsetAt::Earliest)
                .await
                .map_err(failed)?,
        };
        partitions.push(Partition { client, name, next });
    }
    Ok(partitions)
}

async fn connect(args: &KafkaArgs) -> Result<Client, LocalError> {
    let brokers = args.bootstrap.split(',').map(|one| one.trim().to_owned());
    let backoff = BackoffConfig {
        deadline: Some(PATIENCE),
        ..BackoffConfig::default()
    };
    let client = ClientBuilder::new(brokers.collect())
        .client_id("orderflow-local")
        .backoff_config(backoff);
    client.build().await.map_err(|error| cluster(args, &error))
}

fn cluster(args: &KafkaArgs, error: &ClientError) -> LocalError {
    let (bootstrap, reason) = (args.bootstrap.clone(), error.to_string());
    KafkaError::Cluster { bootstrap, reason }.into()
}

/// What the partition has next, if anything, and where it ends.
async fn fetch(
    args: &KafkaArgs,
    partition: &Partition,
) -> Result<(Option<Batch>, i64), LocalError> {
    let fetched = partition
        .client
        .fetch_records(partition.next, 1..FETCHED_BYTES, GATHERED_MS)
        .await;
    let (records, end) = fetched.map_err(|error| cluster(args, &error))?;
    Ok((Batch::of(&partition.name, records), end))
}

/// Calls the function until it takes the batch; gives the offset from which to go on.
async fn hand_over(system: &System, args: &KafkaArgs, batch: &Batch) -> Result<i64, LocalError> {
    let function = system.function(FUNCTION)?;
    let event = batch.event(&args.bootstrap, &args.topic);
    let (mut wait, longest) = WAITS;
    for tried in 1_u32.. {
        let reason = match system.calls().call(function, &event).await {
            Ok(Called::Answer(answer)) => return Ok(batch.after(&answer)),
            Ok(Called::Failed { message, .. }) => message,
            Err(error) => error.to_string(),
        };
        if args.until_end && tried == TRIES {
            let (partition, offset) = (batch.partition.clone(), batch.first());
            return Err(KafkaError::NotTaken {
                partition,
                offset,
                reason,
            }
            .into());
        }
        say(&printable(&format!(
            "{}: offset {} comes again: {reason}",
            batch.partition,
            batch.first()
        )));
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(longest);
    }
    Ok(batch.first())
}

/// How far each partition was brought.
pub(super) type Positions = BTreeMap<String, i64>;
