//! dynamo-es, for the comparison of stores.

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use flow::{Call, Failure};
use peer_dynamo_es::DynamoEs;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let call = Call::from_args()?;
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(&call.endpoint)
        .credentials_provider(Credentials::new(&call.caller, "local", None, None, "local"))
        .build();
    let client = aws_sdk_dynamodb::Client::from_conf(config);
    flow::run(DynamoEs::new(&client, &call.store)?, &call).await
}
