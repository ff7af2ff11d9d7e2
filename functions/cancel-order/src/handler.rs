//! Calling an order off: allowed until it is confirmed, and for a grace after that; to its owner,
//! and to operators. For everybody else there is no such order.

use aws_adapters::http_api::{HttpRequest, HttpResponse, Problem};
use aws_adapters::visible_orders::VisibleOrders;
use domain::ids::OrderId;
use domain::order::{CancelReason, Order, OrderCommand, OrderRejection};
use event_sourcing::clock::Clock;
use event_sourcing::execute::{Cause, ExecuteError, Start, execute};
use event_sourcing::failure::Failure;
use event_sourcing::store::EventStore;
use jiff::SignedDuration;
use serde_json::json;

/// Cancels orders.
#[derive(Debug)]
pub struct Handler<S, C> {
    /// Where the order is stored.
    pub store: S,
    /// Tells when.
    pub clock: C,
    /// How long after its confirmation an order can be cancelled.
    pub grace: SignedDuration,
}

impl<S: EventStore, C: Clock> Handler<S, C> {
    /// Answers one request.
    ///
    /// # Errors
    /// The problem to answer with.
    pub async fn handle(&self, request: &HttpRequest) -> Result<HttpResponse, Problem> {
        let caller = request.caller()?;
        let orders = VisibleOrders {
            store: &self.store,
            reach: caller.writes_orders()?,
        };
        let id = request.path("id", OrderId::parse)?;
        let start = expected_version(request)?.map_or(Start::Load, Start::At);
        let now = self.clock.now();
        let command = OrderCommand::Cancel {
            reason: CancelReason::Requested,
            at: now,
            grace: self.grace,
        };
        let cause = Cause {
            id: request.id().to_owned(),
            seed: format!("{}/{}", id, request.id()),
            purpose: "cancel-order",
            correlation_id: Some(id.to_string()),
            traceparent: request.traceparent(),
            actor: Some(caller.subject().to_owned()),
            now,
        };
        let done = execute::<Order>(&orders, &id.stream(), start, &command, &cause)
            .await
            .map_err(|error| problem(&error))?;
        tracing::info!(order_id = %id, version = done.version,
            repeated = done.events.is_empty(), "order cancelled");
        Ok(HttpResponse::json(
            202,
            json!({"orderId": id, "status": "cancelled", "version": done.version}),
        )
        .header("location", format!("/orders/{id}"))
        .header("etag", format!("\"{}\"", done.version)))
    }
}

/// The version in `If-Match` or `?version=`; `None` where the client names none, or any (`*`).
fn expected_version(request: &HttpRequest) -> Result<Option<u64>, Problem> {
    let parse = |text: &str| {
        text.trim()
            .trim_start_matches("W/")
            .trim_matches('"')
            .parse::<u64>()
            .map_err(|_| "must be the version of the order, as its ETag gives it")
    };
    match request.header("if-match") {
        Some("*") => Ok(None),
        Some(etag) => parse(etag)
            .map(Some)
            .map_err(|error| Problem::invalid("If-Match", error)),
        None => request.query("version", parse),
    }
}

fn problem(error: &ExecuteError<OrderRejection>) -> Problem {
    match error {
        ExecuteError::Rejected(OrderRejection::Unknown) => {
            Problem::not_found("no such order").of("id")
        }
        ExecuteError::Rejected(rejection) => Problem::new(
            409,
            "cannot-be-cancelled",
            "The order cannot be cancelled",
            rejection.to_string(),
        ),
        ExecuteError::WrongVersion { .. } => Problem::new(
            412,
            "version-mismatch",
            "The order has moved on",
            error.to_string(),
        )
        .of("If-Match"),
        _ => Failure::from_error(error).into(),
    }
}
