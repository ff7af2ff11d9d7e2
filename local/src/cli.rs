//! What can be asked of `cargo local`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands::archive::args::ArchiveCommand;
use crate::commands::dlq::args::DlqCommand;
use crate::commands::new::args::NewCommand;
use crate::faults::FaultArgs;
use crate::issuer::MAX_SECONDS;

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "cargo local",
    bin_name = "cargo local",
    version,
    about = "Runs the whole order system on this machine, as template.yaml says, without AWS.",
    long_about = "Runs the whole order system on this machine, as template.yaml says, without AWS.\n\n\
        Functions run as separate processes through the Lambda Runtime API; tables, queues, buses \
        and parameters are served by one AWS endpoint on loopback; rules, stream mappings, \
        retries, dead letters, schedules and the HTTP API are driven as the template wires them. \
        What the template says and the local run does not do is an error at the start, never \
        skipped. It needs no account and no network, and it never talks to AWS; only an operator's \
        command does, when it is told --stack.\n\n\
        Without a command it serves until Ctrl-C (`up`).",
    after_help = "Examples:\n  \
        cargo local                              serve on 127.0.0.1:3000 (API) and :4566 (AWS)\n  \
        cargo local --data-dir .local-data       the same, and keep everything over a restart\n  \
        cargo local demo                         place the sample orders and check what becomes of them\n  \
        cargo local load orders.jsonl --json     place many orders and report as one JSON object\n  \
        cargo local invoke notify-user events/notify-user-plain.json\n  \
        cargo local dlq list                     what consumers gave up, and why\n  \
        cargo local rebuild orders --stack orderflow     of a stack in AWS\n  \
        cargo local new consumer award-points --on PaymentProcessed",
    args_conflicts_with_subcommands = true
)]
pub struct Cli {
    /// What to do; `up` without one.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to serve, without a command.
    #[command(flatten)]
    pub up: UpArgs,
    /// What all commands share.
    #[command(flatten)]
    pub stack: StackArgs,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve until Ctrl-C, and print every event as it travels
    ///
    /// One line for each event that a function got: time (UTC), stream, event, function, duration;
    /// and one for each failure, retry and dead letter. The first Ctrl-C lets what runs come to
    /// its end, a second one ends at once.
    Up(UpArgs),
    /// Place the sample orders, wait until quiet, and compare the outcomes with what is expected
    ///
    /// Prints each order's timeline and a table of outcomes. Exits with 0 only if every order came
    /// to what its sample expects, nothing ended in a dead-letter queue and every invariant holds.
    Demo(DemoArgs),
    /// Place many orders, and report throughput, latency, cost and invariants
    ///
    /// FILE has one POST /orders body per line (JSON); a line may also have `at`, which is
    /// ignored; blank lines are skipped. A line that the API refuses is counted as refused. A
    /// repeated run places the same orders. Exits with 1 if an invariant is broken. The first
    /// Ctrl-C ends the placing, and what was placed is reported; a second one ends at once.
    ///
    /// With --faults the system is a process of its own, and things go wrong in it while orders
    /// are placed and until they have come to rest: processes are killed, calls and answers get
    /// lost, deliveries come late and twice, the whole system is killed and started again. A
    /// request that fails is sent again under the same Idempotency-Key, as a shop does. Then the
    /// faults stop, the system starts on its data, heals, and every invariant is checked.
    Load(LoadArgs),
    /// Call one function with one event, and print its answer
    ///
    /// In a fresh system, or, with --data-dir, in the one that runs on that folder (or is kept in
    /// it). A function error prints the error document and exits with 1.
    Invoke(InvokeArgs),
    /// Bring the records of a Kafka topic to ingest-kafka, as Lambda's mapping does
    ///
    /// Batches of a partition, in order; a batch that fails comes again until it succeeds, and only
    /// then its offsets are noted. Connections are plain, records may be compressed by gzip or
    /// snappy. A second run over the same records changes nothing: every event is recorded once.
    #[command(after_help = "Examples:\n  \
        cargo local kafka --bootstrap 127.0.0.1:9092\n  \
        cargo local kafka --bootstrap 127.0.0.1:9092 --until-end --offsets offsets.json")]
    Kafka(KafkaArgs),
    /// Send readings of devices to the `cargo local` that runs
    ///
    /// FILE has one reading per line (JSON): {deviceId, sensor, value, unit, at, eventId?}; blank
    /// lines are skipped. With --simulate, cold stores, shelves and doors that there are not send
    /// readings each second, until Ctrl-C or for --for; now and then one of the stores warms up.
    /// What the API refuses is named with its line, and ends it with 1.
    #[command(after_help = "Examples:\n  \
        cargo local telemetry readings.jsonl\n  \
        cargo local telemetry --simulate --devices 20 --for 2m --seed 7")]
    Telemetry(TelemetryArgs),
    /// Print an access token for the HTTP API of the `cargo local` that runs
    ///
    /// A customer sees and cancels their own orders (--sub is their user id) and places orders for
    /// themselves; an operator does so for everybody and changes stock. The local issuer gives any
    /// token to whoever asks on this machine; a system that was given another `JwtIssuer` takes the
    /// tokens of that one only.
    #[command(after_help = "Examples:\n  \
        TOKEN=$(cargo local token --sub abc123)\n  \
        curl -H \"Authorization: Bearer $TOKEN\" localhost:3000/users/abc123/orders\n  \
        cargo local token --sub abc123 --scope orders:read --expires-in 10m\n  \
        cargo local token --operator")]
    Token(TokenArgs),
    /// Check that history is as it was appended: every event, linked to the one before
    ///
    /// Walks all streams, or one, and names the first event of each that was altered, removed or
    /// inserted behind the store's back. Exits with 1 if something was tampered with. It reads
    /// both tables page by page, half a read unit per 4 KB twice over (consistently), and keeps
    /// some 100 bytes of each order in memory.
    Verify(VerifyArgs),
    /// Fold all events into new rows of a projection, switch to them, and drop the old ones
    ///
    /// Reads and writes go on meanwhile, and nothing is published or sent again. Prints the phase,
    /// events and rows as they grow:
    /// history and live (events are folded), switching (the new rows are complete), switched
    /// (they are live), dropped (the old ones are gone). An interrupted rebuild does no harm; the
    /// next one begins anew. Exits with 1 if a stream cannot be folded.
    Rebuild(RebuildArgs),
    /// Hold what was stored against what was published, and publish what is missing
    ///
    /// Over a period, which ends some minutes ago at the latest, since later events may still be
    /// on their way. Exits with 1 if something is missing and was not published, or was published
    /// and is not stored.
    Reconcile(ReconcileArgs),
    /// The archive of events: list it, hold it against what is stored, replay it
    ///
    /// Recorded events are written as gzipped JSON lines, by day and type.
    #[command(subcommand)]
    Archive(ArchiveCommand),
    /// What consumers gave up: list, show, redrive, park, resolve, purge
    ///
    /// A message that its consumer failed on for good is a letter: redrive-dlq calls the consumer
    /// with it again in rounds, minutes to hours apart, and parks it when that is of no use. Every
    /// act is kept in the letter's history, with who did it and why.
    #[command(subcommand)]
    Dlq(Box<DlqCommand>),
    /// Scaffold a consumer or an aggregate, with its tests, and wire it in
    ///
    /// The workspace passes its checks after as it did before: .ci/run, `cargo test-all`.
    #[command(subcommand)]
    New(NewCommand),
}

