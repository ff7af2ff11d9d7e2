//! What can be done with dead letters.

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use event_sourcing::dead_letter::{Class, Filter, Status};

use crate::cli::SystemArgs;

/// Longest reason and longest name, in bytes; histories and events keep them.
const MAX_TEXT_BYTES: usize = 255;

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub enum DlqCommand {
    /// Count open letters by consumer and cause, and list them
    ///
    /// A table by consumer, class and cause; ids within causes are written as *, so that what
    /// failed alike is one line. With --letters, or a filter, the letters themselves, too. It also
    /// tells how many messages lie in the queues that are no letters yet: redrive-dlq takes them
    /// in every minute, and so does `redrive`. Reads only.
    List(ListArgs),
    /// Show all of one letter: cause, rounds, event, history and payload
    ///
    /// The payload may have personal data of a customer; nothing else prints it.
    Show(ShowArgs),
    /// Call consumers again with their letters now, and wait for the outcomes
    ///
    /// For letters whose cause is mended. Each is released (with all its rounds before it, also
    /// when it was parked) and its consumer called once with it, the letters of a stream in the
    /// order of their versions; one that comes behind a letter that waits and is not chosen is
    /// left alone, and said. What fails again waits for its next round. Without --dry-run, what
    /// lies in the queues is taken in first. Ctrl-C lets the running calls end and makes no
    /// others. Exits with 1 if a letter was not redriven.
    Redrive(RedriveArgs),
    /// Keep letters from being redriven, until they are released by `redrive`
    #[command(after_help = "Examples:\n  \
        cargo local dlq park process-payment/0f1e2d3c --why \"wait for the gateway's answer\"\n  \
        cargo local dlq park --consumer notify-user --why \"mail is down until Monday\" --dry-run")]
    Park(ActArgs),
    /// Close a letter whose matter is settled; or settle the unknown payment of an order
    ///
    /// With --as, what became of the order's payment is decided first: paid, under the gateway's
    /// id of the charge (by which it can be refunded), or failed, which rejects the order and
    /// releases its stock. The event keeps who decided and why. A decision against what was settled
    /// before or against the gateway's books is refused, and the letter stays as it is.
    Resolve(ResolveArgs),
    /// Drop letters: their messages are lost by intent
    ///
    /// Says what is lost, and asks on a terminal; elsewhere it needs --yes. The letter itself stays,
    /// as purged, with its history.
    Purge(PurgeArgs),
}

/// Which letters, by what they have in common.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Filters")]
pub struct FilterArgs {
    /// Of this consumer, such as process-payment
    #[arg(long, value_name = "NAME")]
    pub consumer: Option<String>,
    /// That failed in this way
    #[arg(long, value_name = "CLASS", value_enum)]
    pub class: Option<ClassArg>,
    /// With this in the cause, in upper or lower case
    #[arg(long, value_name = "TEXT")]
    pub cause: Option<String>,
    /// About an event of this type, such as `OrderPlaced`
    #[arg(long = "type", value_name = "EVENT")]
    pub event_type: Option<String>,
    /// About an event of this stream, such as order-67890
    #[arg(long, value_name = "STREAM", conflicts_with = "order")]
    pub stream: Option<String>,
    /// About an event of this order
    #[arg(long, value_name = "ID")]
    pub order: Option<String>,
}

/// How a letter failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ClassArg {
    /// It may succeed later
    Transient,
    /// It will not succeed as it is
    Permanent,
    /// What it needs is down
    Waiting,
}

/// In which state a letter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StatusArg {
    /// It is redriven when it is due
    Waiting,
    /// An operator decides
    Parked,
    /// Its consumer took it
    Redriven,
    /// It was settled in another way
    Resolved,
    /// It was dropped
    Purged,
    /// Whatever its state
    Any,
}

/// The state of a letter to which something is still to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OpenArg {
    /// It is redriven when it is due
    Waiting,
    /// An operator decides
    Parked,
}

impl FilterArgs {
    /// Whether anything is said.
    #[must_use]
    pub fn says_something(&self) -> bool {
        let filter = self.with(Vec::new());
        filter != Filter::default()
    }

