//! What can be scaffolded.

use clap::{Args, Subcommand};

use super::name::{Name, event_type, kebab_or_snake};

/// What to scaffold.
#[derive(Debug, Subcommand)]
pub enum NewCommand {
    /// A function that a rule of the bus calls: folder, template part, sample event and tests
    ///
    /// Writes functions/NAME, which handles each event once and stores that on a stream of its
    /// own; adds it to the workspace, to `cargo local`, to template.yaml (function, rule, retries,
    /// dead-letter queue), to README's table and to the tests of the samples and of what an order takes; and takes
    /// events/NAME.json from the golden file of the first EVENT. All edits are made in memory
    /// first: where a file lacks the place for one, nothing is written, and the file and the place
    /// are named.
    Consumer(ConsumerArgs),
    /// An aggregate: states, commands, events, rejections and their tests in shared/domain
    ///
    /// Writes a decider that opens and closes, with its id, given/when/then tests and properties;
    /// registers it in the domain; and publishes its events: golden files, schemas, the description of the bus. All
    /// edits are made in memory first, as for a consumer.
    Aggregate(AggregateArgs),
}

/// Which consumer.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cargo local new consumer award-points --on PaymentProcessed\n  \
    cargo local new consumer watch-fraud --on OrderPlaced,PaymentFailed --dry-run")]
pub struct ConsumerArgs {
    /// Its name, in kebab-case, best what it does: award-points
    pub name: Name,
    /// The events that it handles, all of one aggregate, separated by commas
    #[arg(long, value_name = "EVENT", required = true, value_delimiter = ',', value_parser = event_type)]
    pub on: Vec<String>,
    /// Print what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Which aggregate.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  cargo local new aggregate gift-card")]
pub struct AggregateArgs {
    /// Its name, a noun in kebab-case or with underscores: gift-card
    #[arg(value_parser = kebab_or_snake)]
    pub name: Name,
    /// Print what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
}
