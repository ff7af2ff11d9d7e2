//! What can be done with the archive.

use clap::{ArgGroup, Args, Subcommand};
use jiff::Timestamp;

use crate::cli::SystemArgs;

/// How long after it was stored an event may not be archived yet, in seconds: the longest that
/// Firehose collects (900), and its retries. A local system archives within seconds.
const SETTLED_ON_AWS: u32 = 1200;
const SETTLED_HERE: u32 = 10;

/// What to do with the archive.
#[derive(Debug, Subcommand)]
pub enum ArchiveCommand {
    /// List what is archived, by day and type of the event
    ///
    /// How many objects, and their bytes as they are stored. Reads no object.
    List(ListArgs),
    /// Hold what is archived against what is stored
    ///
    /// Over a period: each stored event must be archived, with the same content, and each archived
    /// one stored. Events that are too young to be archived for certain are left out. Exits with 1
    /// if something is missing on a side, differs, or cannot be read. It reads the objects of the
    /// period and the whole table of events, page by page, and keeps some 200 bytes of each event
    /// in memory.
    Verify(VerifyArgs),
    /// Replay a period to one consumer, or into a table
    ///
    /// To a consumer goes what the rules of the template would give it, the events of a stream in
    /// the order of their versions and, once one failed, no later one. Each is marked as a replay
    /// (replay-name, as EventBridge does): consumers that act outside, process-payment and
    /// notify-user, do nothing then. A consumer that has handled an event finds that out by
    /// itself. What fails is told, and not put into the dead-letter queue.
    ///
    /// Into a table they go as they were stored. It is created unless it is there; what is in it
    /// already stays. Ctrl-C lets the running batch end. Exits with 1 if an event was not replayed.
    Replay(ReplayArgs),
}

/// Events by when they happened.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct PeriodArgs {
    /// Beginning of the period, such as 2025-01-01T00:00:00Z [default: that of the archive]
    #[arg(long, value_name = "TIME")]
    pub from: Option<Timestamp>,
    /// Its end; what happened then is not in it any more [default: now]
    #[arg(long, value_name = "TIME")]
    pub to: Option<Timestamp>,
}

/// What to list.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cargo local archive list                                 of the `cargo local` that runs\n  \
    cargo local archive list --from 2025-01-01T00:00:00Z --stack orderflow\n  \
    cargo local archive list --type OrderPlaced --json")]
pub struct ListArgs {
    /// Of which period; whole days are listed
    #[command(flatten)]
    pub period: PeriodArgs,
    /// Events of this type only, such as `OrderPlaced`
    #[arg(long = "type", value_name = "EVENT")]
    pub event_type: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// Of which system
    #[command(flatten)]
    pub system: SystemArgs,
}

/// What to verify.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cargo local archive verify                               of the `cargo local` that runs\n  \
    cargo local archive verify --from 2025-01-01T00:00:00Z --to 2025-02-01T00:00:00Z \
    --stack orderflow")]
pub struct VerifyArgs {
    /// Which period
    #[command(flatten)]
    pub period: PeriodArgs,
    /// Seconds after which an event must be archived; the period ends so long ago at the latest
    /// [default: 10, and with --stack 1200]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(0..=86_400))]
    pub settled_after: Option<u32>,
    /// Print the findings as one JSON object
    #[arg(long)]
    pub json: bool,
    /// Of which system
    #[command(flatten)]
    pub system: SystemArgs,
}

impl VerifyArgs {
    /// Seconds after which an event must be archived.
    pub(super) fn settled_after(&self) -> u32 {
        let usual = match self.system.stack {
            Some(_) => SETTLED_ON_AWS,
            None => SETTLED_HERE,
        };
        self.settled_after.unwrap_or(usual)
    }
}

/// What to replay, and where to.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("destination").required(true).args(["consumer", "table"]))]
#[command(after_help = "Examples:\n  \
    cargo local archive replay --consumer update-inventory --from 2025-01-01T00:00:00Z --dry-run\n  \
    cargo local archive replay --consumer send-invoice --type OrderConfirmed --rate 50 \
    --stack orderflow\n  \
    cargo local archive replay --table EventStore-2025-01 --to 2025-02-01T00:00:00Z \
    --stack orderflow")]
pub struct ReplayArgs {
    /// Call this consumer of the bus, such as update-inventory
    #[arg(long, value_name = "NAME")]
    pub consumer: Option<String>,
    /// Put the events into this table
    #[arg(long, value_name = "NAME")]
    pub table: Option<String>,
    /// Which period
    #[command(flatten)]
    pub period: PeriodArgs,
    /// Events of this type only, such as `OrderPlaced`
    #[arg(long = "type", value_name = "EVENT")]
    pub event_type: Option<String>,
    /// Events of this stream only, such as order-67890
    #[arg(long, value_name = "STREAM")]
    pub stream: Option<String>,
    /// Most events a second [default: as many as eight at a time are]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rate: Option<u32>,
    /// Count what would be replayed, and replay nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print what was done as one JSON object
    #[arg(long)]
    pub json: bool,
    /// Of which system
    #[command(flatten)]
    pub system: SystemArgs,
}
