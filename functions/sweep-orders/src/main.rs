//! Every minute → look for orders that do not move → their event published again (the bus), or `OrderCancelled(expired)` (event store).

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    sweep_orders::run().await
}