    /// The letters that are meant, in these states.
    #[must_use]
    pub fn with(&self, statuses: Vec<Status>) -> Filter {
        let of_order = self.order.as_ref().map(|order| stream_of(order));
        Filter {
            consumer: self.consumer.clone(),
            class: self.class.map(|class| match class {
                ClassArg::Transient => Class::Transient,
                ClassArg::Permanent => Class::Permanent,
                ClassArg::Waiting => Class::Waiting,
            }),
            cause: self.cause.clone(),
            statuses,
            event_type: self.event_type.clone(),
            stream_id: self.stream.clone().or(of_order),
        }
    }
}

/// The stream of an order.
pub(super) fn stream_of(order: &str) -> String {
    format!("{}{order}", invariants::ORDER_STREAM)
}

/// What to list.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cargo local dlq list                                    of the `cargo local` that runs\n  \
    cargo local dlq list --stack orderflow --consumer process-payment\n  \
    cargo local dlq list --cause \"unknown payment\" --status parked\n  \
    cargo local dlq list --status any --order 67890 --json")]
pub struct ListArgs {
    /// In this state [default: waiting, parked]
    #[arg(long, value_name = "STATUS", value_enum, value_delimiter = ',')]
    pub status: Vec<StatusArg>,
    /// The letters themselves, too; with a filter they are listed anyway
    #[arg(long)]
    pub letters: bool,
    /// Most lines of each table; what is left out is counted
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub limit: u32,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// Which letters.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Of which system
    #[command(flatten)]
    pub system: SystemArgs,
}

impl ListArgs {
    /// The letters that are meant.
    #[must_use]
    pub fn filter(&self) -> Filter {
        if self.status.is_empty() {
            return self.filter.with(Filter::open().statuses);
        }
        if self.status.contains(&StatusArg::Any) {
            return self.filter.with(Vec::new());
        }
        let statuses = self.status.iter().filter_map(|status| match status {
            StatusArg::Waiting => Some(Status::Waiting),
            StatusArg::Parked => Some(Status::Parked),
            StatusArg::Redriven => Some(Status::Redriven),
            StatusArg::Resolved => Some(Status::Resolved),
            StatusArg::Purged => Some(Status::Purged),
            StatusArg::Any => None,
        });
        self.filter.with(statuses.collect())
    }
}

/// Which letter to show.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cargo local dlq show process-payment/0f1e2d3c\n  \
    cargo local dlq show 0f1e2d3c --json --stack orderflow")]
pub struct ShowArgs {
    /// Its id, or a beginning of it (or of what comes behind its slash) that no other has
    #[arg(value_name = "LETTER")]
    pub letter: String,
    /// Print it as one JSON object
    #[arg(long)]
    pub json: bool,
    /// Of which system
    #[command(flatten)]
    pub system: SystemArgs,
}

/// Letters by their ids, or open ones by a filter.
#[derive(Debug, Clone, Args)]
#[command(group = ArgGroup::new("choice").required(true).multiple(true)
    .args(["letters", "consumer", "class", "cause", "event_type", "stream", "order", "status", "all"]))]
pub struct ChoiceArgs {
    /// Ids of letters, or beginnings that no other letter has
    #[arg(value_name = "LETTER", conflicts_with_all =
        ["consumer", "class", "cause", "event_type", "stream", "order", "status", "all"])]
    pub letters: Vec<String>,
    /// All open letters
    #[arg(long, conflicts_with_all =
        ["consumer", "class", "cause", "event_type", "stream", "order", "status"])]
    pub all: bool,
    /// In this state [default: waiting, parked]
    #[arg(long, value_name = "STATUS", value_enum, value_delimiter = ',')]
    pub status: Vec<OpenArg>,
    /// Which letters.
    #[command(flatten)]
    pub filter: FilterArgs,
}

