//! Every event of an order (stream of the event store) → project → its row (read model).

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    project_orders::run().await
}
