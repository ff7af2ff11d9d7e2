//! `GET /insights …`, `GET /devices/{id}` (HTTP API) → read → the answer.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    query_insights::run().await
}
