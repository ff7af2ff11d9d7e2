//! `GET|PUT|DELETE /alarm-rules …` (HTTP API) → check → the rules of alarms.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    set_alarm_rules::run().await
}
