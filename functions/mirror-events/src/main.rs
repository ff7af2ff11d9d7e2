//! Every recorded event (bus) → what its stream has more than the mirror → a Kafka topic, in the order of the stream.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    mirror_events::run().await
}
