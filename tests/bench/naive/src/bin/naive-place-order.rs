//! `POST /orders` (HTTP API) → the order's row, `OrderPlaced` (events table and bus).

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    naive_orders::place_order::run().await
}
