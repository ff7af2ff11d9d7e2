//! Every event that customers hear of (bus) → notify → `UserNotified` (event store, on a stream of its own).

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    notify_user::run().await
}