/// What all commands share.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "The system that runs here")]
pub struct StackArgs {
    /// The SAM template [default: template.yaml of this folder or the next one above]
    #[arg(long, value_name = "FILE", global = true)]
    pub template: Option<PathBuf>,
    /// A value for a template parameter, such as CancelGraceSeconds=0; may be repeated
    #[arg(long = "parameter", value_name = "KEY=VALUE", value_parser = key_value, global = true)]
    pub parameters: Vec<(String, String)>,
    /// Run built functions, DIR/NAME/bootstrap (as `cargo lambda build` leaves them) or
    /// DIR/NAME, instead of those inside this program
    #[arg(long, value_name = "DIR", global = true)]
    pub functions_dir: Option<PathBuf>,
    /// What the first retry of a failed asynchronous event waits here; on AWS it is 60 s, and the
    /// other delays keep the proportion
    #[arg(long, value_name = "MS", default_value_t = 200, global = true)]
    pub retry_delay: u64,
    /// Most processes, and so most invocations at a time, of one function [default: twice the
    /// processors, 2 to 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000), global = true)]
    pub processes: Option<u32>,
    /// Serve every call to AWS so much later, at most a second: functions wait for a region as
    /// they do on Lambda, and batches fill meanwhile
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=1000), global = true)]
    pub aws_latency: u64,
    /// Print the functions' log lines, too
    #[arg(long, global = true)]
    pub logs: bool,
}

