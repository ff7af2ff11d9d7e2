//! Plain events of other producers (a Kafka topic) → check, once per id → the bus, where `record-events` takes them.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    ingest_kafka::run().await
}
