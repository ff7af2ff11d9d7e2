//! `POST /orders/{id}/cancel` (HTTP API) → cancel → `OrderCancelled` (event store).

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    cancel_order::run().await
}
