//! Every event of an order (bus) → its row as it is shown.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    naive_orders::view_orders::run().await
}
