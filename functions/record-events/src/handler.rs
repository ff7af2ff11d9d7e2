//! Recording what other producers say: once per event, and only what can have happened. How a
//! customer is reached is sealed first.

use aws_adapters::order_contacts::Contacts;
use domain::order::{Order, OrderEvent, OrderRejection, fact_of};
use event_sourcing::chain::Head;
use event_sourcing::envelope::Envelope;
use event_sourcing::execute::{ExecuteError, load, retrying};
use event_sourcing::failure::Failure;
use event_sourcing::sealing::keys::Sealing;
use event_sourcing::store::{AppendError, EventStore};
use std::convert::Infallible;

/// How often a recording starts again when the order moves at the same time.
const ATTEMPTS: usize = 8;

/// Records plain events.
#[derive(Debug)]
pub struct Handler<S, K> {
    /// Where they are stored.
    pub store: S,
    /// Seals how customers are reached.
    pub contacts: Contacts<K>,
}

impl<S: EventStore, K: Sealing> Handler<S, K> {
    /// Records one event; an event that is recorded already changes nothing.
    ///
    /// # Errors
    /// [`Failure::Permanent`] for an event that cannot be, given what is stored, and for a contact
    /// that is nobody's.
    pub async fn handle(&self, event: Envelope) -> Result<(), Failure> {
        if event.version.is_some() {
            return Err(Failure::Permanent(format!(
                "event {} has a version, so it is recorded already; only plain events come here",
                event.event_id
            )));
        }
        let fact = fact_of(&event).map_err(|error| Failure::from_error(&error))?;
        let data = self.contacts.sealed_data(event.data).await;
        let event = Envelope {
            data: data.map_err(|error| Failure::from_error(&error))?,
            ..event
        };
        match fact {
            Some(OrderEvent::Placed(placed)) => {
                self.first(&placed.terms.order_id.stream(), event).await
            }
            Some(fact) => self.next(&fact, event).await,
            None => {
                self.first(&format!("external-{}", event.event_id), event)
                    .await
            }
        }
    }

    /// Records the first event of a stream.
    async fn first(&self, stream: &str, event: Envelope) -> Result<(), Failure> {
        let id = event.event_id.clone();
        match retrying(|| self.store.append(stream, &Head::START, vec![event.clone()])).await {
            Ok(_) => {
                recorded(&event, stream);
                Ok(())
            }
            Err(AppendError::Conflict {
                stored: Some(stored),
                ..
            }) if stored.event_id == id => Ok(()),
            Err(AppendError::Conflict { stored, .. }) => Err(Failure::Permanent(format!(
                "stream {stream} was begun by another event ({}); event {id} is not recorded",
                stored.map_or_else(|| "unknown".to_owned(), |stored| stored.event_id)
            ))),
            Err(error) => Err(Failure::from_error(&error)),
        }
    }

    /// Records a fact about an order that is there.
    async fn next(&self, fact: &OrderEvent, event: Envelope) -> Result<(), Failure> {
        let order = &fact.terms().order_id;
        let stream = order.stream();
        for _ in 0..ATTEMPTS {
            let loaded = load::<Order, Infallible>(&self.store, &stream)
                .await
                .map_err(|error: ExecuteError<OrderRejection>| Failure::from_error(&error))?;
            if loaded
                .history
                .iter()
                .any(|stored| stored.event_id == event.event_id)
            {
                return Ok(());
            }
            if !loaded.state.can_be_followed_by(fact) {
                return Err(Failure::Permanent(format!(
                    "{} cannot follow on order {order} as it is at version {}; event {} is not recorded",
                    event.event_type, loaded.head.version, event.event_id
                )));
            }
            match retrying(|| {
                self.store
                    .append(&stream, &loaded.head, vec![event.clone()])
            })
            .await
            {
                Ok(_) => {
                    recorded(&event, &stream);
                    return Ok(());
                }
                Err(AppendError::Conflict { .. }) => {}
                Err(error) => return Err(Failure::from_error(&error)),
            }
        }
        Err(Failure::Transient(format!("order {order} is too busy")))
    }
}

