//! What a customer hears of (bus) → tell them → `UserNotified` (events table and bus).

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    naive_orders::notify_user::run().await
}
