//! The HTTP side: connections, faults, answers and errors in AWS's form.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::call::{Call, is_for_s3};
use crate::faults::{CallInfo, Fault};
use crate::functions;
use crate::meter::{Outcome, Usage};
use crate::services::{Services, ends_with_its_caller};
use crate::{ApiError, s3, sqs, topics};

/// More than any AWS operation served here takes (`BatchWriteItem`: 16 MB).
const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;
const MAX_WAIT_AT_SHUTDOWN: Duration = Duration::from_secs(2);
const WAIT_AFTER_REFUSAL: Duration = Duration::from_millis(10);

/// Ends a connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("this call gets no answer, by decision of a fault")]
struct NoAnswer;

/// What a call comes to.
enum Served {
    /// The service's document, to be answered in its form.
    Document(Value),
    /// The whole answer.
    Whole(Response<Bytes>),
}

/// Accepts connections until `stop` changes or its sender is gone.
pub(crate) async fn serve(
    listener: TcpListener,
    services: Arc<Services>,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(connection(stream, Arc::clone(&services), stop.clone()));
                } else {
                    // Out of file descriptors, say: let some connections end.
                    tokio::time::sleep(WAIT_AFTER_REFUSAL).await;
                }
            }
            _ = stop.changed() => break,
        }
        while connections.try_join_next().is_some() {}
    }
    let all_closed = async { while connections.join_next().await.is_some() {} };
    // What still waits then (long polls) is cut off when the set is dropped.
    let _ = tokio::time::timeout(MAX_WAIT_AT_SHUTDOWN, all_closed).await;
}

async fn connection(stream: TcpStream, services: Arc<Services>, mut stop: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| answer(Arc::clone(&services), request));
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    loop {
        tokio::select! {
            // A connection that ends in an error has nobody left to tell.
            _ = connection.as_mut() => return,
            changed = stop.changed() => {
                connection.as_mut().graceful_shutdown();
                if changed.is_err() {
                    let _ = connection.as_mut().await;
                    return;
                }
            }
        }
    }
}

async fn answer(
    services: Arc<Services>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, NoAnswer> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_BODY_BYTES).collect().await else {
        let mut error = ApiError::new("RequestEntityTooLargeException", "Request too large");
        error.status = 413;
        return Ok(failure("", &error));
    };
    let body = body.to_bytes();
    let path = head.uri.path();
    if let Some(site) = services.sites.at(path) {
        let request = Request::from_parts(head, body);
        return Ok(site.answer(request).await.map(Full::new));
    }
    let call = if let Some(function) = functions::invoked(&head.method, path) {
        Call::of_function(function, head.headers, body)
    } else {
        let query = head.uri.query().unwrap_or_default();
        let is_object = is_for_s3(&services, path, &head.headers);
        let parsed = if is_object {
            Call::of_objects(&head.method, (path, query), &head.headers)
        } else {
            Call::parse(&head.method, path, &head.headers, &body)
        };
        match parsed {
            Ok(call) => call,
            Err(error) if is_object => return Ok(failure("s3", &error)),
            Err(error) => return Ok(failure("", &error)),
        }
    };
    if !services.latency.is_zero() {
        tokio::time::sleep(services.latency).await;
    }
    if ends_with_its_caller(call.service, &call.operation) {
        return serve_call(&services, call).await;
    }
    // In a task of its own: a caller that hangs up does not stop a write halfway.
    let served = tokio::spawn(async move { serve_call(&services, call).await });
    served.await.unwrap_or_else(|error| {
        let error = ApiError::internal(format!("the call failed inside the endpoint: {error}"));
        Ok(failure("", &error))
    })
}

