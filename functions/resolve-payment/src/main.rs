//! A call by an operator → settle an unknown payment → `PaymentProcessed` | `PaymentFailed` | `PaymentRefunded` (event store).

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    resolve_payment::run().await
}
