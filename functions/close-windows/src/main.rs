//! Every minute → merge the parts of minutes that are over → results (insights), alarms (event store).

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    close_windows::run().await
}
