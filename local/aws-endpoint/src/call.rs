//! Requests, taken apart: which service and operation they are for.

use std::collections::BTreeMap;

use bytes::Bytes;
use hyper::Method;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use serde_json::{Value, json};

use crate::functions::FunctionCall;
use crate::services::Services;
use crate::{ApiError, s3, topics};

/// A call, taken apart.
pub(crate) struct Call {
    pub(crate) caller: String,
    pub(crate) service: &'static str,
    pub(crate) operation: String,
    pub(crate) request: Value,
    /// What is invoked, when it is a function.
    pub(crate) invoked: Option<FunctionCall>,
}

impl Call {
    pub(crate) fn of_function(function: String, headers: HeaderMap, payload: Bytes) -> Self {
        Self {
            caller: caller(&headers),
            service: "lambda",
            operation: "Invoke".to_owned(),
            request: json!({"FunctionName": function}),
            invoked: Some(FunctionCall {
                function,
                headers,
                payload,
            }),
        }
    }

    pub(crate) fn of_objects(
        method: &Method,
        (path, query): (&str, &str),
        headers: &HeaderMap,
    ) -> Result<Self, ApiError> {
        let (operation, request) = s3::parse(method, path, query)?;
        Ok(Self {
            caller: caller(headers),
            service: "s3",
            operation,
            request,
            invoked: None,
        })
    }

    pub(crate) fn parse(
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Self, ApiError> {
        let caller = caller(headers);
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(target) = text("x-amz-target") {
            let (prefix, operation) = target.split_once('.').unwrap_or((target, ""));
            let service = match prefix {
                "DynamoDB_20120810" => "dynamodb",
                "DynamoDBStreams_20120810" => "dynamodbstreams",
                "AmazonSQS" => "sqs",
                "AWSEvents" => "events",
                "AmazonSSM" => "ssm",
                "Logs_20140328" => "logs",
                "Firehose_20150804" => "firehose",
                "Kinesis_20131202" => "kinesis",
                "TrentService" => "kms",
                _ => return Err(unknown_service(target)),
            };
            return Ok(Self {
                caller,
                service,
                operation: operation.to_owned(),
                request: parse_body(body)?,
                invoked: None,
            });
        }
        if path.starts_with("/v2/email/") {
            let operation = if *method == Method::POST && path == "/v2/email/outbound-emails" {
                "SendEmail".to_owned()
            } else {
                format!("{method} {path}")
            };
            return Ok(Self {
                caller,
                service: "ses",
                operation,
                request: parse_body(body)?,
                invoked: None,
            });
        }
        let form = text(CONTENT_TYPE.as_str()).unwrap_or_default();
        if form.starts_with("application/x-www-form-urlencoded") {
            let told = form_urlencoded::parse(body).into_owned().collect();
            return Self::of_form(caller, &told);
        }
        Err(unknown_service(&format!("{method} {path}")))
    }

    /// A call in the query protocol.
    fn of_form(caller: String, told: &BTreeMap<String, String>) -> Result<Self, ApiError> {
        let action = told.get("Action").map_or("", String::as_str);
        let (service, request) = match action {
            "GetCallerIdentity" => ("sts", json!({})),
            "Publish" => ("sns", topics::request(told)),
            "" => return Err(unknown_service("a request without Action")),
            other => return Err(unknown_service(other)),
        };
        Ok(Self {
            caller,
            service,
            operation: action.to_owned(),
            request,
            invoked: None,
        })
    }
}

/// Whether a request is for S3: it is signed for it, or not at all and for a bucket.
pub(crate) fn is_for_s3(services: &Services, path: &str, headers: &HeaderMap) -> bool {
    let header = headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok());
    if let Some((_, credential)) = header.and_then(|text| text.split_once("Credential=")) {
        return credential.split('/').nth(3) == Some("s3");
    }
    let bucket = path.split('/').nth(1).unwrap_or_default();
    services.buckets.has(bucket)
}

/// Access key id of `Authorization: AWS4-HMAC-SHA256 Credential=<id>/…`.
fn caller(headers: &HeaderMap) -> String {
    let header = headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok());
    let credential = header.and_then(|text| text.split_once("Credential="));
    let id = credential.and_then(|(_, rest)| rest.split('/').next());
    id.unwrap_or("anonymous").to_owned()
}

fn parse_body(body: &[u8]) -> Result<Value, ApiError> {
    if body.is_empty() {
        return Ok(json!({}));
    }
    let request: Value = serde_json::from_slice(body)
        .map_err(|error| ApiError::serialization(format!("the body is not JSON: {error}")))?;
    if !request.is_object() {
        return Err(ApiError::serialization("the body must be a JSON object"));
    }
    Ok(request)
}

fn unknown_service(what: &str) -> ApiError {
    ApiError::new(
        "UnknownOperationException",
        format!(
            "the local AWS endpoint does not serve {what}; it serves DynamoDB, DynamoDB Streams, \
             SQS (JSON protocol), EventBridge PutEvents, Kinesis, Firehose, reading S3, SNS Publish, SSM GetParameter(s), KMS data keys, CloudWatch Logs \
             FilterLogEvents, SESv2 SendEmail, Lambda Invoke and STS GetCallerIdentity"
        ),
    )
}
