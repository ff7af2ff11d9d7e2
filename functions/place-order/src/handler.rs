//! Accepting an order: one conditional write, nothing read. A customer orders for themselves only;
//! that is decided before the store is asked, so no answer tells of somebody else's order. A
//! contact is sealed before it is stored, under a key that is mostly at hand.

use aws_adapters::http_api::{HttpRequest, HttpResponse, Problem};
use aws_adapters::order_contacts::{ContactError, Contacts, Revealed};
use domain::access::Caller;
use domain::ids::UserId;
use domain::order::{
    Order, OrderCommand, OrderEvent, OrderPlaced, OrderRejection, OrderRequest, PLACE_ORDER,
};
use event_sourcing::chain::Head;
use event_sourcing::clock::Clock;
use event_sourcing::decider::Decider;
use event_sourcing::envelope::Envelope;
use event_sourcing::execute::{Cause, decode, retrying};
use event_sourcing::failure::Failure;
use event_sourcing::sealing::keys::Sealing;
use event_sourcing::store::{AppendError, EventStore};
use serde_json::json;

/// Places orders.
#[derive(Debug)]
pub struct Handler<S, K, C> {
    /// Where the order is stored.
    pub store: S,
    /// Seals how the customer is reached.
    pub contacts: Contacts<K>,
    /// Tells when.
    pub clock: C,
}

impl<S: EventStore, K: Sealing, C: Clock> Handler<S, K, C> {
    /// Answers one request.
    ///
    /// # Errors
    /// The problem to answer with.
    pub async fn handle(&self, request: &HttpRequest) -> Result<HttpResponse, Problem> {
        let caller = request.caller()?;
        let reach = caller.writes_orders()?;
        let key = request.idempotency_key()?.ok_or_else(|| {
            Problem::invalid(
                "Idempotency-Key",
                "header is missing; send a new one with each new order, the same with a repeat",
            )
        })?;
        let order = request.body::<OrderRequest>()?;
        if !reach.covers(&order.user_id) {
            return Err(not_theirs(&order.user_id));
        }
        let order = order
            .accept(&key)
            .map_err(|invalid| Problem::invalid(invalid.field, invalid.reason))?;
        let repeated = self.place(request, &caller, &order).await?;
        let id = &order.terms.order_id;
        let repeated = repeated.then_some(true);
        tracing::info!(order_id = %id, repeated, "order placed");
        Ok(HttpResponse::json(
            202,
            json!({"orderId": id, "status": "placed", "version": 1}),
        )
        .header("location", format!("/orders/{id}"))
        .header("etag", "\"1\""))
    }

    /// Stores the order unless it is there; says whether it was.
    async fn place(
        &self,
        request: &HttpRequest,
        caller: &Caller,
        order: &OrderPlaced,
    ) -> Result<bool, Problem> {
        let stream = order.terms.order_id.stream();
        let command = OrderCommand::Place(OrderPlaced {
            terms: self.contacts.sealed(&order.terms).await.map_err(failed)?,
            items: order.items.clone(),
        });
        let events = Order::decide(&command, &Order::initial()).map_err(refusal)?;
        let envelopes = self
            .cause(request, caller, order)
            .envelopes(&stream, &events)
            .map_err(|error| Problem::from(Failure::Permanent(error.to_string())))?;
        match retrying(|| self.store.append(&stream, &Head::START, envelopes.clone())).await {
            Ok(_) => Ok(false),
            // The conflict carries the order that was stored under this key: decide on that.
            Err(AppendError::Conflict {
                stored: Some(stored),
                ..
            }) => {
                let state = placed(&stored)?;
                if Order::decide(&command, &state).is_err() {
                    let state = self.revealed(state, order).await?;
                    let command = OrderCommand::Place(order.clone());
                    Order::decide(&command, &state).map_err(refusal)?;
                }
                Ok(true)
            }
            Err(AppendError::TooLarge { bytes, limit }) => Err(Problem::new(
                413,
                "too-large",
                "The order is too large",
                format!("the order takes {bytes} bytes, at most {limit} can be stored"),
            )
            .of("items")),
            Err(error) => Err(Failure::from_error(&error).into()),
        }
    }

    /// The stored order as it would be in plain, to hold another against it: sealed under another
    /// key, the same contact is another text. Of one that was erased nobody can tell whether it is
    /// another; what else the order says decides then.
    async fn revealed(&self, stored: Order, asked: &OrderPlaced) -> Result<Order, Problem> {
        let Order::Placed(OrderPlaced { terms, items }, at) = stored else {
            return Ok(stored);
        };
        let contact = match &terms.sealed_contact {
            None => terms.contact.clone(),
            Some(sealed) => {
                let (user, order) = (&terms.user_id, &terms.order_id);
                match self.contacts.reveal(user, order, sealed).await {
                    Ok(Revealed::Contact(contact)) => Some(contact),
                    Ok(Revealed::Erased) => asked.terms.contact.clone(),
                    Err(error) => return Err(failed(error)),
                }
            }
        };
        let terms = terms.with_contact(contact);
        Ok(Order::Placed(OrderPlaced { terms, items }, at))
    }

    fn cause(&self, request: &HttpRequest, caller: &Caller, order: &OrderPlaced) -> Cause {
        let id = order.terms.order_id.to_string();
        Cause {
            id: request.id().to_owned(),
            seed: id.clone(),
            purpose: PLACE_ORDER,
            correlation_id: Some(id),
            traceparent: request.traceparent(),
            actor: Some(caller.subject().to_owned()),
            now: self.clock.now(),
        }
    }
}

fn not_theirs(user: &UserId) -> Problem {
    Problem::new(
        403,
        "not-your-orders",
        "Orders are placed for oneself",
        format!("userId must be the token's sub, is {user}; orders:operate places for anybody"),
    )
    .of("userId")
}

fn placed(stored: &Envelope) -> Result<Order, Problem> {
    let event: OrderEvent =
        decode(stored).map_err(|error| Problem::from(Failure::from_error(&error)))?;
    Ok(Order::evolve(Order::initial(), &event, stored.at()))
}

fn failed(error: ContactError) -> Problem {
    Failure::from_error(&error).into()
}

fn refusal(rejection: OrderRejection) -> Problem {
    Problem::new(
        422,
        "idempotency-key-reused",
        "The Idempotency-Key was used for another order",
        format!("{rejection}; send a new key with a new order"),
    )
    .of("Idempotency-Key")
}
