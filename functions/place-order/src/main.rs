//! `POST /orders` (HTTP API) → place → `OrderPlaced` (event store).

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    place_order::run().await
}