impl StackArgs {
    /// The template parameters.
    #[must_use]
    pub fn parameter_values(&self) -> BTreeMap<String, String> {
        self.parameters.iter().cloned().collect()
    }
}

/// Where `cargo local` serves AWS, unless it is told another port.
pub(crate) const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:4566";
/// Where `cargo local` serves the HTTP API.
const DEFAULT_API: &str = "http://127.0.0.1:3000";

/// The system that an operator's command works on: a running `cargo local`, unless it is said.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "System")]
pub struct SystemArgs {
    /// The system that runs on this folder, or is kept in it
    #[arg(long, value_name = "DIR", conflicts_with = "stack")]
    pub data_dir: Option<PathBuf>,
    /// The AWS endpoint of a running `cargo local`
    #[arg(
        long,
        value_name = "URL",
        default_value = DEFAULT_ENDPOINT,
        conflicts_with_all = ["data_dir", "stack"]
    )]
    pub aws_endpoint: String,
    /// The stack of this name in AWS. Credentials are those of the environment, or else those
    /// that the AWS CLI is signed in with
    #[arg(long, value_name = "NAME")]
    pub stack: Option<String>,
    /// Its region [default: that of the environment, or else of the AWS CLI]
    #[arg(long, value_name = "REGION", requires = "stack")]
    pub region: Option<String>,
    /// The profile of the AWS CLI to use, also when the environment has credentials
    #[arg(long, value_name = "PROFILE", requires = "stack")]
    pub profile: Option<String>,
}

/// How to serve.
#[derive(Debug, Clone, Args)]
pub struct UpArgs {
    /// Port of the HTTP API on 127.0.0.1; 0 for any free one
    #[arg(long, value_name = "PORT", default_value_t = 3000)]
    pub api_port: u16,
    /// Port of the AWS endpoint on 127.0.0.1; 0 for any free one
    #[arg(long, value_name = "PORT", default_value_t = 4566)]
    pub aws_port: u16,
    /// Keep everything in this folder over a restart: tables, streams and how far they were read,
    /// queues, events on their way to functions, the archive [default: in memory]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Write what is archived into this folder, a file per object with the bucket and the object's
    /// key as its path [default: archive in the data directory]
    #[arg(long, value_name = "DIR")]
    pub archive: Option<PathBuf>,
    /// For programs: print one JSON line with the addresses when ready, and the rest on standard
    /// error
    #[arg(long)]
    pub json_ready: bool,
    /// What goes wrong; `restart` is for `load` only.
    #[command(flatten)]
    pub faults: FaultArgs,
    /// For `load`: remember in the data directory what invariants are judged by, note there what
    /// is under way, print nothing, and end with standard input
    #[arg(long, hide = true, requires = "data_dir")]
    pub witness: bool,
}

/// How to run the demo.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Folder of the sample orders [default: events/demo beside the template]
    #[arg(long, value_name = "DIR")]
    pub samples: Option<PathBuf>,
    /// Print every event as it travels, too
    #[arg(long)]
    pub trace: bool,
}