fn recorded(event: &Envelope, stream: &str) {
    tracing::info!(
        event_id = event.event_id,
        event_type = event.event_type,
        stream_id = stream,
        "recorded"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use event_sourcing::clock::SystemClock;
    use event_sourcing::in_memory::InMemoryEventStore;
    use event_sourcing::sealing::in_memory::{InMemorySubjectKeys, subject_keys};
    use serde_json::{Value, json};

    fn plain(id: &str, event_type: &str, more: Value) -> Envelope {
        let mut data = json!({"orderId": "67890", "userId": "abc123", "totalAmount": 150.75});
        if let (Value::Object(data), Value::Object(more)) = (&mut data, more) {
            data.extend(more);
        }
        Envelope::from_value(json!({"eventId": id, "eventType": event_type,
            "timestamp": "2025-01-01T12:00:00Z", "data": data}))
        .unwrap()
    }

    fn a_handler() -> Handler<InMemoryEventStore, InMemorySubjectKeys<SystemClock>> {
        Handler {
            store: InMemoryEventStore::default(),
            contacts: Contacts {
                keys: subject_keys(SystemClock),
                seals: true,
            },
        }
    }

    #[tokio::test]
    async fn a_plain_event_is_recorded_once_per_event_id() {
        let handler = a_handler();
        for _ in 0..2 {
            handler
                .handle(plain("12345", "OrderPlaced", json!({})))
                .await
                .unwrap();
        }
        let stored = handler.store.arrivals();
        assert_eq!(stored.len(), 1);
        assert_eq!(stored[0].position(), Some(("order-67890", 1)));
        assert_eq!(stored[0].event_id, "12345");
    }

    #[tokio::test]
    async fn a_second_placing_of_an_order_is_refused() {
        let handler = a_handler();
        handler
            .handle(plain("1", "OrderPlaced", json!({})))
            .await
            .unwrap();
        let refused = handler.handle(plain("2", "OrderPlaced", json!({}))).await;
        assert!(matches!(refused, Err(Failure::Permanent(_))));
        assert_eq!(handler.store.arrivals().len(), 1);
    }

    #[tokio::test]
    async fn a_fact_that_cannot_be_is_refused_and_one_that_can_is_recorded_once() {
        let handler = a_handler();
        let cancelled = || plain("2", "OrderCancelled", json!({"reason": "requested"}));
        assert!(matches!(
            handler.handle(cancelled()).await,
            Err(Failure::Permanent(_))
        ));
        handler
            .handle(plain("1", "OrderPlaced", json!({})))
            .await
            .unwrap();
        let paid = plain("3", "PaymentProcessed", json!({}));
        assert!(matches!(
            handler.handle(paid).await,
            Err(Failure::Permanent(_))
        ));
        handler.handle(cancelled()).await.unwrap();
        handler.handle(cancelled()).await.unwrap();
        assert_eq!(handler.store.arrivals().len(), 2);
    }

    #[tokio::test]
    async fn an_event_of_an_unknown_type_is_kept_on_a_stream_of_its_own() {
        let handler = a_handler();
        handler
            .handle(plain("9", "CouponRedeemed", json!({})))
            .await
            .unwrap();
        assert_eq!(
            handler.store.arrivals()[0].position(),
            Some(("external-9", 1))
        );
    }
    #[tokio::test]
    async fn a_contact_is_sealed_before_it_is_stored_whatever_the_event() {
        let handler = a_handler();
        let contact = json!({"contact": {"email": "a@x.de", "phone": "0123"}});
        for (id, event_type) in [("1", "OrderPlaced"), ("2", "CouponRedeemed")] {
            let event = plain(id, event_type, contact.clone());
            handler.handle(event.clone()).await.unwrap();
            handler.handle(event).await.unwrap();
        }
        let stored = handler.store.arrivals();
        assert_eq!(stored.len(), 2);
        for event in stored {
            let text = serde_json::to_string(&event).unwrap();
            assert!(!text.contains("a@x.de") && !text.contains("0123"), "{text}");
            assert!(event.data["sealedContact"].is_string(), "{text}");
        }
    }

    #[tokio::test]
    async fn a_contact_that_is_nobodys_is_refused() {
        let handler = a_handler();
        let data = json!({"userId": null, "contact": {"email": "a@x.de"}});
        let refused = handler.handle(plain("9", "CouponRedeemed", data)).await;
        assert!(matches!(refused, Err(Failure::Permanent(_))), "{refused:?}");
        assert!(handler.store.arrivals().is_empty());
    }
}
