//! Every minute, or a call by an operator → messages of all dead-letter queues become letters → each due letter's consumer is called again.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    redrive_dlq::run().await
}