async fn serve_call(services: &Services, call: Call) -> Result<Response<Full<Bytes>>, NoAnswer> {
    let Call {
        caller,
        service,
        operation,
        request,
        invoked,
    } = call;
    let fault = services.faults.as_ref().map_or(Fault::None, |faults| {
        faults.decide(&CallInfo {
            caller: &caller,
            service,
            operation: &operation,
            request: &request,
        })
    });
    let mut usage = Usage::default();
    let result = match &fault {
        Fault::Throttle => Err(throttled(service)),
        Fault::InternalError => Err(ApiError::internal("an internal error, on purpose")),
        Fault::TimeoutBefore(wait) => {
            tokio::time::sleep(*wait).await;
            let meter = &services.meter;
            meter.record(&caller, service, &operation, &usage, Outcome::Failed);
            return Err(NoAnswer);
        }
        Fault::None | Fault::WrittenButNoAnswer | Fault::PartialEntries(_) => {
            let failing: &[usize] = match &fault {
                Fault::PartialEntries(failing) => failing,
                _ => &[],
            };
            let allowed = services.authorize(&caller, service, &operation, &request);
            match (allowed, invoked) {
                (Err(denied), _) => Err(denied),
                (Ok(()), Some(call)) => services.functions.call(call).await.map(Served::Whole),
                (Ok(()), None) if service == "s3" => {
                    s3::call(&services.buckets, &operation, &request, &mut usage).map(Served::Whole)
                }
                (Ok(()), None) => services
                    .call(service, &operation, request, failing, &mut usage)
                    .await
                    .map(Served::Document),
            }
        }
    };
    let outcome = match &result {
        Ok(Served::Whole(answer)) if !answer.status().is_success() => Outcome::Failed,
        Ok(_) if fault == Fault::WrittenButNoAnswer => Outcome::Failed,
        result => Outcome::of(result),
    };
    services
        .meter
        .record(&caller, service, &operation, &usage, outcome);
    if fault == Fault::WrittenButNoAnswer {
        return Err(NoAnswer);
    }
    Ok(match result {
        Ok(Served::Document(answer)) => success(service, &answer),
        Ok(Served::Whole(answer)) => answer.map(Full::new),
        Err(error) => failure(service, &error),
    })
}

fn throttled(service: &str) -> ApiError {
    let (status, code) = match service {
        "dynamodb" | "kinesis" => (400, "ProvisionedThroughputExceededException"),
        "firehose" => (503, "ServiceUnavailableException"),
        "s3" => (503, "SlowDown"),
        "sns" => (429, "Throttled"),
        "sqs" => (400, "RequestThrottled"),
        "ses" | "lambda" => (429, "TooManyRequestsException"),
        _ => (400, "ThrottlingException"),
    };
    ApiError {
        status,
        ..ApiError::new(code, "Rate exceeded, on purpose")
    }
}

fn content_type(service: &str) -> &'static str {
    match service {
        "events" | "firehose" | "kinesis" | "kms" | "logs" | "ssm" => "application/x-amz-json-1.1",
        "ses" | "lambda" => "application/json",
        "s3" => "application/xml",
        "sns" | "sts" => "text/xml",
        _ => "application/x-amz-json-1.0",
    }
}

fn success(service: &str, answer: &Value) -> Response<Full<Bytes>> {
    let body = match (service, answer) {
        ("sts", Value::String(xml)) => xml.clone(),
        ("sns", answer) => topics::answer(answer),
        _ => answer.to_string(),
    };
    respond(StatusCode::OK, content_type(service), body, &[])
}

fn failure(service: &str, error: &ApiError) -> Response<Full<Bytes>> {
    if matches!(service, "s3" | "sns") {
        return xml_failure(service, error);
    }
    let shape = match service {
        "sqs" => sqs::error_shape(&error.code),
        _ => &error.code,
    };
    let namespace = match (service, shape) {
        ("dynamodb" | "dynamodbstreams", "ValidationException" | "ThrottlingException") => {
            "com.amazon.coral.validate#"
        }
        ("dynamodb" | "dynamodbstreams", _) => "com.amazonaws.dynamodb.v20120810#",
        ("sqs", _) => "com.amazonaws.sqs#",
        _ => "",
    };
    let mut body = Map::from_iter([
        ("__type".to_owned(), json!(format!("{namespace}{shape}"))),
        ("message".to_owned(), json!(error.message)),
    ]);
    if shape == "TransactionCanceledException" {
        body.insert("Message".to_owned(), json!(error.message));
    }
    if let Some(details) = &error.details {
        body.extend(details.iter().map(|(k, v)| (k.clone(), v.clone())));
    }
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
    let body = Value::Object(body).to_string();
    let query_error = format!("{};Sender", error.code);
    let extra: &[(&'static str, &str)] = match service {
        "sqs" => &[("x-amzn-query-error", &query_error)],
        _ => &[("x-amzn-errortype", shape)],
    };
    respond(status, content_type(service), body, extra)
}

fn xml_failure(service: &str, error: &ApiError) -> Response<Full<Bytes>> {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
    let (code, message) = (s3::escape(&error.code), s3::escape(&error.message));
    let body = match service {
        "sns" => format!(
            "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error>\
             <Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
             </ErrorResponse>"
        ),
        _ => format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>"),
    };
    respond(status, content_type(service), body, &[])
}

fn respond(
    status: StatusCode,
    content_type: &'static str,
    body: String,
    headers: &[(&'static str, &str)],
) -> Response<Full<Bytes>> {
    let mut builder = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, content_type)
        .header("x-amzn-requestid", Uuid::new_v4().to_string());
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    let built = builder.body(Full::new(Bytes::from(body)));
    built.unwrap_or_else(|_| {
        // Only a header value could be malformed; then an empty 500 it is.
        let mut plain = Response::new(Full::default());
        *plain.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        plain
    })
}