impl ChoiceArgs {
    /// The open letters that are meant.
    #[must_use]
    pub fn filter(&self) -> Filter {
        let statuses = self.status.iter().map(|status| match status {
            OpenArg::Waiting => Status::Waiting,
            OpenArg::Parked => Status::Parked,
        });
        let mut filter = self.filter.with(statuses.collect());
        if filter.statuses.is_empty() {
            filter.statuses = Filter::open().statuses;
        }
        filter
    }
}

/// Who acts, why, and how it is told.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Record")]
pub struct RecordArgs {
    /// Why; each letter's history keeps it
    #[arg(long, value_name = "TEXT", value_parser = text)]
    pub why: String,
    /// Who; each letter's history keeps it [default: the user who is signed in here]
    #[arg(long, value_name = "NAME", value_parser = text)]
    pub by: Option<String>,
    /// Print what was done as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What to act on.
#[derive(Debug, Args)]
pub struct ActArgs {
    /// Say which letters are meant, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Which letters.
    #[command(flatten)]
    pub choice: ChoiceArgs,
    /// Who and why.
    #[command(flatten)]
    pub record: RecordArgs,
    /// Of which system
    #[command(flatten)]
    pub system: SystemArgs,
}

/// What to redrive.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cargo local dlq redrive --cause \"no such table\" --why \"table created\" --dry-run\n  \
    cargo local dlq redrive process-payment/0f1e2d3c --why \"gateway mended\"\n  \
    cargo local dlq redrive --all --rate 5 --why \"after the outage\" --stack orderflow")]
pub struct RedriveArgs {
    /// Call so many consumers a second at most, such as 5 or 0.1
    #[arg(long, value_name = "N", value_parser = rate)]
    pub rate: Option<f64>,
    /// Which letters, who and why.
    #[command(flatten)]
    pub act: ActArgs,
}

/// What to purge.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cargo local dlq purge notify-user/0f1e2d3c --why \"customer asked for no more mail\"\n  \
    cargo local dlq purge --consumer record-events --cause \"not an event\" --why garbage --dry-run")]
pub struct PurgeArgs {
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Which letters, who and why.
    #[command(flatten)]
    pub act: ActArgs,
}

/// What to resolve.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("matter").required(true).args(["letter", "order"]),
    after_help = "Examples:\n  \
    cargo local dlq resolve process-payment/0f1e2d3c --as paid --payment-id pi_1 --why \"succeeded in the dashboard\"\n  \
    cargo local dlq resolve --order 67890 --as failed --why \"never charged, says the bank\"\n  \
    cargo local dlq resolve notify-user/0f1e2d3c --why \"told by telephone\""
)]
pub struct ResolveArgs {
    /// Its id, or a beginning of it that no other letter has
    #[arg(value_name = "LETTER")]
    pub letter: Option<String>,
    /// The order whose payment is decided; its letter is closed if there is one
    #[arg(long, value_name = "ID", requires = "resolution", value_parser = text)]
    pub order: Option<String>,
    /// What became of the payment
    #[arg(long = "as", value_name = "OUTCOME", value_enum)]
    pub resolution: Option<ResolutionArg>,
    /// The gateway's id of the charge, with --as paid
    #[arg(long, value_name = "ID", requires = "resolution", value_parser = text,
        required_if_eq("resolution", "paid"))]
    pub payment_id: Option<String>,
    /// Who and why.
    #[command(flatten)]
    pub record: RecordArgs,
    /// Of which system
    #[command(flatten)]
    pub system: SystemArgs,
}

/// What became of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ResolutionArg {
    /// The money is ours
    Paid,
    /// Nothing was charged
    Failed,
}

impl ResolutionArg {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::Failed => "failed",
        }
    }
}

fn text(text: &str) -> Result<String, String> {
    if text.trim().is_empty() || text.len() > MAX_TEXT_BYTES {
        return Err(format!(
            "write 1 to {MAX_TEXT_BYTES} bytes, and not white space only"
        ));
    }
    Ok(text.to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.001..=1000.0).contains(&rate) => Ok(rate),
        _ => Err("write calls a second, from 0.001 to 1000".to_owned()),
    }
}

#[cfg(test)]
mod tests;
