//! `POST /telemetry` (HTTP API) → check → readings (stream of the analytics).

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    ingest_telemetry::run().await
}
