//! The event store of this repository, for the comparison of stores.

use aws_adapters::connection::Connection;
use aws_adapters::dynamodb_event_store::DynamoDbEventStore;
use flow::{Call, Failure};
use ours::Ours;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let call = Call::from_args()?;
    if call.store != "events" {
        return Err(format!("there is no store {}", call.store).into());
    }
    let client = Connection::to_endpoint(&call.endpoint, &call.caller)?.dynamodb();
    flow::run(Ours(DynamoDbEventStore::new(client, "EventStore")), &call).await
}
