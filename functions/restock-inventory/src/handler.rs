//! Changing what is in stock, and what it costs.

use crate::stock_levels::StockLevels;
use aws_adapters::dynamodb_stock::SplitError;
use aws_adapters::http_api::{HttpRequest, HttpResponse, Problem};
use domain::access::Caller;
use domain::ids::{IdempotencyKey, Sku};
use domain::inventory::buckets::MAX_BUCKETS;
use domain::inventory::{
    MAX_RESTOCK, Price, RestockCommand, Shortage, StockLevel, StockMove, restock,
};
use domain::money::{Amount, Currency};
use domain::order::check_price;
use domain::whole::Whole;
use event_sourcing::chain::Head;
use event_sourcing::clock::Clock;
use event_sourcing::execute::{Cause, retrying};
use event_sourcing::failure::Failure;
use event_sourcing::ids::event_id;
use event_sourcing::retry::{FullJitter, budget};
use event_sourcing::store::{AppendError, AppendWith};
use serde::Deserialize;
use serde_json::json;

const PURPOSE: &str = "restock-inventory";

/// The body of `PUT /inventory/{sku}`: at least one of its fields.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RestockRequest {
    /// Pieces to add.
    restock: Option<Whole>,
    /// Pieces that there are, after counting.
    available: Option<Whole>,
    /// What a piece costs from now on.
    unit_price: Option<Amount>,
    /// Currency of the price; USD where none is given.
    currency: Option<Currency>,
    /// In how many parts the pieces are kept from now on, so that as many can be sold at once.
    buckets: Option<Whole>,
}

/// What is asked for, within its bounds.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    command: RestockCommand,
    price: Option<Price>,
    buckets: Option<u16>,
}

/// Restocks SKUs.
#[derive(Debug)]
pub struct Handler<S, L, C> {
    /// Where the event is stored, with the stock.
    pub store: S,
    /// What is in stock.
    pub stock: L,
    /// Tells when.
    pub clock: C,
}

