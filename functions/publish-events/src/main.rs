//! Every event stored (stream of the event store) → publish → the bus.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    publish_events::run().await
}