/// How to load.
#[derive(Debug, Clone, Args)]
pub struct LoadArgs {
    /// The orders: one POST /orders body per line
    pub file: PathBuf,
    /// Orders that are placed at the same time
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub concurrency: u16,
    /// What is in stock: JSON {sku: pieces}, or one {sku, available, unitPrice?, currency?} per
    /// line [default: what the orders need]
    #[arg(long, value_name = "FILE")]
    pub stock: Option<PathBuf>,
    /// What goes wrong.
    #[command(flatten)]
    pub faults: FaultArgs,
    /// Keep everything in this folder, which must be new or empty: the data, and with --faults
    /// what happened (history.jsonl, server.log) [default: in memory, or a temporary folder]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Print the report as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// How to call a function.
#[derive(Debug, Clone, Args)]
pub struct InvokeArgs {
    /// Name of the function, such as place-order, or its logical id
    pub function: String,
    /// File with one event as JSON; - for standard input
    pub file: PathBuf,
    /// Stock what the event's items need first
    #[arg(long)]
    pub with_stock: bool,
    /// The system that runs on this folder, or is kept in it [default: a fresh one]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// What to rebuild.
#[derive(Debug, Clone, Args)]
pub struct RebuildArgs {
    /// The projection
    #[arg(value_parser = ["orders"])]
    pub projection: String,
    /// Of which system
    #[command(flatten)]
    pub system: SystemArgs,
}

/// What to reconcile.
#[derive(Debug, Clone, Args)]
pub struct ReconcileArgs {
    /// Beginning of the period, such as 2025-01-01T00:00:00Z [default: 25 hours before its end]
    #[arg(long, value_name = "TIME")]
    pub from: Option<jiff::Timestamp>,
    /// Its end [default: as late as can be]
    #[arg(long, value_name = "TIME")]
    pub to: Option<jiff::Timestamp>,
    /// Tell what is missing, and publish nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print the findings as one JSON object
    #[arg(long)]
    pub json: bool,
    /// In which system
    #[command(flatten)]
    pub system: SystemArgs,
}

/// Which topic to bring.
#[derive(Debug, Clone, Args)]
pub struct KafkaArgs {
    /// host:port of some of the cluster's brokers, with commas between
    #[arg(long, value_name = "HOST:PORT,...")]
    pub bootstrap: String,
    /// The topic
    #[arg(long, value_name = "TOPIC", default_value = "order_events")]
    pub topic: String,
    /// Keep in this file how far each partition was brought, and go on from there [default: begin
    /// with the oldest record]
    #[arg(long, value_name = "FILE")]
    pub offsets: Option<PathBuf>,
    /// End when everything that the topic has is brought; exits with 1 if a batch does not get
    /// through
    #[arg(long)]
    pub until_end: bool,
    /// To which system
    #[command(flatten)]
    pub system: SystemArgs,
}

/// Which readings.
#[derive(Debug, Clone, Args)]
pub struct TelemetryArgs {
    /// Readings, one per line
    #[arg(value_name = "FILE", required_unless_present = "simulate")]
    pub file: Option<PathBuf>,
    /// Make readings up
    #[arg(long, conflicts_with = "file")]
    pub simulate: bool,
    /// So many devices of each kind
    #[arg(long, value_name = "N", default_value_t = 3, requires = "simulate",
        value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub devices: u16,
    /// How long, such as 90s or 10m [default: until Ctrl-C]
    #[arg(long = "for", value_name = "TIME", requires = "simulate", value_parser = token_seconds)]
    pub seconds: Option<u64>,
    /// The same seed makes the same values up
    #[arg(long, value_name = "SEED", default_value_t = 1, requires = "simulate")]
    pub seed: u64,
    /// The HTTP API that runs
    #[arg(long, value_name = "URL", default_value = DEFAULT_API)]
    pub api: String,
    /// Its AWS endpoint, which gives tokens
    #[arg(long, value_name = "URL", default_value = DEFAULT_ENDPOINT)]
    pub aws_endpoint: String,
    /// Those of the system that runs on this folder, instead
    #[arg(long, value_name = "DIR", conflicts_with_all = ["api", "aws_endpoint"])]
    pub data_dir: Option<PathBuf>,
}

/// Which token.
#[derive(Debug, Clone, Args)]
pub struct TokenArgs {
    /// Whose: the user id of a customer, or the name of an operator [default: operator, with
    /// --operator]
    #[arg(long, value_name = "SUBJECT", required_unless_present = "operator")]
    pub sub: Option<String>,
    /// What it allows: orders:read, orders:write, orders:operate, inventory:write,
    /// telemetry:write [default: orders:read,orders:write; none of them with --operator]
    #[arg(long, value_name = "SCOPE,...", value_delimiter = ',')]
    pub scope: Option<Vec<String>>,
    /// An operator's: orders:operate, inventory:write and telemetry:write, too
    #[arg(long)]
    pub operator: bool,
    /// How long it is good for, such as 90s, 10m, 1h or 7d; 30 days at most
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = token_seconds)]
    pub expires_in: u64,
    /// For whom [default: the `JwtAudience` of the system]
    #[arg(long, value_name = "AUDIENCE")]
    pub aud: Option<String>,
    /// Of the system that runs on this folder
    #[arg(long, value_name = "DIR", conflicts_with = "aws_endpoint")]
    pub data_dir: Option<PathBuf>,
    /// Of the system with this AWS endpoint
    #[arg(long, value_name = "URL", default_value = DEFAULT_ENDPOINT)]
    pub aws_endpoint: String,
}

