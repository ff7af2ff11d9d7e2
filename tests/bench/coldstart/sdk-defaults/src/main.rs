//! `POST /orders` (HTTP API) → one item is put under the condition that it is not there → 202. What
//! place-order does at least, written as the guides of AWS write it: `aws-config`, every crate with
//! its default features.

use aws_lambda_events::encodings::Body;
use aws_lambda_events::event::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use lambda_runtime::{Error, LambdaEvent, service_fn};

async fn place(
    dynamodb: &Client,
    event: LambdaEvent<ApiGatewayV2httpRequest>,
) -> Result<ApiGatewayV2httpResponse, Error> {
    let body: serde_json::Value = serde_json::from_str(&event.payload.body.unwrap_or_default())?;
    let text = |text: &str| AttributeValue::S(text.to_owned());
    dynamodb
        .put_item()
        .table_name("EventStore")
        .item("pk", text("order-1"))
        .item("version", AttributeValue::N("1".to_owned()))
        .item("eventType", text("OrderPlaced"))
        .item("data", text(&body.to_string()))
        .condition_expression("attribute_not_exists(pk)")
        .send()
        .await?;
    let mut answer = ApiGatewayV2httpResponse::default();
    answer.status_code = 202;
    answer.body = Some(Body::Text(
        r#"{"orderId":"1","status":"placed"}"#.to_owned(),
    ));
    Ok(answer)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::tracing::init_default_subscriber();
    let dynamodb = Client::new(&aws_config::load_from_env().await);
    let dynamodb = &dynamodb;
    lambda_runtime::run(service_fn(|event| place(dynamodb, event))).await
}
