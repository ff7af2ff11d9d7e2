//! Telling customers what happened, once per event.
//!
//! The fact is stored first, as a claim: whoever stores version 1 of the notification's stream
//! sends. A duplicate delivery finds the claim taken and does nothing. A retry of the same
//! invocation finds its own claim and sends (again, if the process died between sending and
//! answering), and so does the redrive of that invocation, or of several of them. What cannot be
//! sent is noted, so that a redrive can claim it anew.
//!
//! How the customer is reached is unsealed before all that, where the notifier needs it. Who had
//! their data erased is not told any more: the fact is stored all the same, and says why.

use crate::notifier::Notifier;
use aws_adapters::order_contacts::{Contacts, Revealed};
use domain::notification::{
    Notification, NotificationCommand, NotificationFailed, NotificationRejection,
    NotificationState, UserNotified, Withheld, notification_stream,
};
use domain::order::OrderEvent;
use event_sourcing::chain::Head;
use event_sourcing::clock::Clock;
use event_sourcing::envelope::Envelope;
use event_sourcing::execute::{
    Cause, ExecuteError, Executed, Start, decode_optional, execute, retrying,
};
use event_sourcing::failure::Failure;
use event_sourcing::sealing::keys::Sealing;
use event_sourcing::store::EventStore;

/// Notifies customers.
#[derive(Debug)]
pub struct Handler<S, N, K, C> {
    /// Where notifications are noted.
    pub store: S,
    /// What reaches customers.
    pub notifier: N,
    /// Unseals how customers are reached.
    pub contacts: Contacts<K>,
    /// Tells when.
    pub clock: C,
}

impl<S: EventStore, N: Notifier, K: Sealing, C: Clock> Handler<S, N, K, C> {
    /// Handles one event of an order, in the invocation `request_id`, which redrives those of
    /// `redrive_of`, if any: what one of them claimed is sent by this one.
    ///
    /// # Errors
    /// [`Failure`], when the notification could not be noted or sent.
    pub async fn handle(
        &self,
        trigger: &Envelope,
        request_id: &str,
        redrive_of: &[String],
    ) -> Result<(), Failure> {
        let event: Option<OrderEvent> =
            decode_optional(trigger).map_err(|error| Failure::from_error(&error))?;
        let Some(mut notification) = event.as_ref().and_then(Notification::about) else {
            tracing::info!(
                event_id = trigger.event_id,
                event_type = trigger.event_type,
                "nobody to notify"
            );
            return Ok(());
        };
        let withheld = self.unseal(&mut notification).await?;
        let claim = NotificationCommand::Claim(UserNotified {
            order_id: notification.order_id.clone(),
            user_id: notification.user_id.clone(),
            about: trigger.event_type.clone(),
            claimed_by: request_id.to_owned(),
            withheld,
        });
        let open = Start::From {
            state: NotificationState::Open,
            head: Head::START,
        };
        let claimed = self.execute(trigger, request_id, open, &claim).await?;
        let taken_by_another = matches!(&claimed.state,
            NotificationState::Claimed { by } if by != request_id && !redrive_of.contains(by));
        if claimed.events.is_empty() && taken_by_another {
            tracing::info!(
                event_id = trigger.event_id,
                order_id = %notification.order_id,
                "notified before"
            );
            return Ok(());
        }
        if let Some(withheld) = withheld {
            tracing::info!(order_id = %notification.order_id, ?withheld, "not sent");
            return Ok(());
        }
        match retrying(|| self.notifier.send(&notification)).await {
            Ok(()) => Ok(()),
            Err(error) => {
                let failure = Failure::from_error(&error);
                let failed = NotificationCommand::Fail(NotificationFailed {
                    order_id: notification.order_id,
                    reason: failure.to_string(),
                });
                self.execute(trigger, request_id, Start::Load, &failed)
                    .await?;
                Err(failure)
            }
        }
    }

    /// Puts the contact into the notification, or says why there is none to send to.
    async fn unseal(&self, notification: &mut Notification) -> Result<Option<Withheld>, Failure> {
        let Some(sealed) = &notification.sealed_contact else {
            return Ok(None);
        };
        if !self.notifier.needs_contact() {
            return Ok(None);
        }
        let (user, order) = (&notification.user_id, &notification.order_id);
        let revealed = self.contacts.reveal(user, order, sealed).await;
        match revealed.map_err(|error| Failure::from_error(&error))? {
            Revealed::Contact(contact) => {
                notification.contact = Some(contact);
                Ok(None)
            }
            Revealed::Erased => Ok(Some(Withheld::ContactErased)),
        }
    }