impl<S, L, C> Handler<S, L, C>
where
    S: AppendWith<StockMove, Refusal = Shortage>,
    L: StockLevels,
    C: Clock,
{
    /// Answers one request.
    ///
    /// # Errors
    /// The problem to answer with.
    pub async fn handle(&self, request: &HttpRequest) -> Result<HttpResponse, Problem> {
        let caller = request.caller()?;
        caller.writes_inventory()?;
        let sku = request.path("sku", Sku::parse)?;
        let wanted = accept(request.body()?)?;
        let key = request.idempotency_key()?;
        let mut waits = backon::BackoffBuilder::build(FullJitter::CALL);
        loop {
            let attempt = self.attempt(request, &caller, &sku, wanted, key.as_ref());
            if let Some(mut level) = attempt.await? {
                if let Some(buckets) = wanted.buckets.filter(|buckets| *buckets != level.buckets) {
                    retrying(|| self.stock.split(&sku, buckets))
                        .await
                        .map_err(not_split)?;
                    level.buckets = buckets;
                }
                tracing::info!(sku = %sku,
                    available = level.available, version = level.head.version, "sku restocked");
                return Ok(answer(&sku, &level));
            }
            let Some(wait) = waits.next().filter(|wait| budget::allows(*wait)) else {
                let reason = format!("sku {sku} is too busy to be restocked");
                return Err(Failure::Transient(reason).into());
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// One attempt; `None` when the stock moved in between.
    async fn attempt(
        &self,
        request: &HttpRequest,
        caller: &Caller,
        sku: &Sku,
        Wanted { command, price, .. }: Wanted,
        key: Option<&IdempotencyKey>,
    ) -> Result<Option<StockLevel>, Problem> {
        let failed = |failure: Failure| Problem::from(failure);
        let level = retrying(|| self.stock.level(sku))
            .await
            .map_err(|error| failed(Failure::from_error(&error)))?
            .unwrap_or(StockLevel::NONE);
        let seed = key.map_or_else(|| request.id().to_owned(), IdempotencyKey::to_string);
        let stream = sku.stream();
        let event_id = event_id(&stream, &seed, PURPOSE, 0);
        if key.is_some() && self.is_stored(sku, &event_id).await? {
            return Ok(Some(level));
        }
        let Some((event, stock_move)) = restock(sku, command, price, level.available) else {
            return Ok(Some(level));
        };
        let after = StockLevel {
            available: level.available
                + event
                    .changes
                    .iter()
                    .map(|change| change.quantity)
                    .sum::<i64>(),
            price: price.or(level.price),
            head: Head {
                version: level.head.version + 1,
                hash: None,
            },
            buckets: level.buckets,
        };
        let cause = Cause {
            id: request.id().to_owned(),
            seed,
            purpose: PURPOSE,
            correlation_id: Some(stream.clone()),
            traceparent: request.traceparent(),
            actor: Some(caller.subject().to_owned()),
            now: self.clock.now(),
        };
        let envelopes = cause
            .envelopes(&stream, &[event])
            .map_err(|error| failed(Failure::Permanent(error.to_string())))?;
        let moves = [stock_move];
        let appended = retrying(|| {
            self.store
                .append_with(&stream, &level.head, envelopes.clone(), &moves)
        })
        .await;
        match appended {
            Ok(_) => Ok(Some(after)),
            Err(AppendError::Conflict {
                stored: Some(stored),
                ..
            }) if stored.event_id == event_id => Ok(Some(after)),
            Err(AppendError::Conflict { .. } | AppendError::Refused(_)) => Ok(None),
            Err(error) => Err(failed(Failure::from_error(&error))),
        }
    }

    async fn is_stored(&self, sku: &Sku, event_id: &str) -> Result<bool, Problem> {
        let stream = sku.stream();
        retrying(|| self.store.read(&stream, 1))
            .await
            .map(|history| history.iter().any(|event| event.event_id == event_id))
            .map_err(|error| Failure::from_error(&error).into())
    }
}

fn not_split(error: SplitError) -> Problem {
    match error {
        SplitError::Unknown(_) => {
            Problem::not_found("nobody stocked this sku; give restock together with buckets")
                .of("sku")
        }
        error => Failure::from_error(&error).into(),
    }
}

fn accept(request: RestockRequest) -> Result<Wanted, Problem> {
    let bounded = |field: &str, Whole(pieces): Whole| {
        if pieces > MAX_RESTOCK {
            return Err(Problem::invalid(
                field,
                format!("must be at most {MAX_RESTOCK}, is {pieces}"),
            ));
        }
        Ok(pieces)
    };
    let price = match (request.unit_price, request.currency) {
        (None, None) => None,
        (None, Some(_)) => {
            return Err(Problem::invalid(
                "unitPrice",
                "is missing, for a currency was given",
            ));
        }
        (Some(unit_price), currency) => {
            let currency = currency.unwrap_or_default();
            check_price(unit_price).map_err(|reason| Problem::invalid("unitPrice", reason))?;
            Some(Price {
                unit_price,
                currency,
            })
        }
    };
    let command = match (request.restock, request.available) {
        (Some(_), Some(_)) => {
            return Err(Problem::invalid(
                "available",
                "and restock exclude each other: give the pieces that there are, or those that come",
            ));
        }
        (Some(pieces), None) => RestockCommand::Add(bounded("restock", pieces)?),
        (None, Some(pieces)) => RestockCommand::Set(bounded("available", pieces)?),
        (None, None) if price.is_some() || request.buckets.is_some() => RestockCommand::Add(0),
        (None, None) => {
            return Err(Problem::invalid(
                "restock",
                "is missing: give restock (pieces that come), available (pieces that there are), \
                 unitPrice or buckets",
            ));
        }
    };
    let buckets = request
        .buckets
        .map(|Whole(buckets)| {
            u16::try_from(buckets)
                .ok()
                .filter(|buckets| (1..=MAX_BUCKETS).contains(buckets))
                .ok_or_else(|| {
                    let reason = format!("must be 1 to {MAX_BUCKETS}, is {buckets}");
                    Problem::invalid("buckets", reason)
                })
        })
        .transpose()?;
    Ok(Wanted {
        command,
        price,
        buckets,
    })
}

fn answer(sku: &Sku, level: &StockLevel) -> HttpResponse {
    let mut body = json!({"sku": sku, "available": level.available, "version": level.head.version});
    if let Some(price) = level.price {
        body["unitPrice"] = json!(price.unit_price);
        body["currency"] = json!(price.currency);
    }
    if level.buckets > 1 {
        body["buckets"] = json!(level.buckets);
    }
    HttpResponse::json(200, body).header("etag", format!("\"{}\"", level.head.version))
}
