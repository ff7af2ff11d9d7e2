//! Every event that customers hear of (bus) → notify → `UserNotified` (event store, on a stream
//! of its own).

pub mod config;
pub mod handler;
pub mod notifier;

use aws_adapters::connection::Connection;
use aws_adapters::dynamodb_event_store::DynamoDbEventStore;
use aws_adapters::order_contacts::{self, Contacts, KmsSubjectKeys};
use aws_adapters::ses_mailer::SesMailer;
use aws_adapters::sqs_dead_letter_queue::SqsDeadLetterQueue;
use aws_adapters::{lambda, telemetry};
use config::NotifierChoice;
use event_sourcing::clock::SystemClock;
use notifier::{LogNotifier, Notifier};

/// Serves the function.
///
/// # Errors
/// When a setting is missing or the runtime API cannot be reached.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let config = config::Config::from_env()?;
    let aws = Connection::from_env()?;
    let dead_letters = config
        .dead_letter_queue
        .map(|url| aws.dead_letter_queue(url));
    let store = DynamoDbEventStore::new(aws.dynamodb(), config.event_store_table);
    let contacts = Contacts {
        keys: order_contacts::keys(&aws, config.keys),
        // Nothing is stored here that could be.
        seals: false,
    };
    match config.notifier {
        NotifierChoice::Log => serve(store, LogNotifier, contacts, dead_letters).await,
        NotifierChoice::Ses { sender } => {
            let mailer = SesMailer::new(aws.sesv2(), sender);
            serve(store, mailer, contacts, dead_letters).await
        }
    }
}

async fn serve(
    store: DynamoDbEventStore,
    notifier: impl Notifier,
    contacts: Contacts<KmsSubjectKeys>,
    dead_letters: Option<SqsDeadLetterQueue>,
) -> Result<(), lambda_runtime::Error> {
    let handler = handler::Handler {
        store,
        notifier,
        contacts,
        clock: SystemClock,
    };
    let handler = &handler;
    lambda::serve_consumer(dead_letters, |invocation| async move {
        if invocation.is_replay() {
            return Ok(lambda::muted());
        }
        let event = lambda::event_of(invocation.payload)?;
        handler
            .handle(&event, &invocation.request_id, &invocation.redrive_of)
            .await
            .map(|()| serde_json::Value::Null)
    })
    .await
}