/// What to verify.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// This stream only, such as order-67890
    #[arg(long, value_name = "STREAM")]
    pub stream: Option<String>,
    /// Print the findings as one JSON object
    #[arg(long)]
    pub json: bool,
    /// In which system
    #[command(flatten)]
    pub system: SystemArgs,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE, as in LogLevel=DEBUG".to_owned()),
    }
}

/// Whole seconds of a time such as `90s` or `1h 30m`.
fn token_seconds(text: &str) -> Result<u64, String> {
    // A day is 24 hours here, which a duration does not know.
    let days = text
        .strip_suffix('d')
        .and_then(|days| days.parse::<u64>().ok());
    let seconds = match days {
        Some(days) => days.checked_mul(24 * 3600),
        None => text
            .parse::<jiff::SignedDuration>()
            .ok()
            .and_then(|time| u64::try_from(time.as_secs()).ok()),
    };
    seconds
        .filter(|seconds| (1..=MAX_SECONDS).contains(seconds))
        .ok_or_else(|| "write a time from 1s to 30d, such as 10m, 1h or 7d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_a_command_the_options_are_those_of_up() {
        let cli = Cli::try_parse_from(["local", "--api-port", "0", "--logs"]).unwrap();
        assert!(cli.command.is_none());
        assert_eq!(cli.up.api_port, 0);
        assert_eq!(cli.up.aws_port, 4566);
        assert!(cli.stack.logs);
    }

    #[test]
    fn a_system_is_a_folder_an_endpoint_or_a_stack() {
        let parsed = |line: &str| {
            let words = std::iter::once("local").chain(line.split(' '));
            Cli::try_parse_from(words).is_ok()
        };
        assert!(parsed("verify"));
        assert!(parsed(
            "verify --stack shop --region eu-central-1 --profile ops"
        ));
        assert!(!parsed("verify --stack shop --data-dir d"));
        assert!(!parsed(
            "verify --stack shop --aws-endpoint http://127.0.0.1:1"
        ));
        assert!(!parsed(
            "verify --data-dir d --aws-endpoint http://127.0.0.1:1"
        ));
        assert!(!parsed("rebuild orders --region eu-central-1"));
    }

    #[test]
    fn a_token_is_somebodys_and_good_for_a_time() {
        let parsed = |line: &str| {
            let words = std::iter::once("local").chain(line.split(' '));
            match Cli::try_parse_from(words).map(|cli| cli.command) {
                Ok(Some(Command::Token(args))) => Some(args),
                _ => None,
            }
        };
        assert!(parsed("token").is_none());
        assert!(parsed("token --operator").is_some());
        let args = parsed("token --sub abc123 --scope orders:read,x --expires-in 7d").unwrap();
        assert_eq!(args.scope.unwrap(), ["orders:read", "x"]);
        assert_eq!(args.expires_in, 7 * 24 * 3600);
        let seconds = |text: &str| token_seconds(text).ok();
        assert_eq!(seconds("1h"), Some(3600));
        assert_eq!(seconds("90s"), Some(90));
        assert_eq!(seconds("1h 30m"), Some(5400));
        assert_eq!(seconds("30d"), Some(MAX_SECONDS));
        for wrong in ["", "0s", "31d", "-1h", "1", "soon", "99999999999999999999d"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn shared_options_stand_after_the_command_and_parameters_are_pairs() {
        let line = [
            "local",
            "demo",
            "--parameter",
            "A=b=c",
            "--retry-delay",
            "5",
        ];
        let cli = Cli::try_parse_from(line).unwrap();
        assert_eq!(cli.stack.parameter_values()["A"], "b=c");
        assert_eq!(cli.stack.retry_delay, 5);
        assert_eq!(cli.stack.aws_latency, 0);
        assert!(Cli::try_parse_from(["local", "--parameter", "novalue"]).is_err());
        assert!(Cli::try_parse_from(["local", "--aws-latency", "1000"]).is_ok());
        assert!(Cli::try_parse_from(["local", "--aws-latency", "1001"]).is_err());
    }
}
