//! `GET /orders/{id}`, `/orders/{id}/events`, `/orders/{id}/diff`, `/users/{id}/orders`, `/inventory/{sku}` (HTTP API) → read (read models, event store).

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    query_orders::run().await
}
