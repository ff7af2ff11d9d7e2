//! `StockReserved` (bus) → charge → `PaymentProcessed` | `PaymentFailed` (events table and bus).

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    naive_orders::process_payment::run().await
}