    async fn execute(
        &self,
        trigger: &Envelope,
        request_id: &str,
        start: Start<NotificationState>,
        command: &NotificationCommand,
    ) -> Result<Executed<NotificationState>, Failure> {
        let purpose = match command {
            NotificationCommand::Claim(_) => "notify-user/claim",
            NotificationCommand::Fail(_) => "notify-user/fail",
        };
        // Each invocation claims under an id of its own: two of them never take each other's
        // claim for theirs.
        let mut cause = Cause::event(trigger, purpose, self.clock.now());
        cause.seed = format!("{}/{request_id}", trigger.event_id);
        execute::<NotificationState>(
            &self.store,
            &notification_stream(&trigger.event_id),
            start,
            command,
            &cause,
        )
        .await
        .map_err(|error: ExecuteError<NotificationRejection>| Failure::from_error(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notifier::NotifierError;
    use aws_adapters::ses_mailer::MailError;
    use event_sourcing::clock::SystemClock;
    use event_sourcing::in_memory::InMemoryEventStore;
    use event_sourcing::sealing::in_memory::{InMemorySubjectKeys, subject_keys};
    use event_sourcing::sealing::keys::KeyErasure;
    use event_sourcing::sealing::{Erasure, Sealed};
    use serde_json::json;
    use std::sync::Mutex;

    /// Keeps what was sent; refuses everything while it is told to.
    #[derive(Default)]
    struct Outbox {
        sent: Mutex<Vec<String>>,
        to: Mutex<Vec<Option<String>>>,
        refuses: Mutex<bool>,
    }

    impl Notifier for Outbox {
        async fn send(&self, notification: &Notification) -> Result<(), NotifierError> {
            if *self.refuses.lock().unwrap() {
                return Err(MailError::Refused("no such sender".into()).into());
            }
            self.sent.lock().unwrap().push(notification.subject.clone());
            let to = notification.contact.as_ref();
            let to = to.map(|contact| contact.email.clone());
            self.to.lock().unwrap().push(to);
            Ok(())
        }
    }

    type Tested =
        Handler<InMemoryEventStore, Outbox, InMemorySubjectKeys<SystemClock>, SystemClock>;

    fn a_handler() -> Tested {
        Handler {
            store: InMemoryEventStore::default(),
            notifier: Outbox::default(),
            contacts: Contacts {
                keys: subject_keys(SystemClock),
                seals: true,
            },
            clock: SystemClock,
        }
    }

    fn plain() -> Envelope {
        Envelope::from_value(json!({"eventId": "12345", "eventType": "OrderPlaced",
            "timestamp": "2025-01-01T12:00:00Z",
            "data": {"orderId": "67890", "userId": "abc123", "totalAmount": 150.75}}))
        .unwrap()
    }

    fn types(handler: &Tested) -> Vec<String> {
        handler
            .store
            .arrivals()
            .into_iter()
            .map(|event| event.event_type)
            .collect()
    }

    #[tokio::test]
    async fn a_plain_event_is_notified_once_however_often_it_is_delivered() {
        let handler = a_handler();
        for delivery in ["a", "b", "c"] {
            handler.handle(&plain(), delivery, &[]).await.unwrap();
        }
        assert_eq!(handler.notifier.sent.lock().unwrap().len(), 1);
        assert_eq!(types(&handler), ["UserNotified"]);
        let stored = &handler.store.arrivals()[0];
        assert_eq!(stored.position(), Some(("notification-12345", 1)));
        assert_eq!(stored.causation_id.as_deref(), Some("12345"));
    }

    #[tokio::test]
    async fn a_retry_of_the_invocation_that_died_sends_what_it_claimed() {
        let handler = a_handler();
        handler.handle(&plain(), "a", &[]).await.unwrap();
        handler.handle(&plain(), "a", &[]).await.unwrap();
        assert_eq!(handler.notifier.sent.lock().unwrap().len(), 2);
        assert_eq!(types(&handler), ["UserNotified"]);
    }

    #[tokio::test]
    async fn a_redrive_sends_what_any_of_the_calls_claimed_that_it_redrives_and_nothing_else() {
        let handler = a_handler();
        handler.handle(&plain(), "b", &[]).await.unwrap();
        let both = ["a".to_owned(), "b".to_owned()];
        handler.handle(&plain(), "a", &both).await.unwrap();
        assert_eq!(handler.notifier.sent.lock().unwrap().len(), 2);
        handler.handle(&plain(), "a", &both[..1]).await.unwrap();
        assert_eq!(handler.notifier.sent.lock().unwrap().len(), 2);
        assert_eq!(types(&handler), ["UserNotified"]);
    }

    #[tokio::test]
    async fn what_could_not_be_sent_is_sent_by_a_later_delivery() {
        let handler = a_handler();
        *handler.notifier.refuses.lock().unwrap() = true;
        assert!(matches!(
            handler.handle(&plain(), "a", &[]).await,
            Err(Failure::Permanent(_))
        ));
        *handler.notifier.refuses.lock().unwrap() = false;
        handler.handle(&plain(), "b", &[]).await.unwrap();
        handler.handle(&plain(), "c", &[]).await.unwrap();
        assert_eq!(handler.notifier.sent.lock().unwrap().len(), 1);
        assert_eq!(
            types(&handler),
            ["UserNotified", "NotificationFailed", "NotificationRetried"]
        );
    }

    #[tokio::test]
    async fn an_event_of_newer_software_is_left_for_it() {
        let handler = a_handler();
        let mut event = plain();
        event.schema_version = Some(99);
        let Err(Failure::Permanent(reason)) = handler.handle(&event, "a", &[]).await else {
            panic!("it is not guessed");
        };
        assert!(reason.contains("a newer version of the software wrote it"));
        assert!(types(&handler).is_empty());
    }

    #[tokio::test]
    async fn an_event_that_concerns_no_customer_is_passed_over() {
        let handler = a_handler();
        let mut event = plain();
        event.event_type = "CouponRedeemed".into();
        handler.handle(&event, "a", &[]).await.unwrap();
        assert!(types(&handler).is_empty());
    }

    /// The event with its contact sealed.
    async fn sealed(handler: &Tested) -> Envelope {
        let mut event = plain();
        event.data["contact"] = json!({"email": "a@x.de"});
        event.data = handler.contacts.sealed_data(event.data).await.unwrap();
        assert!(!event.data.to_string().contains("a@x.de"));
        event
    }

    async fn erase(handler: &Tested) {
        let erasure = Erasure {
            at: SystemClock.now(),
            by: "abc123".into(),
        };
        let table = handler.contacts.keys.table();
        table.erase("abc123", &erasure).await.unwrap();
    }

    #[tokio::test]
    async fn a_sealed_contact_is_unsealed_to_reach_the_customer() {
        let handler = a_handler();
        handler
            .handle(&sealed(&handler).await, "a", &[])
            .await
            .unwrap();
        let to = handler.notifier.to.lock().unwrap().clone();
        assert_eq!(to, [Some("a@x.de".to_owned())]);
        assert_eq!(handler.store.arrivals()[0].data.get("withheld"), None);
    }

    #[tokio::test]
    async fn who_had_their_data_erased_is_not_told_and_the_fact_says_why() {
        let handler = a_handler();
        let event = sealed(&handler).await;
        erase(&handler).await;
        for delivery in ["a", "a", "b"] {
            handler.handle(&event, delivery, &[]).await.unwrap();
        }
        assert!(handler.notifier.sent.lock().unwrap().is_empty());
        assert_eq!(types(&handler), ["UserNotified"]);
        let stored = &handler.store.arrivals()[0];
        assert_eq!(stored.data["withheld"], "contact_erased");
    }

    #[tokio::test]
    async fn what_failed_before_the_erasure_is_settled_by_its_redrive() {
        let handler = a_handler();
        let event = sealed(&handler).await;
        *handler.notifier.refuses.lock().unwrap() = true;
        assert!(handler.handle(&event, "a", &[]).await.is_err());
        *handler.notifier.refuses.lock().unwrap() = false;
        erase(&handler).await;
        handler.handle(&event, "b", &[]).await.unwrap();
        assert!(handler.notifier.sent.lock().unwrap().is_empty());
        let stored = handler.store.arrivals();
        assert_eq!(stored[2].event_type, "NotificationRetried");
        assert_eq!(stored[2].data["withheld"], "contact_erased");
    }

    #[tokio::test]
    async fn a_damaged_contact_is_given_up_and_nothing_is_claimed() {
        let handler = a_handler();
        let mut event = sealed(&handler).await;
        let text = event.data["sealedContact"].as_str().unwrap();
        let damaged = Sealed::of_text(format!("{text}AAAA"));
        event.data["sealedContact"] = json!(damaged.as_str());
        let refused = handler.handle(&event, "a", &[]).await;
        assert!(matches!(refused, Err(Failure::Permanent(_))), "{refused:?}");
        assert!(types(&handler).is_empty());
    }
}
