//! Events and readings (stream of the analytics) → fold → parts of minutes (insights).

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    analyze_orders::run().await
}
