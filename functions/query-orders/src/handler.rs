//! Answering questions: from the read models, and from the store where the past, or the latest
//! moment, is asked for. A customer sees their own orders only: one of somebody else is, in every
//! answer, as one that nobody placed.

use crate::diff;
use crate::own_write;
use crate::read_models::ReadModels;
use aws_adapters::dynamodb_order_summaries::PageStart;
use aws_adapters::http_api::{HttpRequest, HttpResponse, Problem};
use aws_adapters::visible_orders::VisibleOrders;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::access::{Caller, Reach};
use domain::ids::{OrderId, Sku, UserId};
use domain::order::OrderEvent;
use domain::order_summary::OrderSummary;
use event_sourcing::envelope::Envelope;
use event_sourcing::execute::{decode, retrying};
use event_sourcing::failure::Failure;
use event_sourcing::retry::Retryable;
use event_sourcing::store::EventStore;
use event_sourcing::time_travel;
use serde_json::json;

/// Rows of a page where the client names no number.
const DEFAULT_LIMIT: u16 = 20;
/// Most rows of a page: as many keys as one batch read takes.
const MAX_LIMIT: u16 = 100;

/// Answers queries.
#[derive(Debug)]
pub struct Handler<S, R> {
    /// Where the events are.
    pub store: S,
    /// Where the rows are.
    pub read_models: R,
}

/// Which state of an order is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// The row, as it is.
    Latest,
    /// At least this version.
    AtLeast(u64),
    /// As it was.
    At(time_travel::Moment),
}

impl<S: EventStore, R: ReadModels> Handler<S, R> {
    /// Answers one request.
    ///
    /// # Errors
    /// The problem to answer with.
    pub async fn handle(&self, request: &HttpRequest) -> Result<HttpResponse, Problem> {
        let caller = request.caller()?;
        match request.route() {
            "GET /orders/{id}" => self.order(request, caller.reads_orders()?).await,
            "GET /orders/{id}/events" => self.events(request, caller.reads_orders()?).await,
            "GET /orders/{id}/diff" => self.diff(request, caller.reads_orders()?).await,
            "GET /users/{id}/orders" => self.orders_of_user(request, caller.reads_orders()?).await,
            "GET /inventory/{sku}" => self.inventory(request, &caller).await,
            route => Err(Problem::not_found(&format!("no query answers {route}"))),
        }
    }

    async fn order(
        &self,
        request: &HttpRequest,
        reach: Reach<'_>,
    ) -> Result<HttpResponse, Problem> {
        let id = request.path("id", OrderId::parse)?;
        let moment = moment(request)?;
        let row = match moment {
            Moment::Latest | Moment::AtLeast(_) => {
                let row = retrying(|| self.read_models.order(&id))
                    .await
                    .map_err(failed)?;
                let least = match moment {
                    Moment::AtLeast(version) => version,
                    _ => 0,
                };
                match row {
                    Some(row) if !reach.covers(&row.user_id) => None,
                    Some(row) if row.version >= least => Some(row),
                    // The row is not there yet; the store is.
                    _ => self.fold(reach, &id, moment).await?,
                }
            }
            Moment::At(_) => self.fold(reach, &id, moment).await?,
        };
        let row = row.ok_or_else(|| absent(&id, moment))?;
        let etag = format!("\"{}\"", row.version);
        if request.header("if-none-match") == Some(etag.as_str()) {
            return Ok(HttpResponse::json(304, json!(null)).header("etag", etag));
        }
        let body = serde_json::to_value(&row)
            .map_err(|error| Problem::from(Failure::Permanent(error.to_string())))?;
        Ok(HttpResponse::json(200, body).header("etag", etag))
    }

    /// The order as its stream tells it, up to a moment.
    async fn fold(
        &self,
        reach: Reach<'_>,
        id: &OrderId,
        moment: Moment,
    ) -> Result<Option<OrderSummary>, Problem> {
        let history = self.history(reach, id).await?;
        let latest = history.last().and_then(|event| event.version).unwrap_or(0);
        let asked = match moment {
            Moment::AtLeast(version) => Some(("minVersion", version)),
            Moment::At(time_travel::Moment::Version(version)) => Some(("version", version)),
            Moment::Latest | Moment::At(time_travel::Moment::Time(_)) => None,
        };
        if let Some((parameter, version)) = asked
            && latest > 0
            && version > latest
        {
            return Err(Problem::new(
                404,
                "no-such-version",
                "The order has no such version",
                format!("{parameter} is {version}, the order's last version is {latest}"),
            )
            .of(parameter));
        }
        let until = match moment {
            Moment::Latest | Moment::AtLeast(_) => &history[..],
            Moment::At(moment) => &history[..moment.count(&history)],
        };
        let events = until
            .iter()
            .map(|envelope| decode::<OrderEvent>(envelope).map_err(failed))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(OrderSummary::fold(until.iter().zip(&events).zip(1..).map(
            |((envelope, event), version)| (event, version, envelope.timestamp.as_str()),
        )))
    }

    async fn events(
        &self,
        request: &HttpRequest,
        reach: Reach<'_>,
    ) -> Result<HttpResponse, Problem> {
        let id = request.path("id", OrderId::parse)?;
        let from = request.query("from", positive)?.unwrap_or(1);
        let mut events = self.history(reach, &id).await?;
        if events.is_empty() {
            return Err(absent(&id, Moment::Latest));
        }
        events.retain(|event| event.version.unwrap_or_default() >= from);
        Ok(HttpResponse::json(
            200,
            json!({"orderId": id, "events": events}),
        ))
    }

