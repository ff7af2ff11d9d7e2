//! The glue to the Lambda runtime: payloads in, answers or failures out.

use crate::http_api::{HttpRequest, HttpResponse, Problem};
use aws_lambda_events::event::eventbridge::EventBridgeEvent;
use event_sourcing::envelope::Envelope;
use event_sourcing::failure::Failure;
use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use serde::Deserialize;
use serde_json::Value;
use std::future::Future;
use std::pin::Pin;

/// One call of a function.
#[derive(Debug, Clone, PartialEq)]
pub struct Invocation {
    /// What the function is called with.
    pub payload: Value,
    /// The platform's name for this call; its retries of an event keep it.
    pub request_id: String,
}

/// Serves a function until the platform ends it. A failure is logged with its class and given to
/// the platform, which retries.
///
/// # Errors
/// When the runtime API cannot be reached.
pub async fn serve<F, Fut>(handle: F) -> Result<(), Error>
where
    F: Fn(Invocation) -> Fut,
    Fut: Future<Output = Result<Value, Failure>>,
{
    let handle = &handle;
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| async move {
        let request_id = event.context.request_id.clone();
        let invocation = Invocation {
            payload: event.payload,
            request_id: request_id.clone(),
        };
        // Boxed: the SDK's futures nest deeply, and so would the runtime around them.
        let handled: Pin<Box<dyn Future<Output = Result<Value, Failure>>>> =
            Box::pin(handle(invocation));
        handled.await.map_err(|failure| {
            tracing::error!(
                request_id,
                class = failure.class(),
                reason = %failure,
                "gave the message back"
            );
            Diagnostic {
                error_type: failure.class().to_owned(),
                error_message: failure.to_string(),
            }
        })
    }))
    .await
}

/// Serves a function behind the HTTP API; a problem is an answer, too.
///
/// # Errors
/// When the runtime API cannot be reached.
pub async fn serve_http<F, Fut>(handle: F) -> Result<(), Error>
where
    F: Fn(HttpRequest) -> Fut,
    Fut: Future<Output = Result<HttpResponse, Problem>>,
{
    let handle = &handle;
    serve(|invocation| async move {
        let request = HttpRequest::from_payload(invocation.payload)?;
        Ok(answer(handle(request).await).into_payload())
    })
    .await
}

/// What a handler's result looks like outside.
#[must_use]
pub fn answer(result: Result<HttpResponse, Problem>) -> HttpResponse {
    result.unwrap_or_else(HttpResponse::from)
}

/// The event in a payload: the `detail` of what the bus delivers, or the plain event itself.
///
/// # Errors
/// [`Failure::Permanent`], when it is neither.
pub fn event_of(payload: Value) -> Result<Envelope, Failure> {
    let detail = if payload.get("detail-type").is_some() {
        EventBridgeEvent::<Value>::deserialize(payload)
            .map_err(|error| Failure::Permanent(format!("not an event of the bus: {error}")))?
            .detail
    } else {
        payload
    };
    Envelope::from_value(detail)
        .map_err(|error| Failure::Permanent(format!("not an event: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_is_taken_from_the_bus_or_as_it_is() {
        let plain = json!({"eventId": "12345", "eventType": "OrderPlaced",
            "timestamp": "2025-01-01T12:00:00Z", "data": {"orderId": "67890"}});
        let delivered = json!({"version": "0", "id": "x", "detail-type": "OrderPlaced",
            "source": "legacy", "account": "1", "time": "2025-01-01T12:00:00Z",
            "region": "us-east-1", "resources": [], "detail": plain});
        assert_eq!(event_of(plain), event_of(delivered));
        assert!(matches!(
            event_of(json!({"x": 1})),
            Err(Failure::Permanent(_))
        ));
    }
}
