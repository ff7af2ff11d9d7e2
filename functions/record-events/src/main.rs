//! A plain event of another producer (bus) → record → the same event (event store), which then is published with stream and version.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    record_events::run().await
}