    async fn diff(&self, request: &HttpRequest, reach: Reach<'_>) -> Result<HttpResponse, Problem> {
        let id = request.path("id", OrderId::parse)?;
        let from = request
            .query("from", diff::moment)?
            .unwrap_or(time_travel::Moment::Version(0));
        let to = request
            .query("to", diff::moment)?
            .unwrap_or(time_travel::Moment::Version(u64::MAX));
        let history = self.history(reach, &id).await?;
        if history.is_empty() {
            return Err(absent(&id, Moment::Latest));
        }
        let changes = diff::changes(&history, from, to)?;
        Ok(HttpResponse::json(
            200,
            json!({
                "orderId": id,
                "from": from.count(&history),
                "to": to.count(&history),
                "events": changes,
            }),
        ))
    }

    async fn orders_of_user(
        &self,
        request: &HttpRequest,
        reach: Reach<'_>,
    ) -> Result<HttpResponse, Problem> {
        let user = request.path("id", UserId::parse)?;
        if !reach.covers(&user) {
            return Err(not_theirs(&user));
        }
        let limit = request.query("limit", limit)?.unwrap_or(DEFAULT_LIMIT);
        let after = request.query("cursor", cursor)?;
        let written = request.query("minVersion", own_write::parse)?;
        let mut page = retrying(|| self.read_models.orders_of(&user, limit, after.as_ref()))
            .await
            .map_err(failed)?;
        if let Some(written) = written.filter(|written| !written.is_in(&page)) {
            let moment = Moment::AtLeast(written.version);
            let row = self
                .fold(Reach::Own(user.as_str()), &written.order_id, moment)
                .await?
                .ok_or_else(|| {
                    let what = format!("user {user} has no order {}", written.order_id);
                    Problem::not_found(&what).of("minVersion")
                })?;
            page = own_write::merged(page, row, after.as_ref(), usize::from(limit));
        }
        let mut body = json!({"userId": user, "orders": page.orders});
        if let Some(next) = &page.next {
            let next = serde_json::to_vec(next)
                .map_err(|error| Problem::from(Failure::Permanent(error.to_string())))?;
            body["nextCursor"] = json!(URL_SAFE_NO_PAD.encode(next));
        }
        Ok(HttpResponse::json(200, body))
    }

    async fn inventory(
        &self,
        request: &HttpRequest,
        caller: &Caller,
    ) -> Result<HttpResponse, Problem> {
        caller.reads_inventory()?;
        let sku = request.path("sku", Sku::parse)?;
        let level = retrying(|| self.read_models.stock(&sku))
            .await
            .map_err(failed)?
            .ok_or_else(|| Problem::not_found("nobody stocked this sku").of("sku"))?;
        let mut body =
            json!({"sku": sku, "available": level.available, "version": level.head.version});
        if let Some(price) = level.price {
            body["unitPrice"] = json!(price.unit_price);
            body["currency"] = json!(price.currency);
        }
        if level.buckets > 1 {
            body["buckets"] = json!(level.buckets);
        }
        Ok(HttpResponse::json(200, body).header("etag", format!("\"{}\"", level.head.version)))
    }

    /// All events of an order within reach; none of any other.
    async fn history(&self, reach: Reach<'_>, id: &OrderId) -> Result<Vec<Envelope>, Problem> {
        let orders = VisibleOrders {
            store: &self.store,
            reach,
        };
        let stream = id.stream();
        retrying(|| orders.read(&stream, 1)).await.map_err(failed)
    }
}

fn failed(error: impl std::error::Error + Retryable) -> Problem {
    Failure::from_error(&error).into()
}

fn not_theirs(user: &UserId) -> Problem {
    Problem::new(
        403,
        "not-your-orders",
        "Orders are shown to their owner",
        format!("id must be the token's sub, is {user}; orders:operate shows everybody's"),
    )
    .of("id")
}

fn absent(id: &OrderId, moment: Moment) -> Problem {
    match moment {
        Moment::At(time_travel::Moment::Time(time)) => {
            Problem::not_found(&format!("order {id} was not there at {time}"))
        }
        _ => Problem::not_found(&format!("no order {id}")),
    }
    .of("id")
}

fn moment(request: &HttpRequest) -> Result<Moment, Problem> {
    let least = request.query("minVersion", positive)?;
    let version = request.query("version", positive)?;
    let as_of = request.query("asOf", diff::time)?;
    match (least, version, as_of) {
        (None, None, None) => Ok(Moment::Latest),
        (Some(least), None, None) => Ok(Moment::AtLeast(least)),
        (None, Some(version), None) => Ok(Moment::At(time_travel::Moment::Version(version))),
        (None, None, Some(as_of)) => Ok(Moment::At(time_travel::Moment::Time(as_of))),
        _ => Err(Problem::invalid(
            "version",
            "excludes asOf and minVersion: give one of the three",
        )),
    }
}

fn positive(text: &str) -> Result<u64, &'static str> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("must be a whole number from 1"),
    }
}

fn limit(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(number) if (1..=MAX_LIMIT).contains(&number) => Ok(number),
        _ => Err(format!("must be a whole number from 1 to {MAX_LIMIT}")),
    }
}

fn cursor(text: &str) -> Result<PageStart, &'static str> {
    URL_SAFE_NO_PAD
        .decode(text)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .ok_or("must be the nextCursor of the page before")
}
