//! `POST /payments/webhook` (HTTP API) → settle → `PaymentProcessed` | `PaymentFailed` | `PaymentRefunded` (event store).

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    payment_webhook::run().await
}
