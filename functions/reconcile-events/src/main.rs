//! Every day → hold what was stored against what was published → what is missing published again (the bus).

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    reconcile_events::run().await
}
