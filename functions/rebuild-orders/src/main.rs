//! A call by an operator → fold all events anew → rows beside the live ones, then live (read model).

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    rebuild_orders::run().await
}
