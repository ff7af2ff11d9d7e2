//! `InventoryUpdated(reserved)` (bus) → charge → `PaymentProcessed` | `PaymentFailed`; `OrderCancelled` (bus) → refund → `PaymentRefunded` (event store).

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    process_payment::run().await
}
