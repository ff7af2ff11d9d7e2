//! Telling customers what happened, once per event.
//!
//! The fact is stored first, as a claim: whoever stores version 1 of the notification's stream
//! sends. A duplicate delivery finds the claim taken and does nothing. A retry of the same
//! invocation finds its own claim and sends (again, if the process died between sending and
//! answering), and so does the redrive of that invocation, or of several of them. What cannot be
//! sent is noted, so that a redrive can claim it anew.

use crate::notifier::Notifier;
use domain::notification::{
    Notification, NotificationCommand, NotificationFailed, NotificationRejection,
    NotificationState, UserNotified, notification_stream,
};
use domain::order::OrderEvent;
use event_sourcing::chain::Head;
use event_sourcing::clock::Clock;
use event_sourcing::envelope::Envelope;
use event_sourcing::execute::{
    Cause, ExecuteError, Executed, Start, decode_optional, execute, retrying,
};
use event_sourcing::failure::Failure;
use event_sourcing::store::EventStore;

/// Notifies customers.
#[derive(Debug)]
pub struct Handler<S, N, C> {
    /// Where notifications are noted.
    pub store: S,
    /// What reaches customers.
    pub notifier: N,
    /// Tells when.
    pub clock: C,
}

impl<S: EventStore, N: Notifier, C: Clock> Handler<S, N, C> {
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
        let Some(notification) = event.as_ref().and_then(Notification::about) else {
            tracing::info!(
                event_id = trigger.event_id,
                event_type = trigger.event_type,
                "nobody to notify"
            );
            return Ok(());
        };
        let claim = NotificationCommand::Claim(UserNotified {
            order_id: notification.order_id.clone(),
            user_id: notification.user_id.clone(),
            about: trigger.event_type.clone(),
            claimed_by: request_id.to_owned(),
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
    use serde_json::json;
    use std::sync::Mutex;

    /// Keeps what was sent; refuses everything while it is told to.
    #[derive(Default)]
    struct Outbox {
        sent: Mutex<Vec<String>>,
        refuses: Mutex<bool>,
    }

    impl Notifier for Outbox {
        async fn send(&self, notification: &Notification) -> Result<(), NotifierError> {
            if *self.refuses.lock().unwrap() {
                return Err(MailError::Refused("no such sender".into()).into());
            }
            self.sent.lock().unwrap().push(notification.subject.clone());
            Ok(())
        }
    }

    type Tested = Handler<InMemoryEventStore, Outbox, SystemClock>;

    fn a_handler() -> Tested {
        Handler {
            store: InMemoryEventStore::default(),
            notifier: Outbox::default(),
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
}
