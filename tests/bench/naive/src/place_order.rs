//! `POST /orders` (HTTP API) → the order's row, `OrderPlaced` (events table and bus).

use aws_adapters::http_api::{HttpRequest, HttpResponse, Problem};
use aws_adapters::{lambda, telemetry};
use domain::order::{OrderPlaced, OrderRequest};
use event_sourcing::failure::Failure;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::event::Event;
use crate::item::{Item, number, text};
use crate::tables::Tables;
use crate::{events, idempotency, orders};

/// Serves the function.
///
/// # Errors
/// When a setting is missing or the runtime API cannot be reached.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let tables = Tables::from_env()?;
    let tables = &tables;
    lambda::serve_http(|request| async move { handle(tables, &request).await }).await
}

/// Answers one request.
///
/// # Errors
/// The problem to answer with.
pub async fn handle(tables: &Tables, request: &HttpRequest) -> Result<HttpResponse, Problem> {
    let caller = request.caller()?;
    let reach = caller.writes_orders()?;
    let key = request
        .idempotency_key()?
        .ok_or_else(|| Problem::invalid("Idempotency-Key", "header is missing"))?;
    let order = request.body::<OrderRequest>()?;
    if !reach.covers(&order.user_id) {
        let detail = "userId must be the token's sub";
        return Err(Problem::new(403, "not-your-orders", "Not yours", detail));
    }
    let order = order
        .accept(&key)
        .map_err(|invalid| Problem::invalid(invalid.field, invalid.reason))?;
    let id = order.terms.order_id.to_string();
    let once = format!("place-order#{id}");
    let answer = idempotency::once(tables, &once, place(tables, &id, &order)).await?;
    Ok(HttpResponse::json(202, answer).header("location", format!("/orders/{id}")))
}

async fn place(tables: &Tables, id: &str, order: &OrderPlaced) -> Result<Value, Failure> {
    orders::create(tables, row(id, order)).await?;
    let terms = &order.terms;
    let event = Event::now(
        "OrderPlaced",
        id,
        json!({"userId": terms.user_id, "totalAmount": terms.total_amount,
            "currency": terms.currency, "items": order.items}),
    );
    events::record(tables, &event).await?;
    tracing::info!(order_id = id, "order placed");
    Ok(json!({"orderId": id, "status": "placed"}))
}

fn row(id: &str, order: &OrderPlaced) -> Item {
    let terms = &order.terms;
    let mut row = Item::from([
        ("orderId".to_owned(), text(id)),
        ("userId".to_owned(), text(terms.user_id.as_str())),
        ("placedAt".to_owned(), text(Timestamp::now().to_string())),
        ("status".to_owned(), text("PLACED")),
        ("version".to_owned(), number(1)),
        ("totalAmount".to_owned(), number(terms.total_amount)),
        ("currency".to_owned(), text(terms.currency.code())),
        ("items".to_owned(), text(json!(order.items).to_string())),
    ]);
    if let Some(payment) = &terms.payment {
        row.insert("paymentToken".to_owned(), text(&payment.token));
    }
    row
}
