//! `DELETE /users/{id}/data` (HTTP API) → erase → nothing; the customer's key is destroyed.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    erase_user::run().await
}
